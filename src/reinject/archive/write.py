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
from reinject.staging import PLAN, begin, check_free, partial_of, publish


def write(
    out: Path,
    plan: Plan,
    make_block: Callable[[int], Iterable[LabelledSamples]],
    *,
    overwrite: bool = False,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Path:
    """Write the archive of a plan, going on with an earlier run of the same plan that was cut.

    Arguments:
        out: the folder to make; must not hold anything yet.
        plan: what determines the rows.
        make_block: number of a block -> its rows; called only for the blocks that are not there yet.
        overwrite: replace an archive at ``out``.
        on_rows: told the number of rows after every write, those of an earlier run first.

    Raises:
        ArchiveError: ``out`` holds something; ``OUT.partial`` belongs to another plan; no walk gave a sample.
        OSError: the disk is full, or not to be written; finished shards stay in ``OUT.partial``.
    """
    check_free(out, MANIFEST, overwrite)
    partial = partial_of(out)
    begin(partial, plan.as_json())
    (partial / "data").mkdir(exist_ok=True)
    entries = []
    for number in range(plan.blocks):
        entry = _finished(partial, number)
        if entry is None:
            entry = _write_shard(partial, plan, number, make_block(number), on_rows)
        else:
            on_rows(entry["rows"])
        entries.append(entry)
    manifest = _manifest(plan, entries)
    if manifest["counts"]["rows"] == 0:
        raise ArchiveError(
            str(out),
            f"no sample to write: all {manifest['counts']['stopped_walks']} walks became non-finite",
            f"Lower lam or the noise, remove {partial}, and run again",
        )
    for entry in entries:
        (partial / _entry_file(entry["block"])).unlink()
    (partial / PLAN).unlink()
    (partial / "README.md").write_text(data_card(manifest), encoding="utf-8")
    write_json(partial / MANIFEST, manifest)
    publish(partial, out)
    return out


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


def _write_shard(
    partial: Path,
    plan: Plan,
    number: int,
    parts: Iterable[LabelledSamples],
    on_rows: Callable[[int], None],
) -> dict[str, Any]:
    path = partial / _shard_file(number)
    temporary = path.with_suffix(".tmp")
    per_class = np.zeros(len(plan.class_names), np.int64)
    counts = {"rows": 0, "values": 0, "clipped_values": 0, "stopped_walks": 0}
    confidence = 0.0
    schema = schema_of(plan)
    with pq.ParquetWriter(temporary, schema, compression="zstd", write_statistics=False) as writer:
        for part in parts:
            writer.write_table(table_of(part, plan, schema))
            counts["rows"] += len(part.label)
            counts["values"] += part.x.numel()
            counts["clipped_values"] += part.clipped
            counts["stopped_walks"] += part.stopped
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
            "per_class": per_class.tolist(),
        },
        "mean_confidence": confidence / rows if rows else None,
        "shards": [{key: entry[key] for key in ("file", "block", "rows", "bytes", "sha256")} for entry in entries],
    }
