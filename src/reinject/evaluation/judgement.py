"""Define a judgement: a question, a value, the value without a fault, an interval."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject.base.errors import ArgumentError, DataError
from reinject.training.learning_curves import LEVEL, interval_of

_LEAST = 20  # least rows of a draw


@dataclass(frozen=True)
class Judgement:
    """Hold the answer to a question.

    Attributes:
        name: name of the number.
        question: question, as a sentence.
        value: answer.
        null: value without a fault, in most judgements that of held-out real data.
        interval: 95% confidence interval of the value.
        n: rows of each set for one value.
        p: probability under the null of a value at least as far from it; None: not a test.
        detail: further results, as JSON values.
    """

    name: str
    question: str
    value: float
    null: float
    interval: tuple[float, float]
    n: int
    p: float | None = None
    detail: Mapping[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return JSON values."""
        return {
            "name": self.name,
            "question": self.question,
            "value": self.value,
            "null": self.null,
            "interval": [value if math.isfinite(value) else None for value in self.interval],
            "n": self.n,
            "p": self.p,
            **({"detail": dict(self.detail)} if self.detail else {}),
        }


@dataclass(frozen=True)
class Draw:
    """Hold equally many row numbers of each set: reference (real), held-out (real) and synthetic rows."""

    reference: NDArray[np.int64]
    held_out: NDArray[np.int64]
    synthetic: NDArray[np.int64]


def draws(
    train: int, test: int, walk: NDArray[np.int64], *, most: int = 5000, count: int = 5, seed: int = 0
) -> list[Draw]:
    """Make disjoint draws of rows, whose spread shows the precision of one value.

    Draws share no reference rows and no *walks*: samples of one walk resemble each other, so their effective number is
    smaller. Held-out rows are few and may repeat. So values of held-out rows have no interval of their own and are not
    tests. Tests use :func:`pairs`.

    Arguments:
        train: number of real training rows.
        test: number of real held-out rows.
        walk: walk of each synthetic row, (N,).
        most: most rows of a draw; fewer if a set is smaller.
        count: number of draws, >= 2.
        seed: seed of the draws.

    Raises:
        DataError: too few rows or walks.

    Example:
        >>> [len(draw.synthetic) for draw in draws(1000, 300, np.arange(2000))]
        [200, 200, 200, 200, 200]
    """
    rng = np.random.default_rng(seed)
    names, of = np.unique(walk, return_inverse=True)
    group = rng.permutation(len(names))[of] % count  # rows of one walk share a group
    mixed = rng.permutation(len(walk))
    parts = [mixed[group[mixed] == k] for k in range(count)]
    n = min(most, train // count, test, *(len(part) for part in parts))
    if n < _LEAST:
        raise DataError(
            "evaluation",
            f"{train} training and {test} test rows, {len(walk)} samples of {len(names)} walks give draws of {n}",
            f"Give at least {_LEAST * count} training rows, {_LEAST} test rows and {count} walks of {_LEAST} samples",
        )
    order = rng.permutation(train)
    return [Draw(order[k * n : (k + 1) * n], rng.permutation(test)[:n], part[:n]) for k, part in enumerate(parts)]


def pairs(
    test: int, walk: NDArray[np.int64], *, most: int = 1000, count: int = 5, seed: int = 0
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Make disjoint draws of held-out and synthetic rows for tests, with one sample of each walk for independence.

    Arguments:
        test: number of real held-out rows.
        walk: walk of each synthetic row, (N,).
        most: most rows of a draw.
        count: number of draws; fewer (at least two) if draws would have fewer than 20 rows.
        seed: seed of the draws.

    Returns:
        For each draw, equally many numbers of held-out and of synthetic rows.

    Raises:
        DataError: fewer than 40 held-out rows or walks.

    Example:
        >>> [len(held_out) for held_out, _ in pairs(250, np.arange(1000))]
        [50, 50, 50, 50, 50]
    """
    rng = np.random.default_rng([seed, 1])  # not the stream of draws()
    mixed = rng.permutation(len(walk))
    _, one = np.unique(walk[mixed], return_index=True)
    rows = rng.permutation(mixed[one])
    least = min(test, len(rows))
    count = max(2, min(count, least // _LEAST))
    n = min(most, least // count)
    if n < _LEAST:
        raise DataError(
            "two-sample",
            f"{test} test rows and {len(rows)} walks with samples give draws of {n}",
            f"Give at least {2 * _LEAST} test rows and {2 * _LEAST} walks",
        )
    order = rng.permutation(test)
    parts = (slice(k * n, (k + 1) * n) for k in range(count))
    return [(order[part], rows[part]) for part in parts]


def binomial_interval(hits: int, of: int) -> tuple[float, float]:
    """Compute Clopper and Pearson's exact interval of a share.

    Example:
        >>> [round(end, 4) for end in binomial_interval(0, 10)]
        [0.0, 0.3085]
    """
    from scipy import stats

    low, high = stats.binomtest(hits, of).proportion_ci(LEVEL)
    return float(low), float(high)


def clustered_interval(hits: Tensor, cluster: NDArray[np.int64]) -> tuple[float, float]:
    """Compute the interval of a share of rows that come in clusters, as samples come in walks.

    It is Clopper and Pearson's interval for the effective number of independent rows. This number gives the share h its
    variance over M clusters, M/(M - 1) sum_w (sum_(i in w) (h_i - h))^2 / N^2. If all rows are equal, it is M.

    Arguments:
        hits: bool, (N,).
        cluster: cluster of each row, (N,).

    Example:
        >>> hits = torch.arange(200) % 2 == 0
        >>> [round(end, 2) for end in clustered_interval(hits, np.arange(200) % 2 + 2 * (np.arange(200) // 20))]
        [0.27, 0.73]
    """
    names, of = np.unique(cluster, return_inverse=True)
    h, n, m = hits.double().numpy(), len(hits), len(names)
    if m < 2:
        return 0.0, 1.0
    share = float(h.mean())
    between = m / (m - 1) * float(np.square(np.bincount(of, h - share)).sum()) / n**2
    rows = min(float(n), share * (1 - share) / between) if between > 0 else float(m)
    k = share * rows
    from scipy import stats

    low = stats.beta.ppf((1 - LEVEL) / 2, k, rows - k + 1) if k > 0 else 0.0
    high = stats.beta.ppf((1 + LEVEL) / 2, k + 1, rows - k) if k < rows else 1.0
    return float(low), float(high)


Sets = tuple[Tensor, Tensor, Tensor]


def over_draws(
    questions: Mapping[str, str],
    measure: Callable[[Tensor, Tensor], Mapping[str, float]],
    parts: Sequence[Sets],
) -> list[Judgement]:
    """Compare a set with real data by means over draws, with the same numbers of held-out real data as the null.

    Arguments:
        questions: name of a number -> its question.
        measure: (real, other), each (n, d) -> numbers by name.
        parts: for each draw, features of reference, held-out and synthetic rows, (n, d) each.
    """
    for part in parts:
        for rows, what in zip(part, ("reference", "held-out", "synthetic"), strict=True):
            if not bool(torch.isfinite(rows).all()):
                raise ArgumentError("evaluation", f"{what} features are not all finite", "Check the extractor")
    found = [measure(reference, synthetic) for reference, _, synthetic in parts]
    null = [measure(reference, held_out) for reference, held_out, _ in parts]
    return [
        Judgement(
            name,
            question,
            float(np.mean([one[name] for one in found])),
            float(np.mean([one[name] for one in null])),
            interval_of([one[name] for one in found]),
            len(parts[0][0]),
        )
        for name, question in questions.items()
    ]
