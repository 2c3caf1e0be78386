"""Numbers that a walk leaves behind, against closed forms."""

import inspect
import math

import numpy as np
import pytest
import torch

from reinject import wrap
from reinject.base.errors import ArgumentError
from reinject.walks.diagnostics import (
    class_entropy,
    class_shares,
    convergence,
    effective_labels,
    label_switches,
    start_remembered,
    start_remembered_by_axis,
    stein_discrepancy,
)
from reinject.walks.kernels import Langevin
from reinject.walks.loop import walk
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Normal, Uniform, parse_start


def test_start_remembered_is_a_to_the_r() -> None:
    """(1 - lam / (2v))^R: 60% at R = 10, lam = .1, v = 1 (THEORY, section 3)."""
    lam, walks = 0.1, 100_000
    kernel = Langevin(wrap(lambda x: (1 - lam / 2) * x, (3,)), lam)
    parts = list(walk(kernel, Normal(), (3,), WalkSpec(steps=10, thin=10), RunSpec(walks=walks, block_size=walks)))
    got = start_remembered(parts[0].x, parts[-1].x)
    standard_error = (1 / (3 * walks)) ** 0.5  # of a regression slope with unit variances, an upper bound
    assert abs(got - 0.95**10) < 4 * standard_error
    assert 0.59 < 0.95**10 < 0.61


def test_start_remembered_ignores_a_shift_and_keeps_the_sign() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    assert start_remembered(x, 5 - 2 * x) == pytest.approx(-2)


def test_start_remembered_refuses_other_walks() -> None:
    with pytest.raises(ArgumentError, match="same walks"):
        start_remembered(torch.zeros(3, 2), torch.zeros(4, 2))


def test_class_shares_count_absent_classes() -> None:
    assert class_shares(torch.tensor([2, 2, 0, 2]), 4) == [0.25, 0, 0.75, 0]


def test_starts_have_their_law() -> None:
    g = torch.Generator().manual_seed(0)
    z = Normal(3.0).draw((200_000,), g).double()
    assert abs(float(z.mean())) < 4 * 3 / 200_000**0.5
    assert abs(float(z.var()) - 9) < 4 * 9 * (2 / 200_000) ** 0.5
    u = Uniform(-1, 3).draw((200_000,), g).double()
    assert abs(float(u.mean()) - 1) < 4 * (16 / 12 / 200_000) ** 0.5
    assert -1 <= float(u.min()) < -0.99
    assert 2.99 < float(u.max()) < 3


@pytest.mark.parametrize("text", ["gauss", "normal:x", "normal:1:2", "normal:-1", "uniform:1", "uniform:2:1", ""])
def test_bad_starts_are_refused(text: str) -> None:
    with pytest.raises(ArgumentError):
        parse_start(text)


def autoregressive(walks: int, draws: int, rho: float) -> torch.Tensor:
    """Stationary chains x <- rho x + sqrt(1 - rho^2) z."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(walks, generator=generator)
    out = []
    for _ in range(draws):
        out.append(x)
        x = rho * x + (1 - rho**2) ** 0.5 * torch.randn(walks, generator=generator)
    return torch.stack(out, 1)


@pytest.mark.parametrize(("walks", "draws"), [(20, 2000), (4000, 10)])
def test_convergence_of_an_autoregression(walks: int, draws: int) -> None:
    """Long walks: N (1 - rho)/(1 + rho). Short ones: the variance of a mean of m draws, sum of rho^|i-j| / m^2."""
    rho = 0.6
    found = convergence(autoregressive(walks, draws, rho))
    lags = torch.arange(draws)
    exact = walks * draws**2 / float((rho ** (lags[:, None] - lags).abs()).sum())
    assert abs(found.ess / exact - 1) < 0.1
    assert abs(found.autocorrelation_time * exact / (walks * draws) - 1) < 0.1
    assert found.rhat < (1.01 if draws > 30 else 1.4)


@pytest.mark.parametrize("draws", [9, 100])
def test_walks_that_stay_where_they_began_do_not_count_twice(draws: int) -> None:
    """Each walk at its own place, with a little noise: as many independent draws as there are walks, R-hat far off."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((200, 1), generator=generator) + 0.01 * torch.randn((200, draws), generator=generator)
    found = convergence(x)
    assert 150 < found.ess < 300
    assert found.rhat > 3


def test_convergence_says_what_it_cannot_say() -> None:
    assert convergence(torch.ones(3, 8)).ess != convergence(torch.ones(3, 8)).ess  # NaN
    for bad in (torch.ones(1, 8), torch.ones(3, 3), torch.full((3, 8), torch.nan)):
        with pytest.raises(ArgumentError, match="at least two walks and 4 draws"):
            convergence(bad)


def test_labels_and_classes() -> None:
    assert label_switches(torch.tensor([[0, 1, 1, 2]])) == pytest.approx(2 / 3)
    assert class_entropy(torch.full((5, 4), 0.25)) == pytest.approx(1.3862943611)
    x = torch.randn((5000, 3), generator=torch.Generator().manual_seed(0))
    end = 0.5 * x + torch.randn((5000, 3), generator=torch.Generator().manual_seed(1)) * 0.75**0.5
    for correlation in start_remembered_by_axis(x, end, torch.eye(3)):
        assert abs(correlation - 0.5) < 4.5 * 0.75 / 5000**0.5


def stein_by_autograd(x: torch.Tensor, score, length: float) -> float:  # the definition, pair by pair
    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (1 + ((a - b) ** 2).sum() / length**2) ** -0.5

    total, count = 0.0, 0
    for i in range(len(x)):
        for j in range(len(x)):
            if i == j:
                continue
            a, b = x[i], x[j]
            ga, gb = torch.func.grad(kernel, 0)(a, b), torch.func.grad(kernel, 1)(a, b)
            cross = torch.func.jacrev(torch.func.grad(kernel, 0), 1)(a, b).trace()
            s, t = score(a), score(b)
            total += float((s @ t) * kernel(a, b) + s @ gb + t @ ga + cross)
            count += 1
    return total / count


def test_stein_discrepancy_is_its_definition() -> None:
    x = torch.randn((12, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    got = stein_discrepancy(x, -x - 0.3, length=1.7).value
    assert got == pytest.approx(stein_by_autograd(x, lambda a: -a - 0.3, 1.7), rel=1e-9)


def test_stein_discrepancy_is_zero_in_the_mean_at_the_law_and_grows_away_from_it() -> None:
    found = []
    for seed in range(40):
        x = torch.randn((200, 2), generator=torch.Generator().manual_seed(seed))
        found.append(stein_discrepancy(x, -x, length=1.0).value)
    values = torch.tensor(found)
    assert abs(values.mean()) < 4 * values.std() / 40**0.5
    x = torch.randn((2000, 2), generator=torch.Generator().manual_seed(0))
    near, far = (stein_discrepancy(x * s, -x * s, length=1.0) for s in (1.2, 1.5))
    assert 4 * near.error < near.value < far.value


@pytest.mark.parametrize("length", [0.0, -1.0])
def test_stein_refuses_bad_input(length: float) -> None:
    x = torch.zeros(4, 2)
    with pytest.raises(ArgumentError):
        stein_discrepancy(x, x, length)
    with pytest.raises(ArgumentError, match="equal shapes"):
        inspect.unwrap(stein_discrepancy)(x, x[:2])  # past the hook that checks shapes in tests


def test_effective_labels_of_a_chain_whose_correlations_are_known() -> None:
    """Two states, kept with probability 3/4: correlations .5^k. The variance of 4,000 walks is off by 2.2% (1 SE)."""
    walks, draws, rho = 4000, 6, 0.5
    generator = torch.Generator().manual_seed(0)
    state = torch.randint(2, (walks,), generator=generator)
    labels = []
    for _ in range(draws):
        labels.append(state)
        state = torch.where(torch.rand(walks, generator=generator) < (1 - rho) / 2, 1 - state, state)
    label, walk = torch.stack(labels, 1).flatten(), torch.arange(walks).repeat_interleave(draws)
    time = 1 + 2 * sum((1 - k / draws) * rho**k for k in range(1, draws))
    assert effective_labels(label, walk) == pytest.approx(walks * draws / time, rel=4 * 0.022)
    order = torch.randperm(len(label), generator=generator)
    assert effective_labels(label[order], walk[order]) == pytest.approx(effective_labels(label, walk))


def test_effective_labels_of_walks_of_unequal_length() -> None:
    """The variance of a share, by making it again and again: 40 walks of one to ten rows, all rows of a walk alike."""
    rng = np.random.default_rng(0)
    length = np.tile([1, 10], 20)
    walk = torch.from_numpy(np.repeat(np.arange(40), length))
    shares, told = [], []
    for _ in range(2000):
        kind = rng.random(40) < 0.3
        label = torch.from_numpy(np.repeat(kind.astype(np.int64), length))
        shares.append(float(label.double().mean()))
        told.append(effective_labels(label, walk))
    seen = 0.3 * 0.7 / np.var(shares)  # off by 3.2% (1 SE); the estimate by a few per cent, for so few walks
    assert np.nanmean(told) == pytest.approx(seen, rel=0.2)
    assert seen == pytest.approx(220**2 / (20 * 101), rel=4 * 0.032)


@pytest.mark.parametrize(("label", "walk"), [([], []), ([1, 1, 1], [0, 0, 1]), ([0, 1], [3, 3])])
def test_effective_labels_where_there_is_nothing_to_say(label: list[int], walk: list[int]) -> None:
    assert math.isnan(effective_labels(torch.tensor(label, dtype=torch.int64), torch.tensor(walk, dtype=torch.int64)))
