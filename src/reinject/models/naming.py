"""Name the classes of an imported classifier: by the user, by the model, or by the data."""

from collections.abc import Sequence

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.data import Dataset
from reinject.data.classes import check_names


def names_for(
    said: Sequence[str], own: Sequence[str], dataset: Dataset | None, outputs: int, source: str
) -> tuple[tuple[str, ...], list[str]]:
    """Choose the names of a classifier's outputs, in their order; return them with lines for the user.

    The user's names come first, then the model's, then the data's. The numbers 0, 1, ... of a model count as no names;
    the data's names replace them.

    Arguments:
        said: the user's names.
        own: the model's names; empty: none.
        dataset: the training data.
        outputs: number of its classes.
        source: name of the model, for messages.

    Raises:
        ArgumentError: the number of names differs from the number of outputs; names that the data does not have.
    """
    numbers = tuple(str(k) for k in range(outputs))
    notes = []
    if own and len(own) != outputs:
        notes.append(f"it names {len(own)} classes for {outputs} outputs, so its names are ignored")
        own = ()
    data = () if dataset is None else dataset.class_names
    names = check_names("--class-names", said or (own if _names(own) else ()) or data or own or numbers, outputs)
    if data and not said and not set(names) & set(data):
        raise ArgumentError(
            "--class-names",
            f"{source} has {_some(names)}, the data {_some(data)}",
            "Name the classes, in the order of the model: --class-names A,B,...",
        )
    if own and names == tuple(own) and names != numbers:
        notes.append(f"its classes are {_some(names)}")
    return names, notes


def rows_of_names(names: Sequence[str], dataset: Dataset) -> Tensor:
    """Return the model's output for each class of a data set, int64; -1: there is none."""
    classes = len(dataset.class_names)
    strange = not set(names) & set(dataset.class_names)  # the user's own words for the same classes
    if not names or strange or (len(names) == classes and not _names(names)):
        return torch.arange(classes)
    return torch.tensor([names.index(name) if name in names else -1 for name in dataset.class_names])


def _names(names: Sequence[str]) -> bool:
    """Return whether the names are more than numbers from 0."""
    return tuple(names) != tuple(str(k) for k in range(len(names)))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
