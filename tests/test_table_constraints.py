"""Constraints between columns: reduced tables come back, every sampled row meets them, contradictions are named."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from reinject import Archive
from reinject.base.errors import ArgumentError, DataError
from reinject.data.column_fit import declared_in
from reinject.data.table_columns import describe
from reinject.data.table_conditions import conditions_of
from reinject.data.table_constraints import Constraints
from reinject.data.table_encoder import TableEncoder
from reinject.models.loading import load_models
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.tables import Synthesizer
from reinject.training.table_fit import TableSpec, network_of

N = 300
LIMITS = Constraints(
    ordered=(("mid", "high"), ("low", "mid"), ("start", "end")),
    combined=(("city", "code"),),
    computed={"total": "low * `unit price` + 2"},
)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    low = random.integers(0, 50, N)
    place = random.integers(0, 3, N)
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 400, N), "D")
    frame = pd.DataFrame({"low": low, "mid": low + random.integers(0, 9, N).astype(float)})
    frame["high"] = (frame["mid"] + random.gamma(1, 1, N)).round(2).clip(lower=frame["mid"])
    frame["city"] = pd.Categorical(np.array(["Oslo", "Rome", "Lima"])[place], ["Lima", "Oslo", "Rome", "Bonn"])
    frame["code"] = np.array([47, 39, 51])[place]
    frame["start"] = start
    frame["end"] = start + pd.to_timedelta(random.integers(0, 30, N), "D")
    frame["unit price"] = random.gamma(2, 3, N).round(2)
    frame["total"] = (frame["low"] * frame["unit price"] + 2).round(2)
    return frame


def made(frame: pd.DataFrame) -> Synthesizer:
    table = pa.Table.from_pandas(frame)
    encoder = TableEncoder.fit(table, describe(table), LIMITS)
    return Synthesizer(encoder, network_of(encoder, TableSpec(width=8, depth=1)), "pandas")


def test_a_reduced_table_comes_back(frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame)
    less = LIMITS.reduced(table)
    assert set(less.column_names) == {
        "low",
        "mid - low",
        "high - mid",
        "city & code",
        "start",
        "end - start",
        "unit price",
    }
    back = LIMITS.restored(less, table.schema, declared_in(table))
    assert back.schema == table.schema
    pd.testing.assert_frame_equal(back.to_pandas(), frame)
    assert Constraints.from_json(LIMITS.as_json()) == LIMITS


def test_every_row_meets_the_constraints(frame: pd.DataFrame, tmp_path: Any) -> None:
    first = made(frame)
    first.save(tmp_path)
    rows = Synthesizer.load(tmp_path).sample(100, seed=1)
    assert list(rows.columns) == list(frame.columns)
    assert (rows.dtypes == frame.dtypes).all()
    assert (rows["low"] <= rows["mid"]).all()
    assert (rows["mid"] <= rows["high"]).all()
    assert (rows["start"] <= rows["end"]).all()
    assert set(zip(rows["city"], rows["code"], strict=True)) == {("Oslo", 47), ("Rome", 39), ("Lima", 51)}
    assert np.allclose(rows["total"], rows["low"] * rows["unit price"] + 2)
    assert rows.equals(first.sample(100, seed=1))


def test_conditions_on_constrained_columns(frame: pd.DataFrame) -> None:
    synthesizer = made(frame)
    rows = synthesizer.sample(50, given={"code": (40, 60), "low": 10, "mid": 12.0})
    assert set(rows["city"]) == {"Oslo", "Lima"}
    assert (rows["low"] == 10).all()
    assert (rows["mid"] == 12.0).all()
    for given, said in (
        ({"city": "Oslo", "code": 39}, "no training row has city = 'Oslo', code = 39"),
        ({"total": 3.0}, "total is computed from other columns"),
        ({"high": 3.0}, "high is learned as high - mid"),
        ({"low": 10, "mid": 9.0}, "low = 10 is above mid = 9.0"),
    ):
        with pytest.raises(ArgumentError, match=said):
            conditions_of(synthesizer.encoder, given)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"ordered": [("high", "low")]}, r"high <= low does not hold in \d+ rows \(\d+, .*\)"),
        ({"ordered": [("low", "city")]}, "city is .*, which has no difference"),
        ({"ordered": [("low", "nothing")]}, "there is no column 'nothing'"),
        ({"ordered": [("low", "gaps")]}, r"low <= gaps needs both values, but 1 rows \(7\) lack one"),
        ({"computed": {"total": "low + 1"}}, r"total = low \+ 1 does not hold in \d+ rows"),
        ({"computed": {"total": "__import__('os')"}}, "has more than names, numbers and"),
        ({"computed": {"total": "low +"}}, "is not understood"),
        ({"computed": {"total": "total"}}, "does not compute it from other columns"),
        ({"computed": {"total": "low"}, "ordered": [("low", "total")]}, "total stands in two of them"),
    ],
)
def test_refused(frame: pd.DataFrame, limits: dict[str, Any], said: str) -> None:
    table = pa.Table.from_pandas(frame.assign(gaps=[None if k == 7 else 100 for k in range(N)]))
    with pytest.raises(DataError, match=said):
        Constraints(**limits).reduced(table)


def test_times_are_ordered_too() -> None:
    start = [dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=k) for k in range(40)]
    end = [one + dt.timedelta(minutes=7 * k) for k, one in enumerate(start)]
    kind = pa.timestamp("us", "UTC")
    table = pa.table({"a": pa.array(start, kind), "b": pa.array(end, kind)})
    limits = Constraints(ordered=(("a", "b"),))
    assert limits.restored(limits.reduced(table), table.schema).equals(table)


def test_the_command_samples_the_same_rows_from_a_saved_folder(frame: pd.DataFrame, tmp_path: Any) -> None:
    synthesizer = made(frame)
    synthesizer.save(tmp_path / "models")
    sample_models(load_models([tmp_path / "models"]), tmp_path / "s", SampleSpec(), walks=90, seed=4)
    rows = pa.concat_tables(Archive.open(tmp_path / "s").tables(list(frame.columns)))
    assert rows.to_pandas().equals(synthesizer.sample(90, seed=4))
