"""Small files: JSON written completely or not at all, and hashes."""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from reinject.base.errors import ArgumentError, ReinjectError

if TYPE_CHECKING:  # the command line parses places before it imports torch
    from torch import Tensor


def place_of(text: str | Path) -> Path:
    """Parse a folder: a path on this machine, or a URL of a file system that fsspec knows (s3://, gs://, memory://).

    Example:
        >>> place_of("runs/synthetic").name, place_of("memory://runs/synthetic").name
        ('synthetic', 'synthetic')
    """
    if not isinstance(text, str):
        return text  # a path, or a parsed place
    if "://" not in text:
        return Path(text)
    from upath import UPath

    try:
        place = UPath(text)
        place.fs  # noqa: B018  # fails here where the library of the file system is not installed
        return cast(Path, place)
    except (ValueError, ImportError) as error:  # an unknown protocol, or a library that is not installed
        raise ArgumentError(text, f"cannot be reached ({error})", "Install the library of its file system") from error


def is_remote(place: Path) -> bool:
    """Return whether a place of :func:`place_of` is not on this machine's disk."""
    return not isinstance(place, Path)


def sha256(path: Path) -> str:
    """Return SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(*tensors: "Tensor") -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the values, which identify them in a manifest."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def json_text(value: Any, owner: str = "JSON", indent: int | None = 1) -> str:
    """Return ``value`` as JSON. JSON has no NaN and no infinity, so unmeasured values must be None.

    Arguments:
        value: JSON values.
        owner: owner of the text, for messages.
        indent: spaces a level; None: one line.

    Raises:
        ReinjectError: a number that is not finite.

    Example:
        >>> json_text({"a": [1.0, float("nan")]})
        Traceback (most recent call last):
        reinject.base.errors.ReinjectError: JSON: a[1] is nan, which JSON cannot express. Report this ...
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError as error:
        name, found = next(_not_finite(value, ""), ("", error))
        problem = f"{name} is {found}, which JSON cannot express"
        raise ReinjectError(owner, problem, "Report this as a bug of reinject") from error


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
    """Return the number, or None, which JSON has, for a number that is not finite: undefined or unmeasured.

    Example:
        >>> finite(0.5), finite(float("nan"))
        (0.5, None)
    """
    return value if math.isfinite(value) else None


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, first under a temporary name, so that the file is complete or absent.

    Raises:
        ReinjectError: a number that is not finite.
    """
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json_text(value, str(path)) + "\n", encoding="utf-8")
    temporary.rename(path)


def read_json(path: Path, kind: type[ReinjectError]) -> Any:
    """Read the JSON value of a file; raise an error of the given kind if the file is damaged.

    NaN and Infinity become None. They are not JSON, but earlier versions wrote them for unmeasured values.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except ValueError as error:  # not JSON, or not UTF-8
        raise kind(str(path), f"is damaged ({error})", "Make the folder again") from error
