"""Check an archive against its manifest: hashes, counts, schema, ranges of rows, gaps."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reinject.archive.manifest import read_manifest
from reinject.archive.schema import MANIFEST, blocks_of
from reinject.archive.table_schema import TableSchema, read_origin
from reinject.base.arrow import arrow_file
from reinject.base.errors import ArchiveError
from reinject.base.files import sha256

_BESIDE = {MANIFEST, "README.md"}
_RUNS = "run*.toml"  # files that the command line wrote before 0.2


def verify(folder: Path, on_rows: Callable[[int], None] = lambda _: None) -> list[str]:
    """List all faults of an archive, one sentence each; an empty list means that every byte agrees with the manifest.

    The checks run shard by shard, in bounded memory. A shard must exist, with the stated size, hash, columns and number
    of rows. Its labels must be classes and, unless they were requested, the most probable ones. Its walks must be those
    of its block, its steps those of the walk, and each (walk, step) must occur once. Over all shards the sums of the
    manifest must hold, no block may be missing, and no other files may be there.

    Arguments:
        folder: the archive.
        on_rows: called with the number of rows after each shard.

    Raises:
        ArchiveError: no archive, or an unreadable manifest.
    """
    manifest = read_manifest(folder)
    faults: list[str] = []
    sums: Counter[str] = Counter()
    per_class = np.zeros(len(manifest["counts"]["per_class"]), np.int64)
    whole, walks = True, blocks_of(manifest["parameters"]) if "ranges" in manifest["parameters"] else []
    schema: pa.Schema | None = None
    for entry in manifest["shards"]:
        path = folder / entry["file"]
        fault = _bytes_fault(path, entry)
        if fault is not None:
            faults.append(f"{entry['file']} {fault}")
            whole = False
            continue
        try:
            with arrow_file(path) as file:
                table = pq.read_table(file)
        except (pa.ArrowInvalid, OSError) as error:
            faults.append(f"{entry['file']} cannot be read ({str(error).splitlines()[0]})")
            continue
        schema = schema or table.schema
        if "table" in manifest:
            found = list(_table_faults(table, path, entry, manifest, walks))
        else:
            found = [*_schema_faults(table, schema, manifest), *_row_faults(table, entry, manifest, walks)]
        faults += [f"{entry['file']} {fault}" for fault in found]
        if not found:
            sums.update(rows=len(table))
            labels = _labels(table) if "table" not in manifest else np.zeros(0, np.int64)
            per_class += np.bincount(labels[labels >= 0], minlength=len(per_class))
        on_rows(len(table))
    if whole and not faults:
        faults += _sum_faults(manifest, sums, per_class)
    return [*faults, *_gaps(manifest), *_strangers(folder, manifest)]


def _bytes_fault(path: Path, entry: dict[str, Any]) -> str | None:
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != entry["bytes"]:
        return f"has {path.stat().st_size} bytes, not {entry['bytes']}"
    return None if sha256(path) == entry["sha256"] else "is not the written file (another hash)"


def _schema_faults(table: pa.Table, first: pa.Schema, manifest: dict[str, Any]) -> Iterator[str]:
    if table.schema.names != manifest["columns"]:
        yield f"has columns {table.schema.names}, not {manifest['columns']}"
    elif not table.schema.equals(first):
        yield "has columns of other types than the first shard"


def _labels(table: pa.Table) -> np.ndarray[Any, Any]:
    return np.asarray(table.column("label").to_numpy()) if "label" in table.schema.names else np.zeros(0, np.int64)


def _row_faults(
    table: pa.Table, entry: dict[str, Any], manifest: dict[str, Any], walks: list[tuple[int, int]]
) -> Iterator[str]:
    if len(table) != entry["rows"]:
        yield f"has {len(table)} rows, not {entry['rows']}"
    if table.schema.names != manifest["columns"]:
        return
    labels, classes = _labels(table), len(manifest["class_names"])
    if len(labels) and not (labels.min() >= -1 and labels.max() < classes):
        yield f"has labels outside 0..{classes - 1}"
    elif len(labels) and not _asked(manifest) and not _most_probable(table, labels):
        yield "has labels that are not the most probable ones"
    yield from _origin_faults(table, entry, manifest, walks)


def _table_faults(
    table: pa.Table, path: Path, entry: dict[str, Any], manifest: dict[str, Any], walks: list[tuple[int, int]]
) -> Iterator[str]:
    """Yield the faults of a shard of table rows: columns, types, and the walks of its footer."""
    wanted = TableSchema.from_json(manifest["table"], MANIFEST).stored
    if not table.schema.equals(wanted):
        yield f"has columns {_shown(table.schema)}, not {_shown(wanted)}"
    if len(table) != entry["rows"]:
        yield f"has {len(table)} rows, not {entry['rows']}"
    try:
        origins = read_origin(path)
    except ArchiveError as error:
        yield error.problem
        return
    if len(origins) != len(table):
        yield f"names the walks of {len(origins)} rows, not of {len(table)}"
    yield from _origin_faults(origins, entry, manifest, walks)


def _shown(schema: pa.Schema) -> str:
    return ", ".join(f"{item.name} ({item.type})" for item in schema)


def _origin_faults(
    table: pa.Table, entry: dict[str, Any], manifest: dict[str, Any], walks: list[tuple[int, int]]
) -> Iterator[str]:
    """Yield what is wrong with the walks and the steps of a shard's rows."""
    walk, step = (np.asarray(table.column(name).to_numpy()) for name in ("walk", "step"))
    steps = manifest["parameters"].get("steps")
    if isinstance(steps, int) and len(step) and not (step.min() >= 0 and step.max() <= steps):
        yield f"has steps outside 0..{steps}"
    if len(walk) and entry["block"] < len(walks):
        first, last = walks[entry["block"]]
        if walk.min() < first or walk.max() >= last:
            yield f"has walks outside {first}..{last - 1}, which its block holds"
    if len(np.unique(np.stack([walk, step]), axis=1).T) != len(walk):
        yield "has the same walk and step twice"


def _asked(manifest: dict[str, Any]) -> bool:
    selection = manifest["parameters"].get("selection")
    return isinstance(selection, dict) and selection.get("labels") == "asked"


def _most_probable(table: pa.Table, labels: np.ndarray[Any, Any]) -> bool:
    flat = table.column("probabilities").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    if len(flat) % len(labels):
        return False
    given = labels >= 0  # a classifier may abstain
    return bool((flat.reshape(len(labels), -1).argmax(1)[given] == labels[given]).all())


def _sum_faults(manifest: dict[str, Any], sums: Counter[str], per_class: np.ndarray[Any, Any]) -> Iterator[str]:
    counts = manifest["counts"]
    if sums["rows"] != counts["rows"]:
        yield f"{MANIFEST} counts {counts['rows']} rows; there are {sums['rows']}"
    if per_class.tolist() != counts["per_class"]:
        yield f"{MANIFEST} counts classes {counts['per_class']}; there are {per_class.tolist()}"


def _gaps(manifest: dict[str, Any]) -> Iterator[str]:
    there = Counter(entry["block"] for entry in manifest["shards"])
    missing = manifest["blocks"] - sum(number < manifest["blocks"] for number in there)
    if missing > 0:
        first = next(number for number in range(manifest["blocks"]) if number not in there)
        yield f"{MANIFEST} has no shard for {missing} of {manifest['blocks']} blocks, the first is {first}"
    for number, times in there.items():
        if times > 1 or number >= manifest["blocks"]:
            yield f"{MANIFEST} has {times} shards of block {number}, of {manifest['blocks']} blocks"


def _strangers(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    known = _BESIDE | {entry["file"] for entry in manifest["shards"]}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in known and not name.startswith(".") and not path.match(_RUNS):
            yield f"{name} does not belong to the archive"
