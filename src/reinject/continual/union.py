"""Unite classes by name: those of old models, and those of new data."""

from collections.abc import Sequence

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError


def united(old: Sequence[str], new: Sequence[str], owner: str) -> tuple[str, ...]:
    """Return the old classes, then the new ones that are not among them.

    Classes of one name are one class. Names that are only numbers 0, 1, ... on one side, and words on the other, do
    not tell whether the classes are the same.

    Arguments:
        old, new: names of classes.
        owner: of the old ones, for messages.

    Raises:
        ArgumentError: one side has no names but the numbers of its outputs, and the other has names.

    Example:
        >>> united(("cat", "dog"), ("dog", "car"), "models")
        ('cat', 'dog', 'car')
        >>> united(("0", "1"), ("cat", "dog"), "models")
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: models: it has classes 0, 1 without names, the new data has cat, dog: ...
    """
    for one, other in ((old, new), (new, old)):
        if _unnamed(one) and not any(name.removeprefix("-").isdecimal() for name in other):
            numbers, words = ("it has", "the new data has") if one is old else ("the new data has", "it has")
            problem = f"{numbers} classes {_some(one)} without names, {words} {_some(other)}"
            raise ArgumentError(owner, f"{problem}: equal numbers may be equal classes", "Name the classes of both")
    return (*old, *(name for name in new if name not in old))


def places_of(names: Sequence[str], wanted: Sequence[str], owner: str) -> Tensor:
    """Return the number of each name among the wanted names, int64.

    Raises:
        ArgumentError: a name is not wanted, or a wanted name is repeated.

    Example:
        >>> places_of(("b", "a"), ("a", "b", "c"), "models").tolist()
        [1, 0]
    """
    twice = sorted({name for name in wanted if list(wanted).count(name) > 1})
    if twice:
        raise ArgumentError("class_names", f"repeats {_some(twice)}", "Name every class once")
    missing = [name for name in names if name not in wanted]
    if missing:
        problem = f"has the class {missing[0]}, which is not among {_some(wanted)}"
        raise ArgumentError(owner, problem, "Name the models' classes in class_names too")
    return torch.tensor([list(wanted).index(name) for name in names])


def _unnamed(names: Sequence[str]) -> bool:
    return list(names) == [str(k) for k in range(len(names))]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
