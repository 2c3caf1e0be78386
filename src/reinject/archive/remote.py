"""Write archives to other file systems: object stores, by fsspec's URLs.

Shards are made in a folder of this machine and uploaded one by one. The manifest comes last, so a remote archive with a
manifest is complete. The entries of uploaded shards stay on this machine until then, so the same command on the same
machine resumes the run. Object stores have no rename and no lock. Appended shards lie beside the old ones before the
manifest names them. Until then, a program that lists the folder without the manifest sees some of them.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reinject.archive.existing import Existing
from reinject.archive.manifest import read_manifest
from reinject.archive.schema import MANIFEST, Plan
from reinject.archive.shards import Listener, MakeBlock, Run, entry_file, made
from reinject.base.errors import ArchiveError
from reinject.base.files import is_remote, read_json, write_json
from reinject.base.staging import PLAN, before_publishing, begin, discard, partial_of, release
from reinject.base.staging import was_cut_short as was_cut_here

_OURS = re.compile(r"manifest\.json|README\.md|data/shard-\d{6,}\.parquet")
Finish = Callable[[Path, Plan, list[dict[str, Any]], Path], None]


def scratch_of(out: Path) -> Path:
    """Return the folder of this machine where shards of ``out`` are made; it depends on the place alone."""
    name = hashlib.sha256(str(out).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"reinject-{name}"


def is_begun(out: Path) -> bool:
    """Return whether this machine has an unfinished run to resume."""
    return (scratch_of(out) / PLAN).is_file() if is_remote(out) else partial_of(out).is_dir()


def unfinished_plan(out: Path) -> dict[str, Any] | None:
    """Return the plan of the unfinished run to resume; None if there is none.

    Raises:
        ArchiveError: the plan is damaged.
    """
    path = (scratch_of(out) if is_remote(out) else partial_of(out)) / PLAN
    return read_json(path, ArchiveError) if path.is_file() else None


def kind_begun(out: Path) -> str | None:
    """Return how an unfinished run, or the existing archive, stores its samples; None if there is neither."""
    path = (out if is_remote(out) else before_publishing(out)) / MANIFEST
    there = read_json(path, ArchiveError) if path.is_file() else None
    for found in (unfinished_plan(out), there):
        storage = found.get("storage") if isinstance(found, dict) else None
        if isinstance(storage, dict) and storage.get("kind") in ("uint8", "float"):
            return str(storage["kind"])
    return None


def was_cut_short(out: Path) -> bool:
    """Return whether the run that made ``out`` was killed during its clean-up.

    The same command then has nothing left to do.
    """
    if not is_remote(out):
        return was_cut_here(out)
    here, there = scratch_of(out) / MANIFEST, out / MANIFEST
    return here.is_file() and there.is_file() and here.read_bytes() == there.read_bytes()


def write_remote(
    out: Path,
    plan: Plan,
    make_block: MakeBlock,
    finish: Finish,
    *,
    existing: Existing,
    listener: Listener,
    run: Run | None,
) -> Path:
    """Write an archive as :func:`reinject.archive.write` does, at a place of fsspec.

    Arguments:
        out: the place.
        plan, make_block, existing, listener, run: as for :func:`reinject.archive.write`.
        finish: writes the card and the manifest of these entries into a folder.

    Raises:
        ArchiveError: an archive exists already, or an unfinished run of another plan has the same place.
    """
    scratch = scratch_of(out)
    base = existing.base
    if existing.resume == "never":
        _give_up(scratch, out)
    if base is None and not is_begun(out):
        _clear(out, existing.overwrite)
    begin(scratch, plan.as_json())
    (scratch / "data").mkdir(exist_ok=True)
    (out / "data").mkdir(parents=True, exist_ok=True)
    for entry in read_manifest(base)["shards"] if base is not None else []:
        write_json(scratch / entry_file(entry["block"]), entry)
    known = {number: _arrived(scratch, out, number) for number in range(plan.blocks)}
    listener.on_rows(sum(entry["rows"] for entry in known.values() if entry is not None))
    missing = [number for number, entry in known.items() if entry is None]
    for entry in made(scratch, plan, missing, make_block, listener.on_rows, run):
        deliver(scratch / entry["file"], out / entry["file"])
        known[entry["block"]] = entry
        listener.on_shard(entry)
    finish(out, plan, [entry for _, entry in sorted(known.items()) if entry is not None], scratch)
    for name in ("README.md", MANIFEST):
        _upload(scratch / name, out / name)
    release(scratch)
    shutil.rmtree(scratch)
    return out


def _clear(out: Path, overwrite: bool) -> None:
    """Remove an archive, the manifest first.

    Otherwise remaining shards would look like shards of the new archive.
    """
    there, ours = _files(out)
    if there and not overwrite:
        raise ArchiveError(str(out), "already holds something", "Choose another --out, or replace it with --overwrite")
    if len(ours) < len(there):
        raise ArchiveError(str(out), "holds other files", "Choose another --out, or remove them")
    for path in sorted(ours, key=lambda path: path.name != MANIFEST):
        path.unlink()


def _give_up(scratch: Path, out: Path) -> None:
    """Remove an unfinished run, and its uploaded shards: those that no manifest names."""
    if not is_begun(out):
        return
    discard(scratch)
    named = {entry["file"] for entry in read_manifest(out)["shards"]} if (out / MANIFEST).is_file() else set()
    for path in _files(out)[1]:
        if path.name.endswith(".parquet") and str(path.relative_to(out)) not in named:
            path.unlink()


def _files(out: Path) -> tuple[list[Path], list[Path]]:
    """Return all files at the place, and those among them that an archive has."""
    there = list(_all(out)) if out.is_dir() else []
    return there, [path for path in there if _OURS.fullmatch(str(path.relative_to(out)))]


def _all(folder: Path) -> Iterator[Path]:
    """Return the files at any depth; a pattern would interpret brackets in the folder's name."""
    for path in folder.iterdir():
        yield from _all(path) if path.is_dir() else [path]


def _arrived(scratch: Path, out: Path, number: int) -> dict[str, Any] | None:
    """Return the entry of an uploaded shard, if its size there equals its size here."""
    path = scratch / entry_file(number)
    if not path.is_file():
        return None
    entry: dict[str, Any] = read_json(path, ArchiveError)
    there = out / entry["file"]
    return entry if there.is_file() and there.stat().st_size == entry["bytes"] else None


def deliver(path: Path, there: Path) -> None:
    """Move a file to its place, here or elsewhere."""
    if not is_remote(there):
        path.replace(there)
        return
    _upload(path, there)
    path.unlink()


def _upload(path: Path, there: Path) -> None:
    with path.open("rb") as source, there.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
