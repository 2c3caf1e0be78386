"""Make constraints of walks from the files of ``--known``, ``--mask`` and ``--measured``."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from reinject.archive.reading import Reading
from reinject.base.errors import ArgumentError, DataError
from reinject.data.images import decode
from reinject.models.loading import check_space, levels_of
from reinject.networks import Inputs
from reinject.sampling.presets import Constraint, Settings
from reinject.walks.kernels.clamped import Clamped, Measured, region

T = TypeVar("T")
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")
FILES = (*_IMAGES, ".npy")


def resolve_constraint(
    settings: Settings, inputs: Inputs, *, most: int, reading: Reading | None = None
) -> Constraint | None:
    """Make the constraint that restores known values after every step, if the settings name any.

    ``known`` is an image file, a data set (its test images, in order), or a .npy file of values in data units,
    (*event) or (P, *event). ``mask`` is an image (known where brighter than half), a .npy file of booleans, or slices
    ROWS,COLUMNS. For example, ``0:14,:`` is the upper half of 28 rows. ``measured`` is a .npz file with ``matrix`` M
    (k, n) and ``values`` b (k,) or (P, k), for M x = b.

    Arguments:
        settings: settings with ``known`` and ``mask``, or ``measured``.
        inputs: inputs of the models.
        most: most known points to use: the walks of a block.
        reading: how to read data sets.

    Returns:
        A wrapper of kernels; None without known values.

    Raises:
        ArgumentError: ``known`` without ``mask`` or the reverse, both kinds at once, or arrays of a wrong shape.
        DataError: a file or data set is missing or unreadable.
    """
    if settings.measured is not None:
        if settings.known is not None or settings.mask is not None:
            raise ArgumentError(
                "--measured", "cannot be combined with --known or --mask", "Give one kind of constraint"
            )
        arrays = _arrays(Path(settings.measured), ("matrix", "values"))
        return partial(Measured, matrix=arrays["matrix"].float(), values=arrays["values"].float())
    if settings.known is None and settings.mask is None:
        return None
    if settings.known is None or settings.mask is None:
        raise ArgumentError("--known", "needs --mask, which marks the known values", "Give both")
    mask = _mask(settings.mask, inputs)
    known = points_of(settings.known, inputs, part="test", most=most, reading=reading)
    return partial(Clamped, known=known, mask=mask)


def points_of(
    name: str,
    inputs: Inputs,
    *,
    part: Literal["train", "test"],
    most: int | None = None,
    reading: Reading | None = None,
) -> Tensor:
    """Read points from an image file, a .npy file of values, or a part of a data set.

    Returns:
        (N, *event), data units, or (*event) for a .npy file with one point.

    Raises:
        DataError: a file or data set is missing or unreadable.
    """
    path = Path(name)
    levels = levels_of(inputs)
    if path.suffix == ".npy":
        values = _array(path).float()
        return values if values.ndim == len(inputs.shape) else values[:most]
    if path.suffix.lower() in _IMAGES:
        return levels.load(torch.from_numpy(decode([_bytes(path)], name)))
    found = (reading or Reading()).load(name)
    check_space(found, inputs, "the model")
    return levels.load(getattr(found, part).x[:most])


def _mask(text: str, inputs: Inputs) -> Tensor:
    path = Path(text)
    if path.suffix == ".npy":
        return _array(path) != 0
    if path.suffix.lower() in _IMAGES:
        pixels = torch.from_numpy(decode([_bytes(path)], text))[0]
        return (pixels > 127).expand(inputs.shape) if pixels.shape[1:] == inputs.shape[1:] else pixels > 127
    return region(text, inputs.shape)


def _bytes(path: Path) -> bytes:
    return _read(path, Path.read_bytes)


def _array(path: Path) -> Tensor:
    return _read(path, lambda file: torch.from_numpy(np.load(file, allow_pickle=False)))


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, Tensor]:
    def read(file: Path) -> dict[str, Tensor]:
        with np.load(file, allow_pickle=False) as found:
            return {name: torch.from_numpy(found[name]) for name in names}

    return _read(path, read)


def _read(path: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(path)
    except FileNotFoundError as error:
        raise DataError(str(path), "no such file", "Give an existing file") from error
    except (ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(str(path), f"cannot be read ({error})", "Write it with numpy.save or numpy.savez") from error
