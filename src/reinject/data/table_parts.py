"""A table in two parts: training rows and held-out rows, with the split that models and archives carry."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reinject.base.errors import DataError
from reinject.data.datasets import TEST_SHARE
from reinject.data.splits import Split, joined
from reinject.data.table_files import read_table

_LEAST = 4  # rows of a table, and of a class that is split evenly
_CLASSES = 100  # most values of a target that are classes
_HASHED = 65_536  # rows in one piece


@dataclass(frozen=True)
class TableParts:
    """A table in two parts of the same columns.

    Attributes:
        name: of the file, the folder or the data frame.
        train, test: training rows and held-out rows.
        split_seed: seed of the split; None: the table has its own test part.
        counters: names of columns that count the rows as they were read: 0, 1, 2, ... or 1, 2, 3, ...
        notes: lines to say of the reading.
    """

    name: str
    train: pa.Table
    test: pa.Table
    split_seed: int | None = None
    counters: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def split(self) -> Split:
        """Return the split, as models and archives carry it."""
        held_out = row_hashes(self.test)
        return Split(self.name, self.split_seed, joined([*row_hashes(self.train), *held_out]), joined(held_out))


def load_table(
    source: Any,
    *,
    target: str | None = None,
    test: Any = None,
    keep: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    categorical: Sequence[str] = (),
    split_seed: int = 0,
) -> TableParts:
    """Read a table in two parts. A table without a test part is split 75/25, as data sets of images are.

    A target with at most 100 values, each in four rows or more, has the same shares in both parts.

    Arguments:
        source, test, keep, drop, categorical: see :func:`reinject.data.table_files.read_table`.
        target: name of the column that is predicted; None: no column.
        split_seed: seed of the split, >= 0; a table with a test part has none.

    Raises:
        DataError: the table cannot be read; no such target; fewer than four rows to split.

    Example:
        >>> parts = load_table(pa.table({"x": range(8), "y": ["a", "b"] * 4}), target="y")
        >>> len(parts.train), sorted(parts.test["y"].to_pylist())
        (6, ['a', 'b'])
    """
    read = read_table(source, test=test, keep=keep, drop=drop, categorical=categorical, seed=split_seed)
    if target is not None and target not in read.train.column_names:
        known = ", ".join(read.train.column_names[:20])
        raise DataError("--target", f"{target!r} is no column of {read.name}", f"Its columns are {known}")
    counters = tuple(name for name in read.train.column_names if _counts(read.train.column(name)))
    if read.test is not None:
        return TableParts(read.name, read.train, read.test, None, counters, read.notes)
    train, held_out = _divided(read.name, read.train, target, split_seed)
    return TableParts(read.name, train, held_out, split_seed, counters, read.notes)


def _counts(column: pa.ChunkedArray) -> bool:
    if not pa.types.is_integer(column.type) or column.null_count or column[0].as_py() not in (0, 1):
        return False
    return bool((np.diff(column.to_numpy()) == 1).all()) and len(column) > _LEAST


def _divided(name: str, table: pa.Table, target: str | None, seed: int) -> tuple[pa.Table, pa.Table]:
    from sklearn.model_selection import train_test_split

    if len(table) < _LEAST:
        raise DataError(name, f"has {len(table)} rows, too few to hold some out", f"Give {_LEAST} rows or more")
    classes = None if target is None else _classes(table.column(target))
    parts = train_test_split(np.arange(len(table)), test_size=TEST_SHARE, stratify=classes, random_state=seed)
    train, test = (table.take(pa.array(np.sort(part))) for part in parts)
    return train, test


def _classes(column: pa.ChunkedArray) -> Any:
    """Return the classes of a target as numbers; None where it has too many, or too few rows of one."""
    array = column.combine_chunks()
    codes = array if pa.types.is_dictionary(array.type) else array.dictionary_encode(null_encoding="encode")
    numbers = pc.fill_null(codes.indices, -1).to_numpy(zero_copy_only=False)
    _, counts = np.unique(numbers, return_counts=True)
    return numbers if len(counts) <= _CLASSES and counts.min() >= _LEAST else None


def row_hashes(table: pa.Table) -> list[bytes]:
    """Return a hash of each row, of all its values as text; equal rows have equal hashes, wherever they are stored.

    Example:
        >>> one, other = (row_hashes(pa.table({"a": pa.array([1, None], kind)})) for kind in ("int8", "int64"))
        >>> one == other, one[0] == one[1]
        (True, False)
    """
    found = []
    for first in range(0, len(table), _HASHED):
        texts = [_texts(column) for column in table.slice(first, _HASHED).combine_chunks().columns]
        rows = pc.binary_join_element_wise(*texts, "\x1f")
        found += [hashlib.blake2b(row.encode(), digest_size=16).digest() for row in rows.to_pylist()]
    return found


def _texts(column: pa.ChunkedArray) -> pa.Array:
    array = pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return pc.fill_null(array.cast(pa.string()), "\x00")
