"""A table with columns of every kind, and the untrained models of a table, in milliseconds."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from reinject.data.splits import Split
from reinject.data.table_columns import columns_of
from reinject.data.table_encoder import TableEncoder
from reinject.models.table_model import TableModel
from reinject.training.table_fit import TableSpec, network_of

START = datetime.datetime(2020, 1, 1)


def mixed(rows: int = 400, seed: int = 0) -> pa.Table:
    """Columns of every kind; some have the names that archives of images use for their own."""
    rng = np.random.default_rng(seed)
    seconds = [datetime.timedelta(seconds=int(k)) for k in rng.integers(0, 10**7, rows)]
    gaps = rng.random(rows) < 0.2
    level = pa.DictionaryArray.from_arrays(
        pa.array(rng.integers(0, 3, rows), pa.int8()), pa.array(["low", "middle", "high"]), ordered=True
    )
    return pa.table(
        {
            "walk": np.arange(rows),
            "label": pa.array(rng.integers(17, 90, rows), pa.int8()),
            "model": rng.choice(["a, b", 'c "d"', "é"], rows),
            "pay": np.round(rng.lognormal(size=rows), 2),
            "level": level,
            "day": pa.array([(START + s).date() for s in seconds]),
            "stamp": pa.array([START + s for s in seconds], pa.timestamp("s", "Europe/Berlin")),
            "clock": pa.array([(START + s).time() for s in seconds], pa.time64("us")),
            "price": pa.array([round(float(v), 2) for v in rng.normal(50, 9, rows)]).cast(pa.decimal128(12, 2)),
            "ok": pa.array(np.where(gaps, None, rng.random(rows) < 0.3).tolist(), pa.bool_()),
            "gap": pa.array(rng.normal(size=rows), mask=gaps),
            "none": pa.nulls(rows),
            "one": ["x"] * rows,
            "income": rng.choice(["<=50K", ">50K"], rows, p=[0.7, 0.3]),
        }
    )


def table_models(folder: Path, table: pa.Table, target: str | None = "income", split: Split | None = None) -> Path:
    """Models of a table as ``reinject train`` writes them, without training: independent columns."""
    encoder = TableEncoder.fit(table, columns_of(table, target=target))
    network_of(encoder, TableSpec(width=8, depth=1)).save_pretrained(folder / "autoencoder")
    TableModel(encoder, target).save(folder / "autoencoder")
    (split or Split("people.csv", 3, "a" * 16, "b" * 16)).save(folder / "autoencoder")
    return folder
