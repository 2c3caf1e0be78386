"""Tables of other libraries: return Arrow tables as the frames that came in, and with the types of a schema."""

from typing import Any, Literal

import pyarrow as pa

from reinject.base.errors import DataError

Library = Literal["arrow", "pandas", "polars"]


def library_of(source: Any) -> Library:
    """Return the library of a frame; arrow for other sources, such as files.

    Example:
        >>> import pandas as pd
        >>> library_of(pd.DataFrame({"a": [1, 2]})), library_of("people.csv")
        ('pandas', 'arrow')
    """
    name = type(source).__module__.partition(".")[0]
    return "pandas" if name == "pandas" else "polars" if name == "polars" else "arrow"


def from_arrow(table: pa.Table, library: Library) -> Any:
    """Return an Arrow table as a frame of a library, with the types of that frame.

    Example:
        >>> type(from_arrow(pa.table({"a": [1, 2]}), "pandas")).__name__
        'DataFrame'
    """
    if library == "pandas":
        return table.to_pandas()
    if library == "polars":
        import polars

        return polars.from_arrow(table)
    return table


def with_types(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table whose columns have the types of a schema: text becomes dates; other columns stay as they are.

    Raises:
        DataError: the table lacks a column, or a value has no place in the type of its column.

    Example:
        >>> with_types(pa.table({"a": [1.0, None]}), pa.schema({"a": pa.int64()}))["a"].to_pylist()
        [1, None]
    """
    for field in schema:
        at = table.column_names.index(field.name) if field.name in table.column_names else None
        if at is None:
            raise DataError("the table", f"has no column {field.name}", "Give all columns of the training rows")
        column = table.column(at)
        if column.type == field.type:
            continue
        try:
            table = table.set_column(at, field.name, column.cast(field.type))
        except pa.ArrowException as error:
            problem = f"column {field.name} holds {column.type}, and {field.type} in the training rows"
            raise DataError("the table", problem, f"Convert it to {field.type}") from error
    return table
