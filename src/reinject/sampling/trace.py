"""Remake rows of an archive from the seed, and compare: ``reinject trace``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from reinject.archive import Archive, packages
from reinject.archive.mending import without_noted
from reinject.archive.read import values_of
from reinject.base.errors import ArgumentError, check_count
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent
from reinject.data.samples import LabelledSamples
from reinject.sampling.remake import remake


def trace(
    folder: Path,
    rows: Sequence[int] = (),
    *,
    random: int = 0,
    seed: int = 0,
    models: Sequence[Path] = (),
    data_dir: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Remake rows of an archive from its manifest and models alone, and compare every bit.

    A row is the state of one walk after some steps. Its whole block is remade, because a block is the unit of
    randomness: then even rounding is the same. The stored sample, label and probabilities must agree to the last bit.

    Arguments:
        folder: the archive.
        rows: row numbers, from 0, in the archive's order.
        random: number of further rows, drawn with the seed.
        seed: seed of the draw.
        models: folders of the models that made the archive; default: the manifest's.
        data_dir: folder to search for data sets of starts.
        progress: progress reporter.

    Returns:
        For each row its walk, step, model and label, and whether it is the same; a failure if one differs.

    Raises:
        ArchiveError: no archive, or models or starts that are not on disk.
        ArgumentError: an unknown row, or no row.
        ModelError: a model is missing, or its hash differs.
    """
    archive = Archive.open(folder)
    wanted = _wanted(archive, rows, random, seed)
    gone = {one["block"]: one["repeats"] for one in archive.manifest["shards"] if one.get("repeats")}
    make_block = without_noted(remake(archive, models, data_dir, progress), gone)
    ends = np.cumsum([shard["rows"] for shard in archive.manifest["shards"]])
    found: list[dict[str, Any]] = []
    with (progress or Silent()).task("tracing", len(wanted), "rows") as advance:
        for number, (shard, end) in enumerate(zip(archive.manifest["shards"], ends, strict=True)):
            here = [int(row - (end - shard["rows"])) for row in wanted if end - shard["rows"] <= row < end]
            if here:
                made = list(make_block(shard["block"]))
                first = int(end - shard["rows"])
                found += [{"row": first + row, **one} for row, one in _compared(archive, number, made, here)]
                advance(len(here))
    unlike = [one for one in found if not one["same"]]
    lines = [_line(one) for one in (unlike or found)[:20]]
    lines.append(f"{len(found) - len(unlike)} of {len(found)} rows are the same, to the last bit")
    failure = f"{folder}: {len(unlike)} rows differ.{_why(archive)}" if unlike else ""
    return Outcome({"archive": str(folder), "same": len(found) - len(unlike), "rows": found}, lines, failure)


def _wanted(archive: Archive, rows: Sequence[int], random: int, seed: int) -> list[int]:
    for row in rows:
        if not 0 <= row < archive.rows:
            raise ArgumentError("trace", f"row {row} is beyond the {archive.rows} rows", f"Give 0..{archive.rows - 1}")
    check_count("--random", "random", random, 0)
    if not rows and not random:
        raise ArgumentError("trace", "no row is given", "Give row numbers, or --random N")
    drawn = np.random.default_rng(seed).permutation(archive.rows)[:random]
    return sorted({*rows, *drawn.tolist()})


def _compared(
    archive: Archive, number: int, made: list[LabelledSamples], rows: list[int]
) -> list[tuple[int, dict[str, Any]]]:
    if archive.table is not None:
        return _rows_compared(archive, number, made, rows)
    table = archive.shard(number)
    x = values_of(table.column(archive.manifest["columns"][0]), archive.event_shape)
    again = _joined(made)
    found = []
    names = [name for name in ("walk", "step", "model", "label") if name in table.schema.names]
    for row in rows:
        kept = {name: table.column(name)[row].as_py() for name in names}
        same = row < len(again["walk"]) and torch.equal(x[row], again["x"][row])
        same = same and all(kept[name] == again[name][row].item() for name in kept)
        same = same and ("label" not in kept or _bits(table, row) == again["probabilities"][row].numpy().tobytes())
        found.append((row, {**kept, "same": bool(same)}))
    return found


def _rows_compared(
    archive: Archive, number: int, made: list[LabelledSamples], rows: list[int]
) -> list[tuple[int, dict[str, Any]]]:
    """Compare rows of a table, and the walks that the shard's footer names."""
    there, origins = archive.shard(number), archive.origins(number)
    again = pa.concat_tables([part.table for part in made])
    numbers = _joined(made)
    found = []
    for row in rows:
        kept = {name: origins.column(name)[row].as_py() for name in origins.column_names}
        same = row < len(again) and again.slice(row, 1).equals(there.slice(row, 1))
        same = same and all(kept[name] == numbers[name][row].item() for name in kept)
        found.append((row, {**kept, "same": bool(same)}))
    return found


def _bits(table: pa.Table, row: int) -> bytes:
    return np.asarray(table.column("probabilities")[row].as_py(), np.float32).tobytes()


def _joined(made: list[LabelledSamples]) -> dict[str, Tensor]:
    """Join the columns of a block."""
    columns = {name: torch.cat([getattr(part, name) for part in made]) for name in ("x", "walk", "model", "label")}
    columns["probabilities"] = torch.cat([part.probabilities for part in made])
    columns["step"] = torch.cat([torch.full((len(part.label),), part.step) for part in made])
    return columns


def _line(one: dict[str, Any]) -> str:
    verdict = "the same" if one["same"] else "NOT the same"
    label = f", label {one['label']}" if "label" in one else ""
    return f"row {one['row']:,}: walk {one['walk']}, step {one['step']}{label}: {verdict}"


def _why(archive: Archive) -> str:
    """Suggest a cause: package versions that differ from the archive's, or another device."""
    here = packages()
    made = {
        name: version for one in archive.manifest["parameters"]["ranges"] for name, version in one["packages"].items()
    }
    unlike = [f"{name} {made[name]} there, {here.get(name)} here" for name in made if made[name] != here.get(name)]
    return (
        f" Packages differ: {', '.join(unlike)}."
        if unlike
        else " Was the archive made on another device or kind of processor?"
    )
