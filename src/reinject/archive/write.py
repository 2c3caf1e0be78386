"""Writing an archive: a stream of blocks in, a folder that is whole or not there out.

A shard is a block of walks. Shards are written to a temporary name and renamed, into ``OUT.partial``; when all are
there the manifest and the card follow, and the folder is renamed to
``OUT``. So a folder with a manifest is whole, and a run that
was cut goes on where it was when the same call is made again.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from reinject.archive.card import data_card
from reinject.archive.schema import MANIFEST, SCHEMA_VERSION, Plan, schema_of, table_of
from reinject.errors import ArchiveError
from reinject.files import read_json, sha256, write_json
from reinject.samples import LabelledSamples
from reinject.staging import begin, check_free, partial_of, publish

Run = Callable[[Path, Plan, list[int], Callable[[int], None]], Iterable[dict[str, Any]]]


def write(
    out: Path,
    plan: Plan,
    make_block: Callable[[int], Iterable[LabelledSamples]],
    *,
    overwrite: bool = False,
    on_rows: Callable[[int], None] = lambda _: None,
    on_shard: Callable[[dict[str, Any]], None] = lambda _: None,
    run: Run | None = None,
) -> Path:
    """Write the archive of a plan, going on with an earlier run of the same plan that was cut.

    Arguments:
        out: the folder to make; must not hold anything yet.
        plan: what determines the rows.
        make_block: number of a block -> its rows; called only for the blocks that are not there yet.
        overwrite: replace an archive at ``out``.
        on_rows: told the number of rows after every write, those of an earlier run first.
        on_shard: told of every shard that was made: its counts.
        run: makes the shards that are missing, in any order, in place of ``make_block``: in other processes.

    Raises:
        ArchiveError: ``out`` holds something; ``OUT.partial`` belongs to another plan; no walk gave a sample.
        OSError: the disk is full, or not to be written; finished shards stay in ``OUT.partial``.
    """
    check_free(out, MANIFEST, overwrite)
    partial = partial_of(out)
    begin(partial, plan.as_json())
    if not (partial / MANIFEST).is_file():  # or else a run was killed while it tidied up
        _make(out, plan, make_block, on_rows, on_shard, run)
    for path in partial.glob("shard-*"):
        path.unlink()
    publish(partial, out)
    return out


def _make(
    out: Path,
    plan: Plan,
    make_block: Callable[[int], Iterable[LabelledSamples]],
    on_rows: Callable[[int], None],
    on_shard: Callable[[dict[str, Any]], None],
    run: Run | None,
) -> None:
    """All shards that are not there yet, the card, and the manifest, which says that all is there."""
    partial = partial_of(out)
    (partial / "data").mkdir(exist_ok=True)
    known = {number: _finished(partial, number) for number in range(plan.blocks)}
    on_rows(sum(entry["rows"] for entry in known.values() if entry is not None))
    missing = [number for number, entry in known.items() if entry is None]
    made: Iterable[dict[str, Any]]
    if run is None:
        made = (write_shard(partial, plan, number, make_block(number), on_rows) for number in missing)
    else:
        made = run(partial, plan, missing, on_rows)
    for entry in made:
        known[entry["block"]] = entry
        on_shard(entry)
    entries = [entry for _, entry in sorted(known.items()) if entry is not None]
    manifest = _manifest(plan, entries)
    if manifest["counts"]["rows"] == 0:
        raise ArchiveError(
            str(out),
            f"no sample to write: of all walks {manifest['counts']['stopped_walks']} became non-finite and "
            f"{manifest['counts']['strayed_walks']} left the range",
            f"Lower lam or the noise, remove {partial}, and run again",
        )
    (partial / "README.md").write_text(data_card(manifest), encoding="utf-8")
    write_json(partial / MANIFEST, manifest)


def _shard_file(number: int) -> str:
    return f"data/shard-{number:06d}.parquet"


def _entry_file(number: int) -> str:
    return f"shard-{number:06d}.json"


def _finished(partial: Path, number: int) -> dict[str, Any] | None:
    path = partial / _entry_file(number)
    if not path.is_file():
        return None
    entry: dict[str, Any] = read_json(path, ArchiveError)
    shard = partial / entry["file"]
    whole = shard.is_file() and sha256(shard) == entry["sha256"]
    return entry if whole else None


def write_shard(
    partial: Path,
    plan: Plan,
    number: int,
    parts: Iterable[LabelledSamples],
    on_rows: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Write one shard of an unfinished archive, and what the manifest will say of it.

    Arguments:
        partial: the unfinished folder.
        plan: of the archive.
        number: of the block.
        parts: its rows.
        on_rows: told the number of rows after every write.

    Returns:
        The shard's entry: file, hash, counts.
    """
    path = partial / _shard_file(number)
    temporary = path.with_suffix(".tmp")
    per_class = np.zeros(len(plan.class_names), np.int64)
    counts = {"rows": 0, "values": 0, "clipped_values": 0, "stopped_walks": 0, "strayed_walks": 0}
    notes: dict[str, list[float]] = {"accepted": [], "asymmetry": []}
    confidence = 0.0
    schema = schema_of(plan)
    with pq.ParquetWriter(temporary, schema, compression="zstd", write_statistics=False) as writer:
        for part in parts:
            writer.write_table(table_of(part, plan, schema))
            counts["rows"] += len(part.label)
            counts["values"] += part.x.numel()
            counts["clipped_values"] += part.clipped
            counts["stopped_walks"] += part.stopped
            counts["strayed_walks"] += part.strayed
            for name, values in notes.items():
                if (value := getattr(part, name)) is not None:
                    values.append(value)
            per_class += np.bincount(part.label.numpy(), minlength=len(per_class))
            confidence += float(part.probabilities.amax(1).double().sum())
            on_rows(len(part.label))
    temporary.rename(path)
    entry = {
        "file": _shard_file(number),
        "block": number,
        **counts,
        "per_class": per_class.tolist(),
        "confidence_sum": confidence,
        **{name: sum(values) / len(values) if values else None for name, values in notes.items()},
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
    }
    write_json(partial / _entry_file(number), entry)
    return entry


def _manifest(plan: Plan, entries: list[dict[str, Any]]) -> dict[str, Any]:
    def total(name: str) -> int:
        return sum(int(entry[name]) for entry in entries)

    rows = total("rows")
    confidence = sum(entry["confidence_sum"] for entry in entries)
    per_class = np.sum([entry["per_class"] for entry in entries], axis=0)
    return {
        "schema_version": SCHEMA_VERSION,
        **plan.as_json(),
        "columns": [
            "image" if plan.is_image else "x",
            "label",
            "probabilities",
            "walk",
            "step",
            "model",
        ],
        "counts": {
            "rows": rows,
            "values": total("values"),
            "clipped_values": total("clipped_values"),
            "stopped_walks": total("stopped_walks"),
            "strayed_walks": total("strayed_walks"),
            "per_class": per_class.tolist(),
        },
        "mean_confidence": confidence / rows if rows else None,
        "kernel_notes": {name: _mean(entries, name) for name in ("accepted", "asymmetry")},
        "shards": [{key: entry[key] for key in ("file", "block", "rows", "bytes", "sha256")} for entry in entries],
    }


def _mean(entries: list[dict[str, Any]], name: str) -> float | None:
    """Mean of what the kernel noted over the shards; None where it notes nothing of that name."""
    values = [entry[name] for entry in entries if entry[name] is not None]
    return sum(values) / len(values) if values else None
