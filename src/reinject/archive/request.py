"""Recognise a repeated command: if its result exists already, nothing is left to do, and the exit status is 0.

``outcome.json`` in a folder holds the request and the command's output; an archive has the request in its manifest.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from reinject import data
from reinject.archive.schema import MANIFEST
from reinject.base.errors import ArchiveError
from reinject.base.files import fingerprint, is_remote, read_json, sha256, write_json
from reinject.base.outcome import Outcome

OUTCOME = "outcome.json"
_NOT_ASKED = ("out", "overwrite", "progress", "data_dir")  # these change where and how, not what


def asked_for(given: Mapping[str, Any], *left_out: str, **more: Any) -> dict[str, Any]:
    """Return a request as JSON values: all arguments of a call but those that cannot change the result.

    Arguments:
        given: the arguments by name, such as ``locals()`` at the beginning of a function.
        left_out: names of further arguments that change nothing.
        more: further values that count: hashes of models, contents of files.

    Example:
        >>> asked_for({"seed": 1, "out": Path("x"), "device": "cpu"}, "device", models=["6d"])
        {'seed': 1, 'models': ['6d']}
    """
    values = {name: value for name, value in given.items() if name not in (*_NOT_ASKED, *left_out)}
    return dict(json.loads(json.dumps({**values, **more}, default=_plain), parse_constant=str))  # JSON has no infinity


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Tensor):
        return fingerprint(value)
    if isinstance(value, nn.Module):
        return fingerprint(*value.state_dict().values())
    if isinstance(value, functools.partial):
        return [str(value.func), value.keywords]
    return str(value)


def contents(name: str | Path | None, data_dir: str | None = None) -> str:
    """Hash the file, folder or data set that a text names on this disk, as ``FILE`` or ``kind:FILE``; "" without one.

    For a folder the hash covers the names and sizes of its files, and the contents of its JSON files.
    """
    if name is None:
        return ""
    parts = (str(name), str(name).partition(":")[2])
    places = [place for part in parts if part for place in (Path(part), data.found_at(part, data_dir)) if place]
    place = next((one for one in places if one.exists()), None)
    if place is None:
        return ""
    if place.is_file():
        return sha256(place)
    digest = hashlib.sha256()
    for path in sorted(place.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(place)} {path.stat().st_size} ".encode())
            digest.update(path.read_bytes() if path.suffix == ".json" else b"")
    return digest.hexdigest()


def manifest_hash(folder: Path) -> str:
    """Return the hash of an archive's manifest, which holds the hashes of its shards; "" without a manifest."""
    path = folder / MANIFEST
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def note(partial: Path, asked: Mapping[str, Any], outcome: Outcome) -> None:
    """Write the request and the outcome into a folder that is about to be finished."""
    write_json(partial / OUTCOME, {"asked": asked, **asdict(outcome)})


def earlier(out: Path, asked: Mapping[str, Any]) -> Outcome | None:
    """Return the outcome of the folder ``out`` if the same request made it; else None."""
    if is_remote(out) or not (out / OUTCOME).is_file():
        return None
    found = read_json(out / OUTCOME, ArchiveError)
    if not isinstance(found, dict) or found.pop("asked", None) != asked:
        return None
    try:
        return made_already(out, Outcome(**found))
    except TypeError as error:
        raise ArchiveError(
            str(out / OUTCOME), f"is damaged ({error})", "Make the folder again, with --overwrite"
        ) from error


def made_already(out: Path, outcome: Outcome) -> Outcome:
    """Return the outcome for a repeated request."""
    line = f"{out} is complete already, made by the same command: nothing is left to do"
    return replace(outcome, lines=[line, *outcome.lines], repeated=True)
