"""Schedules: values of a parameter that change from step to step. A plain number is the constant schedule.

Position i belongs to the state x_i, so a walk of R steps uses positions 0..R. :func:`reinject.walks.loop.walk` gives a
schedule without a length the length of the walk.
"""

import math
from dataclasses import dataclass, replace
from typing import Protocol, Self, runtime_checkable

from reinject.base.errors import ArgumentError, check_count, check_positive

__all__ = [
    "SYNTAX",
    "Cosine",
    "Cycles",
    "Geometric",
    "Karras",
    "Linear",
    "Parameter",
    "PerStep",
    "Schedule",
    "bounds_of",
    "parse_number",
    "parse_schedule",
    "value_at",
]


@runtime_checkable
class Schedule(Protocol):
    """The value of a parameter at every position i = 0, 1, ... of a walk."""

    def at(self, i: int) -> float:
        """Return the value at x_i."""
        ...

    def over(self, steps: int) -> Self:
        """Return the schedule for a walk of this length; raise ArgumentError if it is shorter than the walk."""
        ...

    def bounds(self) -> tuple[float, float]:
        """Return the smallest and the largest value."""
        ...


Parameter = float | Schedule


def value_at(parameter: Parameter, i: int) -> float:
    """Return the value of a number or a schedule at x_i.

    Example:
        >>> value_at(0.5, 7), value_at(Linear(1.0, 0.0, steps=4), 1)
        (0.5, 0.75)
    """
    if isinstance(parameter, float | int):  # first, because isinstance of a protocol costs as much as a small network
        return float(parameter)
    return parameter.at(i) if isinstance(parameter, Schedule) else float(parameter)


def bounds_of(parameter: Parameter) -> tuple[float, float]:
    """Return the smallest and the largest value of a number or a schedule.

    Example:
        >>> bounds_of(0.5), bounds_of(PerStep((3.0, 1.0)))
        ((0.5, 0.5), (1.0, 3.0))
    """
    return parameter.bounds() if isinstance(parameter, Schedule) else (float(parameter), float(parameter))


@dataclass(frozen=True)
class _Between:
    """Values from ``first`` at x_0 to ``last`` at x_steps; each level lasts ``hold`` steps.

    Attributes:
        first, last: the values at both ends, units of the parameter.
        steps: R >= 0, the last position; None: that of the walk.
        hold: steps that a level lasts, >= 1.
    """

    first: float
    last: float
    steps: int | None = None
    hold: int = 1

    def __post_init__(self) -> None:
        name = type(self).__name__
        for value in (self.first, self.last):
            if not math.isfinite(value):
                raise ArgumentError(name, f"{value} is not a finite number", "Give finite ends")
        check_count(name, "hold", self.hold)
        if self.steps is not None:
            check_count(name, "steps", self.steps, 0)

    def at(self, i: int) -> float:
        """Return the value at x_i; after x_steps the last value stays."""
        if i == 0:
            return self.first
        if self.steps is None:
            raise ArgumentError(
                type(self).__name__, "has no length", "Give steps, or let walk() spread it over the walk"
            )
        last = self.steps // self.hold
        return self._between(min(i // self.hold / last, 1.0) if last else 0.0)

    def over(self, steps: int) -> Self:
        """Return the schedule, with the walk's length if it has none."""
        if self.steps is None:
            return replace(self, steps=steps)
        _check_length(type(self).__name__, self.steps, steps)
        return self

    def bounds(self) -> tuple[float, float]:
        """Return both ends, in order."""
        return min(self.first, self.last), max(self.first, self.last)

    def _between(self, u: float) -> float:
        raise NotImplementedError


def _check_positive_ends(schedule: _Between) -> None:
    if min(schedule.first, schedule.last) <= 0:
        ends = f"ends {schedule.first} and {schedule.last}"
        raise ArgumentError(type(schedule).__name__, ends, "Give ends > 0, or use Linear")


def _check_length(owner: str, has: int, steps: int) -> None:
    if has < steps:
        raise ArgumentError(
            owner,
            f"ends at x_{has}, the walk goes to x_{steps}",
            f"Give {steps + 1} values (steps = {steps}), or walk {has} steps",
        )


@dataclass(frozen=True)
class Linear(_Between):
    """first + (last - first) u, u = i/R.

    Example:
        >>> [Linear(0.0, 1.0, steps=4).at(i) for i in range(6)]
        [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
        >>> [Linear(0.0, 1.0, steps=4, hold=2).at(i) for i in range(5)]
        [0.0, 0.0, 0.5, 0.5, 1.0]
    """

    def _between(self, u: float) -> float:
        return self.first + (self.last - self.first) * u


@dataclass(frozen=True)
class Geometric(_Between):
    """first (last/first)^u, u = i/R; both ends > 0.

    Example:
        >>> [Geometric(4.0, 1.0, steps=2).at(i) for i in range(3)]
        [4.0, 2.0, 1.0]
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive_ends(self)

    def _between(self, u: float) -> float:
        return float(self.first * (self.last / self.first) ** u)


@dataclass(frozen=True)
class Cosine(_Between):
    """last + (first - last)(1 + cos(pi u))/2, u = i/R: flat at both ends.

    Example:
        >>> [round(Cosine(1.0, 0.0, steps=4).at(i), 3) for i in range(5)]
        [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def _between(self, u: float) -> float:
        return self.last + (self.first - self.last) * (1 + math.cos(math.pi * u)) / 2


@dataclass(frozen=True)
class Karras(_Between):
    """(first^(1/rho) + (last^(1/rho) - first^(1/rho)) u)^rho, u = i/R; both ends > 0.

    rho = 1 is Linear; a large rho comes near to Geometric. Between the two, it has more steps at low levels than Linear
    and fewer than Geometric.

    Attributes:
        rho: > 0.

    Source: Karras et al. 2022, arXiv 2206.00364, equation 5.

    Example:
        >>> [Karras(4.0, 1.0, steps=2, rho=2.0).at(i) for i in range(3)]
        [4.0, 2.25, 1.0]
    """

    rho: float = 7.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive_ends(self)
        check_positive("Karras", "rho", self.rho)

    def _between(self, u: float) -> float:
        ends = [value ** (1 / self.rho) for value in (self.first, self.last)]
        return float((ends[0] + (ends[1] - ends[0]) * u) ** self.rho)


@dataclass(frozen=True)
class PerStep:
    """One value for each of x_0, x_1, ..., x_R.

    Example:
        >>> PerStep((2.0, 1.0)).at(1)
        1.0
        >>> PerStep((2.0, 1.0)).over(3)
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: PerStep: ends at x_1, the walk goes to x_3. Give 4 values (steps = 3), ...
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(float(value) for value in self.values))
        check_count("PerStep", "number of values", len(self.values))
        for value in self.values:
            if not math.isfinite(value):
                raise ArgumentError("PerStep", f"{value} is not a finite number", "Give finite values")

    def at(self, i: int) -> float:
        """Return the i-th value; after the last position the last value stays."""
        return self.values[min(i, len(self.values) - 1)]

    def over(self, steps: int) -> Self:
        """Return the schedule itself, if it is long enough."""
        _check_length("PerStep", len(self.values) - 1, steps)
        return self

    def bounds(self) -> tuple[float, float]:
        """Return the smallest and the largest value."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Cycles:
    """Fall geometrically from ``first`` to ``last``, then repeatedly rise to ``again`` and fall to ``last``.

    Attributes:
        first, last, again: values > 0, units of the parameter.
        falls: steps from ``first`` to ``last``, >= 1.
        cycle: steps from one ``last`` to the next, the rise included, >= 1; with length 1 the value stays at ``last``.

    Example:
        >>> schedule = Cycles(4.0, 1.0, falls=2, again=2.0, cycle=2)
        >>> [schedule.at(i) for i in range(7)]
        [4.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0]
    """

    first: float
    last: float
    falls: int
    again: float
    cycle: int

    def __post_init__(self) -> None:
        check_count("Cycles", "falls", self.falls)
        check_count("Cycles", "cycle", self.cycle)
        for name in ("first", "last", "again"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ArgumentError("Cycles", f"{name} = {value}", "Give a positive number")

    def at(self, i: int) -> float:
        """Return the value at x_i."""
        if i <= self.falls:
            return Geometric(self.first, self.last, self.falls).at(i)
        k = (i - self.falls - 1) % self.cycle
        return self.last if k == self.cycle - 1 else Geometric(self.again, self.last, self.cycle - 1).at(k)

    def over(self, steps: int) -> Self:  # noqa: ARG002
        """Return the schedule itself: it has no end."""
        return self

    def bounds(self) -> tuple[float, float]:
        """Return the smallest and the largest value."""
        values = (self.first, self.last, self.again)
        return min(values), max(values)


_SHAPES: dict[str, type[_Between]] = {"linear": Linear, "geometric": Geometric, "cosine": Cosine}
SYNTAX = (
    "NUMBER, linear|geometric|cosine:FIRST:LAST[:HOLD], karras:FIRST:LAST[:RHO], steps:A,B,..., "
    "or cycles:FIRST:LAST:FALLS:AGAIN:CYCLE"
)


def parse_number(text: str, radius: float = 1.0) -> float:
    """Parse a number; followed by r it is a multiple of the data's radius. Raise ValueError for other text.

    Example:
        >>> parse_number("0.5"), parse_number("2r", radius=4.0)
        (0.5, 8.0)
    """
    return float(text[:-1]) * radius if text.endswith("r") else float(text)


def parse_schedule(text: str, radius: float = 1.0) -> Parameter:
    """Parse a number or a schedule, as on the command line; numbers followed by r are multiples of the radius.

    Arguments:
        text: NUMBER, linear:FIRST:LAST[:HOLD] (or geometric, cosine), karras:FIRST:LAST[:RHO], steps:A,B,..., or
            cycles:FIRST:LAST:FALLS:AGAIN:CYCLE.
        radius: distance of a typical input from the mean, data units.

    Raises:
        ArgumentError: the text has another form, or its numbers do not parse.

    Example:
        >>> parse_schedule("0.5"), parse_schedule("geometric:2r:.1r", radius=10.0)
        (0.5, Geometric(first=20.0, last=1.0, steps=None, hold=1))
    """
    unknown = ArgumentError("schedule", f"{text!r} is not understood", f"Give {SYNTAX}")
    name, *parts = text.split(":")
    try:
        if not parts:
            return parse_number(name, radius)
        if name in _SHAPES and len(parts) in (2, 3):
            first, last = (parse_number(part, radius) for part in parts[:2])
            return _SHAPES[name](first, last, hold=int(parts[2]) if len(parts) == 3 else 1)
        if name == "karras" and len(parts) in (2, 3):
            first, last = (parse_number(part, radius) for part in parts[:2])
            return Karras(first, last, rho=float(parts[2])) if len(parts) == 3 else Karras(first, last)
        if name == "steps" and len(parts) == 1:
            return PerStep(tuple(parse_number(part, radius) for part in parts[0].split(",")))
        if name == "cycles" and len(parts) == 5:
            first, last, again = (parse_number(parts[k], radius) for k in (0, 1, 3))
            return Cycles(first, last, int(parts[2]), again, int(parts[4]))
    except ArgumentError:
        raise
    except ValueError as error:
        raise unknown from error
    raise unknown


def __dir__() -> list[str]:
    return sorted(__all__)
