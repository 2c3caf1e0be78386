"""Two-sample tests: their statistics by hand, p-values uniform under the null, differences found."""

import numpy as np
import pytest
import torch
from scipy import stats

from reinject.evaluation import two_sample as module
from reinject.evaluation.two_sample import mmd, sliced_wasserstein, two_sample


def parts(seed: int, n: int, shift: float = 0.0, count: int = 2):
    """Draws from a skewed law; samples shifted."""
    g = torch.Generator().manual_seed(seed)
    draw = [torch.randn((3, n, 3), generator=g).exp() for _ in range(count)]
    return [(x[0], x[1], x[2] + shift) for x in draw]


def test_statistics_by_hand() -> None:
    a, b, _ = parts(0, 40)[0]
    signs = torch.cat([torch.ones(40), -torch.ones(40)])[:, None] / 40
    z = torch.cat([a, b])
    length = torch.pdist(z).median()

    def k(x, y):
        return torch.exp(-torch.cdist(x, y).square() / (2 * length**2)).mean()

    assert mmd(a, b, signs).item() == pytest.approx((k(a, a) + k(b, b) - 2 * k(a, b)).item(), rel=1e-4)
    directions = torch.randn(3, 128, generator=torch.Generator().manual_seed(0))
    directions /= directions.norm(dim=0)
    exact = np.mean([stats.wasserstein_distance((a @ d).numpy(), (b @ d).numpy()) for d in directions.T])
    assert sliced_wasserstein(a, b, signs).item() == pytest.approx(exact, rel=1e-4)


def test_p_values_are_uniform_where_nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kolmogorov and Smirnov at 1% over 200 sets of draws, for each of the three tests."""
    monkeypatch.setattr(module, "PERMUTATIONS", 199)
    found = [two_sample(parts(seed, 60), seed) for seed in range(200)]
    rng = np.random.default_rng(0)
    for k in range(2):
        jitter = rng.uniform(size=200)  # p is one of 200 values; spread over the step below it
        p = np.array([one[k].p for one in found]) - jitter / 200
        assert stats.kstest(p, "uniform").pvalue > 0.01
    for one in found:
        assert one[2].p == stats.binom.sf(round(one[2].value * 120) - 1, 120, 0.5)
    hits = np.array([round(one[2].value * 120) for one in found])
    p = stats.binom.sf(hits, 120, 0.5) + rng.uniform(size=200) * stats.binom.pmf(hits, 120, 0.5)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_a_shift_is_found_by_all() -> None:
    for one in two_sample(parts(0, 300, 0.5), 0):
        assert one.p < 0.01
        assert one.interval[0] < one.value < one.interval[1]
        assert one.value > one.null


def test_held_out_rows_are_compared_and_not_reference_rows() -> None:
    """Samples that are the reference rows, from another law than the held-out ones."""
    differing = [(x + 3, y, x + 3) for x, y, _ in parts(0, 200)]
    assert all(one.p < 0.01 for one in two_sample(differing, 0))
