"""Folders that are either whole or not there: made under a temporary name, then renamed."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reinject.errors import ArchiveError
from reinject.files import read_json, write_json

PLAN = "plan.json"


def partial_of(out: Path) -> Path:
    """Where the unfinished version of ``out`` lives, beside it.

    Example:
        >>> partial_of(Path("runs/synthetic")).as_posix()
        'runs/synthetic.partial'
    """
    return out.with_name(out.name + ".partial")


def check_free(out: Path, marker: str, overwrite: bool) -> None:
    """Raise ArchiveError unless a new folder may be put at ``out``.

    Free is what does not exist or is an empty folder. With ``overwrite``, a folder that holds the file ``marker`` may
    be replaced too: it is one of ours, so that a mistyped ``--out`` never removes anything else.
    """
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
            f"is not replaced, because it has no {marker} and so was not made here",
            "Choose another --out, or remove it yourself",
        )


def publish(partial: Path, out: Path) -> None:
    """Put the finished folder at ``out``, replacing what :func:`check_free` allowed to replace.

    The old version stays until the new one is in place: a crash in between leaves both, under names that say so.
    """
    old = out.with_name(out.name + ".old")
    if old.exists():
        shutil.rmtree(old)
    if out.exists():
        out.rename(old)
    partial.rename(out)
    if old.exists():
        shutil.rmtree(old)


def begin(partial: Path, plan: dict[str, Any]) -> None:
    """Open the unfinished folder of a plan (JSON values), new or left by an earlier run of the same plan.

    Raises:
        ArchiveError: the folder belongs to another plan, or is none of ours.
    """
    path = partial / PLAN
    if path.is_file():
        found = read_json(path, ArchiveError)
        if found != plan:
            raise ArchiveError(
                str(partial),
                f"holds an unfinished run that differs in {', '.join(differences(found, plan))}",
                "Repeat that run to finish it, or remove the folder",
            )
        return
    if partial.exists() and any(partial.iterdir()):
        raise ArchiveError(str(partial), "is in the way and is no unfinished run", "Remove it")
    partial.mkdir(parents=True, exist_ok=True)
    write_json(path, plan)


def differences(found: Any, wanted: Any, name: str = "") -> Iterator[str]:
    """Where two JSON values differ, by the names of their keys.

    Example:
        >>> list(differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2}))
        ['a.b (1 there, 3 here)']
    """
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            yield from differences(found.get(key), wanted.get(key), f"{name}.{key}" if name else key)
    elif found != wanted:
        yield f"{name} ({found} there, {wanted} here)"
