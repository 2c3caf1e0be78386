"""Show the columns of a table, write them as JSON, and read them back after someone has edited the kinds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from reinject.base.errors import DataError
from reinject.base.files import read_json, write_json
from reinject.data.table_columns import Column, is_date, is_number
from reinject.data.table_constraints import Constraints

COLUMNS = "columns.json"
_WIDE = 28  # most characters of a cell
_HEADS = ("column", "kind", "distinct", "missing", "range")


def shown(columns: Sequence[Column]) -> list[str]:
    """Return a table of columns as lines of text: name, kind, distinct values, missing values, range.

    Example:
        >>> for line in shown([Column("age", "number", "int64", 0, 3, 70, "17", "90")]):
        ...     print(line)
        column  kind    distinct  missing  range
        age     number        70        3  17 to 90
    """
    rows = [_HEADS, *map(_cells, columns)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEADS))]
    right = [name in ("distinct", "missing") for name in _HEADS]
    lines = []
    for row in rows:
        cells = [text.rjust(w) if r else text.ljust(w) for text, w, r in zip(row, widths, right, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def _cells(column: Column) -> tuple[str, ...]:
    range_ = f"{_short(column.low)} to {_short(column.high)}" if column.low or column.high else ""
    missing = f"{column.missing:,}" if column.missing else ""
    return (_short(column.name), column.kind, f"{column.distinct:,}", missing, range_)


def _short(text: str) -> str:
    """Return a text that fits a cell; numbers with six digits."""
    try:
        value = float(text)
    except ValueError:
        return text if len(text) <= _WIDE else text[: _WIDE - 3] + "..."
    return text if len(text) <= 8 else f"{value:.6g}"


def write_columns(folder: Path, columns: Sequence[Column], constraints: Constraints) -> None:
    """Write FOLDER/columns.json, which :func:`edited` reads."""
    values = {"columns": [column.as_json() for column in columns], "constraints": constraints.as_json()}
    write_json(folder / COLUMNS, values)


def edited(path: Path, found: Sequence[Column], schema: pa.Schema) -> tuple[tuple[Column, ...], Constraints]:
    """Read kinds of columns and constraints from a file of :func:`write_columns`; unnamed columns are left out.

    Arguments:
        path: the file.
        found: the columns of the table.
        schema: types of the columns.

    Raises:
        DataError: no such file, a damaged one, an unknown column or kind, or a kind that the type does not allow.
    """
    if not path.is_file():
        raise DataError(str(path), "no such file", f"Give the {COLUMNS} of a model folder")
    values = read_json(path, DataError)
    entries = values.get("columns") if isinstance(values, dict) else None
    if not isinstance(entries, list) or not all(isinstance(one, dict) and "name" in one for one in entries):
        raise DataError(str(path), "is no list of columns", f"Give the {COLUMNS} of a model folder")
    known = {column.name: column for column in found}
    columns = tuple(_changed(str(path), one, known, schema) for one in entries)
    try:
        return columns, Constraints.from_json(values.get("constraints") or Constraints().as_json())
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(str(path), f"its constraints are damaged ({error})", "Copy the file again") from error


def _changed(owner: str, entry: Mapping[str, Any], known: Mapping[str, Column], schema: pa.Schema) -> Column:
    name, kind = entry["name"], entry.get("kind")
    if name not in known:
        raise DataError(owner, f"{name!r} is no column of the table", f"Its columns are {', '.join(known)}")
    column = Column.from_json({**known[name].as_json(), "kind": kind})  # refuses unknown kinds
    type_ = schema.field(name).type
    type_ = type_.value_type if pa.types.is_dictionary(type_) else type_
    allowed = {"number": is_number(type_), "date": is_date(type_), "counter": pa.types.is_integer(type_)}
    if kind != known[name].kind and not allowed.get(str(kind), kind in ("category", "identifier", "text")):
        raise DataError(owner, f"column {name} holds {type_}, which is no {kind}", "Give another kind")
    return column
