"""The kinds of a table's columns: what a column holds decides how it is encoded."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reinject.base.errors import DataError

Kind = Literal["number", "category", "date", "constant", "empty", "counter", "identifier", "text"]
FEW = 20  # distinct numbers that are categories
_SURE = 50  # distinct texts that are categories, whatever the number of rows
_MOST = 10_000  # distinct texts that can be categories
_DECIMALS = 8
_NAMED = re.compile(r"(^|[_\W])(id|uuid|guid|key|ssn|iban)$|[a-z](Id|ID)$", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """A column of a table, and what it holds.

    Attributes:
        name: of the column.
        kind: number, category, date (or time), constant, empty, counter (0, 1, 2, ...), identifier or text.
        type: Arrow's name of its type.
        decimals: of a number; None: not rounded, or no number.
        missing: number of rows without a value.
        distinct: number of distinct values.
        low, high: the smallest and the largest value as text; "" without an order.

    Raises:
        DataError: a kind that does not exist.
    """

    name: str
    kind: Kind
    type: str
    decimals: int | None = None
    missing: int = 0
    distinct: int = 0
    low: str = ""
    high: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise DataError(self.name, f"kind {self.kind!r} is not known", f"Use one of {', '.join(get_args(Kind))}")

    def as_json(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Column":
        """Make a column from the values of :meth:`as_json`; fields that are left out have their defaults.

        Raises:
            DataError: a field is unknown or missing.

        Example:
            >>> Column.from_json({"name": "age", "kind": "number", "type": "int64", "decimals": 0}).decimals
            0
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise DataError(
                "columns", f"{dict(values)!r:.80} is no column ({error})", "Give name, kind, type"
            ) from error


def describe(table: pa.Table, *, categorical: Collection[str] = ()) -> tuple[Column, ...]:
    """Find the kind of every column; refuse none for its kind.

    Numbers with at most 20 distinct values are categories, where a value has ten rows on average.

    Arguments:
        table: rows of named columns.
        categorical: names of columns that are categories whatever they hold.

    Raises:
        DataError: no rows; two columns of one name; infinite values; a nested type; an unknown name.

    Example:
        >>> [column.kind for column in describe(pa.table({"a": [1.5, 2.5], "b": ["x", "x"]}))]
        ['number', 'constant']
    """
    if not table.num_rows or not table.num_columns:
        raise DataError("table", f"has {table.num_rows} rows of {table.num_columns} columns", "Give a table with rows")
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise DataError("table", f"has several columns named {', '.join(twice)}", "Rename all but one of them")
    _check_names("--categorical", categorical, table.column_names)
    return tuple(_described(name, whole(table.column(name), name), name in categorical) for name in table.column_names)


def columns_of(
    table: pa.Table,
    *,
    target: str | None = None,
    categorical: Collection[str] = (),
    drop: Collection[str] = (),
) -> tuple[Column, ...]:
    """Find the kinds of the columns that can be synthesised; refuse identifiers and free text by name.

    Arguments:
        table: rows of named columns.
        target: name of the column that a classifier or a regression predicts; None: there is none.
        categorical: names of columns that are categories whatever they hold.
        drop: names of columns to leave out.

    Raises:
        DataError: the faults of :func:`describe`, identifiers or free text, or a target that is missing, constant or
            incomplete.

    Example:
        >>> columns_of(pa.table({"a": [1.5, 2.5], "b": ["x", "x"]}), drop=["b"])[0].name
        'a'
    """
    _check_names("--drop", drop, table.column_names)
    _check_names("--target", [target] if target is not None else [], [n for n in table.column_names if n not in drop])
    columns = describe(table.drop_columns(list(drop)), categorical=[n for n in categorical if n not in drop])
    refused = [column for column in columns if column.kind in ("identifier", "text")]
    if refused:
        names = ",".join(column.name for column in refused)
        found = ", ".join(f"{c.name} ({c.kind}, {c.distinct:,} distinct)" for c in refused)
        cure = f"Leave them out with --drop {names}, or keep them with --categorical {names}"
        raise DataError("table", f"cannot synthesise {found}", cure)
    for column in columns:
        if column.name == target:
            _check_target(column, table.num_rows)
    return columns


def _check_names(owner: str, names: Collection[str], there: Sequence[str]) -> None:
    strange = [name for name in names if name not in there]
    if strange:
        raise DataError(owner, f"there is no column {strange[0]!r}", f"Give some of {', '.join(there)}")


def _check_target(column: Column, rows: int) -> None:
    if column.missing:
        problem = f"the target is missing in {column.missing:,} of {rows:,} rows"
        raise DataError(column.name, problem, "Remove these rows, or choose another target")
    if column.distinct < 2:
        raise DataError(column.name, "the target has one value in all rows", "Choose another target")


def whole(column: pa.ChunkedArray, name: str) -> pa.Array:
    """Return a column in one piece, with NaN as missing values and dictionaries as their values.

    Raises:
        DataError: infinite values.

    Example:
        >>> whole(pa.chunked_array([[1.0, float("nan")]]), "a").null_count
        1
    """
    array = column.combine_chunks()
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
        endless = pc.sum(pc.is_inf(array)).as_py() or 0
        if endless:
            raise DataError(name, f"{endless:,} values are infinite", "Remove them, or write them as missing")
    return array


def is_date(kind: pa.DataType) -> bool:
    """Return whether a type is a date, a time or a duration: a number in units of its own."""
    return bool(pa.types.is_temporal(kind) and not pa.types.is_interval(kind))


def is_number(kind: pa.DataType) -> bool:
    """Return whether a type is an integer, a floating point number or a decimal."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is a text of any of Arrow's layouts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _described(name: str, array: pa.Array, forced: bool) -> Column:
    kind = array.type
    if not (is_number(kind) or is_date(kind) or is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise DataError(
            name, f"has the type {kind}, which is no number, text or date", f"Leave it out with --drop {name}"
        )
    distinct = 0 if pa.types.is_null(kind) else pc.count_distinct(array, mode="only_valid").as_py()
    found = Column(name, _kind(name, array, distinct, forced), str(kind), None, array.null_count, distinct)
    if found.kind in ("empty", "text", "identifier") or (is_text(kind) or pa.types.is_boolean(kind)):
        return found
    decimals = decimals_of(array) if is_number(kind) else None
    low, high = _ends(pc.drop_null(array))
    return replace(found, decimals=decimals, low=low, high=high)


def _ends(array: pa.Array) -> tuple[str, str]:
    """Return the smallest and the largest of present values as text."""
    order = pc.min_max(integers_of(array)) if is_date(array.type) else pc.min_max(array)
    ends = [order["min"].as_py(), order["max"].as_py()]
    found = dates_of(np.array(ends), array.type).to_pylist() if is_date(array.type) else ends
    return str(found[0]), str(found[1])


def integers_of(dates: pa.Array) -> pa.Array:
    """Return dates, times or durations as integers in the units of their type.

    Example:
        >>> integers_of(pa.array([3], pa.int32()).view(pa.date32())).to_pylist()
        [3]
    """
    return dates.view(_width(dates.type)).cast(pa.int64())


def dates_of(values: NDArray[Any], kind: pa.DataType, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return integers as dates, times or durations of a type; the inverse of :func:`integers_of`."""
    return pa.array(values, pa.int64(), mask=missing).cast(_width(kind)).view(kind)


def _width(kind: pa.DataType) -> pa.DataType:
    return pa.int32() if kind.bit_width == 32 else pa.int64()


def _kind(name: str, array: pa.Array, distinct: int, forced: bool) -> Kind:
    rows = len(array) - array.null_count
    if not rows:
        return "empty"
    if distinct == 1 and not array.null_count:
        return "constant"
    if forced or pa.types.is_boolean(array.type):
        return "category"
    if is_text(array.type):
        if distinct <= _SURE or (distinct <= _MOST and distinct <= rows / 2):
            return "category"
        words = pc.mean(pc.count_substring(array, " ")).as_py()
        return "text" if words >= 1 else "identifier"
    if pa.types.is_integer(array.type) and distinct == len(array) > FEW:
        if _counts(array):
            return "counter"
        if len(array) > _SURE and _NAMED.search(name):
            return "identifier"
    if distinct <= FEW and rows >= 10 * distinct:
        return "category"
    return "date" if is_date(array.type) else "number"


def _counts(array: pa.Array) -> bool:
    """Return whether a column of integers is 0, 1, 2, ... or 1, 2, 3, ..."""
    first = array[0].as_py()
    return first in (0, 1) and bool((np.diff(array.to_numpy(zero_copy_only=False)) == 1).all())


def decimals_of(array: pa.Array) -> int | None:
    """Count the decimals that write every number of a column exactly; None where more than 8 are needed.

    Example:
        >>> decimals_of(pa.array([0.5, 1.25])), decimals_of(pa.array([1 / 3]))
        (2, None)
    """
    if pa.types.is_integer(array.type):
        return 0
    if pa.types.is_decimal(array.type):
        return int(array.type.scale)
    kind: Any = array.type.to_pandas_dtype()
    values = pc.drop_null(array).to_numpy(zero_copy_only=False)
    for decimals in range(_DECIMALS + 1):
        if _written(values[:1000], decimals, kind) and _written(values, decimals, kind):
            return decimals
    return None


def _written(values: NDArray[Any], decimals: int, kind: Any) -> bool:
    scaled = np.rint(values.astype(np.float64) * 10.0**decimals)
    exact = 2**53 if kind == np.float64 else 10**6  # beyond, most numbers of the type fit by chance
    return bool((np.abs(scaled) < exact).all() and ((scaled / 10.0**decimals).astype(kind) == values).all())
