"""The synthesiser of a table in Python: what it refuses, in one sentence each."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from reinject.base.errors import ReinjectError
from reinject.tables import Synthesizer, fit
from reinject.training.table_fit import TableSpec

FRAME = pd.DataFrame({"age": range(20, 60), "sex": ["f", "m"] * 20, "pay": np.linspace(0, 1, 40)})
FAST = TableSpec(width=8, steps=2)


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    return fit(FRAME, spec=FAST)


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        (FRAME.head(1), {}, "has only constants, counters and empty columns. Give a column that varies"),
        (FRAME.head(0), {}, "has no rows"),
        (FRAME[[]], {}, "has no columns"),
        (FRAME["age"], {}, r"is a single column. Give a data frame, such as .to_frame\(\)"),
        (pl.Series("age", [1, 2]), {}, "is a single column"),
        (FRAME.assign(y=1), {"target": "y"}, "y: the target has one value in all rows"),
        (FRAME.assign(y=np.nan), {"target": "y"}, "y: the target is missing in 40 of 40 rows"),
        (FRAME, {"target": "y"}, "there is no column 'y'"),
        (FRAME.assign(pay=np.inf), {}, "pay: 40 values are infinite"),
        (pd.concat([FRAME, FRAME[["age"]]], axis=1), {}, "has several columns of the name age"),
        (FRAME, {"categorical": "sex"}, r"categorical: 'sex' is a text. Give \['sex'\]"),
        (FRAME, {"drop": "sex"}, r"drop: 'sex' is a text. Give \['sex'\]"),
        (FRAME, {"seed": -1}, "fit: seed = -1 is below 0"),
    ],
)
def test_what_no_synthesiser_is_fitted_to(frame: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ReinjectError, match=said):
        fit(frame, spec=FAST, **options)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda one: one.sample(0), "sample: rows = 0 is below 1"),
        (lambda one: one.sample(3, seed=-1), "sample: seed = -1 is below 0"),
        (lambda one: one.complete(FRAME, draws=0), "complete: draws = 0 is below 1"),
        (lambda one: one.complete(FRAME, seed=-1), "complete: seed = -1 is below 0"),
        (lambda one: one.complete(FRAME[["age"]]), "has no column sex"),
        (lambda one: one.complete(FRAME["age"]), "is a single column"),
    ],
)
def test_what_is_not_sampled(fitted: Synthesizer, ask: Callable[[Synthesizer], Any], said: str) -> None:
    with pytest.raises(ReinjectError, match=said):
        ask(fitted)


def test_a_column_without_values_stays_so() -> None:
    drawn = fit(FRAME.assign(none=np.nan), spec=FAST).sample(5)
    assert list(drawn.columns) == ["age", "sex", "pay", "none"]
    assert drawn["none"].isna().all()
