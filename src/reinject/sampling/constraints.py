"""What walks are held at, from the files that a command line names: ``--known``, ``--mask`` and ``--measured``."""

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
    """What is put back after every step, if the settings name anything that is known.

    Arguments:
        settings: their ``known`` is an image file, a .npy file of values in data units, (*event) or (P, *event), or a
            data set, whose test images are taken in their order; their ``mask`` an image (brighter than half: known), a
            .npy file of booleans, or ROWS,COLUMNS as slices, such as ``0:14,:`` for the upper half of 28 rows; their
            ``measured`` a .npz file with ``matrix`` (k, n) and ``values`` (k,) or (P, k), M x = b.
        inputs: of the models.
        most: known points that are used at most: the walks of a block.
        reading: how data sets are read.

    Returns:
        A wrapper of kernels; None where nothing is known.

    Raises:
        ArgumentError: one option without the other, both ways at once, arrays that do not fit the models.
        DataError: a file or data set that is not there or cannot be read.
    """
    if settings.measured is not None:
        if settings.known is not None or settings.mask is not None:
            raise ArgumentError("--measured", "with --known or --mask says two things", "Give one of them")
        arrays = _arrays(Path(settings.measured), ("matrix", "values"))
        return partial(Measured, matrix=arrays["matrix"].float(), values=arrays["values"].float())
    if settings.known is None and settings.mask is None:
        return None
    if settings.known is None or settings.mask is None:
        raise ArgumentError("--known", "needs --mask, which says what of it is known", "Give both")
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
    """Points that a command line names: an image file, a .npy file of values, or a part of a data set.

    Returns:
        (N, *event), data units, or (*event) where a .npy file holds one.

    Raises:
        DataError: a file or data set that is not there or cannot be read.
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
        raise DataError(str(path), "no such file", "Give one that is there") from error
    except (ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(str(path), f"cannot be read ({error})", "Write it with numpy.save or numpy.savez") from error
