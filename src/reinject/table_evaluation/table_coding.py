"""Code tables as arrays of numbers and categories, which judgements compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reinject.base.errors import DataError

_LARGEST = 1e100  # abs(number): its square is finite
_FEW = 10  # distinct values of a numeric target that is judged as a class


@dataclass(frozen=True)
class Coded:
    """Hold the rows of a table as arrays.

    Attributes:
        numbers: values of the numeric columns, NaN where missing, float64, (N, p).
        codes: number of the category in each categorical column, int64, (N, q).
    """

    numbers: NDArray[np.float64]
    codes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.int64] | slice) -> "Coded":
        """Select rows by their numbers, or by a slice."""
        return Coded(self.numbers[rows], self.codes[rows])

    @classmethod
    def joined(cls, parts: Sequence["Coded"]) -> "Coded":
        """Join the rows of several tables of the same columns."""
        return cls(np.concatenate([one.numbers for one in parts]), np.concatenate([one.codes for one in parts]))


@dataclass(frozen=True)
class Coding:
    """Describe how columns become numbers and categories.

    Dates, times and decimals are numbers. A missing category is a category of its own.

    Attributes:
        schema: names and types of the columns, in order.
        numeric: names of the numeric columns.
        categories: name of each categorical column -> its distinct values, of all tables.
    """

    schema: pa.Schema
    numeric: tuple[str, ...]
    categories: Mapping[str, pa.Array]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of categories of each categorical column."""
        return tuple(len(values) for values in self.categories.values())

    @classmethod
    def of(cls, tables: Sequence[pa.Table], categorical: Sequence[str] = ()) -> "Coding":
        """Find the kinds of the columns of the first table, and the categories of all tables.

        Text and booleans are categories.

        Arguments:
            tables: tables with the same columns; the first one has the types.
            categorical: names of numeric columns whose values are categories.

        Raises:
            DataError: a column of lists or structures; a column of another table that has another type.

        Example:
            >>> people = pa.table({"age": [30, 41], "sex": ["f", "m"]})
            >>> coding = Coding.of([people])
            >>> coding.numeric, coding.code(people).codes.tolist()
            (('age',), [[0], [1]])
        """
        schema = pa.schema([(field.name, _plain(field)) for field in tables[0].schema])
        alike = [_cast(table, schema) for table in tables]
        numeric = tuple(f.name for f in schema if f.name not in categorical and _is_number(f.type))
        values = {name: _distinct([table[name] for table in alike]) for name in schema.names if name not in numeric}
        return cls(schema, numeric, values)

    def code(self, table: pa.Table) -> Coded:
        """Code the rows of a table; columns that the coding does not name are left out.

        Raises:
            DataError: a value of another type, an infinite number, or one beyond 1e100.
        """
        table = _cast(table, self.schema)
        numbers = [_as_floats(name, table[name]) for name in self.numeric]
        codes = [
            pc.index_in(table[name].cast(values.type), value_set=values).to_numpy()
            for name, values in self.categories.items()
        ]
        return Coded(
            np.stack(numbers, 1) if numbers else np.zeros((len(table), 0)),
            np.stack(codes, 1).astype(np.int64) if codes else np.zeros((len(table), 0), np.int64),
        )

    def table(self, coded: Coded) -> pa.Table:
        """Return the rows as a table with the columns and types of the coding.

        Example:
            >>> people = pa.table({"age": [30, 41], "sex": ["f", None]})
            >>> coding = Coding.of([people])
            >>> coding.table(coding.code(people)).equals(people)
            True
        """
        columns = {
            name: _typed(coded.numbers[:, k], self.schema.field(name).type) for k, name in enumerate(self.numeric)
        }
        columns |= {
            name: values.take(pa.array(coded.codes[:, k])) for k, (name, values) in enumerate(self.categories.items())
        }
        return pa.table({name: columns[name] for name in self.schema.names}, schema=self.schema)


def is_class(column: pa.ChunkedArray) -> bool:
    """Return whether a target is judged as a class: text, a boolean, or a number with at most ten distinct values.

    Example:
        >>> is_class(pa.chunked_array([[0, 1, 1]])), is_class(pa.chunked_array([list(range(30))]))
        (True, False)
    """
    return not _is_number(_plain(pa.field("target", column.type))) or pc.count_distinct(column).as_py() <= _FEW


def _plain(field: pa.Field) -> pa.DataType:
    """Return the type of a column's values, without a dictionary."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise DataError(f"column {field.name}", f"has values of type {kind}", "Drop it, or make it a number or text")
    return kind


def _is_number(kind: pa.DataType) -> bool:
    of = pa.types
    return bool(of.is_integer(kind) or of.is_floating(kind) or of.is_decimal(kind) or of.is_temporal(kind))


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Select the columns of the schema, in their types; plain numbers may be of another type of number."""
    columns = {}
    for field in schema:
        if field.name not in table.column_names:
            raise DataError(f"column {field.name}", "is missing in one table", "Give tables with equal columns")
        column = table[field.name]
        try:
            plain = _is_plain(field.type) and _is_plain(column.type)
            columns[field.name] = column.cast(pa.float64() if plain and not _fits(column, field.type) else field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            problem = f"has type {column.type} in one table and {field.type} in another ({_first(error)})"
            raise DataError(f"column {field.name}", problem, "Give both tables the same type") from error
    return pa.table(columns)


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _fits(column: pa.ChunkedArray, kind: pa.DataType) -> bool:
    try:
        column.cast(kind)
    except pa.ArrowInvalid:  # 2.5 is no whole number
        return False
    return True


def _first(error: Exception) -> str:
    return str(error).splitlines()[0]


def _distinct(columns: Sequence[pa.ChunkedArray]) -> pa.Array:
    """Return the distinct values of several columns, ascending, a missing one last."""
    kind = columns[0].type if len({column.type for column in columns}) == 1 else pa.float64()
    values = pc.unique(pa.chunked_array([chunk for column in columns for chunk in column.cast(kind).chunks], kind))
    return values if pa.types.is_null(values.type) else values.take(pc.array_sort_indices(values))


def _as_floats(name: str, column: pa.ChunkedArray) -> NDArray[np.float64]:
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
    values = column.cast(pa.float64(), safe=False).to_numpy()
    found = np.asarray(values, np.float64)
    if np.isinf(found).any():
        raise DataError(f"column {name}", "has infinite values", "Replace them by numbers, or by missing values")
    if (np.abs(found) > _LARGEST).any():
        raise DataError(f"column {name}", f"has values beyond {_LARGEST:g}", "Give it in another unit")
    return found


def _typed(values: NDArray[np.float64], kind: pa.DataType) -> pa.Array:
    """Return numbers in the type of their column, rounded where it has only whole ones; NaN is missing."""
    found = pa.array(values, from_pandas=True)
    if pa.types.is_floating(kind):
        return found.cast(kind)
    if pa.types.is_decimal(kind):
        return pc.round(found, kind.scale).cast(kind)
    whole = pc.round(found).cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    return whole.cast(kind)
