"""Make folders that are either complete or absent: write them under a temporary name, then rename them."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

from reinject.base.errors import ArchiveError, DataError
from reinject.base.files import read_json, write_json

PLAN = "plan.json"
_LONG = 160  # characters of a difference that a sentence can bear
LOCK = ".lock"
_FIRST = (LOCK, "plan.tmp")  # left by a run that was killed before it wrote its plan
_LOCKS: dict[Path, BaseFileLock] = {}  # of this process


def partial_of(out: Path) -> Path:
    """Return the place of the unfinished version of ``out``, beside it.

    Example:
        >>> partial_of(Path("runs/synthetic")).as_posix()
        'runs/synthetic.partial'
    """
    return out.with_name(out.name + ".partial")


def check_free(out: Path, marker: str, overwrite: bool) -> None:
    """Raise ArchiveError unless a new folder may be made at ``out``.

    A missing or an empty folder is free. With ``overwrite``, a folder that holds the file ``marker`` may be replaced
    too. The marker shows that the folder is one of ours, so a mistyped ``--out`` never removes anything else.
    """
    if (out / PLAN).is_file() and (out / marker).is_file():
        _tidy(out)  # a run was killed just after it made the folder
    if not out.exists():
        if not out.parent.exists():
            out.parent.mkdir(parents=True)
        return
    if out.is_dir() and not any(out.iterdir()):
        return
    if not overwrite:
        raise ArchiveError(
            str(out),
            "already holds something",
            "Choose another --out, or replace it with --overwrite",
        )
    if not (out / marker).is_file():
        raise ArchiveError(
            str(out),
            f"is not replaced, because it has no {marker}, so reinject did not make it",
            "Choose another --out, or remove it yourself",
        )


def publish(partial: Path, out: Path) -> None:
    """Move the finished folder to ``out``, in place of a folder that :func:`check_free` allowed to replace.

    The old version stays until the new one is in place. A crash between leaves both, under names that show their state.
    The plan is removed last; until then the same command completes the move.
    """
    old = out.with_name(out.name + ".old")
    if old.exists():
        shutil.rmtree(old)
    if out.exists():
        out.rename(old)
    partial.rename(out)
    if old.exists():
        shutil.rmtree(old)
    _tidy(out)
    release(partial)


def before_publishing(out: Path) -> Path:
    """Return the folder that held ``out`` before a killed replacement; else ``out`` itself.

    Example:
        >>> before_publishing(Path("no/such/folder")).as_posix()
        'no/such/folder'
    """
    old = out.with_name(out.name + ".old")
    return old if old.is_dir() and not out.exists() else out


def was_cut_short(out: Path) -> bool:
    """Return whether the run that made ``out`` was killed during its clean-up.

    The same command then has nothing left to do.
    """
    return (out / PLAN).is_file()


def _tidy(out: Path) -> None:
    """Remove files that a finished folder does not need."""
    for name in (LOCK, PLAN):
        (out / name).unlink(missing_ok=True)


def begin(partial: Path, plan: dict[str, Any]) -> None:
    """Open the unfinished folder of a plan (JSON values): a new one, or one left by an earlier run of the same plan.

    After that only this process may write there, until it publishes the folder or ends. A folder in which nothing was
    made serves any plan: a refused run leaves it, and there is nothing to lose.

    Raises:
        ArchiveError: the folder belongs to another plan or is not ours, or another process writes there.
    """
    path = partial / PLAN
    if not path.is_file() and partial.exists() and any(file.name not in _FIRST for file in partial.iterdir()):
        raise ArchiveError(str(partial), "exists and is not an unfinished run", "Remove it")
    partial.mkdir(parents=True, exist_ok=True)
    hold(partial)
    if path.is_file():
        found = read_json(path, ArchiveError)
        if found == plan:
            return
        if any(file.name not in (PLAN, *_FIRST) for file in partial.iterdir()):
            raise ArchiveError(
                str(partial),
                f"holds an unfinished run that differs in {', '.join(differences(found, plan))}",
                "Repeat that run to finish it, or remove the folder",
            )
    write_json(path, plan)


def check_same(folder: Path, made: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise DataError unless both agree on all keys that they share."""
    both = here.keys() & there.keys()
    unlike = list(differences({key: there[key] for key in both}, {key: here[key] for key in both}))
    if unlike:
        raise DataError(str(folder), f"was {made} otherwise: {', '.join(unlike)}", "Give another --out")


def hold(folder: Path) -> None:
    """Lock the folder for this process; the system releases the lock when the process ends.

    Raises:
        ArchiveError: another process holds the lock.
    """
    lock = _LOCKS.setdefault(folder.absolute(), FileLock(folder / LOCK, timeout=0))
    if lock.is_locked and (folder / LOCK).exists():
        return
    try:
        lock.release(force=True)  # of a folder that is removed by now
        lock.acquire()
    except Timeout as error:
        raise ArchiveError(
            str(folder), "is being written by another process", "Wait until it has finished, or choose another --out"
        ) from error


def release(folder: Path) -> None:
    """Release the lock of :func:`hold` or :func:`begin`."""
    lock = _LOCKS.pop(folder.absolute(), None)
    if lock is not None:
        lock.release()


def discard(partial: Path) -> None:
    """Remove the unfinished folder of an earlier run.

    Raises:
        ArchiveError: the folder is not ours, or another process writes there.
    """
    if not partial.is_dir():
        return
    if not (partial / PLAN).is_file():
        raise ArchiveError(str(partial), "exists and is not an unfinished run", "Remove it")
    hold(partial)
    shutil.rmtree(partial)
    release(partial)


def differences(found: Any, wanted: Any, name: str = "") -> Iterator[str]:
    """Yield where two JSON values differ, by the names of their keys; values of more than a line are left out.

    Example:
        >>> list(differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2}))
        ['a.b (1 there, 3 here)']
    """
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            yield from differences(found.get(key), wanted.get(key), f"{name}.{key}" if name else key)
    elif found != wanted:
        said = f"{name} ({found} there, {wanted} here)"
        yield said if len(said) <= _LONG else name
