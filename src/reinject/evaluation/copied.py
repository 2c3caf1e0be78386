"""Estimate the share of copies from the real row nearest to each sample, with its exact test and interval."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats
from torch import Tensor

from reinject.base.errors import DataError
from reinject.evaluation.judgement import Judgement
from reinject.training.learning_curves import LEVEL

_LEVELS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_LEAST = 10  # samples at the smallest level
_DRAWN = 9_999
_WIDEST = 50.0  # abs(log odds) of a training row


class _Level(NamedTuple):
    """Hold what is found among the samples nearest to real rows: ``hits`` of ``rows`` real rows are training rows."""

    samples: int
    rows: int
    hits: int
    excess: float
    p: float


def copied_share(row: Tensor, nearness: Tensor, trained: int, others: int) -> Judgement:
    """Judge the share of samples that are copies of training rows.

    Without memorisation, training and held-out rows are exchangeable: a sample's nearest real row is a training row
    with probability p0 = T / (T + P). Copies are closer than by chance. Take the samples nearest to their real row.
    Copies raise the share f of training rows among these real rows above p0, and (f - p0) / (1 - p0) of them are
    copied. Levels reach from the nearest 0.1% to 100% of the samples; the level with the smallest p is reported.

    A real row counts once, with any number of samples near it. So the number of training rows among them is
    hypergeometric for all sets of samples. p is that of the smallest value over all (nested) levels, by 9,999 draws of
    such numbers. The interval is Fisher's exact one, of the odds of a training row, and simultaneous over levels. So
    it lies above 0 where p < .025.

    Arguments:
        row: number of the real row nearest to each sample, training rows first, int64, (N,).
        nearness: distance to this row, relative to the row's distance to other real rows, (N,).
        trained: number T of training rows.
        others: number P of held-out rows.

    Raises:
        DataError: fewer than 10 samples.

    Example:
        >>> import torch
        >>> copied = torch.arange(100) % 50  # 50 training rows and no held-out row
        >>> found = copied_share(copied, torch.zeros(100), trained=50, others=50)
        >>> found.value, found.interval[0] > 0.5, found.p < 1e-9
        (1.0, True, True)
    """
    n = len(row)
    if n < _LEAST:
        raise DataError("copies", f"{n} samples are too few", f"Give at least {_LEAST}")
    nearest_first = row[nearness.argsort(stable=True)].numpy()
    counts = dict.fromkeys(max(_LEAST, round(level * n)) for level in _LEVELS)
    found = [_level(nearest_first[:count], trained, others) for count in counts]
    best = min(found, key=lambda one: one.p)
    smallest = _smallest([one.rows for one in found], trained, others)
    tail = max(float(np.quantile(smallest, (1 - LEVEL) / 2, method="lower")), (1 - LEVEL) / 2 / len(found))
    low, high = _interval(best, trained, others, tail)
    share = best.samples / n
    drawn = (1 + int((smallest <= best.p * (1 + 1e-9)).sum())) / (1 + _DRAWN)
    return Judgement(
        "copies",
        "What share of the samples is closer to training rows than by chance?",
        best.excess * share,
        0.0,
        (low * share, high * share),
        n,
        p=float(min(1.0, drawn, best.p * len(found))),  # draws cannot resolve smaller values
        detail={"expected_share": trained / (trained + others), "levels": [one._asdict() for one in found]},
    )


def _level(row: NDArray[np.int64], trained: int, others: int) -> _Level:
    names = np.unique(row)
    hits = int((names < trained).sum())
    h, log_p = _law(len(names), trained, others)
    p = float(_tails(log_p)[hits - h[0]])
    return _Level(len(row), len(names), hits, _excess(hits / len(names), trained, others), p)


def _law(rows: int, trained: int, others: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return all possible numbers of training rows among some real rows, and the log of their probabilities."""
    h: NDArray[np.int64] = np.arange(max(0, rows - others), min(rows, trained) + 1)
    return h, np.asarray(stats.hypergeom.logpmf(h, trained + others, trained, rows))


def _tails(log_p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the probability of each number or a larger one; sums start at the small end."""
    return np.asarray(np.minimum(1.0, np.exp(log_p)[::-1].cumsum()[::-1]))


def _excess(share: float, trained: int, others: int) -> float:
    """Compute (f - p0) / (1 - p0) for the share f of training rows."""
    return (share * (trained + others) - trained) / others


def _interval(level: _Level, trained: int, others: int, tail: float) -> tuple[float, float]:
    """Compute the ends of the excess at which as many, or as few, training rows have probability ``tail``.

    Fisher's law of h training rows among m real rows is the hypergeometric one, times odds^h, normalised.
    """
    m = level.rows
    h, base = _law(m, trained, others)

    def law(log_odds: float) -> NDArray[np.float64]:
        return np.asarray(special.softmax(base + log_odds * h))

    def end(chosen: NDArray[np.bool_], sign: float) -> float:
        if chosen.all():  # the most extreme number
            return _excess(float(h[0 if sign > 0 else -1]) / m, trained, others)

        def gap(log_odds: float) -> float:
            return float(law(log_odds)[chosen].sum()) - tail

        at = sign * _WIDEST if gap(-_WIDEST) * gap(_WIDEST) > 0 else float(optimize.brentq(gap, -_WIDEST, _WIDEST))
        return _excess(float(law(at) @ h) / m, trained, others)

    return end(h >= level.hits, 1), end(h <= level.hits, -1)


def _smallest(rows: list[int], trained: int, others: int) -> NDArray[np.float64]:
    """Draw the smallest p of all levels for exchangeable training and held-out rows, (9999,).

    Arguments:
        rows: number of distinct real rows of each level, ascending; levels are nested.
        trained: number of training rows.
        others: number of held-out rows.
    """
    rng = np.random.default_rng(0)
    smallest = np.ones(_DRAWN)
    hits, seen = np.zeros(_DRAWN, np.int64), 0
    for m in rows:
        if m > seen:
            left = trained - hits
            hits = hits + rng.hypergeometric(left, trained + others - seen - left, m - seen)
        seen = m
        h, log_p = _law(m, trained, others)
        smallest = np.minimum(smallest, _tails(log_p)[hits - h[0]])
    return smallest
