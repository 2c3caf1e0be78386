"""Conditions on rows: translated, met in every row, refused where they cannot hold; the exact law of Gaussian rows."""

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from scipy.stats import norm, truncnorm
from torch import Tensor, nn

from reinject.base.errors import ArgumentError, DataError
from reinject.data.table_columns import describe
from reinject.data.table_conditions import conditions_of
from reinject.data.table_encoder import TableEncoder
from reinject.sampling.given_rows import GivenRows, _truncated
from reinject.tables import Synthesizer
from reinject.training.table_fit import TableSpec, network_of

N = 1000


@pytest.fixture(scope="module")
def synthesizer() -> Synthesizer:
    random = np.random.default_rng(0)
    hours = np.where(random.random(N) < 0.4, 40, random.integers(1, 99, N))
    frame = pd.DataFrame(
        {
            "age": random.integers(17, 90, N),
            "hours": pd.array(np.where(random.random(N) < 0.1, None, hours), "Int64"),
            "pay": random.gamma(2, 1000, N).round(2),
            "sex": random.choice(["f", "m"], N),
            "city": random.choice(["Oslo", "Bergen", "Narvik"], N, p=[0.6, 0.3, 0.1]),
            "born": pd.Timestamp("1960-01-01") + pd.to_timedelta(random.integers(0, 9999, N), "D"),
            "land": "no",
        }
    )
    table = pa.Table.from_pandas(frame, preserve_index=False)
    encoder = TableEncoder.fit(table, describe(table))
    network = network_of(encoder, TableSpec(width=16, depth=2))
    nn.init.normal_(network.last.weight, std=0.05, generator=torch.Generator().manual_seed(0))
    return Synthesizer(encoder, network, "pandas")


@pytest.mark.parametrize(
    "given",
    [
        {"sex": "f", "age": 35},
        {"age": (30, 40), "city": ["Oslo", "Narvik"]},
        {"hours": 40, "pay": 123.45},
        pytest.param(
            {"hours": (35, 45), "born": (dt.datetime(1970, 1, 1), dt.datetime(1971, 1, 1)), "land": "no"},
            marks=pytest.mark.slow,
        ),
        {"hours": None},
        {"hours": 41, "born": pd.Timestamp("1970-02-03")},
        pytest.param({"pay": (0.0, 250.0), "sex": ["m"]}, marks=pytest.mark.slow),
    ],
)
def test_every_row_meets_the_conditions(synthesizer: Synthesizer, given: dict[str, Any]) -> None:
    rows = synthesizer.sample(100, seed=1, given=given)
    assert len(rows) == 100
    for name, wanted in given.items():
        column = rows[name]
        if wanted is None:
            assert column.isna().all()
        elif isinstance(wanted, tuple):
            assert column.between(*wanted).all()
            assert column.nunique() > 5
        else:
            assert column.isin(wanted if isinstance(wanted, list) else [wanted]).all()
    assert rows.equals(synthesizer.sample(100, seed=1, given=given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ages": 3}, "given: there is no column 'ages'. Give some of age, hours"),
        ({"sex": "x"}, "given: sex: 'x' is none of its values. Give one such as 'f', 'm'"),
        ({"age": (200, 300)}, r"given: age: no value of the data lies in 200..300. Give a range inside of 17..89"),
        ({"age": 200}, r"given: age: 200 is outside of the data's 17..89"),
        ({"age": None}, "given: age: it is never missing"),
        ({"age": "old"}, "given: age: 'old' is no int64. Give a value such as 17"),
        ({"age": (40, 30)}, "given: age: 40 is above 30"),
        ({"age": [30, 40]}, "given: age: a list of numbers is no condition"),
        ({"land": "se"}, "given: land: 'se' cannot hold, because this constant is 'no' in all rows"),
    ],
)
def test_conditions_that_cannot_hold_are_refused(synthesizer: Synthesizer, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        conditions_of(synthesizer.encoder, given)


def test_complete_keeps_what_is_there(synthesizer: Synthesizer) -> None:
    whole = synthesizer.sample(50, seed=2)
    gaps = whole.copy()
    gaps["sex"] = gaps["sex"].where(np.arange(50) % 2 == 0)
    gaps["pay"] = gaps["pay"].where(np.arange(50) % 3 == 0)
    gaps["note"] = "kept"
    first, second = synthesizer.complete(gaps, draws=2, seed=4)
    for done in (first, second):
        assert not done.isna().any().any()
        assert list(done.columns) == list(gaps.columns)
        assert (done["sex"][::2] == whole["sex"][::2]).all()
        assert (done["pay"][::3] == whole["pay"][::3]).all()
        assert (done["age"] == whole["age"]).all()
    assert not first.equals(second)
    assert synthesizer.complete(gaps, seed=4).equals(first)


def test_complete_takes_a_frame_as_pandas_reads_it(synthesizer: Synthesizer) -> None:
    """From a CSV file dates are text, and integers with gaps are floats."""
    gaps = synthesizer.sample(20, seed=2)
    gaps["born"] = gaps["born"].dt.strftime("%Y-%m-%d")
    gaps["age"] = gaps["age"].astype(float).where(np.arange(20) > 3)
    gaps["city"] = None
    gaps["hours"] = gaps["hours"].fillna(40)
    done = synthesizer.complete(gaps)
    assert not done.isna().any().any()
    assert (done["age"][4:] == gaps["age"][4:]).all()
    assert (done["born"] == gaps["born"]).all()
    with pytest.raises(DataError, match=r"the table: has no column pay. Give all columns of the training rows"):
        synthesizer.complete(gaps.drop(columns="pay"))
    with pytest.raises(DataError, match=r"column age holds .*string, and int64 in the training rows. Convert it"):
        synthesizer.complete(gaps.assign(age="old"))


class Gaussian(nn.Module):
    """The exact r(x, sigma, known) of rows z ~ N(0, S): a stand-in for a network that has learned it."""

    def __init__(self, covariance: Tensor) -> None:
        super().__init__()
        self.covariance = covariance.double()

    def spread(self, known: Tensor) -> Tensor:
        return known

    def forward(self, x: Tensor, sigma: Tensor, known: Tensor) -> Tensor:
        S, k = self.covariance, known[0]
        free = ~k
        mean, left = torch.zeros_like(x, dtype=torch.float64), S[free][:, free]
        if bool(k.any()):
            gain = S[free][:, k] @ torch.linalg.inv(S[k][:, k])
            mean[:, free], left = x[:, k].double() @ gain.T, left - gain @ S[k][:, free]
        shrink = left @ torch.linalg.inv(left + sigma[0].double() ** 2 * torch.eye(len(left)))
        y = x.double().clone()
        y[:, free] = mean[:, free] + (x[:, free].double() - mean[:, free]) @ shrink.T
        return y.to(x.dtype)


def gaussian_rows(allowed: tuple[Any, ...], known: dict[int, float], n: int = 2048) -> Tensor:
    from reinject import kernels, wrap
    from reinject.sampling.table_walks import table_settings
    from reinject.walks.loop import walk
    from reinject.walks.reconstruction import ensemble_of
    from reinject.walks.specs import RunSpec

    network = Gaussian(COVARIANCE)
    r = wrap(lambda x, s: network(x, s, torch.zeros(len(x), 3) > 0), 3, noise_conditioned=True, sigma=1.0)
    x, mask = torch.zeros(1, 3), torch.zeros((1, 3), dtype=torch.bool)
    for place, value in known.items():
        x[0, place], mask[0, place] = value, True
    settings = table_settings(40)

    def constraint(kernel: Any) -> Any:
        given = GivenRows(r, network, x, mask, allowed)  # type: ignore[arg-type]
        return kernels.wrappers.with_autoencoder(kernel, given)

    walker = settings.build(ensemble_of(r), 3**0.5, constraint=constraint)
    return torch.cat([part.x for part in walk(*walker[:3], settings.walk, RunSpec(n, 0))]).double()


COVARIANCE = torch.tensor([[1.0, 0.8, 0.5], [0.8, 1.0, 0.3], [0.5, 0.3, 1.0]])


def test_rows_with_a_known_value_have_the_exact_law_of_a_gaussian() -> None:
    rows = gaussian_rows((), {0: 1.5})
    n = len(rows)
    assert bool((rows[:, 0] == 1.5).all())
    for place, rho in ((1, 0.8), (2, 0.5)):
        std = math.sqrt(1 - rho**2)
        assert abs(float(rows[:, place].mean()) - 1.5 * rho) < 4 * std / n**0.5
        assert abs(float(rows[:, place].std()) / std - 1) < 4 / (2 * n) ** 0.5 + 0.01  # 0.01: r at sigma = .05
    partial = (0.3 - 0.8 * 0.5) / math.sqrt((1 - 0.64) * (1 - 0.25))
    assert abs(float(torch.corrcoef(rows[:, 1:].T)[0, 1]) - partial) < 4 / n**0.5


def test_rows_inside_of_a_range_have_the_exact_law_of_a_gaussian() -> None:
    from reinject.data.table_conditions import Allowed

    low, high = 0.5, 1.5
    rows = gaussian_rows((Allowed(None, torch.ones(0) > 0, 0, low, high),), {})
    n, law = len(rows), truncnorm(low, high)
    assert bool(((rows[:, 0] >= low) & (rows[:, 0] <= high)).all())
    assert abs(float(rows[:, 0].mean()) - law.mean()) < 4 * law.std() / n**0.5
    for place, rho in ((1, 0.8), (2, 0.5)):
        variance = 1 - rho**2 + rho**2 * law.var()
        assert abs(float(rows[:, place].mean()) - rho * law.mean()) < 4 * (variance / n) ** 0.5 + 0.01
        assert abs(float(rows[:, place].var()) / variance - 1) < 4 * (2 / n) ** 0.5 + 0.02


@pytest.mark.parametrize(("low", "high"), [(-1.0, 0.5), (3.0, 4.0), (-math.inf, -2.0), (0.0, math.inf), (-9.0, -8.5)])
def test_truncated_moments(low: float, high: float) -> None:
    m, s = torch.tensor([0.3], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
    inside, mean = _truncated(m, s, low, high)
    law = truncnorm((low - 0.3) / 0.7, (high - 0.3) / 0.7, 0.3, 0.7)
    assert float(mean) == pytest.approx(law.mean(), rel=1e-6)
    ends = (
        norm.logcdf([(high - 0.3) / 0.7, (low - 0.3) / 0.7])
        if high < 0.3
        else norm.logsf([(low - 0.3) / 0.7, (high - 0.3) / 0.7])
    )
    expected = ends[0] + math.log1p(-math.exp(ends[1] - ends[0]))
    assert float(inside) == pytest.approx(expected, rel=1e-6, abs=1e-9)
