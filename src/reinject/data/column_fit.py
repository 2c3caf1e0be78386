"""Fit the encoders of a table's columns by their kinds."""

import base64
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from reinject.base.arrow import arrow_memory
from reinject.base.errors import DataError
from reinject.data.column_encoders import CategoryEncoder, NumberEncoder
from reinject.data.spikes import spikes_of
from reinject.data.table_columns import Column, decimals_of, describe, is_number, whole


def fit_columns(table: pa.Table, columns: Sequence[Column]) -> dict[str, dict[str, Any]]:
    """Return encoders by the name of a column: numbers, categories, marks of numbers, constants.

    Raises:
        DataError: a column is an identifier or free text.

    Example:
        >>> from reinject.data.table_columns import describe
        >>> table = pa.table({"a": [1.5, 2.5], "b": ["x", "y"]})
        >>> [list(part) for part in fit_columns(table, describe(table)).values()]
        [['a'], ['b'], [], []]
    """
    parts: dict[str, dict[str, Any]] = {name: {} for name in ("numbers", "categories", "marks", "constants")}
    for column in columns:
        _fit_column(column, whole(table.column(column.name), column.name), parts)
    return parts


def schema_of(table: pa.Table, columns: Sequence[Column]) -> pa.Schema:
    """Return names, types and metadata of the columns; raise DataError for a column that the table lacks."""
    absent = [column.name for column in columns if column.name not in table.column_names]
    if absent:
        raise DataError("table", f"has no column {absent[0]!r}", f"Give some of {', '.join(table.column_names)}")
    return pa.schema([table.schema.field(column.name) for column in columns], table.schema.metadata)


def schema_text(schema: pa.Schema) -> str:
    """Return a schema as text: base64 of Arrow's own format."""
    return base64.b64encode(schema.serialize()).decode("ascii")


def schema_in(text: str) -> pa.Schema:
    """Return the schema of :func:`schema_text`."""
    return pa.ipc.read_schema(arrow_memory(base64.b64decode(text)))


def reduced_columns(table: pa.Table, columns: Sequence[Column], groups: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of a table by its constraints: the given ones, and those that the constraints made."""
    given = {column.name: column for column in columns}
    made = [name for name in table.column_names if name not in given]
    found = {column.name: column for column in describe(table.select(made), categorical=groups)} if made else {}
    return tuple({**given, **found}[name] for name in table.column_names)


def as_declared(array: pa.Array, kind: pa.DataType, values: pa.Array | None) -> pa.Array:
    """Return an array with its type, which may be a dictionary of declared values."""
    if not pa.types.is_dictionary(kind):
        return array
    if values is None:
        return array.dictionary_encode().cast(kind)
    index = pc.index_in(array, values).cast(kind.index_type)
    return pa.DictionaryArray.from_arrays(index, values, ordered=kind.ordered)


def declared_in(table: pa.Table) -> dict[str, pa.Array]:
    """Return the declared categories of columns with a dictionary type, by name."""
    names = [item.name for item in table.schema if pa.types.is_dictionary(item.type)]
    return {name: table.column(name).unify_dictionaries().chunk(0).dictionary for name in names}


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of a column's values: that inside of a dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _fit_column(column: Column, array: pa.Array, parts: dict[str, dict[str, Any]]) -> None:
    """Add the encoder of a column to the parts of the table's encoder."""
    name = column.name
    if column.kind in ("identifier", "text"):
        raise DataError(name, f"is {column.kind}, which cannot be synthesised", f"Leave it out with --drop {name}")
    if column.kind == "category":
        parts["categories"][name] = CategoryEncoder.fit(array)
    elif column.kind in ("number", "date"):
        marks = CategoryEncoder.among(array, spikes_of(array))
        if not marks.rest:  # nothing but spikes
            parts["categories"][name] = CategoryEncoder.fit(array)
            return
        rest = array.filter(pa.array(marks.codes(array) < 0))
        parts["numbers"][name] = NumberEncoder.fit(rest, decimals_of(array) if is_number(array.type) else 0)
        if marks.size:
            parts["marks"][name] = marks
    elif column.kind in ("constant", "counter"):
        parts["constants"][name] = array[:1]
