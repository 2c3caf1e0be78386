"""Write a page to a file once: a repeated request returns the page that is there."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reinject.archive.request import made_already
from reinject.base.errors import ArchiveError, ArgumentError
from reinject.base.outcome import Outcome


def make_page(out: Path, asked: Mapping[str, Any] | None, write: Callable[[], None], overwrite: bool) -> Outcome:
    """Write a page, and sign it with the request.

    Arguments:
        out: HTML file to make.
        asked: the request, JSON values; None: it cannot be repeated.
        write: writes the page to ``out``.
        overwrite: replace an earlier page.

    Returns:
        The place and the size of the page.

    Raises:
        ArgumentError: ``out`` is a folder.
        ArchiveError: another file is at ``out``.
    """
    began = time.monotonic()
    if out.is_dir():
        raise ArgumentError("--out", f"{out} is a folder", "Give a file, such as report.html")
    stamp = f"<!-- asked: {hashlib.sha256(json.dumps(asked).encode()).hexdigest()} -->"
    if asked is not None and out.is_file() and not overwrite and out.read_bytes().endswith(stamp.encode()):
        return made_already(out, Outcome({"report": str(out), "bytes": out.stat().st_size, "seconds": 0.0}, []))
    if out.exists() and not overwrite:
        raise ArchiveError(str(out), "already exists", "Give --overwrite, or another --out")
    write()
    with out.open("a", encoding="utf-8") as page:
        page.write(stamp)
    seconds, size = round(time.monotonic() - began, 1), out.stat().st_size
    lines = [f"{size / 1e6:.1f} MB, {seconds} s. Open {out}"]
    return Outcome({"report": str(out), "bytes": size, "seconds": seconds}, lines)
