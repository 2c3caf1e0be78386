"""Conditions on rows: values, sets and ranges of columns, as known and allowed parts of encoded rows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.data.column_encoders import CategoryEncoder
from reinject.data.column_fit import plain_type
from reinject.data.constrained_conditions import Given, with_constraints
from reinject.data.table_columns import integers_of, is_date
from reinject.data.table_encoder import SCALE, TableEncoder

_EDGE = 2.0**-24


@dataclass(frozen=True)
class Allowed:
    """What a column may be: some categories of a one-hot block, and a range of z.

    Attributes:
        block: (start, stop) of the one-hot block in x; None for numbers without marks.
        codes: which of its categories are allowed, bool, (stop - start,).
        number: place of z in x; None for categories.
        low, high: bounds of z where no mark says the number.
    """

    block: tuple[int, int] | None
    codes: Tensor
    number: int | None = None
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Conditions:
    """Conditions that every row meets.

    Attributes:
        intervals: F(v-) and F(v) - F(v-) of known numbers, by their places in x.
        codes: categories of known one-hot blocks, by their places among the blocks.
        allowed: sets and ranges of the other columns.
        exact: known values, (low, high) of ranges, by column: decoded rows are brought there.
    """

    intervals: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    codes: Mapping[int, int] = field(default_factory=dict)
    allowed: tuple[Allowed, ...] = ()
    exact: Mapping[str, Any] = field(default_factory=dict)

    def rows(self, encoder: TableEncoder, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw the known parts of rows: x, (count, d), and which blocks are known, bool, (count, blocks)."""
        x = torch.zeros((count, encoder.width))
        known = torch.zeros((count, len(encoder.blocks)), dtype=torch.bool)
        for place, (below, span) in self.intervals.items():
            u = below + span * torch.rand(count, generator=generator, dtype=torch.float64)
            x[:, place] = torch.special.ndtri(u.clamp(_EDGE, 1 - _EDGE)).float()
            known[:, place] = True
        for at, code in self.codes.items():
            x[:, encoder.blocks[at].start + code] = SCALE
            known[:, at] = True
        return x, known

    def met(self, table: pa.Table) -> pa.Table:
        """Return decoded rows with known values as given, and ranges without errors of rounding."""
        for name, value in self.exact.items():
            if name not in table.column_names:  # a gap or a combination
                continue
            at = table.column_names.index(name)
            kind = table.schema.field(name).type
            column = table.column(name)
            if isinstance(value, tuple):
                low, high = (pa.scalar(end, kind) for end in value)
                column = pc.min_element_wise(pc.max_element_wise(column, low), high)
            else:
                column = pa.array([value] * len(table), plain_type(kind)).cast(kind)
            table = table.set_column(at, table.schema.field(name), column)
        return table


def conditions_of(encoder: TableEncoder, given: Given) -> Conditions:
    """Translate conditions on columns: a value, a (low, high) range with both ends, or a list of values.

    Arguments:
        encoder: of the table.
        given: conditions by the name of a column; None is a missing value.

    Raises:
        ArgumentError: an unknown column or value, a range without values, or a kind of condition that does not fit.

    Example:
        >>> from reinject.data.table_columns import describe
        >>> table = pa.table({"a": [*range(100)], "b": ["x", "y"] * 50})
        >>> found = conditions_of(TableEncoder.fit(table, describe(table)), {"b": "y"})
        >>> found.codes, found.exact
        ({0: 1}, {'b': 'y'})
    """
    intervals: dict[int, tuple[float, float]] = {}
    codes: dict[int, int] = {}
    allowed: list[Allowed] = []
    exact: dict[str, Any] = {}
    for name, wanted in with_constraints(encoder, given).items():
        _check_column(encoder, name)
        one = _Column(encoder, name, wanted)
        if name not in (*encoder.numbers, *encoder.categories):
            one.check_constant()
        elif name in encoder.categories:
            one.category(codes, allowed)
        else:
            one.number(intervals, codes, allowed)
        if not isinstance(wanted, list):
            bounds = one.bounds if isinstance(wanted, tuple) else None
            if bounds is None:
                exact[name] = one.scalar(wanted)
            elif name in encoder.numbers:
                exact[name] = bounds
    return Conditions(intervals, codes, tuple(allowed), exact)


def _check_column(encoder: TableEncoder, name: str) -> None:
    names = [column.name for column in encoder.columns]
    if name not in names:
        raise ArgumentError("given", f"there is no column {name!r}", f"Give some of {', '.join(names)}")


class _Column:
    """One condition: a column and what is wanted of it."""

    def __init__(self, encoder: TableEncoder, name: str, wanted: Any) -> None:
        self.encoder, self.name, self.wanted = encoder, name, wanted
        self.kind = plain_type(encoder.schema.field(name).type)
        self.places = {(block.column, block.holds): at for at, block in enumerate(encoder.blocks)}
        if isinstance(wanted, tuple) and len(wanted) != 2:
            raise self.error(f"{wanted} is no range", "Give (low, high), or a list of values")

    def error(self, problem: str, cure: str) -> ArgumentError:
        return ArgumentError("given", f"{self.name}: {problem}", cure)

    def scalar(self, value: Any) -> Any:
        """Return a value as the column holds it."""
        try:
            made = pa.scalar(value, self.kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            try:
                made = pa.scalar(value).cast(self.kind)
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                cure = f"Give a value such as {self.example()}"
                raise self.error(f"{value!r} is no {self.kind}", cure) from error
        return made.as_py()

    def example(self) -> str:
        column = next(one for one in self.encoder.columns if one.name == self.name)
        if self.name in self.encoder.categories:
            return ", ".join(map(repr, self.encoder.categories[self.name].values[:5].to_pylist()))
        return column.low

    @property
    def bounds(self) -> tuple[Any, Any]:
        low, high = (self.scalar(end) for end in self.wanted)
        if not low <= high:
            raise self.error(f"{low} is above {high}", "Give (low, high)")
        return low, high

    def check_constant(self) -> None:
        value = self.encoder.constants.get(self.name)
        column = next(one for one in self.encoder.columns if one.name == self.name)
        if column.kind != "constant" or value is None or value[0].as_py() != self.scalar(self.wanted):
            what = (
                f"is {value[0].as_py()!r} in all rows" if column.kind == "constant" and value is not None else "is free"
            )
            raise self.error(f"{self.wanted!r} cannot hold, because this {column.kind} {what}", "Leave it out")

    def category(self, codes: dict[int, int], allowed: list[Allowed]) -> None:
        encoder = self.encoder.categories[self.name]
        at = self.places[self.name, "category"]
        found = self._codes(encoder)
        if isinstance(self.wanted, (list, tuple)) and len(found) > 1:
            block = self.encoder.blocks[at]
            allowed.append(Allowed((block.start, block.stop), _flags(found, block.size)))
        else:
            codes[at] = found[0]

    def _codes(self, encoder: CategoryEncoder) -> list[int]:
        """Return the wanted categories: those of a value, of a list, or those inside of a range."""
        if isinstance(self.wanted, tuple):
            low, high = self.bounds
            inside = [k for k, value in enumerate(encoder.values.to_pylist()) if low <= value <= high]
            if not inside:
                raise self.error(f"no value of the data lies in {low}..{high}", f"It has {self.example()}")
            return inside
        values = self.wanted if isinstance(self.wanted, list) else [self.wanted]
        codes: list[int] = encoder.codes(pa.array([self.scalar(one) for one in values], self.kind)).tolist()
        strange = [value for value, code in zip(values, codes, strict=True) if code < 0]
        if strange or not codes:
            raise self.error(
                f"{(strange or ['nothing'])[0]!r} is none of its values", f"Give one such as {self.example()}"
            )
        return codes

    def number(self, intervals: dict[int, tuple[float, float]], codes: dict[int, int], allowed: list[Allowed]) -> None:
        if isinstance(self.wanted, list):
            raise self.error("a list of numbers is no condition", "Give one number, or (low, high)")
        place = self.places[self.name, "number"]
        marks, mark = self.encoder.marks.get(self.name), self.places.get((self.name, "mark"))
        if isinstance(self.wanted, tuple):
            allowed.append(self._range(place, marks, mark))
            return
        array = pa.array([self.scalar(self.wanted)], self.kind)
        code = -1 if marks is None else int(marks.codes(array)[0])
        if code < 0 and array.null_count:
            raise self.error("it is never missing", f"Give a value such as {self.example()}")
        if mark is not None and marks is not None:
            codes[mark] = marks.size if code < 0 else code
        if code < 0:
            self._check_reach(array)
            below, span = self.encoder.numbers[self.name].interval(array)
            intervals[place] = float(below[0]), float(span[0])

    def _check_reach(self, array: pa.Array) -> None:
        column = next(one for one in self.encoder.columns if one.name == self.name)
        low, high = (self.scalar(end) for end in (column.low, column.high))
        if not low <= array[0].as_py() <= high:
            problem = f"{self.wanted!r} is outside of the data's {column.low}..{column.high}"
            raise self.error(problem, "Give a value inside")

    def _range(self, place: int, marks: CategoryEncoder | None, mark: int | None) -> Allowed:
        low, high = self.bounds
        ends = [_plain_number(pa.array([end], self.kind)) for end in (low, high)]
        below, up = self.encoder.numbers[self.name].between(*ends)
        spikes = [] if marks is None else [k for k, v in enumerate(marks.values.to_pylist()) if low <= v <= high]
        if up <= below and not spikes:
            column = next(one for one in self.encoder.columns if one.name == self.name)
            problem = f"no value of the data lies in {low}..{high}"
            raise self.error(problem, f"Give a range inside of {column.low}..{column.high}")
        bounds = [float(torch.special.ndtri(torch.tensor(u, dtype=torch.float64))) for u in (below, up)]
        if mark is None or marks is None:
            return Allowed(None, torch.ones(0, dtype=torch.bool), place, *bounds)
        block = self.encoder.blocks[mark]
        chosen = [*spikes, *([marks.size] if up > below else [])]
        return Allowed((block.start, block.stop), _flags(chosen, block.size), place, *bounds)


def _flags(places: Sequence[int], size: int) -> Tensor:
    flags = torch.zeros(size, dtype=torch.bool)
    flags[list(places)] = True
    return flags


def _plain_number(array: pa.Array) -> float:
    if is_date(array.type):
        return float(integers_of(array)[0].as_py())
    return float(np.float64(array[0].as_py()))


def present(encoder: TableEncoder) -> tuple[Allowed, ...]:
    """Return what the blocks may be where no value is missing, for columns that miss values in the training rows."""
    found = []
    for block in encoder.hot:
        one = encoder.marks[block.column] if block.holds == "mark" else encoder.categories[block.column]
        if one.missing:
            codes = torch.ones(block.size, dtype=torch.bool)
            codes[len(one.values)] = False
            found.append(Allowed((block.start, block.stop), codes))
    return tuple(found)


def observed(encoder: TableEncoder, table: pa.Table, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Encode rows with gaps: x, (N, d), and which blocks are known, bool, (N, blocks).

    Raises:
        DataError: a column is missing, or a value belongs to no category.
    """
    gaps, table = {}, encoder.reduced(table)
    for name in (*encoder.numbers, *encoder.categories):
        column = table.column(name)
        at = table.column_names.index(name)
        gaps[name] = torch.from_numpy(_missing(column))
        values = encoder.categories[name].values if name in encoder.categories else None
        filler = values[0] if values is not None else encoder.numbers[name].values(np.array([0.5]), column.type)[0]
        plain = column.cast(plain_type(column.type))
        filled = pc.if_else(pa.array(gaps[name].numpy()), pa.scalar(filler.as_py(), plain.type), plain)
        table = table.set_column(at, name, filled)
    x = encoder.encode(table, generator)
    known = torch.stack([~gaps[block.column] for block in encoder.blocks], 1)
    return x, known


def filled(old: pa.ChunkedArray, new: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with values of another one where it has none; its type is that of the old one, or of the new."""
    plain = plain_type(new.type)
    values = old.cast(plain) if old.type != plain else old
    both = pc.if_else(pa.array(_missing(old)), new.cast(plain), values)
    return both.cast(new.type) if both.type != new.type else both


def _missing(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    absent: NDArray[np.bool_] = column.is_null(nan_is_null=True).to_numpy()
    return absent
