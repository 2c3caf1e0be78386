"""The error family: every error names its owner, the bad value and the cure."""

import math
from collections.abc import Sequence
from operator import index
from typing import Any


class ReinjectError(Exception):
    """What went wrong, in one sentence that a user can act on.

    Arguments:
        owner: the thing that complains: a function, an option, a file.
        problem: what is wrong, with the value in it.
        cure: what to do about it, as an imperative.

    Example:
        >>> str(ReinjectError("--lam", "-1.0 is not a positive number", "Give a value above 0"))
        '--lam: -1.0 is not a positive number. Give a value above 0.'
    """

    def __init__(self, owner: str, problem: str, cure: str) -> None:
        super().__init__(f"{owner}: {problem}. {cure}.")
        self.owner = owner
        self.problem = problem
        self.cure = cure

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.owner, self.problem, self.cure)


class ArgumentError(ReinjectError, ValueError):
    """A parameter is outside its range, or of the wrong shape or kind."""


class ModelError(ReinjectError):
    """A model, or the folder of one, cannot be used as it is."""


class CollapseError(ModelError):
    """Directions of the data collapse, because lambda is too large for their variance.

    Arguments:
        owner, problem, cure: as in :class:`ReinjectError`.
        directions: their names, narrowest first.
    """

    def __init__(self, owner: str, problem: str, cure: str, directions: Sequence[str] = ()) -> None:
        super().__init__(owner, problem, cure)
        self.directions = tuple(directions)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.owner, self.problem, self.cure, self.directions)


class DataError(ReinjectError):
    """A data set cannot be found, read or used as it is."""


class ArchiveError(ReinjectError):
    """An archive of labelled samples is missing, incomplete or in the way."""


def check_positive(owner: str, name: str, value: float) -> None:
    """Raise ArgumentError unless ``value`` is a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ArgumentError(owner, f"{name} = {value} is not a positive number", f"Give a {name} > 0")


def check_count(owner: str, name: str, value: int, least: int = 1) -> None:
    """Raise ArgumentError unless the whole number ``value`` is at least ``least``."""
    if value < least:
        raise ArgumentError(owner, f"{name} = {value} is below {least}", f"Give a {name} >= {least}")


def check_shape(owner: str, value: Any) -> tuple[int, ...]:
    """The shape of one input as a tuple: lengths >= 1, or one length alone.

    Example:
        >>> check_shape("net", 784), check_shape("net", (1, 28, 28))
        ((784,), (1, 28, 28))
        >>> check_shape("net", 0)
        Traceback (most recent call last):
        reinject.errors.ArgumentError: net: 0 is no shape of an input. Give its lengths without the batch, such as ...
    """
    try:
        shape = tuple(index(length) for length in (value if hasattr(value, "__iter__") else (value,)))
    except TypeError:
        shape = (0,)
    if min(shape, default=0) < 1:
        problem = f"{value!r} is no shape of an input"
        raise ArgumentError(owner, problem, "Give its lengths without the batch, such as (1, 28, 28)")
    return shape
