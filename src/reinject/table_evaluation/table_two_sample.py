"""Run the classifier two-sample test of a table (C2ST): whether boosting tells synthetic rows from real rows."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reinject.base.errors import DataError
from reinject.evaluation.judgement import Judgement
from reinject.table_evaluation.table_coding import Coded
from reinject.table_evaluation.table_learners import engine, predict_classes
from reinject.training.learning_curves import LEVEL

_LEAST = 30  # rows of each table
_TRAINED = 2 / 3  # share of the rows that the classifier learns from


def c2st(real: Coded, synthetic: Coded, seed: int = 0) -> Judgement:
    """Judge 1 - 2 |AUC - 1/2| of boosting that tells synthetic from real rows: 1 by chance, 0 if it is always right.

    Both tables give equally many rows. The classifier learns from two thirds of them, and is tested on the others.
    Under the null hypothesis all rows are exchangeable. So the AUC has the law of Mann and Whitney, and p is one-sided
    from its normal approximation. The interval is DeLong's for the AUC.

    Arguments:
        real: real rows.
        synthetic: synthetic rows.
        seed: seed of the draw and of the learner, >= 0.

    Raises:
        DataError: fewer than 30 rows of one table.

    Source: Lopez-Paz and Oquab 2017, arXiv 1610.06545; DeLong et al. 1988, Biometrics 44:837.
    """
    n = min(len(real), len(synthetic))
    if n < _LEAST:
        raise DataError("C2ST", f"{len(real)} real and {len(synthetic)} synthetic rows", f"Give at least {_LEAST}")
    rng = np.random.default_rng([seed, 3])
    first = round(_TRAINED * n)
    halves = [rows.take(rng.permutation(len(rows))[:n]) for rows in (real, synthetic)]
    learned, tested = (Coded.joined([half.take(part) for half in halves]) for part in (slice(first), slice(first, n)))
    y = np.repeat([0, 1], first)
    score = predict_classes("boosting", learned, y, tested, 2, seed)[:, 1]
    below, above = np.split(score, 2)
    area, error = delong(above, below)
    m = n - first
    low, high = (min(1.0, max(0.0, area + sign * float(stats.norm.ppf((1 + LEVEL) / 2)) * error)) for sign in (-1, 1))
    return Judgement(
        "C2ST",
        "How far from telling synthetic from real rows is a classifier (1: by chance, 0: always right)?",
        _score(area),
        1 - 2 * math.sqrt((2 * m + 1) / (12 * m * m) * 2 / math.pi),
        (min(_score(low), _score(high)), 1.0 if low <= 0.5 <= high else max(_score(low), _score(high))),
        n,
        p=float(stats.mannwhitneyu(above, below, alternative="greater", method="asymptotic").pvalue),
        detail={"auc": area, "engine": engine(), "tested": 2 * m},
    )


def _score(area: float) -> float:
    return 1 - 2 * abs(area - 0.5)


def delong(above: NDArray[np.float64], below: NDArray[np.float64]) -> tuple[float, float]:
    """Compute P(above > below), ties count half, and its standard error by DeLong's placements.

    Arguments:
        above: scores of one set, (M,), M >= 2.
        below: scores of the other set, (N,), N >= 2.

    Source: DeLong et al. 1988, Biometrics 44:837.

    Example:
        >>> area, error = delong(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0]))
        >>> round(area, 4), round(error, 4)  # placements 1/2, 3/4, 1 and 1, 1/2
        (0.75, 0.2887)
    """
    m, n = len(above), len(below)
    ranks = stats.rankdata(np.concatenate([above, below]))
    up = (ranks[:m] - stats.rankdata(above)) / n
    down = 1 - (ranks[m:] - stats.rankdata(below)) / m
    return float(up.mean()), float(np.sqrt(up.var(ddof=1) / m + down.var(ddof=1) / n))
