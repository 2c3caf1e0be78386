"""Judge memorisation: whether samples are copies of training rows, and whether the autoencoder returns to them.

Distances are in pixels, which do not depend on the training rows. Features of a classifier trained on these rows differ
between training and held-out rows. Held-out real rows are the reference.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from reinject.base.errors import DataError
from reinject.evaluation.copied import copied_share
from reinject.evaluation.judgement import Judgement, binomial_interval, clustered_interval
from reinject.training.learning_curves import LEVEL
from reinject.training.neighbours import nearest

_CELL = 50  # least held-out rows in a cell
_FITTED = 20_000  # rows for the fit of cells
_TAU = 20  # samples that a cell needs to count
_RETURNED = 0.5  # of the distance to the nearest other real row


class Neighbourhood(NamedTuple):
    """Hold the nearest real rows of each of N samples.

    Attributes:
        distance: distance to the nearest training row, (N,).
        row: number of that row, int64, (N,).
        apart: distance of that row to its nearest other training row, (N,).
        held_out: distance to the nearest held-out row, (N,); for held-out rows, to the nearest other one.
        held_out_row: number of that row, int64, (N,).
    """

    distance: Tensor
    row: Tensor
    apart: Tensor
    held_out: Tensor
    held_out_row: Tensor


def neighbourhood(x: Tensor, train: Tensor, test: Tensor, *, itself: bool = False) -> Neighbourhood:
    """Find the nearest training row and held-out row of each sample.

    Arguments:
        x: samples, (N, d).
        train, test: real rows, (T, d), (P, d).
        itself: ``x`` is ``test``, and a row is not its own neighbour.
    """
    (near, index), (far, other) = nearest(x, train), nearest(x, test, itself=itself)
    return Neighbourhood(near[:, 0], index[:, 0], distance_to_others(index[:, 0], train), far[:, 0], other[:, 0])


def copies(near: Neighbourhood, held_out: Neighbourhood, train: Tensor, test: Tensor) -> Judgement:
    """Judge the share of samples that are copies of training rows: :func:`reinject.evaluation.copied.copied_share`.

    Distances are relative to the distance of a sample's real row to its nearest other real row.

    Arguments:
        near: neighbours of the samples.
        held_out: neighbours of the held-out rows.
        train, test: (T, d), (P, d).

    Raises:
        DataError: fewer than 10 samples.
    """
    from_train = near.distance <= near.held_out
    row = torch.where(from_train, near.row, len(train) + near.held_out_row)
    distance = torch.where(from_train, near.distance, near.held_out)
    apart = _apart(near, held_out, from_train, train, test)
    return copied_share(row, relative(distance, apart), len(train), len(test))


def relative(distance: Tensor, apart: Tensor) -> Tensor:
    """Divide distances by the distances between real rows, which may be 0."""
    return distance / apart.clamp_min(1e-12)


def distance_to_others(row: Tensor, rows: Tensor) -> Tensor:
    """Compute the distance of some rows, by their numbers, to their nearest other row."""
    chosen, back = _distinct(row)
    distance, found = nearest(rows[chosen], rows, 2)
    return torch.where(found[:, 0] == chosen, distance[:, 1], distance[:, 0])[back]


def _apart(near: Neighbourhood, held_out: Neighbourhood, from_train: Tensor, train: Tensor, test: Tensor) -> Tensor:
    """Compute the distance of each sample's nearest real row to its nearest other real row, (N,)."""
    chosen, back = _distinct(near.row[from_train])
    apart = torch.minimum(held_out.distance, held_out.held_out)[near.held_out_row]
    apart[from_train] = torch.minimum(near.apart[from_train], nearest(train[chosen], test)[0][back, 0])
    return apart


def _distinct(row: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct numbers, and the position of each number among them."""
    names, back = np.unique(row.numpy(), return_inverse=True)
    return torch.from_numpy(names), torch.from_numpy(back)


def authenticity(near: Neighbourhood, held_out: Neighbourhood, walk: NDArray[np.int64]) -> Judgement:
    """Judge the share of samples farther from their nearest training row than that row from its nearest other one.

    Arguments:
        near: neighbours of the samples.
        walk: walk of each sample, (N,).
        held_out: neighbours of the held-out rows; only those among training rows are used.

    Source: Alaa et al. 2022, arXiv 2102.08921, section 4.3.
    """
    authentic, n = near.distance > near.apart, len(near.row)
    return Judgement(
        "authenticity",
        "What share of the samples is farther from its nearest training row than that row from other training rows?",
        float(authentic.double().mean()),
        float((held_out.distance > held_out.apart).double().mean()),
        clustered_interval(authentic, walk),
        n,
    )


class Copying(NamedTuple):
    """Hold C_T, and C_T divided by its standard deviation under the null, which is N(0, 1) there."""

    statistic: float
    z: float
    cells: int


def c_t(synthetic: Tensor, train: Tensor, test: Tensor, cells: tuple[Tensor, Tensor, Tensor] | None = None) -> Copying:
    """Compute the data-copying statistic: whether samples are closer to training rows than held-out rows, by cell.

    In each cell a Mann-Whitney test compares distances to the cell's nearest training row. Z is its statistic in
    standard deviations from the mean. Over cells with 20 samples, C_T = sum P(cell) Z / sum P(cell), where P is the
    share of held-out rows. Far below 0: copies. Far above 0: samples are farther from training rows than real data.
    Under the null, C_T has the variance sum w^2 of its weights, so it is N(0, 1) for one cell only; ``z`` always is.

    Arguments:
        synthetic: (N, d).
        train: (T, d).
        test: (P, d).
        cells: cell of each row of the three sets, int64; default: k-means on the training rows, one cell for 50
            held-out rows, at most ten.

    Source: Meehan et al. 2020, arXiv 2004.05675; a test compares Z with their code.
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
        raise DataError(
            "C_T", f"{len(synthetic)} samples are too few", f"Give at least {_TAU} in some cell of the training data"
        )
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
    """Judge C_T of one sample of each walk; its p is one-sided, for copying.

    If there are fewer walks than a cell needs samples, all samples are used, without p.

    Arguments:
        synthetic: (N, d).
        train, test: (T, d), (P, d).
        walk: walk of each sample, (N,).
    """
    _, one = np.unique(walk, return_index=True)
    enough = len(one) >= _TAU
    found = c_t(synthetic[np.sort(one)] if enough else synthetic, train, test)
    deviation = found.statistic / found.z if found.z else 1.0
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * deviation
    return Judgement(
        "data copying",
        "How much closer to training rows than held-out rows are the samples (C_T; far below 0: copies)?",
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
    """Judge the share of training rows to which the noise-free walk x <- r(x) returns, from noise around them.

    A walk returns if it ends within half the row's distance to its nearest other row of either set. p is Fisher's,
    one-sided: walks return to training rows more often than to held-out rows.

    Arguments:
        r: autoencoder.
        train, test: rows, (N, *event) and (M, *event), data units.
        sigma: noise around a row, data units.
        steps: steps of the walk.
        seed: seed of the noise.
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
        "To what share of training rows does the noise-free walk return from nearby?",
        hits / len(train),
        misses / len(test),
        binomial_interval(hits, len(train)),
        len(train),
        p=float(stats.fisher_exact(table, alternative="greater").pvalue),
        detail={"steps": steps, "sigma": sigma},
    )
