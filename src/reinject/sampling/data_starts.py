"""Make starts from data: a data set, an archive or a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reinject import data
from reinject.archive import Archive
from reinject.archive.reading import Reading
from reinject.base.errors import ArgumentError
from reinject.models.codes import codes_of
from reinject.models.loading import Models, values_for
from reinject.models.moments import moments_of
from reinject.networks import Inputs
from reinject.sampling.constraints import FILES, points_of
from reinject.walks.starts import Fitted, Points, Start

_FIT = 10_000  # points for the fit of a Gaussian


def resolve(
    text: str | None,
    inputs: Inputs,
    *,
    walks: int,
    seed: int = 0,
    models: Models | None = None,
    reading: Reading | None = None,
) -> Start | None:
    """Make the start that a text names, if it needs data; None for those of :mod:`reinject.walks.starts`.

    Arguments:
        text: ``data:DATASET``: different training points, drawn at random. ``fitted:DATASET``: a Gaussian, fitted to up
            to 10,000 training points. ``classes:DATASET``: a Gaussian for each class. ``archive:FOLDER``: walk k
            begins at the end of the archive's walk k. ``points:FILE``: walk k begins at point k, modulo their number,
            of an image or a .npy file in data units. ``codes``: codes, drawn from the models' stored moments.
            ``codes:DATASET``: codes, drawn from the moments of a data set's training points.
        inputs: inputs of the models; the data must have their shape and range.
        walks: one more than the number of the last walk; the start of a walk does not depend on it.
        seed: seed of the draw.
        models: models that make the codes.
        reading: how to read data sets.

    Raises:
        ArgumentError: the shape of the points differs from the models', or there are no moments of codes.
        DataError, ArchiveError: no such data set or archive.
    """
    kind, _, name = (text or "").partition(":")
    reading = reading or Reading()
    if kind == "codes":
        return _codes(name, models, reading)
    if kind not in ("data", "fitted", "classes", "archive", "points"):
        return None
    if not name:
        raise ArgumentError("--start", f"{text!r} names no data", f"Give {kind}:NAME")
    if kind == "archive":
        points = _last_states(name, reading)
    elif kind == "points":
        points = _given(name, inputs)
    elif kind == "classes":
        return by_class(reading.load(name), inputs)
    else:
        points = _points(name, kind, walks, seed, inputs, reading)
    if tuple(points.shape[1:]) != inputs.shape:
        raise ArgumentError(
            "--start",
            f"{text!r} has points {tuple(points.shape[1:])}, the models take {inputs.shape}",
            "Give such points",
        )
    return Fitted(points) if kind == "fitted" else Points(points)


def _codes(name: str, models: Models | None, reading: Reading) -> Start | None:
    """Return the law of codes; None without stored moments, which fails once the start is needed."""
    if models is None:
        return None
    found = models.moments() if not name else codes_of(models, reading.load(name))
    return None if found is None else found.start


def by_class(dataset: data.Dataset, inputs: Inputs) -> Start:
    """Fit a Gaussian to the training points of each class, up to 10,000 of all classes."""
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(0))[:_FIT]
    some = dataset.train.take(order)
    return moments_of(values_for(replace(dataset, train=some), inputs, "the model"), some.y).law


def _points(name: str, kind: str, walks: int, seed: int, inputs: Inputs, reading: Reading) -> Tensor:
    dataset = reading.load(name)
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))
    some = dataset.train.take(order[: _FIT if kind == "fitted" else walks])
    return values_for(replace(dataset, train=some), inputs, "the model")


def _given(name: str, inputs: Inputs) -> Tensor:
    if Path(name).suffix not in FILES:
        raise ArgumentError("--start", f"{name!r} is neither an image nor a .npy file", "Give points:FILE.npy")
    points = points_of(name, inputs, part="train")
    return points if points.ndim > len(inputs.shape) else points[None]


def _last_states(folder: str, reading: Reading) -> Tensor:
    """Read the last sample of every walk of an archive, in the walks' order, data units."""
    archive = Archive.open(Path(folder))
    reading.begin_at(folder, archive.manifest)
    x, _ = archive.read()
    columns = [table.to_pandas().to_numpy() for table in archive.tables(["walk", "step"])]
    walk, step = np.concatenate(columns).T
    order = np.lexsort((step, walk))
    last = order[np.r_[np.diff(walk[order]) > 0, True]]
    return archive.storage.load(x[torch.from_numpy(last)])
