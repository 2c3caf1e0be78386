"""The table behind an autoencoder of encoded rows: its encoder and its target, in the autoencoder's folder."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from torch import Tensor

from reinject.archive.table_schema import TableSchema
from reinject.base.errors import ModelError
from reinject.base.files import read_json, sha256, write_json
from reinject.data.table_encoder import ENCODER, PIECES, TableEncoder
from reinject.networks import TableDenoiser

TABLE = "table.json"


@dataclass(frozen=True)
class TableModel:
    """What turns points of a walk into rows of a table.

    Attributes:
        encoder: fitted on the training rows.
        target: name of the column to predict; None: no column.
        sha256: hash of the encoder's files; "" for an encoder in memory.
        networks: the autoencoders of the encoder's rows.
    """

    encoder: TableEncoder
    target: str | None = None
    sha256: str = ""
    networks: tuple[TableDenoiser, ...] = field(default=(), repr=False, compare=False)

    @property
    def one_network(self) -> TableDenoiser:
        """Return the only autoencoder; raise ModelError for several, because conditions hold for one."""
        if len(self.networks) != 1:
            raise ModelError("--given", f"{len(self.networks)} autoencoders", "Give the models of one training")
        return self.networks[0]

    @cached_property
    def schema(self) -> TableSchema:
        """Return the columns, as an archive describes them."""
        columns = tuple(column.as_json() for column in self.encoder.described)
        return TableSchema(self.encoder.decoded, columns, self.target, tuple(self.classes))

    @cached_property
    def classes(self) -> dict[str, float]:
        """Return the share of each class of the target in the training rows; none where it has no classes."""
        found = self.encoder.categories.get(self.target or "")
        if found is None:
            return {}
        counts = np.asarray(found.counts, np.float64)
        names = map(str, found.take(np.arange(len(counts))).to_pylist())
        return dict(zip(names, (counts / counts.sum()).tolist(), strict=True))

    @property
    def training_rows(self) -> int | None:
        """Return the number of training rows, as the encoder counted them; None where no column varies."""
        encoder = self.encoder
        for found in (*encoder.categories.values(), *encoder.marks.values()):
            return int(found.counts.sum()) + found.rest
        return next((round(float(one.mass.sum())) for one in encoder.numbers.values()), None)

    def rows(self, x: Tensor, walk: Tensor) -> pa.Table:
        """Decode points, (B, d), to rows; a counter counts walks, so that it has no value twice.

        Arguments:
            x: points, data units, finite.
            walk: numbers of their walks, int64, (B,).
        """
        table = self.encoder.decode(x)
        for column in self.encoder.columns:
            if column.kind == "counter":
                at = table.column_names.index(column.name)
                item = table.schema.field(at)
                first = self.encoder.constants[column.name][0].as_py()
                table = table.set_column(at, item, pa.array(walk.numpy() + np.int64(first)).cast(item.type))
        return table

    def save(self, folder: Path) -> None:
        """Write the encoder and the target into the folder of the autoencoder."""
        self.encoder.save(folder)
        write_json(folder / TABLE, {"target": self.target})


def table_model(folder: Path) -> TableModel | None:
    """Read the table behind the autoencoder in a folder; None if it is no autoencoder of a table.

    Raises:
        ModelError: a damaged file.
    """
    if not (folder / ENCODER).is_file():
        return None
    encoder = TableEncoder.load(folder)
    found = read_json(folder / TABLE, ModelError) if (folder / TABLE).is_file() else {}
    target = found.get("target") if isinstance(found, dict) else None
    if target is not None and target not in encoder.decoded.names:
        raise ModelError(str(folder / TABLE), f"is damaged (target is {target!r})", "Train it again")
    digest = hashlib.sha256("".join(sha256(folder / name) for name in (ENCODER, PIECES)).encode()).hexdigest()
    return TableModel(encoder, target, digest)
