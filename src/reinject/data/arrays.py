"""Read samples and labels from NumPy files: an .npz, a folder of .npy files, or one .npy with its labels beside it."""

import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from reinject.base.errors import DataError
from reinject.data.classes import Labels

SUFFIXES = (".npy", ".npz")
_SAMPLES = ("x", "data", "images", "features")
_LABELS = ("y", "labels", "targets", "label", "target")
_PARTS = {"train": "train", "test": "test", "val": "validation", "valid": "validation", "validation": "validation"}
_NAME, _PART = "|".join((*_SAMPLES, *_LABELS)), "|".join(_PARTS)
_KEY = re.compile(rf"(?:(?P<before>{_PART})_)?(?P<name>{_NAME})(?:_(?P<after>{_PART}))?")
_KNOWN = "Name them x and y, or x_train, y_train, x_test and y_test (images or data, labels or targets)"
Read = Callable[[], NDArray[Any]]
Part = tuple[NDArray[Any], list[Labels]]  # stored samples, and their labels in pieces


def read_arrays(place: Path) -> dict[str, Part]:
    """Read the parts of a data set of arrays: samples (see :func:`samples_of`) and their labels.

    Arrays of samples have the names x, data, images or features; arrays of labels y, labels or targets. These are the
    keys of an .npz or the names of .npy files in a folder, optionally with train, test or val: x_train, train_images,
    X_test.

    Raises:
        DataError: the file is unreadable, holds pickles, or does not show which array is which.
    """
    if place.suffix == ".npy":
        beside = place.with_name(f"{place.stem}_labels.npy")
        if not beside.is_file():
            raise DataError(
                str(place), f"has no labels: there is no {beside.name}", f"Write it, or an .npz. {_KNOWN} there"
            )
        return {"train": _part(str(place), lambda: _load(place), lambda: _load(beside))}
    if place.is_dir():
        return _parts(place, {path.stem: _loader(path) for path in sorted(place.glob("*.npy"))})
    if not is_zipfile(place):
        raise DataError(str(place), "is not an .npz file", "Write it with numpy.savez")
    with np.load(place, allow_pickle=False) as found:
        return _parts(place, {key: _member(place, found, key) for key in found.files})


def samples_of(owner: str, values: NDArray[Any]) -> NDArray[Any]:
    """Convert an array to stored samples: vectors, float32, (N, d), or images, uint8, (N, C, H, W).

    Arguments:
        owner: name for messages.
        values: (N, d): vectors. (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3: images, as 0..255 or as floats
            in 0..1.

    Raises:
        DataError: another shape or range, or values that are not finite.

    Example:
        >>> samples_of("set", np.ones((5, 8, 8))).shape, samples_of("set", np.ones((5, 3))).dtype
        ((5, 1, 8, 8), dtype('float32'))
    """
    if values.dtype.kind not in "biuf" or not values.size:
        raise DataError(owner, f"holds {values.dtype} of shape {values.shape}", "Give numbers, at least one row")
    wrong = int((~np.isfinite(values.reshape(len(values), -1))).any(1).sum())
    if wrong:
        problem = f"{wrong:,} of {len(values):,} rows have non-finite values"
        raise DataError(owner, problem, "Fill in these values, or remove these rows")
    if values.ndim == 2:
        return values.astype(np.float32)
    if values.ndim == 3:
        return _levels(owner, values[:, None])
    first, last = (values.ndim == 4 and values.shape[axis] in (1, 3) for axis in (1, 3))
    if first == last:
        raise DataError(
            owner,
            f"shape {values.shape} does not show which axis has the channels",
            "Give vectors (N, d), or images (N, H, W), (N, H, W, 3) or (N, 3, H, W)",
        )
    return _levels(owner, values if first else np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


def _levels(owner: str, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return images as levels 0..255."""
    low, high = values.min(), values.max()
    if values.dtype == bool or (values.dtype.kind == "f" and low >= 0 and high <= 1):
        return np.rint(values.astype(np.float32) * 255).astype(np.uint8)
    whole = values.dtype.kind != "f" or bool((values == np.rint(values)).all())
    if not (whole and low >= 0 and 1 < high <= 255):
        raise DataError(
            owner,
            f"its images have {values.dtype} values {low:g}..{high:g}, of which no value is known to be white",
            "Give whole numbers 0..255, or floats in 0..1",
        )
    return values.astype(np.uint8)


def _parts(place: Path, arrays: Mapping[str, Read]) -> dict[str, Part]:
    keys: dict[tuple[str, bool], list[str]] = {}
    for key in arrays:
        fits = _KEY.fullmatch(key.lower())
        if fits and not (fits["before"] and fits["after"]):
            part = _PARTS[fits["before"] or fits["after"] or "train"]
            keys.setdefault((part, fits["name"] in _SAMPLES), []).append(key)
    for several in keys.values():
        if len(several) > 1:
            raise DataError(str(place), f"holds {' and '.join(several)}, which mean the same", "Keep one of them")
    parts = {part for part, _ in keys}
    lacking = [part for part in sorted(parts) for kind in (True, False) if (part, kind) not in keys]
    if lacking or not parts:
        raise DataError(str(place), f"does not show which of {', '.join(arrays)} are samples and labels", _KNOWN)
    return {
        part: _part(str(place), *(arrays[keys[part, kind][0]] for kind in (True, False)))
        for part in sorted(parts, key=list(_PARTS.values()).index)
    }


def _part(owner: str, x: Read, y: Read) -> Part:
    values, labels = samples_of(owner, x()), y()
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != len(values):
        raise DataError(
            owner,
            f"has labels of shape {labels.shape} for {len(values):,} samples",
            "Give one class for each, such as y.argmax(1) of one-hot labels",
        )
    return values, [Labels(labels)]


def _loader(path: Path) -> Read:
    return lambda: _load(path)


def _load(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, EOFError) as error:
        raise _unreadable(path, error) from error


def _member(place: Path, found: Any, key: str) -> Read:
    def read() -> NDArray[Any]:
        try:
            return np.asarray(found[key])
        except (ValueError, EOFError, BadZipFile, zlib.error) as error:
            raise _unreadable(place, error) from error

    return read


def _unreadable(place: Path, error: Exception) -> DataError:
    why = next(iter(str(error).splitlines()), type(error).__name__)[:160].rstrip(".")
    return DataError(
        str(place), f"cannot be read ({why})", "Write arrays of numbers or text with numpy.save or numpy.savez"
    )
