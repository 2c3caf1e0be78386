"""Memorisation: planted copies are found, and nothing is where nothing was copied."""

import numpy as np
import pytest
import torch
from scipy import stats

from reinject.base.errors import DataError
from reinject.evaluation.copied import _interval, _level
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.memorisation import _apart, attractors, authenticity, c_t, copies, data_copying, neighbourhood


def rows(seed: int, n: int, d: int = 8) -> torch.Tensor:
    """A skewed law with narrow and wide directions."""
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return torch.cat([x[:, :2].exp(), x[:, 2:] * torch.linspace(0.1, 1, d - 2)], 1)


TRAIN, TEST = rows(1, 3000), rows(2, 500)


def planted(share: float, n: int = 5000, noise: float = 0.0, seed: int = 3) -> torch.Tensor:
    """Fresh rows, some of them replaced by training rows."""
    x, count = rows(seed, n), round(share * n)
    chosen = np.random.default_rng(seed).choice(len(TRAIN), count)
    x[:count] = TRAIN[chosen] + noise * rows(seed + 1, count)
    return x


def judged(x: torch.Tensor, train: torch.Tensor, test: torch.Tensor) -> Judgement:
    return copies(neighbourhood(x, train, test), neighbourhood(test, train, test, itself=True), train, test)


def test_how_far_the_nearest_real_row_is_from_other_real_rows() -> None:
    """By all distances at once, of both sets; some of the nearest rows are held-out ones."""
    x, train, test = rows(5, 200), rows(6, 300), rows(7, 150)
    real = torch.cat([train, test])
    between = torch.cdist(real, real, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
    nearest = torch.cdist(x, real, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
    near, held_out = neighbourhood(x, train, test), neighbourhood(test, train, test, itself=True)
    from_train = near.distance <= near.held_out
    assert 0 < int(from_train.sum()) < len(x)
    assert torch.equal(from_train, nearest < len(train))
    torch.testing.assert_close(_apart(near, held_out, from_train, train, test), between[nearest].amin(1))


@pytest.mark.parametrize("noise", [0, 0.02])
@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
def test_planted_copies_are_found_and_counted(share: float, noise: float) -> None:
    x = planted(share, 10_000, noise)
    found = judged(x, TRAIN, TEST)
    assert found.p < 1e-3
    assert found.value == pytest.approx(share, rel=0.35)
    assert found.interval[0] - 0.002 <= share <= found.interval[1] + 0.002


def test_without_copies_p_is_small_as_rarely_as_it_says() -> None:
    """Over 200 archives; P(more than 6 below 1%) is below 1 in 200 at a rate of 1%."""
    small = 0
    for seed in range(200):
        train, test = rows(1000 + seed, 600), rows(2000 + seed, 200)
        found = judged(rows(3000 + seed, 500), train, test)
        small += found.p < 0.01
    assert small <= 6


def test_one_training_row_that_draws_every_walk_is_one_chance() -> None:
    """A thousand samples beside one row: chance alone gives that to a training row as often as there are such rows."""
    x = TRAIN[:1] + 1e-3 * rows(4, 1000)
    assert judged(x, TRAIN, TEST).p > 0.5


def test_the_interval_of_copies_is_that_of_fisher() -> None:
    """8 of 10 nearest real rows are training rows, of 30 and 20 rows; SciPy has the exact ends of the odds."""
    level = _level(np.array([0, 1, 2, 3, 4, 5, 6, 7, 30, 31]), 30, 20)
    assert level.excess == pytest.approx((0.8 - 0.6) / 0.4)
    assert level.p == pytest.approx(stats.hypergeom.sf(7, 50, 30, 10))
    ends = stats.contingency.odds_ratio([[8, 2], [22, 18]]).confidence_interval(0.95)
    shares = [stats.nchypergeom_fisher.mean(50, 30, 10, odds) / 10 for odds in ends]
    assert _interval(level, 30, 20, 0.025) == pytest.approx([(share - 0.6) / 0.4 for share in shares])
    all_of_them = _level(np.arange(10), 30, 20)
    assert _interval(all_of_them, 30, 20, 0.025)[1] == 1


def test_c_t_is_that_of_its_authors() -> None:
    """The numbers are of github.com/casey-meehan/data-copying, a0ba2db, C_T on these arrays (tau = 19.5 / 500)."""
    rng = np.random.default_rng(5)
    train, test, synthetic = (rng.standard_normal((n, 3)).astype(np.float32) for n in (600, 300, 500))
    synthetic[:60] = train[:60] + 0.02 * rng.standard_normal((60, 3)).astype(np.float32)
    sets = [torch.from_numpy(x) for x in (synthetic, train, test)]
    cells = tuple((x[:, 0] > 0).long() + 2 * (x[:, 1] > 0.3) for x in sets)
    assert c_t(*sets, cells=cells).statistic == pytest.approx(-2.4818761448915057)
    one = c_t(*sets, cells=tuple(torch.zeros(len(x), dtype=torch.int64) for x in sets))
    assert one.statistic == one.z == pytest.approx(-4.9716308022577005)


@pytest.mark.parametrize("cells", [1, 4])
def test_c_t_is_standard_normal_where_nothing_is_copied(cells: int) -> None:
    """Kolmogorov and Smirnov at 1% over 200 draws; with several cells after division by the weights' norm."""
    found = []
    for seed in range(200):
        sets = [rows(10_000 * k + seed, n, 4) for k, n in ((1, 300), (2, 500), (3, 200))]
        split = tuple(
            (x[:, 2] > 0).long() + 2 * (x[:, 3] > 0) if cells > 1 else torch.zeros(len(x)).long() for x in sets
        )
        one = c_t(*sets, cells=split)
        assert one.cells == cells
        found.append(one.z)
    assert stats.kstest(found, "norm").pvalue > 0.01


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, -3.3, 3.3), (0.5, -99, -5), (1.0, -99, -9)])
def test_data_copying_by_cells_of_its_own(share: float, least: float, most: float) -> None:
    found = data_copying(planted(share, 2000), TRAIN, TEST, np.arange(2000))
    assert least < found.detail["z"] < most
    assert found.detail["cells"] >= 8
    assert found.p == pytest.approx(stats.norm.cdf(found.detail["z"]))
    assert found.interval[0] < found.value < found.interval[1]


def test_authenticity_of_copies_and_of_fresh_rows() -> None:
    held_out = neighbourhood(TEST, TRAIN, TEST, itself=True)
    walk = np.arange(5000)
    fresh, copied = (authenticity(neighbourhood(planted(s), TRAIN, TEST), held_out, walk) for s in (0.0, 1.0))
    assert copied.value == 0
    assert fresh.null == copied.null
    assert abs(fresh.value - fresh.null) < 3.3 * (0.25 / 500 + 0.25 / 5000) ** 0.5
    x = torch.tensor([[0.0], [1.0], [3.0]])
    one = authenticity(*(neighbourhood(torch.tensor([[-0.5], [-1.5], [4.0]]), x, x) for _ in range(2)), np.arange(3))
    assert one.value == pytest.approx(1 / 3)  # 1.5 > 1 only: 4 is nearer to 3 than that is to 1


def test_attractors_of_an_autoencoder_that_knows_its_rows_by_heart() -> None:
    train, test = TRAIN[:300], TEST[:200]

    def by_heart(x: torch.Tensor) -> torch.Tensor:
        return train[torch.cdist(x, train).argmin(1)]

    found = attractors(by_heart, train, test, sigma=0.01)
    assert (found.value, found.null) == (1, 0)
    assert found.p < 1e-9
    shrunk = attractors(lambda x: 0.5 * x, train, test, sigma=0.01)
    assert shrunk.value < 0.05
    assert shrunk.p > 0.01
    kept = attractors(lambda x: x, train, test, sigma=0.01)
    assert kept.value == kept.null == 1


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(DataError, match="Give at least 10"):
        judged(TEST[:9], TRAIN, TEST)
    with pytest.raises(DataError, match="Give at least 20 in some cell"):
        c_t(TEST[:9], TRAIN, TEST)
