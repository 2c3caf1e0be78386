"""Encode one column of a table: numbers by their distribution function, categories by their number.

A number v becomes an interval of probabilities [F(v-), F(v)], from which the table's encoder draws u, and z =
Phi^-1(u) ~ N(0, 1). F has a jump at each value with mass of its own, and is linear between groups of other values.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reinject.base.errors import DataError
from reinject.data.table_columns import dates_of, integers_of, is_date

Floats = NDArray[np.float64]
_OWN = 5  # rows of a value that has mass of its own
_HELD = 2.0**62
_ROUNDING = 1e-6  # of a step
_PIECES = 1000  # most values with mass of their own, and most groups of other values


@dataclass(frozen=True)
class NumberEncoder:
    """The distribution function F of a column of numbers or dates, in whole steps above an offset where it has steps.

    Piece i is the interval [left_i, right_i] with mass_i, spread evenly; a value with mass of its own has left = right.

    Attributes:
        left, right, mass: of the pieces, in order, float64, (K,); masses sum to 1.
        offset, step: value = (offset + step k)/10^decimals of the whole number k; step 0: value = k, any number.
        decimals: of the values.
    """

    left: Floats
    right: Floats
    mass: Floats
    offset: int
    step: int
    decimals: int

    @classmethod
    def fit(cls, array: pa.Array, decimals: int | None) -> "NumberEncoder":
        """Fit the distribution function of the present values of a column; decimals None: numbers without steps.

        Example:
            >>> encoder = NumberEncoder.fit(pa.array([0, 0, 0, 0, 0, 10, 30]), 0)
            >>> encoder.step, encoder.left.tolist(), encoder.right.tolist()
            (10, [0.0, 0.5, 2.5], [0.0, 1.5, 3.5])
        """
        present = pc.drop_null(array)
        decimals = steps_of(present, decimals)
        raw = _raw(present, decimals)
        if decimals is None:
            return cls(*_pieces(raw.astype(np.float64), 0.0), 0, 0, 0)
        offset = int(raw.min())
        above = raw - offset
        step = int(np.gcd.reduce(above)) or 1
        return cls(*_pieces((above // step).astype(np.float64), 0.5), offset, step, decimals)

    @property
    def below(self) -> Floats:
        """Return the mass below each piece, and 1 at last, (K + 1,)."""
        below: Floats = np.minimum(np.concatenate([[0.0], np.cumsum(self.mass)]) / self.mass.sum(), 1.0)
        return below

    def interval(self, values: pa.Array) -> tuple[Floats, Floats]:
        """Return F(v-) and F(v) - F(v-) of values without missing ones, float64, (N,) each."""
        k = self._steps(values)
        if not self.step:
            least = 0.25 / self.mass.sum()  # of the smallest value, so that its z is finite
            below, up = (np.clip(one, least, 1 - least) for one in (self._at(k), self._at(k, after=True)))
        else:
            own = self._own(k)
            below = np.where(own, self._at(k), self._at(k - 0.5))
            up = np.where(own, self._at(k, after=True), self._at(k + 0.5))
        return below, up - below

    def values(self, u: Floats, kind: pa.DataType, missing: NDArray[np.bool_] | None = None) -> pa.Array:
        """Return F^-1(u), u in [0, 1], (N,), as an array of a type; values with steps lie on them."""
        below = self.below
        piece = np.clip(np.searchsorted(below, u, side="right") - 1, 0, len(self.mass) - 1)
        left, right = self.left[piece], self.right[piece]
        share = np.clip((u - below[piece]) / (self.mass[piece] / self.mass.sum()), 0.0, 1.0)
        k = left + share * (right - left)
        if not self.step:
            return _array(k, kind, missing)
        inside = right > left
        k = np.clip(np.rint(k), left + 0.5 * inside, right - 0.5 * inside)
        return _scaled(self.offset + self.step * k.astype(np.int64), self.decimals, kind, missing)

    def between(self, low: float, high: float) -> tuple[float, float]:
        """Return F(low-) and F(high) of two numbers in the column's units; infinite ones have no bound.

        Both are equal where no value of the data lies between.
        """
        if not self.step:
            return float(self._at(np.array([low]))[0]), float(self._at(np.array([high]), after=True)[0])
        first, last = (np.array([(end * 10.0**self.decimals - self.offset) / self.step]) for end in (low, high))
        k = np.concatenate([np.ceil(first - _ROUNDING), np.floor(last + _ROUNDING)])
        half = np.where(self._own(k), 0.0, 0.5)
        if k[0] > k[1]:
            return 0.0, 0.0
        return float(self._at(k[:1] - half[:1])[0]), float(self._at(k[1:] + half[1:], after=True)[0])

    def _steps(self, values: pa.Array) -> Floats:
        raw = _raw(values, self.decimals if self.step else None)
        return (raw - self.offset) / self.step if self.step else raw.astype(np.float64)

    def _own(self, k: Floats) -> NDArray[np.bool_]:
        piece = np.minimum(np.searchsorted(self.right, k), len(self.right) - 1)
        own: NDArray[np.bool_] = (self.left[piece] == k) & (self.right[piece] == k)
        return own

    def _at(self, k: Floats, after: bool = False) -> Floats:
        """Return F(k-), or F(k)."""
        piece = np.searchsorted(self.right, k, side="right" if after else "left")
        inside = np.minimum(piece, len(self.mass) - 1)
        width = self.right[inside] - self.left[inside]
        share = np.where(width > 0, (k - self.left[inside]) / np.where(width > 0, width, 1.0), 0.0)
        found = self.below[inside] + np.clip(share, 0.0, 1.0) * self.mass[inside] / self.mass.sum()
        return np.where(piece < len(self.mass), found, 1.0)

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`of` needs besides the arrays of :meth:`arrays`."""
        return {"offset": self.offset, "step": self.step, "decimals": self.decimals}

    def arrays(self) -> dict[str, Floats]:
        """Return the pieces by name."""
        return {"left": self.left, "right": self.right, "mass": self.mass}

    @classmethod
    def of(cls, values: Mapping[str, Any], arrays: Mapping[str, Floats]) -> "NumberEncoder":
        """Make the encoder from the values of :meth:`as_json` and the arrays of :meth:`arrays`.

        Raises:
            DataError: the pieces are not in order, or have no mass.
        """
        left, right, mass = (np.asarray(arrays[name], np.float64) for name in ("left", "right", "mass"))
        ends = np.stack([left, right], 1).ravel()
        if not (len(left) == len(right) == len(mass) > 0 and (np.diff(ends) >= 0).all() and (mass > 0).all()):
            raise DataError("encoder", "the pieces of a number are damaged", "Copy the folder again")
        return cls(left, right, mass, int(values["offset"]), int(values["step"]), int(values["decimals"]))


def _pieces(k: Floats, half: float) -> tuple[Floats, Floats, Floats]:
    """Return ends and masses of the pieces of F for values k; half of a step, or 0 without steps."""
    values, counts = np.unique(k, return_counts=True)
    own = counts >= _OWN
    if own.sum() > _PIECES:
        own &= counts >= np.sort(counts)[-_PIECES]
    rest = np.where(own, 0, counts)
    group = np.where(own, -1, (np.cumsum(rest) - rest) * _PIECES // max(1, rest.sum()))
    starts = np.flatnonzero(own | (np.diff(group, prepend=-2) != 0))
    ends = np.append(starts[1:], len(values)) - 1
    alone = own[starts]
    left, right = values[starts] - half * ~alone, values[ends] + half * ~alone
    if not half:  # numbers without steps: neighbouring groups meet half-way
        meet = ~alone[:-1] & ~alone[1:]
        middle = (values[ends[:-1]] + values[starts[1:]]) / 2
        right[:-1], left[1:] = np.where(meet, middle, right[:-1]), np.where(meet, middle, left[1:])
    return left, right, np.add.reduceat(counts, starts).astype(np.float64)


def _raw(array: pa.Array, decimals: int | None) -> NDArray[Any]:
    """Return the numbers of a column without missing values: int64, times 10^decimals, or float64 without steps."""
    if is_date(array.type):
        array = integers_of(array)
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    if pa.types.is_integer(array.type):
        return values.astype(np.int64 if decimals is not None else np.float64)
    values = values.astype(np.float64)
    return values if decimals is None else np.rint(values * 10.0**decimals).astype(np.int64)


def _array(values: Floats, kind: pa.DataType, missing: NDArray[np.bool_] | None) -> pa.Array:
    if is_date(kind):
        return dates_of(np.rint(values).astype(np.int64), kind, missing)
    if pa.types.is_decimal(kind):
        return pa.array(values, pa.float64(), mask=missing).cast(kind)
    if pa.types.is_integer(kind):
        values = np.rint(values)
    return pa.array(values.astype(kind.to_pandas_dtype()), kind, mask=missing)


def _scaled(whole: NDArray[np.int64], decimals: int, kind: pa.DataType, missing: NDArray[np.bool_] | None) -> pa.Array:
    if is_date(kind):
        return dates_of(whole, kind, missing)
    if pa.types.is_integer(kind):
        return pa.array(whole, pa.int64(), mask=missing).cast(kind)
    return _array(whole / 10.0**decimals, kind, missing)


def steps_of(array: pa.Array, decimals: int | None) -> int | None:
    """Return the decimals by which a column has whole steps; None without, or where 64 bits do not hold them.

    Example:
        >>> steps_of(pa.array([1, 2**40]), 0), steps_of(pa.array([-(2**62), 2**62]), 0)
        (0, None)
    """
    if is_date(array.type):
        array, decimals = integers_of(array), 0
    if decimals is None:
        return None
    ends = pc.min_max(array)
    low, high = (float(ends[name].as_py()) * 10.0**decimals for name in ("min", "max"))
    return decimals if max(abs(low), abs(high), high - low) < _HELD else None


@dataclass(frozen=True)
class CategoryEncoder:
    """The categories of a column, in order, with their numbers of rows; a missing value is one more category.

    Attributes:
        values: the categories, without a missing one.
        counts: rows of each category, and of missing values at last where ``missing``, (K,).
        missing: whether values are missing.
        rest: rows of other values, which are none of these categories.
    """

    values: pa.Array
    counts: NDArray[np.int64]
    missing: bool
    rest: int = 0

    @classmethod
    def fit(cls, array: pa.Array) -> "CategoryEncoder":
        """Find the categories of a column.

        Example:
            >>> encoder = CategoryEncoder.fit(pa.array(["b", "a", None, "b"]))
            >>> encoder.values.to_pylist(), encoder.counts.tolist()
            (['a', 'b'], [1, 2, 1])
        """
        found = pc.unique(pc.drop_null(array))
        return cls.among(array, found.take(pc.sort_indices(found)) if len(found) else found)

    @classmethod
    def among(cls, array: pa.Array, values: pa.Array) -> "CategoryEncoder":
        """Count the rows of given categories in a column, and those of other values."""
        empty = cls(values, np.zeros(0, np.int64), array.null_count > 0)
        codes = empty.codes(array)
        counts = np.bincount(codes[codes >= 0], minlength=empty.size).astype(np.int64)
        return cls(values, counts, empty.missing, int((codes < 0).sum()))

    @property
    def size(self) -> int:
        """Return the number of categories, the missing one included."""
        return len(self.values) + self.missing

    def codes(self, array: pa.Array) -> NDArray[np.int64]:
        """Return the number of each value's category, int64, (N,); -1: none of them."""
        kept = array.cast(self.values.type) if array.type != self.values.type else array
        places = pc.fill_null(pc.index_in(kept, self.values), -1)
        found: NDArray[np.int64] = places.to_numpy(zero_copy_only=False).astype(np.int64)
        if self.missing:
            found[array.is_null().to_numpy(zero_copy_only=False)] = len(self.values)
        return found

    def take(self, codes: NDArray[np.int64]) -> pa.Array:
        """Return the values of categories by their numbers."""
        index = pa.array(codes, pa.int64(), mask=codes >= len(self.values))
        return self.values.take(index)

    def as_json(self) -> dict[str, Any]:
        """Return the categories and their counts as JSON values."""
        return {
            "values": listed(self.values),
            "counts": self.counts.tolist(),
            "missing": self.missing,
            "rest": self.rest,
        }

    @classmethod
    def of(cls, values: Mapping[str, Any], kind: pa.DataType) -> "CategoryEncoder":
        """Make the encoder from the values of :meth:`as_json`.

        Raises:
            DataError: as many counts as categories are not there.
        """
        counts = np.asarray(values["counts"], np.int64)
        encoder = cls(unlisted(values["values"], kind), counts, bool(values["missing"]), int(values["rest"]))
        if len(encoder.counts) != encoder.size:
            raise DataError("encoder", "the categories of a column are damaged", "Copy the folder again")
        return encoder


def listed(array: pa.Array) -> list[Any]:
    """Return values as JSON values: dates as integers, decimals as texts."""
    if is_date(array.type):
        array = integers_of(array)
    elif pa.types.is_decimal(array.type):
        array = array.cast(pa.string())
    values: list[Any] = array.to_pylist()
    return values


def unlisted(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return the values of :func:`listed` as an array of their type.

    Example:
        >>> kind = pa.decimal128(5, 2)
        >>> unlisted(listed(pa.array(["1.00"]).cast(kind)), kind).to_pylist()
        [Decimal('1.00')]
    """
    if is_date(kind):
        return dates_of(np.array(values, np.int64), kind)
    return pa.array(values, pa.string()).cast(kind) if pa.types.is_decimal(kind) else pa.array(values, kind)
