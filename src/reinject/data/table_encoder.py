"""Encode rows of mixed columns as vectors in which walks are easy, and decode vectors to rows of the same columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from reinject.base.errors import DataError, ModelError
from reinject.base.files import read_json, write_json
from reinject.data.column_encoders import CategoryEncoder, NumberEncoder, listed, unlisted
from reinject.data.column_fit import (
    as_declared,
    declared_in,
    fit_columns,
    plain_type,
    reduced_columns,
    schema_in,
    schema_of,
    schema_text,
)
from reinject.data.table_blocks import Block
from reinject.data.table_columns import Column, whole
from reinject.data.table_constraints import Constraints, group_name

SCALE = 2.0  # of a one-hot vector
ENCODER = "encoder.json"
PIECES = "encoder.safetensors"
_ROWS = 65_536  # encoded or decoded at once
_EDGE = 2.0**-24  # u lies in [edge, 1 - edge], so that z is finite


@dataclass(frozen=True)
class TableEncoder:
    """A table's encoder: rows to vectors x of (numbers, one-hot blocks) and back.

    Numbers come first in x, one value each. One-hot blocks follow, smallest first: categories, and the marks of numbers
    that have spikes or missing values. z of a marked number is noise, which the walk learns as such, so that rows come
    out exactly. Constants, empty columns and counters need no values.

    Attributes:
        columns: of the table, in its order.
        schema: names, types and metadata of the encoded table.
        numbers: encoders of numbers and dates, by name.
        categories: encoders of categories, by name.
        marks: spikes and missing values of numbers, by name.
        constants: arrays of one value, by name: of a constant, or the first one of a counter.
        dictionaries: declared categories of columns with a dictionary type, by name.
        constraints: between the columns; ``columns`` and ``schema`` are those of the reduced table.
        outer: names, types and metadata of the decoded table, where constraints reduce it.
        originals: its columns.
    """

    columns: tuple[Column, ...]
    schema: pa.Schema
    numbers: Mapping[str, NumberEncoder]
    categories: Mapping[str, CategoryEncoder]
    marks: Mapping[str, CategoryEncoder] = field(default_factory=dict)
    constants: Mapping[str, pa.Array] = field(default_factory=dict)
    dictionaries: Mapping[str, pa.Array] = field(default_factory=dict)
    constraints: Constraints = field(default_factory=Constraints)
    outer: pa.Schema | None = None
    originals: tuple[Column, ...] = ()

    @classmethod
    def fit(cls, table: pa.Table, columns: Sequence[Column], constraints: Constraints | None = None) -> "TableEncoder":
        """Fit the encoders on training rows.

        Arguments:
            table: training rows; columns that are not listed are left out.
            columns: kinds of the columns, from :func:`reinject.data.table_columns.columns_of`.
            constraints: what holds between the columns of every row.

        Raises:
            DataError: a column is not in the table, or is an identifier or free text; rows contradict a constraint.

        Example:
            >>> from reinject.data.table_columns import columns_of
            >>> table = pa.table({"a": [1.5, 2.5, None], "b": ["x", "y", "x"]})
            >>> encoder = TableEncoder.fit(table, columns_of(table))
            >>> [(block.column, block.holds, block.start) for block in encoder.blocks]
            [('a', 'number', 0), ('b', 'category', 1), ('a', 'mark', 3)]
            >>> encoder.decode(encoder.encode(table, torch.Generator())).equals(table)
            True
        """
        outer, limits = schema_of(table, columns), constraints or Constraints()
        declared = declared_in(table.select(outer.names))
        table = limits.reduced(table.select(outer.names))
        kept = reduced_columns(table, columns, [group_name(group) for group in limits.combined])
        parts = fit_columns(table, kept)
        before = (outer, tuple(columns)) if kept != tuple(columns) else (None, ())
        return cls(
            kept, table.schema, **parts, dictionaries=declared, constraints=limits, outer=before[0], originals=before[1]
        )

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Return the parts of x, in order."""
        sizes = [(encoder.size, name, "category") for name, encoder in self.categories.items()]
        sizes += [(encoder.size + 1, name, "mark") for name, encoder in self.marks.items()]
        found = [Block(name, "number", at, at + 1) for at, name in enumerate(self.numbers)]
        at = len(found)
        for size, name, holds in sorted(sizes, key=lambda one: one[0]):  # stable: columns of one size keep their order
            found.append(Block(name, holds, at, at + size))  # type: ignore[arg-type]
            at += size
        return tuple(found)

    @property
    def decoded(self) -> pa.Schema:
        """Return names, types and metadata of the decoded table."""
        return self.schema if self.outer is None else self.outer

    @property
    def described(self) -> tuple[Column, ...]:
        """Return the columns of the decoded table."""
        return self.originals or self.columns

    @property
    def width(self) -> int:
        """Return d, the number of values of an encoded row."""
        return self.blocks[-1].stop if self.blocks else 0

    @cached_property
    def hot(self) -> tuple[Block, ...]:
        """Return the one-hot blocks, in order."""
        return self.blocks[len(self.numbers) :]

    @cached_property
    def prior(self) -> Tensor:
        """Return the share of rows of each category, (d - numbers,), block by block; each block sums to 1."""
        counts = [
            [*self.marks[b.column].counts, self.marks[b.column].rest]
            if b.holds == "mark"
            else self.categories[b.column].counts
            for b in self.hot
        ]
        shares = [torch.as_tensor(np.asarray(one, np.float64)) for one in counts]
        return torch.cat([one / one.sum() for one in shares]).float() if shares else torch.zeros(0)

    def encode(self, table: pa.Table, generator: torch.Generator) -> Tensor:
        """Encode rows: u uniform in [F(v-), F(v)], z = Phi^-1(u); categories as one-hot vectors.

        Arguments:
            table: rows with the columns of the encoder, in any order.
            generator: of u, and of the z of marked numbers; on the CPU.

        Returns:
            x, float32, (N, d).

        Raises:
            DataError: a column is missing, or a value belongs to no category.
        """
        parts = [self.unpack(torch.from_numpy(rows), generator) for rows in self._packed_rows(table, np.float64)]
        return torch.cat(parts).float() if parts else torch.zeros(0, self.width)

    def reduced(self, table: pa.Table) -> pa.Table:
        """Return a table with the columns that are encoded, after a check of the constraints."""
        return table if self.outer is None else self.constraints.reduced(table)

    def pack(self, table: pa.Table) -> Tensor:
        """Return rows as :meth:`unpack` takes them: F(v-), then F(v) - F(v-), of numbers; then the categories' numbers.

        This is all that training keeps of a table in memory: float32, (N, 2 numbers + blocks).
        """
        rows = list(self._packed_rows(table, np.float32))
        width = 2 * len(self.numbers) + len(self.hot)
        return torch.from_numpy(np.concatenate(rows)) if rows else torch.zeros(0, width)

    def unpack(self, packed: Tensor, generator: torch.Generator) -> Tensor:
        """Draw encoded rows x, (N, d), from packed rows."""
        m = len(self.numbers)
        below, span, codes = packed[:, :m], packed[:, m : 2 * m], packed[:, 2 * m :].long()
        u = torch.rand((len(packed), m), generator=generator, dtype=packed.dtype)
        x = torch.zeros((len(packed), self.width), dtype=packed.dtype)
        x[:, :m] = torch.special.ndtri((below + span * u).clamp_(_EDGE, 1 - _EDGE))
        return x.scatter_(1, codes + self._starts, SCALE)

    def decode(self, x: Tensor, first: int = 0) -> pa.Table:
        """Decode vectors, (N, d), to rows: F^-1(Phi(z)), and the largest value of each one-hot block.

        The result is a function of x, with the columns, names, order, types, decimals, ranges and missing values of the
        training table. A counter begins as it did there.

        Arguments:
            x: (N, d), encoded rows, such as the last reconstructions of walks.
            first: number of the first row, from 0; counters continue from it.

        Raises:
            ModelError: x has another width, or is not finite.
        """
        if x.ndim != 2 or x.shape[1] != self.width or not bool(torch.isfinite(x).all()):
            raise ModelError("encoder", f"x of shape {tuple(x.shape)}", f"Give finite rows of {self.width} values")
        parts = [self._decoded(part.cpu(), first + at * _ROWS) for at, part in enumerate(torch.split(x, _ROWS))]
        table = pa.concat_tables(parts)
        return table if self.outer is None else self.constraints.restored(table, self.outer, self.dictionaries)

    def save(self, folder: Path) -> None:
        """Write encoder.json and encoder.safetensors into a folder."""
        pieces = {f"{k}.{part}": a for k, e in enumerate(self.numbers.values()) for part, a in e.arrays().items()}
        save_file({name: np.ascontiguousarray(array) for name, array in pieces.items()}, folder / PIECES)
        write_json(
            folder / ENCODER,
            {
                "columns": [column.as_json() for column in self.columns],
                "schema": schema_text(self.schema),
                "outer": None if self.outer is None else schema_text(self.outer),
                "originals": [column.as_json() for column in self.originals],
                "constraints": self.constraints.as_json(),
                "numbers": {name: encoder.as_json() for name, encoder in self.numbers.items()},
                "categories": {name: encoder.as_json() for name, encoder in self.categories.items()},
                "marks": {name: encoder.as_json() for name, encoder in self.marks.items()},
                "constants": {name: listed(value) for name, value in self.constants.items()},
                "dictionaries": {name: listed(values) for name, values in self.dictionaries.items()},
            },
        )

    @classmethod
    def load(cls, folder: Path) -> "TableEncoder":
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: a file is missing or damaged.
        """
        for name in (ENCODER, PIECES):
            if not (folder / name).is_file():
                raise ModelError(str(folder), f"has no {name}", "Copy the folder again")
        try:
            found = read_json(folder / ENCODER, ModelError)
            pieces = load_file(folder / PIECES)
            schema = schema_in(found["schema"])
            outer = None if found["outer"] is None else schema_in(found["outer"])
            kinds = {item.name: plain_type(item.type) for item in (*(outer or ()), *schema)}
            numbers = {
                name: NumberEncoder.of(one, {part: pieces[f"{k}.{part}"] for part in ("left", "right", "mass")})
                for k, (name, one) in enumerate(found["numbers"].items())
            }
            return cls(
                tuple(Column.from_json(one) for one in found["columns"]),
                schema,
                numbers,
                {name: CategoryEncoder.of(one, kinds[name]) for name, one in found["categories"].items()},
                {name: CategoryEncoder.of(one, kinds[name]) for name, one in found["marks"].items()},
                {name: unlisted(one, kinds[name]) for name, one in found["constants"].items()},
                {name: unlisted(one, kinds[name]) for name, one in found["dictionaries"].items()},
                Constraints.from_json(found["constraints"]),
                outer,
                tuple(Column.from_json(one) for one in found["originals"]),
            )
        except (KeyError, TypeError, ValueError, IndexError, SafetensorError, pa.ArrowException, DataError) as error:
            raise ModelError(str(folder), f"its encoder is damaged ({error})", "Copy the folder again") from error

    @cached_property
    def _starts(self) -> Tensor:
        return torch.tensor([block.start for block in self.hot], dtype=torch.long)

    @cached_property
    def marked(self) -> tuple[tuple[int, int], ...]:
        """Return the numbers with marks: their places among the numbers, and those of their marks among the blocks."""
        places = {name: at for at, name in enumerate(self.numbers)}
        m = len(places)
        return tuple((places[b.column], m + at) for at, b in enumerate(self.hot) if b.holds == "mark")

    def _packed_rows(self, table: pa.Table, kind: Any) -> Iterator[NDArray[Any]]:
        table = self.reduced(table)
        absent = [column.name for column in self.columns if column.name not in table.column_names]
        if absent:
            raise DataError(
                "table", f"has no column {absent[0]!r}", "Give a table with the columns of the training table"
            )
        for first in range(0, table.num_rows, _ROWS):
            yield self._packed(table.slice(first, _ROWS), first).astype(kind)

    def _packed(self, table: pa.Table, first: int) -> NDArray[np.float64]:
        m = len(self.numbers)
        packed = np.zeros((table.num_rows, 2 * m + len(self.hot)))
        arrays = {name: whole(table.column(name), name) for name in (*self.numbers, *self.categories)}
        codes = {(b.column, b.holds): self._codes(b, arrays[b.column], first) for b in self.hot}
        for at, (name, encoder) in enumerate(self.numbers.items()):
            plain = np.ones(table.num_rows, np.bool_)
            if name in self.marks:
                plain = codes[name, "mark"] == self.marks[name].size
            elif arrays[name].null_count:
                row = first + arrays[name].is_null().index(True).as_py()
                raise DataError(name, f"row {row} has no value, but no training row was without", "Fill in the value")
            packed[:, m + at] = 1.0
            packed[plain, at], packed[plain, m + at] = encoder.interval(arrays[name].filter(pa.array(plain)))
        for at, one in enumerate(codes.values()):
            packed[:, 2 * m + at] = one
        return packed

    def _codes(self, block: Block, array: pa.Array, first: int) -> NDArray[np.int64]:
        """Return the numbers of a block's categories in rows; the last one of marks is any other number."""
        name = block.column
        encoder = self.marks[name] if block.holds == "mark" else self.categories[name]
        codes = encoder.codes(array)
        strange = codes < 0
        if block.holds == "mark":
            strange &= array.is_null().to_numpy(zero_copy_only=False)
            codes = np.where(codes < 0, encoder.size, codes)
        if strange.any():
            row = int(np.flatnonzero(strange)[0])
            value = array[row].as_py()
            if value is None:
                raise DataError(name, f"row {first + row} has no value, but no training row was without", "Fill it in")
            problem = f"row {first + row} has {value!r}, which no training row has"
            raise DataError(name, problem, "Remove such rows, or train with them")
        return codes

    def _decoded(self, x: Tensor, first: int) -> pa.Table:
        u = torch.special.ndtr(x[:, : len(self.numbers)].double()).numpy()
        codes = {(b.column, b.holds): x[:, b.start : b.stop].argmax(1).numpy() for b in self.hot}
        arrays = []
        for column, item in zip(self.columns, self.schema, strict=True):
            name, kind = column.name, plain_type(item.type)
            if name in self.numbers:
                array = self.numbers[name].values(u[:, list(self.numbers).index(name)], kind)
                if name in self.marks:
                    marks = self.marks[name]
                    plain = pa.array(codes[name, "mark"] == marks.size)
                    array = pc.if_else(plain, array, marks.take(codes[name, "mark"]))
            elif name in self.categories:
                array = self.categories[name].take(codes[name, "category"])
            else:
                array = self._fixed_column(column, kind, len(x), first)
            arrays.append(as_declared(array, item.type, self.dictionaries.get(name)))
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def _fixed_column(self, column: Column, kind: pa.DataType, rows: int, first: int) -> pa.Array:
        if column.kind == "empty":
            return pa.nulls(rows, kind)
        value = self.constants[column.name]
        if column.kind == "constant":
            return value.take(pa.array(np.zeros(rows, np.int64)))
        return pa.array(np.arange(rows) + (first + int(value[0].as_py())), pa.int64()).cast(kind)
