"""Attack a table by attribute inference: guess one column of a person from the other columns, by synthetic rows.

An attacker knows all columns of a person but one, and takes it from the nearest synthetic row. Success among training
rows counts only beyond success among held-out rows: what holds for everybody is not a leak.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reinject.base.errors import DataError
from reinject.evaluation.judgement import Judgement
from reinject.table_evaluation.table_coding import Coded, Coding
from reinject.training.learning_curves import interval_of

ATTACKS = 1000
_MOST = 10  # secret columns
_TOLERANCE = 0.05  # of a guessed number
_LEAST = 20  # rows of each table
_ROWS = 250  # attacked rows at a time


def guesses(known: Coded, synthetic: Coded, secrets: Sequence[int], scale: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the synthetic row nearest in all columns but the secret one, for each attacked row and each secret.

    Distance: sum of abs(x - y) / range over numbers, and 1 for each different category; 1 where one number is missing.

    Arguments:
        known: attacked rows, (A, ...).
        synthetic: synthetic rows, (N, ...).
        secrets: numbers of the secret columns, numeric columns first, S of them.
        scale: range of each numeric column, > 0, (p,).

    Returns:
        Numbers of synthetic rows, int64, (A, S).

    Source: Gower 1971, Biometrics 27:857.

    Example:
        >>> rows = Coded(np.array([[0.0, 0.0], [1.0, 9.0]]), np.zeros((2, 0), np.int64))
        >>> guesses(Coded(np.array([[0.1, 9.0]]), rows.codes[:1]), rows, [0, 1], np.array([1.0, 9.0])).tolist()
        [[1, 0]]
    """
    p, q = synthetic.numbers.shape[1], synthetic.codes.shape[1]
    found = np.zeros((len(known), len(secrets)), np.int64)
    for first in range(0, len(known), _ROWS):
        part = known.take(slice(first, first + _ROWS))
        total = sum((_gap(part, synthetic, k, scale) for k in range(p + q)), np.zeros((), np.float32))
        for s, k in enumerate(secrets):
            found[first : first + _ROWS, s] = (total - _gap(part, synthetic, k, scale)).argmin(1)
    return found


def _gap(known: Coded, synthetic: Coded, k: int, scale: NDArray[np.float64]) -> NDArray[np.float32]:
    """Compute the distances of one column, float32, (A, N)."""
    p = synthetic.numbers.shape[1]
    if k >= p:
        different: NDArray[np.bool_] = known.codes[:, None, k - p] != synthetic.codes[None, :, k - p]
        return different.astype(np.float32)
    a, b = ((rows.numbers[:, k] / scale[k]).astype(np.float32) for rows in (known, synthetic))
    gap: NDArray[np.float32] = np.abs(a[:, None] - b[None])
    if np.isnan(gap).any():
        missing = np.isnan(a)[:, None] != np.isnan(b)[None]
        gap = np.where(missing, np.float32(1), np.nan_to_num(gap))
    return gap


def right(known: Coded, synthetic: Coded, secrets: Sequence[int], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether guesses are right: the same category, or a number within 5% of the guess, (A, S).

    Arguments:
        known: attacked rows.
        synthetic: synthetic rows.
        secrets: numbers of the secret columns.
        rows: number of the guessed synthetic row, (A, S).
    """
    p, hits = synthetic.numbers.shape[1], []
    for s, k in enumerate(secrets):
        if k >= p:
            hits.append(known.codes[:, k - p] == synthetic.codes[rows[:, s], k - p])
        else:
            truth, guess = known.numbers[:, k], synthetic.numbers[rows[:, s], k]
            near = np.abs(truth - guess) <= _TOLERANCE * np.abs(guess)
            hits.append(near | (np.isnan(truth) & np.isnan(guess)))
    return np.stack(hits, 1)


def attribute_inference(
    coding: Coding,
    train: Coded,
    held_out: Coded,
    synthetic: Coded,
    *,
    target: str | None = None,
    attacks: int = ATTACKS,
    seed: int = 0,
) -> Judgement:
    """Judge attribute inference, the mean over secret columns; the null is success among held-out rows.

    All columns are secret in turn, ten at most: the target, and others drawn at random. p is Welch's, one-sided, of the
    mean success of each row. The baseline takes the secret from a random synthetic row. ``risk`` is
    (success - null) / (1 - null).

    Arguments:
        coding: kinds of the columns.
        train: training rows.
        held_out: held-out rows.
        synthetic: synthetic rows.
        target: column that is always a secret; None: no such column.
        attacks: most attacked rows of each kind.
        seed: seed of rows, secrets and baseline.

    Raises:
        DataError: fewer than 20 rows of one table, or a single column.

    Source: Giomi et al. 2023, PoPETs 2023(2):312, arXiv 2211.10459, section 4.3.
    """
    names = [*coding.numeric, *coding.categories]
    if min(len(train), len(held_out), len(synthetic)) < _LEAST or len(names) < 2:
        sizes = f"{len(train)} training, {len(held_out)} held-out and {len(synthetic)} synthetic rows"
        raise DataError("attribute inference", f"{sizes} of {len(names)} columns", f"Give {_LEAST} rows, 2 columns")
    rng = np.random.default_rng([seed, 7])
    order = sorted(rng.permutation(len(names)).tolist(), key=lambda k: names[k] != target)
    secrets = sorted(order[:_MOST])
    n = min(attacks, len(train), len(held_out))
    inside, outside = (rows.take(rng.permutation(len(rows))[:n]) for rows in (train, held_out))
    scale = _ranges(synthetic.numbers, train.numbers)
    a, b = (right(rows, synthetic, secrets, guesses(rows, synthetic, secrets, scale)) for rows in (inside, outside))
    chance = right(inside, synthetic, secrets, rng.integers(len(synthetic), size=a.shape))
    success, null = float(a.mean()), float(b.mean())
    excess = {names[k]: float(a[:, s].mean() - b[:, s].mean()) for s, k in enumerate(secrets)}
    worst = max(excess, key=excess.__getitem__)
    low, high = interval_of(a.mean(1).tolist())
    return Judgement(
        "attribute inference",
        "How often does an attacker guess a column of a training row from its other columns?",
        success,
        null,
        (max(0.0, low), min(1.0, high)),
        n,
        p=_welch(a.mean(1), b.mean(1)),
        detail={
            "baseline": float(chance.mean()),
            "risk": (success - null) / (1 - null) if null < 1 else None,
            "worst column": worst,
            "excess": excess,
        },
    )


def _ranges(*numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    both = np.concatenate(numbers)
    has = ~np.isnan(both).all(0)
    found = np.ones(both.shape[1])
    found[has] = np.nanmax(both[:, has], 0) - np.nanmin(both[:, has], 0)
    return np.where(found > 0, found, 1.0)


def _welch(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Compute the one-sided p of Welch's test for a larger mean of a; 1 without any variance and difference."""
    if a.std() + b.std() == 0:
        return float(a.mean() <= b.mean())
    parts = [value for x in (a, b) for value in (x.mean(), x.std(ddof=1), len(x))]
    return float(stats.ttest_ind_from_stats(*parts, equal_var=False, alternative="greater").pvalue)
