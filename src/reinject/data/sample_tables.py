"""Tables of samples that students are trained on, and how other processes come by them.

A student's rows are drawn from a table of some 100 MB: sent through a pipe for every student they would be gigabytes.
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
    """Samples that students are trained on: as kept, x (N, *event), and what the kept values mean.

    Attributes:
        x: as kept, (N, *event).
        y: classes, int64, (N,), or soft labels, float32, (N, classes).
        storage: what the values of x mean.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    storage: Storage

    @classmethod
    def of(cls, x: Tensor, y: Tensor, storage: Storage) -> "Table":
        """From tensors; shares their memory."""
        return cls(x.numpy(), y.numpy(), storage)

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def digest(self) -> str:
        """Says which rows these are: hexadecimal digits of the SHA-256 of all of it."""
        found = hashlib.sha256(f"{self.storage} {self.x.dtype} {self.x.shape} {self.y.shape}".encode())
        for values in (self.x, self.y):
            found.update(np.ascontiguousarray(values).data)
        return found.hexdigest()[:16]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each value over the rows, as kept, float32, (*event) each.

        Example:
            >>> Table(np.array([[0, 7], [2, 7]], np.uint8), np.zeros(2), Storage()).moments()
            (tensor([1., 7.]), tensor([1., 0.]))
        """
        parts = np.array_split(self.x, -(-len(self) // _ROWS))  # in float64 all of it may not fit
        mean = sum(part.sum(0, dtype=np.float64) for part in parts) / len(self)
        variance = sum(np.square(part - mean).sum(0) for part in parts) / len(self)
        return torch.from_numpy(mean).float(), torch.from_numpy(np.sqrt(variance)).float()

    def take(self, index: NDArray[np.int64]) -> "Table":
        """The rows of the given numbers."""
        return Table(self.x[index], self.y[index], self.storage)

    def beside(self, other: "Table") -> "Table":
        """As many rows of it as of another, the first ones of each, in turns."""
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
class Lent:
    """A table in files, of which another process reads the pages that it needs.

    Attributes:
        folder: of x.npy and y.npy.
        storage: of the table.
    """

    folder: Path
    storage: Storage


def lend(table: Table, folder: Path) -> Lent:
    """Write a table to files, once however often it is lent; ``folder`` holds several.

    Raises:
        ArgumentError: there is no room.
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
            what = "no room" if cure.startswith("Free") else "no way"
            raise ArgumentError("TMPDIR", f"{what} for {size:,} bytes in {folder} ({error})", cure) from error
    return Lent(place, table.storage)


def opened(table: Table | Lent) -> Table:
    """The table that was lent; one that was not as it is.

    Example:
        >>> import tempfile
        >>> table = Table(np.ones((2, 3), np.float32), np.arange(2), Storage("float"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     opened(lend(table, Path(folder))).digest == table.digest
        True
    """
    if isinstance(table, Table):
        return table
    x, y = (np.load(table.folder / f"{name}.npy", mmap_mode="c", allow_pickle=False) for name in ("x", "y"))
    return Table(x, y, table.storage)
