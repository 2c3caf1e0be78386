"""The same command again, on what it has made already: nothing is left to do, and that is no failure.

What a folder was asked for, and what the command said, stand in its ``outcome.json``; an archive has the request in its
manifest.
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
_NOT_ASKED = ("out", "overwrite", "progress", "data_dir")  # where and how, not what


def asked_for(given: Mapping[str, Any], *left_out: str, **more: Any) -> dict[str, Any]:
    """What is asked for, as JSON values: all arguments of a call but those that cannot change what is made.

    Arguments:
        given: the arguments by name, such as ``locals()`` at the beginning of a function.
        left_out: names of further ones that change nothing.
        more: what else counts: hashes of models, contents of files.

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
    """A hash of the file, folder or data set that a text names on this disk, as ``FILE`` or ``kind:FILE``; "": none.

    Of a folder, the names and sizes of its files count, and what its JSON files say.
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
    """The hash of an archive's manifest, which has those of its shards; "" where there is none."""
    path = folder / MANIFEST
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def note(partial: Path, asked: Mapping[str, Any], outcome: Outcome) -> None:
    """Write into a folder that is about to be finished what it was asked for, and what is said of it."""
    write_json(partial / OUTCOME, {"asked": asked, **asdict(outcome)})


def earlier(out: Path, asked: Mapping[str, Any]) -> Outcome | None:
    """What was said of the folder ``out``, where the same request made it; None where it has to be made."""
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
    """What is said of ``out`` to who asks for it again."""
    line = f"{out} is whole already, made by the same command: nothing is left to do"
    return replace(outcome, lines=[line, *outcome.lines], repeated=True)
