"""Folders that are either whole or not there: made under a temporary name, then renamed."""

import shutil
from pathlib import Path

from reinject.errors import ArchiveError


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
