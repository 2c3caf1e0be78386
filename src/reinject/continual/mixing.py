"""Mix new data with rehearsed and with kept rows, in equal numbers for every class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from reinject import data
from reinject.archive import Archive
from reinject.base.random_streams import stream
from reinject.continual.union import places_of
from reinject.data.rehearsed import Rehearsed

_REPEATS = 4  # most times that a row of a rare class is used
_HELD_OUT = 1000  # most rehearsed rows that are not trained on


@dataclass(frozen=True)
class Memory:
    """Hold rehearsed rows and how many of each class to take.

    Attributes:
        archive: walks of the old models with labels and probabilities.
        each: rows of each class, >= 1.
    """

    archive: Archive
    each: int


def balanced(label: Tensor, classes: int, each: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose ``each`` random rows of every class; a class of fewer rows repeats them, up to four times.

    Arguments:
        label: classes, (N,).
        classes: number of classes.
        each: rows of a class, >= 1.
        generator: generator of the choice.

    Returns:
        Numbers of the chosen rows, by class; and numbers of the rows that are left.

    Example:
        >>> chosen, left = balanced(torch.tensor([0, 0, 0, 1]), 2, 2, torch.Generator().manual_seed(0))
        >>> len(chosen), chosen[2:].tolist(), len(left)
        (4, [3, 3], 1)
    """
    chosen, left = [], []
    for k in range(classes):
        rows = (label == k).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        left.append(rows[each:])
        chosen.append(rows.repeat(_REPEATS)[:each])
    return torch.cat(chosen), torch.cat(left)


def mixed(
    dataset: data.Dataset, memory: Memory, classes: Sequence[str], buffer: data.Dataset | None, seed: int
) -> tuple[Rehearsed, dict[str, int]]:
    """Mix new rows, rehearsed rows and kept rows in random order; all labels are probabilities of the united classes.

    Arguments:
        dataset: new data; its test part stays as it is.
        memory: rehearsed rows.
        classes: names of the united classes.
        buffer: kept rows; None: none.
        seed: seed of the choice and of the order.

    Returns:
        The mixed data set, and the number of rehearsed rows of each old class.
    """
    archive, generator = memory.archive, stream((seed, len(classes)))
    x, label = archive.read()
    p = probabilities(archive)
    names = archive.class_names
    chosen, left = balanced(label, len(names), memory.each, generator)
    places = places_of(names, classes, str(archive.folder))
    wide = torch.zeros(len(chosen), len(classes))
    wide[:, places] = p[chosen]
    parts = [_certain(dataset, classes), (x[chosen], wide)]
    if buffer is not None:
        parts.append(_certain(buffer, classes))
    rows, soft = (torch.cat([part[k] for part in parts]) for k in (0, 1))
    real = torch.ones(len(rows), dtype=torch.bool)
    real[len(dataset.train) : len(dataset.train) + len(chosen)] = False
    order = torch.randperm(len(rows), generator=generator)
    left = left[torch.randperm(len(left), generator=generator)][:_HELD_OUT]
    new = places_of(dataset.class_names, classes, dataset.name)
    both = Rehearsed(
        dataset.name,
        data.LabelledImages(rows[order], soft[order]),
        data.LabelledImages(dataset.test.x, new[dataset.test.y]),
        tuple(classes),
        dataset.space,
        dataset.split_seed,
        dataset.split,
        data.LabelledImages(x[left], places[label[left]]),
        real[order],
    )
    counts = torch.bincount(label[chosen], minlength=len(names)).tolist()
    return both, dict(zip(names, counts, strict=True))


def _certain(dataset: data.Dataset, classes: Sequence[str]) -> tuple[Tensor, Tensor]:
    y = places_of(dataset.class_names, classes, dataset.name)[dataset.train.y]
    return dataset.train.x, nn.functional.one_hot(y, len(classes)).float()


def probabilities(archive: Archive) -> Tensor:
    """Read the probabilities of all rows, in the archive's order, (N, classes)."""
    parts = [table.column("probabilities").combine_chunks().flatten() for table in archive.tables(["probabilities"])]
    flat = np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts])
    return torch.from_numpy(flat.astype(np.float32)).reshape(-1, len(archive.class_names))
