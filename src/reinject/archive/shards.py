"""Write shards, one block of walks each, under a temporary name, with an entry beside each that describes it."""

import hashlib
import math
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from reinject.archive.manifest import read_manifest
from reinject.archive.schema import Plan, schema_of, table_of
from reinject.archive.table_schema import origin, origin_of
from reinject.base.errors import ArchiveError
from reinject.base.files import read_json, sha256, write_json
from reinject.data.samples import LabelledSamples
from reinject.walks.diagnostics import effective_labels

MakeBlock = Callable[[int], Iterable[LabelledSamples]]
Run = Callable[[Path, Plan, list[int], Callable[[int], None]], Iterable[dict[str, Any]]]


@dataclass(frozen=True)
class Listener:
    """Callbacks while shards are made.

    Attributes:
        on_rows: called with the number of rows after every write; first with those of an earlier run.
        on_shard: called with the entry of every new shard: its counts.
    """

    on_rows: Callable[[int], None] = lambda _: None
    on_shard: Callable[[dict[str, Any]], None] = lambda _: None


def shard_file(number: int) -> str:
    """Return the name of a block's shard inside the archive's folder."""
    return f"data/shard-{number:06d}.parquet"


def entry_file(number: int) -> str:
    """Return the name of the entry beside a shard of an unfinished archive."""
    return f"shard-{number:06d}.json"


def finished(partial: Path, number: int) -> dict[str, Any] | None:
    """Return the entry of a shard of an unfinished archive; None if the shard is missing or damaged."""
    path = partial / entry_file(number)
    if not path.is_file():
        return None
    entry: dict[str, Any] = read_json(path, ArchiveError)
    return entry if is_whole(partial, entry) else None


def is_whole(folder: Path, entry: dict[str, Any]) -> bool:
    """Return whether a shard exists and agrees with its entry in the manifest."""
    shard = folder / entry["file"]
    return shard.is_file() and shard.stat().st_size == entry["bytes"] and bool(sha256(shard) == entry["sha256"])


def write_shard(
    partial: Path,
    plan: Plan,
    number: int,
    parts: Iterable[LabelledSamples],
    on_rows: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Write one shard of an unfinished archive, and its entry for the manifest.

    Arguments:
        partial: the unfinished folder.
        plan: of the archive.
        number: of the block.
        parts: its rows.
        on_rows: called with the number of rows after every write.

    Returns:
        The shard's entry: file, hash, counts.
    """
    path = partial / shard_file(number)
    temporary = path.with_suffix(".tmp")
    per_class = np.zeros(len(plan.class_names), np.int64)
    counts = {"rows": 0, "values": 0, "clipped_values": 0, "stopped_walks": 0, "strayed_walks": 0, "unlabelled": 0}
    dropped: Counter[str] = Counter()
    size = math.prod(plan.event_shape)
    notes: dict[str, list[float]] = {"accepted": [], "asymmetry": []}
    confidence = 0.0
    labels, walks = [], []
    schema = schema_of(plan)
    made_by = []
    with pq.ParquetWriter(temporary, schema, compression=plan.compression, write_statistics=False) as writer:
        for part in parts:
            writer.write_table(table_of(part, plan, schema))
            made_by.append(origin_of(part))
            counts["rows"] += len(part.label)
            counts["values"] += (len(part.label) + sum(part.dropped.values())) * size
            counts["clipped_values"] += part.clipped
            counts["stopped_walks"] += part.stopped
            counts["strayed_walks"] += part.strayed
            for name, values in notes.items():
                if (value := getattr(part, name)) is not None:
                    values.append(value)
            counts["unlabelled"] += int((part.label < 0).sum())
            dropped.update(part.dropped)
            per_class += np.bincount(part.label[part.label >= 0].numpy(), minlength=len(per_class))
            if plan.class_names:
                confidence += float(part.probabilities.amax(1).double().sum())
                labels.append(part.label[part.label >= 0])
                walks.append(part.walk[part.label >= 0])
            on_rows(len(part.label))
        if plan.table is not None:
            writer.add_key_value_metadata(origin(made_by))
    temporary.rename(path)
    effective = effective_labels(torch.cat(labels), torch.cat(walks)) if labels else math.nan
    entry = {
        "file": shard_file(number),
        "block": number,
        **counts,
        "dropped": dict(dropped),
        "per_class": per_class.tolist(),
        "confidence_sum": confidence,
        "effective_labels": effective if math.isfinite(effective) else None,
        **{name: sum(values) / len(values) if values else None for name, values in notes.items()},
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
    }
    write_json(partial / entry_file(number), entry)
    return entry


def adopt_shard(partial: Path, entry: dict[str, Any], data: bytes) -> None:
    """Move a shard that was made elsewhere into an unfinished archive.

    Raises:
        ArchiveError: its bytes have another hash than its entry.
    """
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise ArchiveError(entry["file"], "has another hash here than where it was made", "Run the same command again")
    path = partial / entry["file"]
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(data)
    temporary.rename(path)
    write_json(partial / entry_file(entry["block"]), entry)


def forget_entries(folder: Path) -> None:
    """Remove the entries beside the shards of a folder, which its manifest holds too."""
    for path in folder.glob("shard-*"):
        path.unlink()


def made(
    folder: Path,
    plan: Plan,
    missing: list[int],
    make_block: MakeBlock,
    on_rows: Callable[[int], None],
    run: Run | None,
) -> Iterable[dict[str, Any]]:
    """Make the missing shards, and yield their entries as they are made."""
    if run is not None:
        return run(folder, plan, missing, on_rows)
    return (write_shard(folder, plan, number, make_block(number), on_rows) for number in missing)


def take_shards(base: Path, partial: Path) -> None:
    """Share the shards of a finished archive with an unfinished one, by links where the disk has them, or by copies."""
    for entry in read_manifest(base)["shards"]:
        shard, note = partial / entry["file"], partial / entry_file(entry["block"])
        if not shard.exists() and (base / entry["file"]).is_file():
            try:
                os.link(base / entry["file"], shard)
            except OSError:  # another file system, or one without links
                shutil.copyfile(base / entry["file"], shard)
        if not note.exists():
            write_json(note, entry)
