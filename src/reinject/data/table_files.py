"""Read tables of mixed columns: CSV, Parquet, a folder of a training and a test file, pandas and polars data frames."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reinject.base.errors import DataError, reason
from reinject.data.csv_files import SUFFIXES, batches, check_column_names, form_of
from reinject.data.typed_text import typed

_PARQUET = (".parquet", ".pq")
_PARTS = ("train", "test")
_SHARE = 0.25  # of the memory of this machine, for a table as Arrow holds it
_GROWS = 2.0  # most bytes in memory for a byte of a file
_KINDS = "Give a CSV or Parquet file, a folder with one, or a pandas or polars data frame"


@dataclass(frozen=True)
class ReadTable:
    """A table as it was read.

    Attributes:
        name: of the file, the folder or the data frame.
        train: all rows, or the rows of the training file.
        test: rows of the test file, with the columns and types of ``train``; None without one.
        notes: lines to say: separators, encodings, types, left out rows.
    """

    name: str
    train: pa.Table
    test: pa.Table | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class _Wanted:
    """Which columns to read, and where to note what was found."""

    keep: Sequence[str] | None
    drop: Sequence[str]
    categorical: Sequence[str]
    seed: int
    notes: list[str]

    def left(self, owner: str, names: Sequence[str]) -> list[str]:
        """Return the names of the columns to read; raise DataError for an unknown name, or where none is left."""
        for option, asked in (("--drop", self.drop), ("--categorical", self.categorical)):
            for name in asked:
                if name not in names and self.keep is not None and name in self.keep:
                    raise DataError(owner, f"has no column {name!r}", f"Its columns are {_list(names, 20)}")
                if name not in names:
                    raise DataError(option, f"{name!r} is no column of {owner}", f"Its columns are {_list(names, 20)}")
        left = self.chosen(names)
        if not names:
            raise DataError(owner, "has no columns", "Give a table with one column or more")
        if not left:
            raise DataError("--drop", f"leaves no column of {owner}", "Keep one column or more")
        return left

    def chosen(self, names: Sequence[str]) -> list[str]:
        """Return the names of the columns to read, in their order."""
        return [name for name in names if name not in self.drop and (self.keep is None or name in self.keep)]


def is_table(source: str | Path) -> bool:
    """Return whether a text names a table: a CSV file, a Parquet file without images or lists, or a folder of these."""
    path = Path(source)
    if path.is_dir():
        files = sorted(one for one in _shards(path).iterdir() if _is_csv(one) or one.suffix.lower() in _PARQUET)
        return bool(files) and is_table(files[0])
    if path.suffix.lower() in _PARQUET and path.is_file():
        kinds = [one.type for one in _Parquet(path).schema]
        return not any(map(pa.types.is_nested, kinds)) and not any(map(pa.types.is_binary, kinds))
    return _is_csv(path)


def read_table(
    source: Any,
    *,
    test: Any = None,
    keep: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    categorical: Sequence[str] = (),
    seed: int = 0,
) -> ReadTable:
    """Read a table into memory, with a type for each column.

    The bytes of a CSV file tell its encoding, its lines the separator, and the values of a column its type (see
    :func:`reinject.data.typed_text.typed`). A folder holds a training and a test file by their names, such as train.csv
    and test.csv, or one table in one or several files. Of a file that is larger than a quarter of the memory a random
    share of the rows is kept, and a note says so.

    Arguments:
        source: path of a .csv, .tsv, .txt or .parquet file or of a folder; a pandas or polars data frame; an Arrow
            table.
        test: held-out rows, in the same forms; default: the test file of a folder.
        keep: names of columns to read, where there are such columns; None: all.
        drop: names of columns to leave out.
        categorical: names of columns that hold categories, which may be numbers and text in one column.
        seed: seed of the choice of rows where a file is larger than the memory.

    Raises:
        DataError: no such file, or an empty one; blank or repeated names of columns; mixed types or impossible dates in
            a CSV column; a test part with other columns.

    Example:
        >>> read_table(pa.table({"age": [31, 7]})).train.num_rows
        2
        >>> read_table("no/such.csv")
        Traceback (most recent call last):
        reinject.base.errors.DataError: no/such.csv: no such file. Give a CSV or Parquet file, ...
    """
    wanted = _Wanted(keep, drop, categorical, seed, [])
    if isinstance(source, (str, Path)):
        name, parts = str(source), _from_disk(Path(source), wanted)
    else:
        name = "the data frame"
        parts = [_from_memory(name, source, wanted)]
    if test is not None:
        given = read_table(test, keep=keep, drop=drop, categorical=categorical, seed=seed)
        parts = [parts[0], given.train]
        wanted.notes.extend(given.notes)
    owners = [name] if len(parts) == 1 else [f"the {part} part of {name}" for part in _PARTS]
    for owner, table in zip(owners, parts, strict=True):
        if not len(table):
            raise DataError(owner, "has no rows", "Give a table with a row for each record")
    if len(parts) == 1:
        return ReadTable(name, parts[0], None, tuple(wanted.notes))
    same = _as_train(f"the test part of {name}", *parts)
    return ReadTable(name, parts[0], same, (*wanted.notes, *_unknown(parts[0], same)))


def _is_csv(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def _from_disk(path: Path, wanted: _Wanted) -> list[pa.Table]:
    """Read the parts of a file or a folder."""
    parts = _files(path)
    csv = {_is_csv(file) for files in parts for file in files}
    if len(csv) > 1:
        raise DataError(str(path), "holds CSV and Parquet files", "Keep one kind, or name one file")
    if path.is_dir():
        wanted.notes.append(f"{path}: reads {_list([file.name for files in parts for file in files])}")
    sources = [[(_Csv if csv == {True} else _Parquet)(file) for file in files] for files in parts]
    tables: list[pa.Table] = []
    for files in sources:
        names = files[0].names
        other = next((one for one in files if one.names != names), None)
        if other is not None:
            raise DataError(str(other.path), f"has other columns than {files[0].path.name}", "Give both the same")
        kept = wanted.chosen(names) if tables else wanted.left(str(path), names)
        tables.append(_joined(files, kept, wanted))
    if csv == {True}:
        wanted.notes.extend(one.form.said for files in sources for one in files if isinstance(one, _Csv))
        return _typed(str(path), tables, wanted)
    return tables


def _shards(folder: Path) -> Path:
    """Return the folder of the shards of an archive; another folder itself."""
    return folder / "data" if (folder / "manifest.json").is_file() and (folder / "data").is_dir() else folder


def _files(path: Path) -> list[list[Path]]:
    """Return the files of each part of a table on disk."""
    if path.is_file():
        if not _is_csv(path) and path.suffix.lower() not in _PARQUET:
            raise DataError(str(path), "is a file of an unknown kind", _KINDS)
        return [[path]]
    if not path.is_dir():
        raise DataError(str(path), "no such file", _KINDS)
    path = _shards(path)
    files = sorted(one for one in path.iterdir() if _is_csv(one) or one.suffix.lower() in _PARQUET)
    if not files:
        raise DataError(str(path), "holds no CSV or Parquet file", _KINDS)
    parts = [[one for one in files if one.name.lower().startswith(part)] for part in _PARTS]
    return parts if all(parts) else [files]


class _Csv:
    """A CSV file, whose values are text."""

    def __init__(self, path: Path) -> None:
        self.path, self.form = path, form_of(path)
        self.names = list(self.form.names)
        self.size = path.stat().st_size
        self.schema = pa.schema([(name, pa.string()) for name in self.names])

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        return batches(self.form, columns)


class _Parquet:
    """A Parquet file, read row group by row group."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with pq.ParquetFile(str(path)) as file:
                self.schema = file.schema_arrow
                groups = range(file.metadata.num_row_groups)
                self.size = sum(file.metadata.row_group(number).total_byte_size for number in groups)
        except (pa.ArrowException, OSError) as error:
            raise DataError(str(path), f"is no Parquet file ({reason(error)})", _KINDS) from error
        self.names = list(self.schema.names)
        check_column_names(str(path), self.names)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(str(self.path)) as file:
                yield from file.iter_batches(columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise DataError(str(self.path), f"cannot be read ({reason(error)})", "Write the file again") from error


def memory() -> int:
    """Return the memory of this machine, bytes; 16 GiB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not Unix
        return 1 << 34


def _joined(files: Sequence[_Csv | _Parquet], columns: Sequence[str], wanted: _Wanted) -> pa.Table:
    """Join the rows of files; of files that are larger than the memory allows, a random share of the rows."""
    first, size = files[0], sum(file.size for file in files)
    schema = pa.schema([first.schema.field(name) for name in columns], first.schema.metadata)
    share = _SHARE * memory() / (_GROWS * max(size, 1))
    random, kept, seen = np.random.default_rng(wanted.seed), [], 0
    for batch in (batch for file in files for batch in file.batches(columns)):
        seen += len(batch)
        kept.append(batch if share >= 1 else batch.filter(pa.array(random.random(len(batch)) < share)))
    table = pa.Table.from_batches([one.cast(schema) for one in kept], schema)
    if share < 1:
        wanted.notes.append(
            f"{first.path.name}: its {size / 1e9:.1f} GB are too large for the memory here: {len(table):,} of "
            f"{seen:,} rows are used, drawn at random"
        )
    return table


def _typed(owner: str, tables: Sequence[pa.Table], wanted: _Wanted) -> list[pa.Table]:
    """Give columns of text their types: one type for each column in all parts."""
    done: list[dict[str, pa.ChunkedArray]] = [{} for _ in tables]
    for name in dict.fromkeys(name for table in tables for name in table.column_names):
        having = [
            (one, table.column(name)) for one, table in zip(done, tables, strict=True) if name in table.column_names
        ]
        joined = pa.chunked_array([chunk for _, piece in having for chunk in piece.chunks], pa.string())
        column, remark = typed(owner, name, joined, categorical=name in wanted.categorical)
        wanted.notes.extend([remark] if remark else [])
        first = 0
        for one, piece in having:
            one[name] = column.slice(first, len(piece))
            first += len(piece)
    return [pa.table({name: one[name] for name in table.column_names}) for one, table in zip(done, tables, strict=True)]


def _from_memory(name: str, source: Any, wanted: _Wanted) -> pa.Table:
    """Return a data frame of pandas or polars, or an Arrow table, without the columns to leave out."""
    if type(source).__name__ == "Series":
        raise DataError(name, "is a single column", "Give a data frame, such as .to_frame()")
    if type(source).__module__.partition(".")[0] == "pandas":
        table = _pandas(name, source, wanted)
    elif hasattr(source, "to_arrow"):
        table = source.to_arrow()
    elif hasattr(source, "__arrow_c_stream__"):
        table = pa.table(source)
    else:
        raise DataError(name, f"is a {type(source).__name__}", _KINDS)
    check_column_names(name, table.column_names)
    return table.select(wanted.left(name, table.column_names))


def _pandas(name: str, frame: Any, wanted: _Wanted) -> pa.Table:
    check_column_names(name, [str(column) for column in frame.columns])
    if frame.index.name is not None:
        wanted.notes.append(
            f"the index {frame.index.name} of the data frame is left out; reset_index() makes it a column"
        )
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        column = str(error.args[-1]).partition("for column ")[2].partition(" with type")[0]
        problem = f"column {column} holds values of different types" if column else f"cannot be read ({reason(error)})"
        raise DataError(name, problem, f"Give its values one type, such as {column or 'text'}.astype(str)") from error


def _as_train(owner: str, train: pa.Table, test: pa.Table) -> pa.Table:
    """Return the test part with the columns of the training part: their order and types."""
    more = [name for name in test.column_names if name not in train.column_names]
    fewer = [name for name in train.column_names if name not in test.column_names]
    if more or fewer:
        said = [f"{what} {_list(those)}" for what, those in (("has also", more), ("lacks", fewer)) if those]
        problem = f"has other columns than the training part: it {' and '.join(said)}"
        raise DataError(owner, problem, "Give both parts the same columns")
    columns = []
    for one in train.schema:
        column = test.column(one.name)
        try:
            if pa.types.is_null(one.type) and column.null_count < len(column):
                raise pa.ArrowInvalid("values where the training part has none")
            columns.append(column if column.type == one.type else column.cast(one.type))
        except pa.ArrowException as error:
            problem = f"column {one.name} holds {column.type}, and {one.type} in the training part"
            raise DataError(owner, problem, "Give both parts the same types") from error
    return pa.Table.from_arrays(columns, schema=train.schema)


def _unknown(train: pa.Table, test: pa.Table) -> Iterator[str]:
    """Say which categories of the test part the training part lacks."""
    for one in train.schema:
        if pa.types.is_string(one.type) or pa.types.is_dictionary(one.type):
            known, other = (_text(part.column(one.name)) for part in (train, test))
            new = pc.and_(pc.is_valid(other), pc.invert(pc.is_in(other, pc.unique(known))))
            count = pc.sum(new).as_py()
            if count and count < len(other):
                shown = _list([repr(value) for value in pc.unique(other.filter(new)).to_pylist()])
                what = "test rows have categories that no training row has, kept as unknown"
                yield f"{one.name}: {count:,} {what}: {shown}"


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _list(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
