"""Read the manifest of an archive without trust: check the type of every field before use."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from reinject.archive.schema import COMPRESSIONS, IMAGES, MANIFEST, SCHEMA_VERSION
from reinject.base.errors import ArchiveError
from reinject.base.files import is_remote, read_json
from reinject.base.staging import partial_of
from reinject.data.samples import KINDS
from reinject.walks.verdict import LEVELS

_SHARD = re.compile(r"data/shard-\d{6,}\.parquet")  # nothing outside the folder
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST = 1 << 32  # values of one sample


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of the archive in ``folder``.

    Raises:
        ArchiveError: no folder; no manifest (an unfinished run); another schema version; a field that is missing or of
            another type.
    """
    if not folder.is_dir():
        if not is_remote(folder) and partial_of(folder).is_dir():
            raise ArchiveError(str(folder), "is unfinished", f"Run the command that started {partial_of(folder)} again")
        raise ArchiveError(str(folder), "no archive there", "Give the --out of a reinject sample")
    path = folder / MANIFEST
    if not path.is_file():
        models = (folder / "autoencoder").is_dir()
        cure = f"It holds models: reinject sample {folder} --out ARCHIVE" if models else "Sample again"
        raise ArchiveError(str(folder), f"has no {MANIFEST}, so it is not a finished archive", cure)
    manifest = read_json(path, ArchiveError)
    found = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if found != SCHEMA_VERSION:
        newer = isinstance(found, int) and found > SCHEMA_VERSION
        raise ArchiveError(
            str(path),
            f"has schema version {found!r}; this reinject reads {SCHEMA_VERSION}",
            "Install a newer reinject" if newer else "Sample again, or install the version of reinject that wrote it",
        )
    for name, wrong in _wrong(manifest):
        raise ArchiveError(str(path), f"is damaged ({name} is {str(wrong)[:80]!r})", "Sample again")
    return dict(manifest)


def _natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _event_shape(value: Any) -> bool:
    if not isinstance(value, list) or not value or len(value) > 8:
        return False
    size = 1
    for length in value:
        if not _natural(length) or length == 0:
            return False
        size *= length
    return size <= _MOST


def _storage(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"kind", "low", "high"}
        and value["kind"] in KINDS
        and all(isinstance(value[key], (int, float)) for key in ("low", "high"))
        and value["low"] < value["high"]
    )


def _verdict(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"level", "reason"}
        and value["level"] in LEVELS
        and isinstance(value["reason"], str)
    )


def _figure(value: Any) -> bool:
    """Return whether a value is a number, several numbers, or None for an unmeasured one."""
    several = value if isinstance(value, list) else [value]
    return value is None or all(isinstance(one, (int, float)) for one in several)


def _trials(value: dict[str, Any]) -> bool:
    trials = value.get("trials")
    return isinstance(trials, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("settings"), dict)
        and isinstance(one.get("merit"), (int, float))
        and _verdict(one.get("verdict"))
        for one in trials
    )


def _rising(value: Any) -> bool:
    return isinstance(value, list) and all(map(_natural, value)) and all(a < b for a, b in pairwise(value))


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "event_shape": _event_shape,
    "class_names": _texts,
    "storage": _storage,
    "blocks": _natural,
    "images": lambda value: value in IMAGES,
    "compression": lambda value: value in COMPRESSIONS,
    "parameters": lambda value: isinstance(value, dict),
    "models": lambda value: isinstance(value, dict),
    "packages": lambda value: isinstance(value, dict),
    "columns": lambda value: _texts(value) and bool(value),
    "counts": lambda value: isinstance(value, dict),
    "kernel_notes": lambda value: isinstance(value, dict),
    "shards": lambda value: isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value),
}
_LATER: dict[str, Callable[[Any], bool]] = {  # fields that older archives lack
    "table": lambda value: isinstance(value, dict),
    "asked": lambda value: isinstance(value, dict),
    "verdict": lambda value: _verdict(value),
    "figures": lambda value: isinstance(value, dict) and all(map(_figure, value.values())),
    "chosen": lambda value: isinstance(value, dict) and isinstance(value.get("because"), str) and _trials(value),
}
_COUNTS = ("rows", "values", "clipped_values", "stopped_walks", "strayed_walks", "unlabelled")
_ENTRY: dict[str, Callable[[Any], bool]] = {
    "file": lambda value: isinstance(value, str) and bool(_SHARD.fullmatch(value)),
    "block": _natural,
    "rows": _natural,
    "bytes": _natural,
    "sha256": lambda value: isinstance(value, str) and bool(_HASH.fullmatch(value)),
    "repeats": lambda value: value is None or _rising(value),  # of older archives, see without_noted
}


def _wrong(manifest: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of the wrong type, and their values."""
    yield from _unfit(manifest, _FIELDS, "")
    yield from _unfit(manifest, {name: fits for name, fits in _LATER.items() if manifest.get(name) is not None}, "")
    counts = manifest["counts"]
    yield from _unfit(counts, dict.fromkeys(_COUNTS, _natural), "counts.")
    per_class = counts.get("per_class")
    classes = manifest["class_names"]
    if not (isinstance(per_class, list) and len(per_class) == len(classes) and all(map(_natural, per_class))):
        yield "counts.per_class", per_class
    if not _ranges(manifest):
        yield "parameters.ranges", manifest["parameters"].get("ranges")
    if not _natural(manifest["parameters"].get("streams", 0)):
        yield "parameters.streams", manifest["parameters"]["streams"]
    for number, entry in enumerate(manifest["shards"]):
        yield from _unfit(entry, _ENTRY, f"shards[{number}].")


def _ranges(manifest: dict[str, Any]) -> bool:
    """Return whether the ranges of walks, if there are any, are as many as the blocks."""
    if "ranges" not in manifest["parameters"]:
        return True
    ranges, size = (manifest["parameters"].get(name) for name in ("ranges", "block_size"))
    if not (_natural(size) and size > 0 and isinstance(ranges, list) and ranges):
        return False
    blocks = 0
    for one in ranges:
        walks = one.get("walks") if isinstance(one, dict) else None
        if not (isinstance(walks, list) and len(walks) == 2 and all(map(_natural, walks)) and walks[0] < walks[1]):
            return False
        blocks += -(-(walks[1] - walks[0]) // size)
    return bool(blocks == manifest["blocks"])


def _unfit(value: dict[str, Any], fields: dict[str, Callable[[Any], bool]], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, fits in fields.items():
        if not fits(value.get(name)):
            yield prefix + name, value.get(name)
