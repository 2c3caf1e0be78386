"""A fitted synthesiser against exact laws: a Gaussian copula, conditional rows, values that are missing at random."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, spearmanr

import reinject
from reinject.tables import Synthesizer, TableSpec

RHO = 0.7
N = 6000


def rows(n: int, seed: int = 0) -> pd.DataFrame:
    """A Gaussian copula of an exponential, a lognormal with spikes, and a category by a threshold."""
    random = np.random.default_rng(seed)
    a = random.standard_normal(n)
    b = RHO * a + math.sqrt(1 - RHO**2) * random.standard_normal(n)
    flag = np.where(a + random.standard_normal(n) > 0, "up", "down")
    return pd.DataFrame({"time": -np.log(norm.sf(a)), "pay": np.exp(b).round(2), "flag": flag})


@pytest.fixture(scope="module")
def synthesizer() -> Synthesizer:
    return reinject.tables.fit(rows(N), spec=TableSpec(width=128, depth=3, steps=2500, given=0.4))


@pytest.mark.slow
def test_the_correlations_of_a_gaussian_copula_come_back(synthesizer: Synthesizer) -> None:
    drawn = synthesizer.sample(N, seed=1)
    wanted = 6 / math.pi * math.asin(RHO / 2)
    error = 4 * (1 - RHO**2) * math.sqrt(2 / N)  # of the training rows and of the drawn ones
    assert abs(spearmanr(drawn["time"], drawn["pay"]).statistic - wanted) < error
    up = drawn["flag"] == "up"
    assert abs(up.mean() - 0.5) < 4 * 0.5 * math.sqrt(2 / N)
    above = (drawn["time"] > math.log(2))[up].mean()
    assert abs(above - 0.75) < 4 * math.sqrt(0.75 * 0.25 * 4 / N)  # P(a > 0 given a + z > 0) = 3/4


@pytest.mark.slow
def test_conditional_rows_have_the_law_of_the_copula(synthesizer: Synthesizer) -> None:
    a = 1.2
    drawn = synthesizer.sample(3000, seed=2, given={"time": float(-np.log(norm.sf(a)))})
    b = np.log(drawn["pay"])
    std = math.sqrt(1 - RHO**2)
    assert abs(b.mean() - RHO * a) < 4 * std / math.sqrt(3000) + 0.08  # 0.08: of a small network
    assert abs(b.std() / std - 1) < 0.12
    assert abs((drawn["flag"] == "up").mean() - norm.cdf(a)) < 0.04
    inside = synthesizer.sample(3000, seed=3, given={"time": (0.5, 1.0)})
    low, high = norm.isf(np.exp([-0.5, -1.0]))
    mean = (norm.pdf(low) - norm.pdf(high)) / (norm.cdf(high) - norm.cdf(low))
    assert inside["time"].between(0.5, 1.0).all()
    assert abs(np.log(inside["pay"]).mean() - RHO * mean) < 4 / math.sqrt(3000) + 0.08


@pytest.mark.slow
def test_values_missing_at_random_are_imputed_by_their_law(tmp_path: Path) -> None:
    """pay is missing more often where time is long: the mean of present rows is wrong, that of imputed rows is not."""
    frame: Any = rows(N, 5)
    gone = np.random.default_rng(1).random(N) < 0.7 * (frame["time"] > math.log(2))
    frame["pay"] = frame["pay"].mask(gone)
    fitted = reinject.tables.fit(frame, spec=TableSpec(width=128, depth=3, steps=2500, given=0.4))
    fitted.save(tmp_path)
    done = Synthesizer.load(tmp_path).complete(frame, seed=1)
    assert not done["pay"].isna().any()
    assert (done["pay"][~gone] == frame["pay"][~gone]).all()
    biased, b = np.log(frame["pay"].dropna()).mean(), np.log(done["pay"])
    assert biased < -0.15
    assert abs(b.mean()) < 0.08
    assert abs(np.corrcoef(norm.ppf(1 - np.exp(-done["time"])), b)[0, 1] - RHO) < 0.05
