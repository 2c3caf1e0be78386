"""Names of an imported classifier's classes: said by the user, known to the model, or those of the data."""

from collections.abc import Sequence

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.data import Dataset
from reinject.data.classes import check_names


def names_for(
    said: Sequence[str], own: Sequence[str], dataset: Dataset | None, outputs: int, source: str
) -> tuple[tuple[str, ...], list[str]]:
    """Choose the names of a classifier's outputs, in their order; and lines for the user.

    What the user says comes first, then what the model knows, then the data's. Numbers 0, 1, ... of a model are no
    names: it takes the data's.

    Arguments:
        said: by the user.
        own: of the model; none: it does not know any.
        dataset: what it was trained on.
        outputs: number of its classes.
        source: its name, for messages.

    Raises:
        ArgumentError: not one name an output; names of which the data has none.
    """
    numbers = tuple(str(k) for k in range(outputs))
    notes = []
    if own and len(own) != outputs:
        notes.append(f"it names {len(own)} classes for {outputs} outputs; these names are left out")
        own = ()
    data = () if dataset is None else dataset.class_names
    names = check_names("--class-names", said or (own if _names(own) else ()) or data or own or numbers, outputs)
    if data and not said and not set(names) & set(data):
        raise ArgumentError(
            "--class-names",
            f"{source} knows {_some(names)}, the data {_some(data)}",
            "Say which is which, in the order of the model: --class-names A,B,...",
        )
    if own and names == tuple(own) and names != numbers:
        notes.append(f"its classes are {_some(names)}")
    return names, notes


def rows_of_names(names: Sequence[str], dataset: Dataset) -> Tensor:
    """The output of a model that stands for each class of a data set, int64; -1: none does."""
    classes = len(dataset.class_names)
    strange = not set(names) & set(dataset.class_names)  # the user's own words for the same classes
    if not names or strange or (len(names) == classes and not _names(names)):
        return torch.arange(classes)
    return torch.tensor([names.index(name) if name in names else -1 for name in dataset.class_names])


def _names(names: Sequence[str]) -> bool:
    """Whether they are more than numbers from 0."""
    return tuple(names) != tuple(str(k) for k in range(len(names)))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
