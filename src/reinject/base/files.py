"""Small files: JSON written whole or not at all, hashes."""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from reinject.base.errors import ArgumentError, ReinjectError

if TYPE_CHECKING:  # the command line reads places before it needs torch
    from torch import Tensor


def place_of(text: str | Path) -> Path:
    """A folder: a path on this machine, or a URL of any file system that fsspec knows (s3://, gs://, memory://).

    Example:
        >>> place_of("runs/synthetic").name, place_of("memory://runs/synthetic").name
        ('synthetic', 'synthetic')
    """
    if not isinstance(text, str):
        return text  # a path, or already a place
    if "://" not in text:
        return Path(text)
    from upath import UPath

    try:
        place = UPath(text)
        place.fs  # noqa: B018  # fails here where the library of the file system is not installed
        return cast(Path, place)
    except (ValueError, ImportError) as error:  # a protocol that is not known, or whose library is not installed
        raise ArgumentError(text, f"cannot be reached ({error})", "Install the library of its file system") from error


def is_remote(place: Path) -> bool:
    """Whether a place of :func:`place_of` is not on this machine's disk."""
    return not isinstance(place, Path)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(*tensors: "Tensor") -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the values, which say in a manifest which ones they were."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def json_text(value: Any, owner: str = "JSON", indent: int | None = 1) -> str:
    """Return ``value`` as JSON, which knows no NaN and no infinity: what was not measured is None before it comes here.

    Arguments:
        value: JSON values.
        owner: of the text, for the error.
        indent: spaces a level; None: one line.

    Raises:
        ReinjectError: a number that is not finite.

    Example:
        >>> json_text({"a": [1.0, float("nan")]})
        Traceback (most recent call last):
        reinject.base.errors.ReinjectError: JSON: a[1] is nan, which JSON cannot say. Report this ...
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError as error:
        name, found = next(_not_finite(value, ""), ("", error))
        problem = f"{name} is {found}, which JSON cannot say"
        raise ReinjectError(owner, problem, "Report this as a fault of reinject") from error


def _not_finite(value: Any, name: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield name, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _not_finite(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            yield from _not_finite(one, f"{name}[{number}]")


def finite(value: float) -> float | None:
    """The number; None, which JSON can say, for one that is not finite: it is not defined, or was not measured.

    Example:
        >>> finite(0.5), finite(float("nan"))
        (0.5, None)
    """
    return value if math.isfinite(value) else None


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, under a temporary name first, so that the file is whole or not there.

    Raises:
        ReinjectError: a number that is not finite.
    """
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json_text(value, str(path)) + "\n", encoding="utf-8")
    temporary.rename(path)


def read_json(path: Path, kind: type[ReinjectError]) -> Any:
    """The JSON value of a file; an error of the given kind when it is damaged.

    NaN and Infinity, which are no JSON but which earlier versions wrote for what was not measured, are read as None.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except ValueError as error:  # not JSON, or not UTF-8
        raise kind(str(path), f"is damaged ({error})", "Make the folder again") from error
