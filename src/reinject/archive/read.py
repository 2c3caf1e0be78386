"""Read an archive that :mod:`reinject.archive.write` has finished."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject.archive.manifest import read_manifest
from reinject.archive.schema import MANIFEST, Plan
from reinject.archive.table_schema import NUMBERS, TableSchema, read_origin
from reinject.base.arrow import arrow_file
from reinject.base.errors import ArchiveError, check_count
from reinject.base.files import place_of
from reinject.data.images import decode
from reinject.data.samples import Storage

if TYPE_CHECKING:
    from torch.utils.data import TensorDataset


@dataclass(frozen=True, repr=False)
class Archive:
    """A finished archive: its folder and its manifest.

    Example:
        >>> Archive.open("no/such/folder")
        Traceback (most recent call last):
        reinject.base.errors.ArchiveError: no/such/folder: no archive there. Give the --out of a reinject sample.
    """

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> "Archive":
        """Open the archive in ``folder``, after a check that all shards exist.

        Raises:
            ArchiveError: no folder; no manifest (an unfinished run); another schema version; a shard that is missing or
                of another size.
        """
        folder = place_of(folder)
        manifest = read_manifest(folder)
        sizes = {folder / shard["file"]: shard["bytes"] for shard in manifest["shards"]}
        for file, size in sizes.items():
            if not file.is_file() or file.stat().st_size != size:
                raise ArchiveError(
                    str(file), "is missing or truncated", f"Make it again with reinject verify {folder} --repair"
                )
        return cls(folder, manifest)

    @property
    def rows(self) -> int:
        """Return the number of samples."""
        return int(self.manifest["counts"]["rows"])

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Return the shape of one sample, without the batch."""
        return tuple(self.manifest["event_shape"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the names of the labels; none where the samples have no labels."""
        return tuple(self.manifest["class_names"])

    @property
    def storage(self) -> Storage:
        """Return how the samples are stored."""
        return Storage(**self.manifest["storage"])

    @property
    def table(self) -> TableSchema | None:
        """Return the columns of an archive of table rows; None where samples are images or vectors."""
        values = self.manifest.get("table")
        return None if values is None else TableSchema.from_json(values, str(self.folder / MANIFEST))

    def __repr__(self) -> str:
        if self.table is not None:
            return f"Archive({self.folder}: {self.rows:,} rows of {len(self.table.schema)} columns)"
        classes = f", {len(self.class_names)} classes" if self.class_names else ""
        return f"Archive({self.folder}: {self.rows:,} samples of shape {self.event_shape}{classes})"

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        """Yield samples in data units and their labels, shard by shard; -1 for a sample without a label."""
        for number in range(len(self.manifest["shards"])):
            x, y = self._some(number)
            yield from zip(x, y.tolist(), strict=True)

    def __getitem__(self, rows: int | slice) -> tuple[Tensor, Any]:
        """Return a sample in data units and its label, or those of a slice: (B, *event) and int64, (B,)."""
        if isinstance(rows, slice):
            wanted = np.arange(self.rows)[rows]
        elif -self.rows <= rows < self.rows:
            wanted = np.array([rows % self.rows])
        else:
            raise IndexError(f"{self.folder}: row {rows} of {self.rows}")
        x, y = torch.zeros((len(wanted), *self.event_shape)), torch.full((len(wanted),), -1)
        first = 0
        for number, shard in enumerate(self.manifest["shards"]):
            here = (wanted >= first) & (wanted < first + shard["rows"])
            if here.any():
                index = torch.from_numpy(wanted[here] - first)
                values, labels = self._some(number)
                x[torch.from_numpy(here)], y[torch.from_numpy(here)] = values[index], labels[index]
            first += shard["rows"]
        return (x, y) if isinstance(rows, slice) else (x[0], int(y[0]))

    def _some(self, number: int) -> tuple[Tensor, Tensor]:
        """Return samples of a shard in data units, and their labels."""
        self._check_samples()
        table = self.shard(number)
        x = values_of(table.column(self.manifest["columns"][0]), self.event_shape)
        y = table.column("label").to_numpy().copy() if self.class_names else np.full(len(table), -1)
        return self.storage.load(x), torch.from_numpy(y)

    def to_torch(self) -> "TensorDataset":
        """Return all samples in data units and their labels, as a PyTorch data set."""
        from torch.utils.data import TensorDataset

        x, y = self.read()
        return TensorDataset(self.storage.load(x), y)

    def to_pandas(self) -> Any:
        """Return a data frame with all columns; samples are NumPy arrays in data units, under ``x``.

        An archive of table rows has the columns of the input.
        """
        if self.table is not None:
            return self.to_arrow().to_pandas()
        import pandas as pd

        rest = pa.concat_tables(table for _, table in self.shards()).to_pandas()
        return pd.concat([pd.Series(list(self[:][0].numpy()), name="x"), rest], axis=1)

    def to_arrow(self) -> pa.Table:
        """Return all columns, as stored; polars and duckdb take such a table."""
        return pa.concat_tables([self.shard(number) for number in range(len(self.manifest["shards"]))])

    def to_dataset(self) -> Any:
        """Return all columns as a data set of Hugging Face's ``datasets``, in memory."""
        from datasets import Dataset

        return Dataset(self.to_arrow())

    def plan(self) -> Plan:
        """Return the plan, which determines the rows."""
        manifest = self.manifest
        return Plan(
            self.event_shape,
            self.class_names,
            self.storage,
            manifest["blocks"],
            manifest["parameters"],
            manifest["models"],
            manifest["images"],
            manifest["compression"],
            manifest.get("table"),
        )

    def tables(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield the named columns, shard by shard."""
        for shard in self.manifest["shards"]:
            yield _table(self.folder / shard["file"], columns)

    def shard(self, number: int) -> pa.Table:
        """Return all columns of one shard, with the types of the input where they are columns of a table."""
        found = _table(self.folder / self.manifest["shards"][number]["file"])
        return found if self.table is None else found.cast(self.table.schema)

    def shards(self) -> Iterator[tuple[Tensor, pa.Table]]:
        """Yield, shard by shard, the stored samples, (B, *event), and all other columns."""
        self._check_samples()
        column = self.manifest["columns"][0]
        for number in range(len(self.manifest["shards"])):
            table = self.shard(number)
            yield values_of(table.column(column), self.event_shape), table.drop_columns([column])

    def read(
        self, most: int | None = None, seed: int = 0, on_rows: Callable[[int], None] = lambda _: None
    ) -> tuple[Tensor, Tensor]:
        """Read stored samples and their labels: all of them, or ``most`` drawn at random without replacement.

        Arguments:
            most: number of rows, >= 1; None, or more than there are: all of them, in the archive's order.
            seed: of the draw.
            on_rows: called with the number of rows after each shard.

        Returns:
            x, (B, *event), uint8 levels or float32 data units, see ``storage``; label, int64, (B,), -1 for a sample
            without a label.
        """
        self._check_samples()
        wanted = self._drawn(most, seed)
        column = self.manifest["columns"][0]
        xs, labels, first = [], [], 0
        for table in self.tables([column, "label"] if self.class_names else [column]):
            here = wanted[(wanted >= first) & (wanted < first + len(table))] - first
            part = table.take(pa.array(here))
            xs.append(values_of(part.column(column), self.event_shape))
            none = np.full(len(part), -1)
            labels.append(torch.from_numpy(part.column("label").to_numpy().copy() if self.class_names else none))
            first += len(table)
            on_rows(len(part))
        return torch.cat(xs), torch.cat(labels)

    def some(self, most: int, seed: int = 0, shards: int = 8) -> Tensor:
        """Draw at most ``most`` samples, data units, from a few shards that lie evenly over the archive: (B, *event).

        Arguments:
            most: number of samples, >= 1.
            seed: of the draw.
            shards: most shards to read.
        """
        kept = [entry for entry in self.manifest["shards"] if entry["rows"]]
        chosen = [kept[k] for k in sorted({int(k) for k in np.linspace(0, len(kept) - 1, min(shards, len(kept)))})]
        rows = sum(entry["rows"] for entry in chosen)
        counts = {**self.manifest["counts"], "rows": rows}
        part = Archive(self.folder, {**self.manifest, "shards": chosen, "counts": counts})
        return self.storage.load(part.read(most, seed)[0])

    def numbers(self, column: str, most: int | None = None, seed: int = 0) -> NDArray[np.int64]:
        """Return the walk, step or model of the rows that :meth:`read` returns for the same arguments, int64, (B,)."""
        found = np.concatenate(
            [table.column(column).to_numpy() for table in map(self.origins, range(len(self.manifest["shards"])))]
        )
        return found[self._drawn(most, seed)].astype(np.int64)

    def origins(self, number: int) -> pa.Table:
        """Return walk, step and model of the rows of one shard."""
        path = self.folder / self.manifest["shards"][number]["file"]
        return _table(path, list(NUMBERS)) if self.table is None else read_origin(path)

    def _check_samples(self) -> None:
        """Raise ArchiveError where rows are rows of a table, which are no tensors."""
        if self.table is not None:
            cure = "Read it with Archive.to_pandas(), or judge it with reinject evaluate"
            raise ArchiveError(str(self.folder), "holds rows of a table, not tensors", cure)

    def _drawn(self, most: int | None, seed: int) -> NDArray[np.int64]:
        """Return the numbers of all rows, or of ``most`` of them, in rising order."""
        if most is None or most >= self.rows:
            return np.arange(self.rows)
        check_count("Archive.read", "most", most)
        return np.sort(np.random.default_rng(seed).permutation(self.rows)[:most])


def _table(path: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        with arrow_file(path) as file:
            return pq.read_table(file, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError(
            str(path), f"cannot be read ({str(error).splitlines()[0]})", "Check all of it with reinject verify"
        ) from error


def values_of(column: pa.ChunkedArray, event_shape: tuple[int, ...]) -> Tensor:
    """Return the stored samples of a column, (B, *event): uint8 levels or float32."""
    array = column.combine_chunks()
    if pa.types.is_struct(array.type):
        if not len(array):
            return torch.zeros((0, *event_shape), dtype=torch.uint8)
        pixels = decode(array.field("bytes").to_pylist(), "archive")
        return torch.from_numpy(pixels)
    while pa.types.is_fixed_size_list(array.type):
        array = array.flatten()
    return torch.from_numpy(array.to_numpy().copy()).reshape(-1, *event_shape)
