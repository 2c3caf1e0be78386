"""Two-sample tests: their statistics by hand, p-values uniform under the null, differences found."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from reinject.base.errors import DataError
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.evaluation import two_sample as module
from reinject.evaluation.evidence import Evidence
from reinject.evaluation.judgement import pairs
from reinject.evaluation.judgements import judge_two_sample
from reinject.evaluation.two_sample import classifier_test, mmd, sliced_wasserstein, two_sample
from reinject.models.features import pixels


def parts(seed: int, n: int, shift: float = 0.0, count: int = 2):
    """Draws from a skewed law; samples shifted."""
    g = torch.Generator().manual_seed(seed)
    draw = [torch.randn((2, n, 3), generator=g).exp() for _ in range(count)]
    return [(x[0], x[1] + shift) for x in draw]


def evidence(seed: int, test: int, walks: int, steps: int = 4) -> Evidence:
    """Rows of one skewed law, drawn as ``evaluate`` does; samples of a walk are alike."""
    g = torch.Generator().manual_seed(seed)
    own = torch.randn((walks, 3), generator=g).repeat_interleave(steps, 0)
    sets = [torch.randn((n, 3), generator=g) for n in (5 * test, test)]
    sets.append(0.8 * own + 0.6 * torch.randn(own.shape, generator=g))
    tables = [Table.of(x.exp(), torch.zeros(len(x)).long(), Storage("float")) for x in sets]
    return Evidence(*tables, np.repeat(np.arange(walks), steps), (), pixels(), None, None, seed)


def test_statistics_by_hand() -> None:
    b, a = parts(0, 40)[0]
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
    """Kolmogorov and Smirnov at .5% over 200 sets, for each of two tests; P(p < .05) at most .095, 1 in 250 above.

    So the alarm is false 1 in 55 times. Draws that share their held-out rows have P(p < .05) of .13 and more.
    """
    monkeypatch.setattr(module, "PERMUTATIONS", 99)
    monkeypatch.setattr(module, "DIRECTIONS", 8)
    monkeypatch.setattr(module, "classifier_test", lambda *_: None)  # has a test of its own
    found = [judge_two_sample(evidence(seed, 100, 100)) for seed in range(200)]
    rng = np.random.default_rng(0)
    for k in range(2):
        p = np.array([one[k].p for one in found])
        assert (p <= 0.05).mean() <= 0.095
        jittered = p - rng.uniform(size=200) / 100  # p is one of 100 values; spread over the step below it
        assert stats.kstest(jittered, "uniform").pvalue > 0.005


def test_the_classifiers_p_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that takes K rows for samples: p is the share of all ways to place the samples with as many hits."""
    said = np.array([1, 0, 1, 1, 0, 0, 1, 1])  # of four samples, then of four real rows

    class Judge:
        def __init__(self, **_: object) -> None: ...

        def fit(self, *_: object) -> "Judge":
            return self

        def predict(self, _: object) -> np.ndarray:
            return said

    monkeypatch.setattr("sklearn.ensemble.HistGradientBoostingClassifier", Judge)
    x = torch.zeros(8, 1)
    hits = [sum(said[k] if k in ways else 1 - said[k] for k in range(8)) for ways in combinations(range(8), 4)]
    one = classifier_test([(x, x)])
    assert one.value == 5 / 8
    assert one.p == pytest.approx(np.mean(np.array(hits) >= 5))
    two = classifier_test([(x, x), (x, x)])
    assert two.p == pytest.approx(np.mean(np.add.outer(hits, hits) >= 10))


def test_the_classifiers_p_is_small_as_rarely_as_it_says() -> None:
    """40 sets; P(more than 6 of 40 below .05) is below 1 in 700."""
    found = [classifier_test(parts(seed, 60)).p for seed in range(40)]
    assert sum(p < 0.05 for p in found) <= 6


def test_pairs_share_no_row_and_no_walk() -> None:
    walk = np.repeat(np.arange(300), 7)
    found = pairs(250, walk, seed=3)
    held_out, synthetic = (np.concatenate(rows) for rows in zip(*found, strict=True))
    assert [len(a) for a, _ in found] == [len(b) for _, b in found] == [50] * 5
    assert len(np.unique(held_out)) == len(np.unique(walk[synthetic])) == 250
    assert len(np.unique(synthetic % 7)) == 7  # any step of a walk
    assert len(pairs(50, walk)) == 2  # fewer draws before fewer rows
    with pytest.raises(DataError, match="Give at least 40 test rows and 40 walks"):
        pairs(250, np.repeat(np.arange(39), 100))


def test_a_shift_is_found_by_all() -> None:
    for one in two_sample(parts(0, 300, 0.5), 0):
        assert one.p < 0.01
        assert one.interval[0] < one.value < one.interval[1]
        assert one.value > one.null


def test_held_out_rows_are_compared_and_not_training_rows() -> None:
    """Samples that are the training rows, from another law than the held-out ones."""
    one = evidence(0, 200, 200, 1)
    x = one.train.x[:200] + 3
    differing = replace(one, train=Table(x, one.train.y[:200], Storage("float")), synthetic=replace(one.synthetic, x=x))
    assert all(one.p < 0.01 for one in judge_two_sample(differing))
