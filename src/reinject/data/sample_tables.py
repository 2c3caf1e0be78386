"""Tables of samples for training students, shared between processes as memory-mapped files.

A student's rows come from a table of some 100 MB. A pipe would copy it for every student: gigabytes.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject.base.errors import ArgumentError, cure_of
from reinject.data.samples import Storage

_ROWS = 4096


@dataclass(frozen=True)
class Table:
    """Samples for training students: x as stored, (N, *event), their labels, and the meaning of stored values.

    Attributes:
        x: stored samples, (N, *event).
        y: classes, int64, (N,), or soft labels, float32, (N, classes).
        storage: meaning of the values of x.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    storage: Storage

    @classmethod
    def of(cls, x: Tensor, y: Tensor, storage: Storage) -> "Table":
        """Make a table from tensors; it shares their memory."""
        return cls(x.numpy(), y.numpy(), storage)

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def digest(self) -> str:
        """Return an identifier of the rows: hexadecimal digits of the SHA-256 of the whole table."""
        found = hashlib.sha256(f"{self.storage} {self.x.dtype} {self.x.shape} {self.y.shape}".encode())
        for values in (self.x, self.y):
            found.update(np.ascontiguousarray(values).data)
        return found.hexdigest()[:16]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of each stored value over the rows, float32, (*event) each.

        Example:
            >>> Table(np.array([[0, 7], [2, 7]], np.uint8), np.zeros(2), Storage()).moments()
            (tensor([1., 7.]), tensor([1., 0.]))
        """
        parts = np.array_split(self.x, -(-len(self) // _ROWS))  # in parts, because all of it may not fit in float64
        mean = sum(part.sum(0, dtype=np.float64) for part in parts) / len(self)
        variance = sum(np.square(part - mean).sum(0) for part in parts) / len(self)
        return torch.from_numpy(mean).float(), torch.from_numpy(np.sqrt(variance)).float()

    def take(self, index: NDArray[np.int64]) -> "Table":
        """Return the rows of the given numbers."""
        return Table(self.x[index], self.y[index], self.storage)

    def beside(self, other: "Table") -> "Table":
        """Return the first rows of this table and of another one in turns, as many of each."""
        n = min(len(self), len(other))
        x, storage = [self.x[:n], other.x[:n]], self.storage
        if storage != other.storage:
            x = [part.storage.load(torch.from_numpy(kept)).numpy() for part, kept in zip((self, other), x, strict=True)]
            storage = Storage("float")
        labels = [self.y[:n], other.y[:n]]
        soft = next((y.shape[1] for y in labels if y.ndim == 2), 0)
        if soft:
            labels = [y if y.ndim == 2 else np.eye(soft, dtype=np.float32)[y] for y in labels]
        y = np.stack(labels, 1)
        return Table(np.stack(x, 1).reshape(2 * n, *x[0].shape[1:]), y.reshape(2 * n, *y.shape[2:]), storage)


@dataclass(frozen=True)
class MemmapTable:
    """A table in files; another process reads only the pages that it needs.

    Attributes:
        folder: folder of x.npy and y.npy.
        storage: meaning of the values of x.
    """

    folder: Path
    storage: Storage


def to_memmap(table: Table, folder: Path) -> MemmapTable:
    """Write a table to files in ``folder``; equal tables share their files.

    Raises:
        ArgumentError: there is no space.
    """
    place = folder / table.digest
    if not place.exists():
        try:
            place.mkdir()
            for name, values in (("x", table.x), ("y", table.y)):
                np.save(place / f"{name}.npy", values, allow_pickle=False)
        except OSError as error:
            size = table.x.nbytes + table.y.nbytes
            cure = cure_of(error, "another folder")
            what = "no space" if cure.startswith("Free") else "cannot store"
            raise ArgumentError("TMPDIR", f"{what} for {size:,} bytes in {folder} ({error})", cure) from error
    return MemmapTable(place, table.storage)


def open_table(table: Table | MemmapTable) -> Table:
    """Open a memory-mapped table; return a table in memory unchanged.

    Example:
        >>> import tempfile
        >>> table = Table(np.ones((2, 3), np.float32), np.arange(2), Storage("float"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     open_table(to_memmap(table, Path(folder))).digest == table.digest
        True
    """
    if isinstance(table, Table):
        return table
    x, y = (np.load(table.folder / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in ("x", "y"))
    return Table(x, y, table.storage)
