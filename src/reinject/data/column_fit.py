"""Fit the encoders of a table's columns by their kinds."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from reinject.base.errors import DataError
from reinject.data.column_encoders import CategoryEncoder, NumberEncoder
from reinject.data.spikes import spikes_of
from reinject.data.table_columns import Column, decimals_of, is_number, whole


def fit_columns(table: pa.Table, columns: Sequence[Column]) -> dict[str, dict[str, Any]]:
    """Return encoders by the name of a column: numbers, categories, marks of numbers, constants, dictionaries.

    Raises:
        DataError: a column is an identifier or free text.

    Example:
        >>> from reinject.data.table_columns import describe
        >>> table = pa.table({"a": [1.5, 2.5], "b": ["x", "y"]})
        >>> [list(part) for part in fit_columns(table, describe(table)).values()]
        [['a'], ['b'], [], [], []]
    """
    parts: dict[str, dict[str, Any]] = {
        name: {} for name in ("numbers", "categories", "marks", "constants", "dictionaries")
    }
    for column in columns:
        values = table.column(column.name)
        _fit_column(column, whole(values, column.name), parts)
        if pa.types.is_dictionary(values.type):
            parts["dictionaries"][column.name] = values.unify_dictionaries().chunk(0).dictionary
    return parts


def schema_of(table: pa.Table, columns: Sequence[Column]) -> pa.Schema:
    """Return names, types and metadata of the columns; raise DataError for a column that the table lacks."""
    absent = [column.name for column in columns if column.name not in table.column_names]
    if absent:
        raise DataError("table", f"has no column {absent[0]!r}", f"Give some of {', '.join(table.column_names)}")
    return pa.schema([table.schema.field(column.name) for column in columns], table.schema.metadata)


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
