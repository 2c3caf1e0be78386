"""Run two-sample tests of the synthetic set against held-out real rows.

Training rows made the models, so tests use held-out rows. Draws share no held-out row and no walk, and have one sample
of each walk (:func:`reinject.evaluation.judgement.pairs`). Under the null hypothesis, samples and held-out rows of a
draw are exchangeable. So p-values of permutations within each draw are exact.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from reinject.evaluation.judgement import Judgement, binomial_interval
from reinject.training.learning_curves import interval_of

PERMUTATIONS = 500
Pair = tuple[Tensor, Tensor]
DIRECTIONS = 128


def _signs(n: int, generator: torch.Generator) -> Tensor:
    """Make signs, 1/n for one set and -1/n for the other, (2n, 1 + PERMUTATIONS): unpermuted first."""
    true = torch.cat([torch.ones(n), -torch.ones(n)]) / n
    permuted = [true[torch.randperm(2 * n, generator=generator)] for _ in range(PERMUTATIONS)]
    return torch.stack([true, *permuted], 1)


def mmd(a: Tensor, b: Tensor, signs: Tensor) -> Tensor:
    """Compute the (biased) squared MMD with a Gaussian kernel of median length, for every column of signs.

    sum_ij s_i s_j exp(-|z_i - z_j|^2 / (2 l^2)), z the points of both sets.

    Arguments:
        a, b: (n, d) each.
        signs: (2n, P): 1/n for rows of the first set, -1/n for rows of the second.

    Source: Gretton et al. 2012, JMLR 13:723, equation 5.

    Example:
        >>> z = torch.tensor([[0.0], [1.0]])
        >>> signs = torch.tensor([[1.0], [-1.0]])
        >>> round(mmd(z[:1], z[1:], signs).item(), 4)  # 2 - 2 exp(-1/2)
        0.7869
    """
    z = torch.cat([a, b])
    distance = torch.cdist(z, z)
    length = torch.pdist(z[torch.arange(0, len(z), max(1, len(z) // 500))]).median()
    gram = torch.exp(-distance.square() / (2 * length.square()).clamp_min(1e-12))
    return (signs * (gram @ signs)).sum(0)


def sliced_wasserstein(a: Tensor, b: Tensor, signs: Tensor) -> Tensor:
    """Compute the mean 1-Wasserstein distance of projections on random directions, for every column of signs.

    On a line it is the integral of |F - G|, the difference of the two distribution functions. Every call uses the same
    directions.

    Arguments:
        a, b: (n, d) each.
        signs: see :func:`mmd`.

    Source: Bonneel et al. 2015, J. Math. Imaging Vis. 51:22.

    Example:
        >>> x = torch.arange(10.0)[:, None]
        >>> signs = torch.cat([torch.ones(10, 1), -torch.ones(10, 1)]) / 10
        >>> round(sliced_wasserstein(x, x + 3, signs).item(), 4)
        3.0
    """
    z = torch.cat([a, b])
    directions = torch.randn(z.shape[1], DIRECTIONS, generator=torch.Generator().manual_seed(0))
    value, order = (z @ (directions / directions.norm(dim=0)).to(z)).sort(0)
    total = torch.zeros(signs.shape[1])
    for k in range(DIRECTIONS):
        difference = signs[order[:, k]].cumsum(0)[:-1].abs()
        total += value[:, k].diff() @ difference
    return total / DIRECTIONS


QUESTIONS = {
    "mmd": "Do samples and held-out real data differ by a Gaussian kernel?",
    "sliced wasserstein": "How far apart are samples and real data, on lines through the features?",
    "classifier": "How often does a classifier distinguish a sample from held-out real data?",
}


def _permutation_test(
    name: str, statistic: Callable[[Tensor, Tensor, Tensor], Tensor], parts: Sequence[Pair], seed: int
) -> Judgement:
    generator = torch.Generator().manual_seed(seed)
    n = len(parts[0][0])
    values = torch.stack([statistic(synthetic, held_out, _signs(n, generator)) for held_out, synthetic in parts])
    observed, permuted = values[:, 0], values[:, 1:].mean(0)
    return Judgement(
        name,
        QUESTIONS[name],
        float(observed.mean()),
        float(permuted.mean()),
        interval_of(observed.tolist()),
        n,
        p=(1 + int((permuted >= observed.mean()).sum())) / (1 + PERMUTATIONS),
        detail={"draws": len(parts), "permutations": PERMUTATIONS},
    )


def classifier_test(parts: Sequence[Pair], seed: int = 0) -> Judgement:
    """Train gradient boosting on one half to distinguish samples from real rows, and test it on the other half.

    p is one-sided and exact: the probability of at least as many right answers for exchangeable samples and real rows.
    If K of 2n rows are classified as samples, a of them rightly, 2a + n - K answers are right, and a is hypergeometric.
    Draws are independent.

    Source: Lopez-Paz and Oquab 2017, arXiv 1610.06545.
    """
    hits = total = 0
    law = np.ones(1)  # P(2a right, summed over draws, less what K alone fixes), by a
    base = 0
    for held_out, synthetic in parts:
        n = len(held_out) // 2
        right, taken = _told_apart(synthetic[: 2 * n].numpy(), held_out[: 2 * n].numpy(), n, seed)
        hits, total, base = hits + right, total + 2 * n, base + n - taken
        law = np.convolve(law, stats.hypergeom.pmf(np.arange(n + 1), 2 * n, n, taken))
    p = min(1.0, float(law[(hits - base) // 2 :].sum()))
    return Judgement(
        "classifier",
        QUESTIONS["classifier"],
        hits / total,
        0.5,
        binomial_interval(hits, total),
        n,
        p,
        {"tested": total},
    )


def _told_apart(a: NDArray[np.float32], b: NDArray[np.float32], n: int, seed: int) -> tuple[int, int]:
    """Count right answers on the second halves, and rows classified as samples."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    x = [np.concatenate([a[rows], b[rows]]) for rows in (slice(n), slice(n, 2 * n))]
    y = np.repeat([1, 0], n)
    judge = HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=seed).fit(x[0], y)
    said = judge.predict(x[1])
    return int((said == y).sum()), int(said.sum())


def two_sample(parts: Sequence[Pair], seed: int = 0) -> list[Judgement]:
    """Run all three tests; parts: held-out and synthetic features of each draw, (n, d) each."""
    return [
        _permutation_test("mmd", mmd, parts, seed),
        _permutation_test("sliced wasserstein", sliced_wasserstein, parts, seed),
        classifier_test(parts, seed),
    ]
