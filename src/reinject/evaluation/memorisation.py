"""Memorisation: whether samples are copies of training rows, and whether the autoencoder gives training rows back.

Distances are taken in features that the training rows had no part in (pixels): features of a classifier that was
trained on the same rows lie differently for them than for held-out ones. Held-out real rows say what is normal.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from reinject.base.errors import DataError
from reinject.evaluation.judgement import Judgement, binomial_interval, clustered_interval
from reinject.training.curves import LEVEL
from reinject.training.neighbours import nearest

_LEVELS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_LEAST = 10  # samples at the smallest level
_CELL = 50  # held-out rows a cell, at least
_FITTED = 20_000  # rows that cells are made of
_TAU = 20  # samples that a cell needs to count
_DRAWN = 9_999
_RETURNED = 0.5  # of the distance to the nearest other real row


class Neighbourhood(NamedTuple):
    """What is near each of N samples, for all judgements here.

    Attributes:
        distance: to the nearest training row, (N,).
        row: its number, int64, (N,).
        apart: distance of that row to its nearest other training row, (N,).
        held_out: distance to the nearest held-out row, (N,); of a held-out row to the nearest other one.
        held_out_row: its number, int64, (N,).
    """

    distance: Tensor
    row: Tensor
    apart: Tensor
    held_out: Tensor
    held_out_row: Tensor


def neighbourhood(x: Tensor, train: Tensor, test: Tensor, *, itself: bool = False) -> Neighbourhood:
    """The nearest training and held-out row of each sample.

    Arguments:
        x: samples, (N, d).
        train, test: real rows, (T, d), (P, d).
        itself: ``x`` is ``test``, and a row is not near itself.
    """
    (near, index), (far, other) = nearest(x, train), nearest(x, test, itself=itself)
    return Neighbourhood(near[:, 0], index[:, 0], _apart_of(index[:, 0], train), far[:, 0], other[:, 0])


def copies(near: Neighbourhood, held_out: Neighbourhood, train: Tensor, test: Tensor) -> Judgement:
    """The share of samples that are copies: more often near training rows than held-out rows explain.

    If training left no trace, the nearest real row of a sample is a training row with probability p0 = T / (T + P), as
    training and held-out rows could change places. Copies are nearer than chance: among the samples that are nearest to
    their real row, measured by that row's own distance to its nearest other real row, they make the share f of training
    rows exceed p0, and (f - p0) / (1 - p0) of them are copies. Looked at among the nearest 0.1% to 100% of the samples;
    the level with the smallest p is reported. A real row counts once for p, however many samples are near it: the
    number of training rows among so many real rows is hypergeometric, whatever the samples are. p is that of the
    smallest over all levels, which are nested, by 9,999 draws of such numbers. The interval counts a real row as one
    chance that weighs as many.

    Arguments:
        near: of the samples.
        held_out: of the held-out rows.
        train, test: (T, d), (P, d).

    Raises:
        DataError: fewer than 10 samples.
    """
    n = len(near.distance)
    if n < _LEAST:
        raise DataError("copies", f"{n} samples", f"Give {_LEAST} at least")
    p0 = len(train) / (len(train) + len(test))
    from_train = near.distance <= near.held_out
    row = torch.where(from_train, near.row, len(train) + near.held_out_row)
    distance = torch.where(from_train, near.distance, near.held_out)
    order = (distance / _apart(near, held_out, from_train, train, test).clamp_min(1e-12)).argsort(stable=True)
    levels = [max(_LEAST, round(level * n)) for level in _LEVELS]
    found = [_excess(row[order[:count]], len(train), len(test)) for count in dict.fromkeys(levels)]
    best = min(found, key=lambda one: one["p"])
    share = best["count"] / n
    value, error = best["excess"] * share, best["error"] * share
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    return Judgement(
        "copies",
        "What share of the samples is nearer to training rows than chance explains?",
        value,
        0.0,
        (value - half, value + half),
        n,
        p=_smallest(best["p"], [one["rows"] for one in found], len(train), len(test)),
        detail={"expected_share": p0, "levels": found},
    )


def _apart_of(row: Tensor, rows: Tensor) -> Tensor:
    """The distance of some of the rows, by their numbers, to their nearest other one."""
    chosen, back = _distinct(row)
    distance, found = nearest(rows[chosen], rows, 2)
    return torch.where(found[:, 0] == chosen, distance[:, 1], distance[:, 0])[back]


def _apart(near: Neighbourhood, held_out: Neighbourhood, from_train: Tensor, train: Tensor, test: Tensor) -> Tensor:
    """The distance of each sample's nearest real row to its nearest other one, of both sets, (N,)."""
    chosen, back = _distinct(near.row[from_train])
    apart = torch.minimum(held_out.distance, held_out.held_out)[near.held_out_row]
    apart[from_train] = torch.minimum(near.apart[from_train], nearest(train[chosen], test)[0][back, 0])
    return apart


def _distinct(row: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers that there are, and which of them each was."""
    names, back = np.unique(row.numpy(), return_inverse=True)
    return torch.from_numpy(names), torch.from_numpy(back)


def _excess(row: Tensor, trained: int, others: int) -> dict[str, float]:
    """What the nearest rows of some samples say: how many of them are copies, and p of so many training rows."""
    names, counts = np.unique(row.numpy(), return_counts=True)
    p0 = trained / (trained + others)
    from_train = names < trained
    scale = (1 - p0) * len(row)
    return {
        "count": len(row),
        "rows": len(names),
        "excess": float((counts * (from_train - p0)).sum()) / scale,
        "error": math.sqrt(p0 * (1 - p0) * float(np.square(counts).sum())) / scale,
        "p": float(stats.hypergeom.sf(int(from_train.sum()) - 1, trained + others, trained, len(names))),
    }


def _smallest(p: float, rows: Sequence[float], trained: int, others: int) -> float:
    """P(the smallest p of all levels <= p), where training and held-out rows could change places.

    Arguments:
        p: the smallest that was found.
        rows: number of distinct real rows of each level, rising; those of one are among those of the next.
        trained, others: numbers of rows of both kinds.
    """
    rng = np.random.default_rng(0)
    smallest = np.ones(_DRAWN)
    hits, seen = np.zeros(_DRAWN, np.int64), 0
    for m in map(int, rows):
        if m > seen:
            left = trained - hits
            hits = hits + rng.hypergeometric(left, trained + others - seen - left, m - seen)
        seen = m
        tail = stats.hypergeom.sf(np.arange(-1, m), trained + others, trained, m)
        smallest = np.minimum(smallest, tail[hits])
    drawn = (1 + int((smallest <= p * (1 + 1e-9)).sum())) / (1 + _DRAWN)
    return float(min(1.0, drawn, p * len(rows)))  # draws cannot show what is rarer than one of them


def authenticity(near: Neighbourhood, held_out: Neighbourhood, walk: NDArray[np.int64]) -> Judgement:
    """The share of samples farther from their nearest training row than that row is from its nearest other one.

    Arguments:
        near: of the samples.
        walk: of each sample, (N,).
        held_out: of the held-out rows; what is near to them among training rows is looked at only.

    Source: Alaa et al. 2022, arXiv 2102.08921, section 4.3.
    """
    authentic, n = near.distance > near.apart, len(near.row)
    return Judgement(
        "authenticity",
        "What share of the samples is farther from its nearest training row than that is from other training rows?",
        float(authentic.double().mean()),
        float((held_out.distance > held_out.apart).double().mean()),
        clustered_interval(authentic, walk),
        n,
    )


class Copying(NamedTuple):
    """C_T, and the same divided by its standard deviation under the null, which follows N(0, 1) there."""

    statistic: float
    z: float
    cells: int


def c_t(synthetic: Tensor, train: Tensor, test: Tensor, cells: tuple[Tensor, Tensor, Tensor] | None = None) -> Copying:
    """The data-copying statistic: are samples nearer to training rows than held-out rows are, cell by cell.

    In each cell a Mann-Whitney test compares the distances to the nearest training row of the cell, Z standard
    deviations from the mean; C_T = sum P(cell) Z / sum P(cell), P the share of held-out rows, over cells with 20
    samples. Far below 0: copying; far above: samples are farther from data than data is. C_T has the variance sum w^2
    of its weights under the null, so it is N(0, 1) for one cell only; ``z`` always is.

    Arguments:
        synthetic: (N, d).
        train: (T, d).
        test: (P, d).
        cells: the cell of each row of the three, int64; default: k-means on the training rows, one for 50 held-out rows
            and ten at most.

    Source: Meehan et al. 2020, arXiv 2004.05675; Z as in their code, to which a test compares.
    """
    where = cells or _cells(synthetic, train, test)
    scores, weights = [], []
    for k in range(int(where[1].max()) + 1):
        q, t, p = (rows[cell == k] for rows, cell in zip((synthetic, train, test), where, strict=True))
        if len(q) < _TAU or not len(p) or not len(t):
            continue
        a, b = (nearest(rows, t)[0][:, 0].numpy() for rows in (q, p))
        u = float(stats.mannwhitneyu(a, b, alternative="less").statistic)
        m, n = len(q), len(p)
        scores.append((u - m * n / 2 + 0.5) / math.sqrt(m * n * (m + n + 1) / 12))
        weights.append(n)
    if not scores:
        raise DataError("C_T", f"{len(synthetic)} samples", f"Give {_TAU} in some cell of the training data at least")
    w = np.array(weights) / sum(weights)
    statistic = float(w @ scores)
    return Copying(statistic, statistic / float(np.sqrt(w @ w)), len(w))


def _some(rows: int, most: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).permutation(rows)[:most])


def _cells(synthetic: Tensor, train: Tensor, test: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    from sklearn.cluster import MiniBatchKMeans

    count = max(1, min(10, len(test) // _CELL))
    means = MiniBatchKMeans(count, random_state=0, n_init=3).fit(train[_some(len(train), _FITTED)].numpy())
    centres = torch.from_numpy(means.cluster_centers_).to(train)
    found = [nearest(rows, centres)[1][:, 0] for rows in (synthetic, train, test)]
    return found[0], found[1], found[2]


def data_copying(synthetic: Tensor, train: Tensor, test: Tensor, walk: NDArray[np.int64]) -> Judgement:
    """C_T of one sample of each walk, as a judgement; its p is one-sided, for copying.

    Of all samples and without p, where walks are fewer than a cell needs samples.

    Arguments:
        synthetic: (N, d).
        train, test: (T, d), (P, d).
        walk: of each sample, (N,).
    """
    _, one = np.unique(walk, return_index=True)
    enough = len(one) >= _TAU
    found = c_t(synthetic[np.sort(one)] if enough else synthetic, train, test)
    deviation = found.statistic / found.z if found.z else 1.0
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * deviation
    return Judgement(
        "data copying",
        "How much nearer to training rows than held-out rows are the samples (C_T; far below 0: copies)?",
        found.statistic,
        0.0,
        (found.statistic - half, found.statistic + half),
        len(one) if enough else len(synthetic),
        p=float(stats.norm.cdf(found.z)) if enough else None,
        detail={"z": found.z, "cells": found.cells},
    )


def attractors(
    r: Callable[[Tensor], Tensor],
    train: Tensor,
    test: Tensor,
    *,
    sigma: float,
    steps: int = 20,
    seed: int = 0,
) -> Judgement:
    """Which training rows does the noise-free walk x <- r(x) come back to, from noise beside them.

    A row has come back if the end lies within half the row's distance to its nearest other row of either set. p is
    Fisher's, one-sided: training rows come back more often than held-out ones.

    Arguments:
        r: the autoencoder.
        train, test: rows, (N, *event) and (M, *event), data units.
        sigma: noise beside a row, data units.
        steps: of the walk.
        seed: of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    real = torch.cat([train, test])
    x = real + sigma * torch.randn(real.shape, generator=generator)
    with torch.no_grad():
        for _ in range(steps):
            x = torch.cat([r(part) for part in torch.split(x, 1024)])
    flat = real.flatten(1)
    apart = nearest(flat, flat, itself=True)[0][:, 0]
    back = (x.flatten(1) - flat).norm(dim=1) < _RETURNED * apart
    hits, misses = int(back[: len(train)].sum()), int(back[len(train) :].sum())
    table = [[hits, len(train) - hits], [misses, len(test) - misses]]
    return Judgement(
        "attractors",
        "What share of training rows does the noise-free walk come back to from beside them?",
        hits / len(train),
        misses / len(test),
        binomial_interval(hits, len(train)),
        len(train),
        p=float(stats.fisher_exact(table, alternative="greater").pvalue),
        detail={"steps": steps, "sigma": sigma},
    )
