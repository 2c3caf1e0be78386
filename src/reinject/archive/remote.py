"""Archives on a file system elsewhere: object stores, by fsspec's URLs.

Shards are made in a folder of this machine and uploaded one by one; the manifest goes last, so an archive with a
manifest is whole there too. The entries of shards that have arrived stay here until then: the same command on the same
machine goes on where it was. Object stores know no rename and no lock.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reinject.archive.schema import MANIFEST, Plan
from reinject.archive.shards import MakeBlock, Run, entry_file, made
from reinject.errors import ArchiveError
from reinject.files import read_json
from reinject.staging import PLAN, begin, release

_OURS = re.compile(r"manifest\.json|README\.md|data/shard-\d{6,}\.parquet")
Finish = Callable[[Path, Plan, list[dict[str, Any]], Path], None]


def scratch_of(out: Path) -> Path:
    """The folder of this machine where shards of ``out`` are made, the same for the same place."""
    name = hashlib.sha256(str(out).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"reinject-{name}"


def write_remote(
    out: Path,
    plan: Plan,
    make_block: MakeBlock,
    finish: Finish,
    *,
    overwrite: bool,
    on_rows: Callable[[int], None],
    on_shard: Callable[[dict[str, Any]], None],
    run: Run | None,
) -> Path:
    """As :func:`reinject.archive.write`, at a place of fsspec.

    Arguments:
        out: the place.
        plan, make_block, overwrite, on_rows, on_shard, run: as there.
        finish: writes card and manifest of these entries into a folder.

    Raises:
        ArchiveError: there is an archive already, or an unfinished run of another plan was on its way there.
    """
    scratch = scratch_of(out)
    if not (scratch / PLAN).is_file():  # or else a run goes on
        _clear(out, overwrite)
    begin(scratch, plan.as_json())
    (scratch / "data").mkdir(exist_ok=True)
    (out / "data").mkdir(parents=True, exist_ok=True)
    known = {number: _arrived(scratch, out, number) for number in range(plan.blocks)}
    on_rows(sum(entry["rows"] for entry in known.values() if entry is not None))
    missing = [number for number, entry in known.items() if entry is None]
    for entry in made(scratch, plan, missing, make_block, on_rows, run):
        _upload(scratch / entry["file"], out / entry["file"])
        (scratch / entry["file"]).unlink()
        known[entry["block"]] = entry
        on_shard(entry)
    finish(out, plan, [entry for _, entry in sorted(known.items()) if entry is not None], scratch)
    for name in ("README.md", MANIFEST):
        _upload(scratch / name, out / name)
    release(scratch)
    shutil.rmtree(scratch)
    return out


def _clear(out: Path, overwrite: bool) -> None:
    """Remove an archive, the manifest first: shards that stayed would be read as those of the new one."""
    there = [path for path in out.rglob("*") if path.is_file()] if out.is_dir() else []
    ours = [path for path in there if _OURS.fullmatch(str(path.relative_to(out)))]
    if there and not overwrite:
        raise ArchiveError(str(out), "already holds something", "Choose another --out, or replace it with --overwrite")
    if len(ours) < len(there):
        raise ArchiveError(str(out), "holds files that were not made here", "Choose another --out, or remove them")
    for path in sorted(ours, key=lambda path: path.name != MANIFEST):
        path.unlink()


def _arrived(scratch: Path, out: Path, number: int) -> dict[str, Any] | None:
    """The entry of a shard that is there, as large as it was here."""
    path = scratch / entry_file(number)
    if not path.is_file():
        return None
    entry: dict[str, Any] = read_json(path, ArchiveError)
    there = out / entry["file"]
    return entry if there.is_file() and there.stat().st_size == entry["bytes"] else None


def _upload(path: Path, there: Path) -> None:
    with path.open("rb") as source, there.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
