"""Coverage: against the public implementation, the closed forms, and the law of the draws."""

import numpy as np
import pytest
import torch
from prdc import compute_prdc

from reinject.base.errors import ArgumentError, DataError
from reinject.evaluation.coverage import class_histogram, coverage, frechet, kernel_distance, prdc
from reinject.evaluation.judgement import binomial_interval, clustered_interval, draws, over_draws
from reinject.evaluation.spurious import spurious
from reinject.training import neighbours
from reinject.training.neighbours import nearest


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SETS = {
    "one law": (normal(0, 300, 4), normal(1, 200, 4)),
    "shifted": (normal(0, 300, 4), normal(1, 400, 4) + torch.tensor([1.0, 0, 0, 0])),
    "collapsed": (normal(0, 300, 4), 0.2 * normal(1, 250, 4)),
    "skewed": (normal(0, 300, 2).exp(), normal(1, 300, 2).exp() * 2),
    "duplicates": (normal(0, 300, 3), normal(1, 20, 3).repeat(10, 1)),
}


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize(("real", "fake"), SETS.values(), ids=SETS.keys())
def test_prdc_is_that_of_its_authors(real: torch.Tensor, fake: torch.Tensor, k: int) -> None:
    theirs = compute_prdc(real.numpy(), fake.numpy(), k)
    assert prdc(real, fake, k)._asdict() == pytest.approx(theirs)


@pytest.mark.slow
def test_prdc_of_a_high_dimensional_normal() -> None:
    """The published numbers for 10,000 points each of N(0, I_1000); in parts, as the distances do not fit at once.

    They are those of one draw; over eight draws here the means are .477, .480, .986, .968 and the standard deviations
    .009, .010, .048, .005. So two draws differ by less than 3.3 sqrt(2) of them but for 1 in 1,000.
    """
    real, fake = (normal(seed, 10_000, 1000).float() for seed in (0, 1))
    difference = np.subtract(prdc(real, fake), (0.4772, 0.4705, 1.0555, 0.9735))
    assert (np.abs(difference) < 3.3 * 2**0.5 * np.array([0.009, 0.010, 0.048, 0.005])).all(), difference


def test_frechet_of_known_moments() -> None:
    """Sets with the moments (m, S) and (m', S') exactly: rows of whitened points, coloured."""
    x = normal(0, 50, 3)
    x = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T
    a, b = (
        torch.tensor([[2.0, 0, 0], [1, 1, 0], [0, 0, 3]]).double(),
        torch.tensor([[1.0, 0, 0], [0, 2, 0], [-1, 0, 1]]).double(),
    )
    m = torch.tensor([1.0, -2, 0.5]).double()
    from scipy.linalg import sqrtm

    s, t = (a @ a.T).numpy(), (b @ b.T).numpy()
    exact = float(m.square().sum()) + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert frechet(x @ a.T, x @ b.T + m) == pytest.approx(exact)


def test_kernel_distance_is_the_u_statistic_and_unbiased() -> None:
    x, y = normal(0, 30, 3), normal(1, 20, 3) + 1

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    own = [
        np.mean([k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]) for z in (x.numpy(), y.numpy())
    ]
    cross = np.mean([k(a, b) for a in x.numpy() for b in y.numpy()])
    assert kernel_distance(x, y) == pytest.approx(sum(own) - 2 * cross)
    values = [kernel_distance(normal(2 * i, 100, 3), normal(2 * i + 1, 100, 3)) for i in range(300)]
    assert abs(np.mean(values)) < 3.3 * np.std(values) / 300**0.5  # false alarm 1 in 1,000


@pytest.mark.parametrize("rows", [2048, 7])  # all in one part, and in many, the last one cut short
@pytest.mark.parametrize("itself", [False, True])
def test_neighbours_are_those_of_brute_force(itself: bool, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_ROWS", rows)
    among = normal(1, 400, 5).float()
    x = among if itself else normal(0, 300, 5).float()
    exact = (x[:, None] - among).norm(dim=2)
    if itself:
        exact.fill_diagonal_(np.inf)
    distance, index = nearest(x, among, 3, itself=itself)
    wanted = exact.topk(3, largest=False)
    assert torch.equal(index, wanted.indices)
    torch.testing.assert_close(distance, wanted.values)
    far = 1e4 + among  # where the expanded square has lost its digits, equal points still have distance 0
    assert float(nearest(far, far)[0].max()) == 0


def test_draws_share_no_training_row_and_no_walk() -> None:
    walk = np.repeat(np.arange(40), 50)
    found = draws(2000, 300, walk, most=250, count=4, seed=1)
    assert all(len(np.unique(part)) == 250 for one in found for part in (one.reference, one.held_out, one.synthetic))
    rows = np.concatenate([one.reference for one in found])
    assert len(np.unique(rows)) == 1000
    walks = [set(walk[one.synthetic].tolist()) for one in found]
    assert sum(map(len, walks)) == len(set.union(*walks))
    with pytest.raises(DataError, match="5 walks of 20 samples"):
        draws(2000, 300, np.zeros(1000, int))
    with pytest.raises(DataError, match="give draws of 10"):
        draws(2000, 10, np.arange(1000))


def test_intervals_hold_their_level_where_rows_of_a_walk_are_alike() -> None:
    """The mean of a set whose walks hold 20 alike rows: 95% of intervals hold 0; rows alone would give some 40%."""
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        walk = np.repeat(np.arange(100), 20)
        x = torch.from_numpy(rng.standard_normal(100)[walk] + 0.1 * rng.standard_normal(2000))[:, None]
        parts = [(x[:1], x[:1], x[one.synthetic]) for one in draws(2000, 400, walk, seed=seed)]
        (found,) = over_draws({"mean": ""}, lambda _, other: {"mean": float(other.mean())}, parts)
        hits += found.interval[0] < 0 < found.interval[1]
    assert hits >= 178  # P(fewer) = .0003 at 95%


def test_an_interval_of_clustered_rows_holds_its_level() -> None:
    """The share of positive rows in walks of 20 alike rows: 95% of intervals hold 1/2; 35% if rows were alone."""
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        walk = np.repeat(np.arange(60), 20)
        x = torch.from_numpy(rng.standard_normal(60)[walk] + 0.3 * rng.standard_normal(1200)) > 0
        low, high = clustered_interval(x, walk)
        hits += low < 0.5 < high
    assert hits >= 178  # P(fewer) = .0003 at 95%
    alone = torch.arange(100) < 30
    assert clustered_interval(alone, np.arange(100)) == pytest.approx(binomial_interval(30, 100), abs=0.002)
    assert clustered_interval(alone, np.zeros(100, int)) == (0, 1)


def test_held_out_rows_are_the_null_and_copies_are_better() -> None:
    z = normal(0, 6000, 3).float()
    parts = [(z[k : k + 500], z[k + 500 : k + 1000], z[k : k + 500] + 1e-4) for k in range(0, 3000, 1000)]
    found = {one.name: one for one in coverage(parts)}
    assert found["coverage"].value == 1
    assert found["coverage"].null == pytest.approx(0.969, abs=0.02)  # 1 - 1/2^k in the limit
    assert found["frechet"].value < found["frechet"].null


def test_class_shares_are_compared_by_total_variation() -> None:
    real, held_out = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])
    found = class_histogram(3, [(real, held_out, torch.tensor([2, 2, 2, 2]))] * 2)
    assert (found.value, found.null) == (0.75, 0.25)


def test_spurious_needs_both() -> None:
    """Half of the samples far away, half of them uncertain, independently: a quarter is both."""
    reference, held_out = normal(0, 500, 2).float(), normal(1, 500, 2).float()
    sure = torch.rand(500, generator=torch.Generator().manual_seed(2))
    far = torch.arange(500) % 2
    unsure = torch.arange(500) // 2 % 2
    synthetic = reference + 50 * far[:, None]
    found = spurious([(reference, held_out, synthetic, sure, (1 - unsure).float())] * 2)
    assert found.value == 0.25
    assert found.null < 0.05


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ArgumentError, match="Give at least 6 of each"):
        prdc(normal(0, 5, 2), normal(0, 50, 2))
    x = normal(0, 50, 2)
    with pytest.raises(ArgumentError, match="synthetic features are not all finite"):
        coverage([(x, x, x / 0)])
