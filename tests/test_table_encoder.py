"""A table's encoder: inverse to its decoder, standard normal numbers, on disk without pickle."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from reinject.base.errors import DataError, ModelError
from reinject.data.column_encoders import NumberEncoder
from reinject.data.table_columns import columns_of, describe
from reinject.data.table_encoder import TableEncoder

MOMENT = pa.timestamp("us", "Europe/Berlin")
ZONE = ZoneInfo("Europe/Berlin")
VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int8": (pa.int8(), st.integers(-128, 127)),
    "uint16": (pa.uint16(), st.integers(0, 65535)),
    "int64": (pa.int64(), st.integers(-(2**40), 2**40)),
    "cents": (pa.float64(), st.integers(-(10**6), 10**6).map(lambda k: k / 100)),
    "single": (pa.float32(), st.integers(-1000, 1000).map(lambda k: k / 4)),
    "decimal": (pa.decimal128(12, 3), st.integers(-(10**8), 10**8).map(lambda k: Decimal(k).scaleb(-3))),
    "bool": (pa.bool_(), st.booleans()),
    "text": (pa.string(), st.text(max_size=3)),
    "large": (pa.large_string(), st.sampled_from("abc")),
    "date": (pa.date32(), st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))),
    "moment": (
        MOMENT,
        st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1), timezones=st.just(ZONE)),
    ),
    "time": (pa.time64("us"), st.times()),
    "span": (pa.duration("s"), st.integers(0, 10**6).map(lambda k: dt.timedelta(seconds=k))),
    "null": (pa.null(), st.none()),
}


def encoder_of(table: pa.Table, **options: Any) -> TableEncoder:
    return TableEncoder.fit(table, describe(table, **options))


def there_and_back(table: pa.Table, **options: Any) -> pa.Table:
    encoder = encoder_of(table, **options)
    return encoder.decode(encoder.encode(table, torch.Generator().manual_seed(0)))


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(1, 12))
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5))
    columns = {}
    for at, name in enumerate(names):
        kind, values = VALUES[name]
        values = draw(st.sampled_from([values, st.none() | values]))
        columns[f"{at}"] = pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), kind)
    return pa.table(columns)


@settings(max_examples=60)
@given(tables())
def test_decoder_is_the_inverse_of_the_encoder(table: pa.Table) -> None:
    back = there_and_back(table)
    assert back.schema == table.schema
    for name in table.column_names:
        if table.schema.field(name).type in (pa.int64(), MOMENT, pa.time64("us")):
            continue  # steps finer than z resolves: see below
        assert back.column(name).to_pylist() == table.column(name).to_pylist()


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
def test_wide_numbers_come_back_within_the_resolution_of_z(kind: pa.DataType) -> None:
    values = np.random.default_rng(0).lognormal(20, 3, 5000)
    table = pa.table({"a": pa.array(values.astype(kind.to_pandas_dtype()), kind)})
    back = there_and_back(table).column("a").to_numpy()
    assert np.abs(np.sort(back).searchsorted(values) - np.sort(values).searchsorted(values)).max() <= 2
    assert np.median(np.abs(back / values - 1)) < 1e-5


def test_a_number_is_standard_normal_whatever_its_spikes() -> None:
    random = np.random.default_rng(0)
    spikes = np.where(random.random(20_000) < 0.9, 0, random.integers(1, 10**6, 20_000))
    table = pa.table({"spikes": spikes, "ages": random.integers(17, 90, 20_000), "real": random.gamma(1, 1, 20_000)})
    encoder = encoder_of(table)
    assert [(b.column, b.size) for b in encoder.hot] == [("spikes", 2)]
    x = encoder.encode(table, torch.Generator().manual_seed(1))[:, :3]
    for column in x.T:
        assert kstest(column.numpy(), "norm").pvalue > 1e-3
    assert abs(float(torch.corrcoef(x.T)[0, 2])) < 4 / 20_000**0.5


def test_values_of_their_own_come_back_and_others_are_interpolated() -> None:
    values = np.concatenate([np.zeros(500), np.random.default_rng(0).random(500)])
    encoder = NumberEncoder.fit(pa.array(values), None)
    drawn = encoder.values(np.random.default_rng(1).random(10_000), pa.float64()).to_numpy()
    assert abs((drawn == 0).mean() - 0.5) < 4 * 0.5 / 100
    assert not np.isin(drawn[drawn > 0], values).any()  # no real value is copied
    assert drawn.min() >= 0 <= drawn.max() <= values.max()


def test_numbers_with_a_mark_are_noise() -> None:
    random = np.random.default_rng(0)
    values = [None if k % 3 == 0 else 7.0 if k % 3 == 1 else float(random.random()) for k in range(3000)]
    table = pa.table({"a": values})
    encoder = encoder_of(table)
    x = encoder.encode(table, torch.Generator().manual_seed(0))
    assert x[:, 1:].argmax(1).tolist() == [1, 0, 2] * 1000  # missing, the spike, any other number
    assert encoder.prior.tolist() == pytest.approx([1 / 3] * 3)
    for rows in (x[::3, 0], x[1::3, 0], x[2::3, 0]):
        assert kstest(rows.numpy(), "norm").pvalue > 1e-3
    back = encoder.decode(x).column("a").to_pylist()
    assert [one for one in back if one is not None] == pytest.approx([v for v in values if v is not None], abs=1e-3)
    assert [one is None for one in back] == [one is None for one in values]


def test_many_rare_categories_and_declared_ones_come_back() -> None:
    names = [f"c{k}" for k in range(1000)]
    declared = pa.DictionaryArray.from_arrays(
        pa.array([0, 2, None] * 500, pa.int8()), ["low", "middle", "high"], ordered=True
    )
    table = pa.table({"rare": names + ["c0"] * 500, "grade": declared})
    assert there_and_back(table, categorical=["rare"]).equals(table)


def test_counters_go_on() -> None:
    table = pa.table({"row": np.arange(30, dtype=np.int32), "a": np.arange(30) / 7})
    encoder = encoder_of(table)
    back = encoder.decode(torch.zeros(5, 1), first=7)
    assert back.column("row").to_pylist() == [7, 8, 9, 10, 11]
    assert back.schema == table.schema


def test_saved_and_loaded(tmp_path: Path) -> None:
    table = pa.table(
        {
            "a": pa.array([1.25, None, 3.5, *np.arange(7) / 3] * 3),
            "b": pa.array(["x", "y", None] * 10).dictionary_encode(),
            "c": pa.array([dt.datetime(2020, 1, k + 1, tzinfo=ZONE) for k in range(30)], MOMENT),
            "d": pa.array([Decimal("1.50")] * 30, pa.decimal128(5, 2)),
            "e": pa.nulls(30),
        }
    )
    encoder = encoder_of(table)
    encoder.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder.json", "encoder.safetensors"]
    again = TableEncoder.load(tmp_path)
    x = torch.randn(50, encoder.width, generator=torch.Generator().manual_seed(0))
    assert again.decode(x).equals(encoder.decode(x))
    assert again.columns == encoder.columns
    assert torch.equal(again.prior, encoder.prior)
    (tmp_path / "encoder.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no encoder.safetensors"):
        TableEncoder.load(tmp_path)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"a": [1.0, None], "b": ["x", "x"]}, "a: row 1 has no value, but no training row was without"),
        ({"a": [1.0, 2.0], "b": ["x", "z"]}, "b: row 1 has 'z', which no training row has"),
        ({"a": [1.0, 2.0]}, "table: has no column 'b'"),
    ],
)
def test_rows_unlike_the_training_rows_are_refused(rows: dict[str, Any], said: str) -> None:
    encoder = encoder_of(pa.table({"a": [1.0, 2.5], "b": ["x", "y"]}))
    with pytest.raises(DataError, match=said):
        encoder.encode(pa.table(rows), torch.Generator())
    with pytest.raises(ModelError, match="Give finite rows of 3 values"):
        encoder.decode(torch.zeros(2, 4))


def test_identifiers_are_not_encoded() -> None:
    table = pa.table({"token": [f"{k:08x}" for k in range(200)], "a": np.arange(200) / 3})
    with pytest.raises(DataError, match="token"):
        columns_of(table)
    with pytest.raises(DataError, match="token: is identifier"):
        TableEncoder.fit(table, describe(table))
