"""The archive of a table: its columns are those of the input, and each shard's footer says which walk made a row.

A further column could bear the name of an input's column, and a reader would train on it. So walk, step and model of
the rows are in the key-value metadata of the Parquet file, as runs of consecutive walks.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from reinject.base.arrow import arrow_file, arrow_memory
from reinject.base.errors import ArchiveError
from reinject.data.samples import LabelledSamples

ORIGIN = b"reinject"  # key of the footer
NUMBERS = ("walk", "step", "model")


@dataclass(frozen=True)
class TableSchema:
    """The columns of an archive of table rows.

    Attributes:
        schema: names, order and types, as in the input.
        columns: kind, decimals, range and missing values of each column in the training rows, JSON values.
        target: name of the column to predict; None: no column.
        classes: values of the target as text, in the order of their shares in the manifest; none for numbers.
    """

    schema: pa.Schema
    columns: tuple[Mapping[str, Any], ...]
    target: str | None = None
    classes: tuple[str, ...] = ()

    @property
    def stored(self) -> pa.Schema:
        """Return the types that Parquet gives back, which has no times in seconds."""
        buffer = pa.BufferOutputStream()
        pq.write_table(self.schema.empty_table(), buffer)
        return pq.read_schema(arrow_memory(buffer.getvalue()))

    def as_json(self) -> dict[str, Any]:
        """Return JSON values, as a manifest holds them."""
        text = base64.b64encode(self.schema.serialize()).decode("ascii")
        columns, classes = [dict(one) for one in self.columns], list(self.classes)
        return {"target": self.target, "classes": classes, "columns": columns, "schema": text}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], owner: str) -> "TableSchema":
        """Make a schema from the values of :meth:`as_json`.

        Raises:
            ArchiveError: other values.

        Example:
            >>> one = TableSchema(pa.schema([("age", pa.int8())]), ({"name": "age"},), "age")
            >>> TableSchema.from_json(one.as_json(), "manifest.json") == one
            True
        """
        try:
            schema = pa.ipc.read_schema(arrow_memory(base64.b64decode(values["schema"])))
            columns, classes = tuple(dict(one) for one in values["columns"]), tuple(values["classes"])
            found = cls(schema, columns, values["target"], classes)
            fits = [one["name"] for one in columns] == schema.names and all(isinstance(one, str) for one in classes)
            fits = fits and (found.target is None or found.target in schema.names)
        except (KeyError, TypeError, ValueError, pa.ArrowException):
            fits = False
        if not fits:
            raise ArchiveError(owner, f"is damaged (table is {str(values)[:80]!r})", "Sample again")
        return found


def origin(parts: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]) -> dict[bytes, bytes]:
    """Return the footer's metadata for parts of a shard: (step, walks, models) of the rows, in order.

    Example:
        >>> origin([(9, np.array([0, 1, 3]), np.zeros(3, np.int64))])
        {b'reinject': b'[{"step": 9, "walks": [[0, 2], [3, 4]], "models": [[0, 3]]}]'}
    """
    values = [
        {"step": step, "walks": _runs(walks), "models": [[m, n] for m, n in _repeats(models)]}
        for step, walks, models in parts
    ]
    return {ORIGIN: json.dumps(values).encode()}


def origin_of(part: LabelledSamples) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Return step, walks and models of the rows of a part."""
    return part.step, part.walk.numpy(), part.model.numpy()


def read_origin(path: Path) -> pa.Table:
    """Read walk, step and model of the rows of a shard from its footer; int64 columns.

    Raises:
        ArchiveError: the file is unreadable, or has no such footer.
    """
    try:
        with arrow_file(path) as file:
            values = json.loads(pq.read_metadata(file).metadata[ORIGIN])
        columns: list[list[NDArray[np.int64]]] = [[], [], []]
        for part in values:
            walks = np.concatenate([np.arange(first, last) for first, last in part["walks"]] or [np.zeros(0, np.int64)])
            columns[0].append(walks)
            columns[1].append(np.full(len(walks), part["step"]))
            columns[2].append(np.repeat(*np.array(part["models"], np.int64).reshape(-1, 2).T))
        joined = [np.concatenate([np.zeros(0, np.int64), *one]) for one in columns]
        return pa.table(dict(zip(NUMBERS, joined, strict=True)))
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise ArchiveError(
            str(path), f"does not say which walks made its rows ({error})", "Run reinject verify"
        ) from error


def _runs(walks: NDArray[np.int64]) -> list[list[int]]:
    """Return first and last + 1 of every run of consecutive numbers."""
    cuts = np.flatnonzero(np.diff(walks) != 1) + 1
    return [[int(one[0]), int(one[-1]) + 1] for one in np.split(walks, cuts) if len(one)]


def _repeats(values: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return every run of an equal value: the value and the length of the run."""
    cuts = np.flatnonzero(np.diff(values) != 0) + 1
    return [(int(one[0]), len(one)) for one in np.split(values, cuts) if len(one)]
