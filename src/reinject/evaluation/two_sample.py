"""Two samples: whether anything can tell the synthetic set from fresh real data.

Against the held-out real rows: the training rows made the models. Statistics of independent draws are averaged, and
samples and real rows permuted within each draw, so the p-values are exact where samples are independent; those of one
walk are not, and p-values of archives with many samples a walk err towards small.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from reinject.evaluation.judgement import Judgement, Sets, binomial_interval, interval_of

PERMUTATIONS = 500
ROWS = 1000  # of each set, in a draw
DIRECTIONS = 128


def _signs(n: int, generator: torch.Generator) -> Tensor:
    """1/n for the rows of one set and -1/n for those of the other, (2n, 1 + PERMUTATIONS): as it is, then permuted."""
    true = torch.cat([torch.ones(n), -torch.ones(n)]) / n
    permuted = [true[torch.randperm(2 * n, generator=generator)] for _ in range(PERMUTATIONS)]
    return torch.stack([true, *permuted], 1)


def mmd(a: Tensor, b: Tensor, signs: Tensor) -> Tensor:
    """Squared MMD (biased) with a Gaussian kernel whose length is the median distance, for every column of signs.

    sum_ij s_i s_j exp(-|z_i - z_j|^2 / (2 l^2)), z the points of both sets.

    Arguments:
        a, b: (n, d) each.
        signs: (2n, P): 1/n for the rows that count as a, -1/n for those that count as b.

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
    """Mean 1-Wasserstein distance of the projections on random directions, for every column of signs.

    On a line it is the integral of |F - G|, the difference of the two distribution functions.

    Arguments:
        a, b: (n, d) each.
        signs: as in :func:`mmd`.

    Source: Bonneel et al. 2015, J. Math. Imaging Vis. 51:22; directions are the same in every call.

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
    "sliced wasserstein": "How far do samples have to be moved, on a line through the features, to be real data?",
    "classifier": "How often does a classifier tell a sample from held-out real data?",
}


def _permutation_test(
    name: str, statistic: Callable[[Tensor, Tensor, Tensor], Tensor], parts: Sequence[Sets], seed: int
) -> Judgement:
    generator = torch.Generator().manual_seed(seed)
    n = min(ROWS, len(parts[0][0]))
    values = torch.stack(
        [statistic(synthetic[:n], held_out[:n], _signs(n, generator)) for _, held_out, synthetic in parts]
    )
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


def classifier_test(parts: Sequence[Sets], seed: int = 0) -> Judgement:
    """Gradient boosting learns to tell samples from real rows on one half, and is tested on the other.

    p is one-sided and binomial: of so many right answers or more from a coin.

    Source: Lopez-Paz and Oquab 2017, arXiv 1610.06545.
    """
    hits = total = 0
    for _, held_out, synthetic in parts:
        n = min(ROWS, len(held_out)) // 2
        right = _told_apart(synthetic[: 2 * n].numpy(), held_out[: 2 * n].numpy(), n, seed)
        hits, total = hits + right, total + 2 * n
    p = float(stats.binomtest(hits, total, alternative="greater").pvalue)
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


def _told_apart(a: NDArray[np.float32], b: NDArray[np.float32], n: int, seed: int) -> int:
    from sklearn.ensemble import HistGradientBoostingClassifier

    x = [np.concatenate([a[rows], b[rows]]) for rows in (slice(n), slice(n, 2 * n))]
    y = np.repeat([1, 0], n)
    judge = HistGradientBoostingClassifier(max_iter=50, early_stopping=False, random_state=seed).fit(x[0], y)
    return int((judge.predict(x[1]) == y).sum())


def two_sample(parts: Sequence[Sets], seed: int = 0) -> list[Judgement]:
    """All three tests; parts: of each draw, features of reference, held-out and synthetic rows, (n, d) each."""
    return [
        _permutation_test("mmd", mmd, parts, seed),
        _permutation_test("sliced wasserstein", sliced_wasserstein, parts, seed),
        classifier_test(parts, seed),
    ]
