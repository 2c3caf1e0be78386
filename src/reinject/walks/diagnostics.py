"""Measure walks: convergence, memory of the start, class shares, distance from the score's law.

Tensors go in, numbers come out. Sums run in float64 on the CPU, because some devices have no float64.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from reinject.base.errors import ArgumentError, check_positive

_LEAST = 4  # fewest draws of a chain that arviz-stats takes
_LONG = 30  # draws of a chain whose autocorrelations suffice for the ESS


class Convergence(NamedTuple):
    """Convergence of one summary function of the walks.

    Attributes:
        ess: effective sample size over all walks, in independent draws.
        rhat: rank-normalised split R-hat; near 1 where every half of every walk follows the same law.
        autocorrelation_time: draws for one independent draw: draws / ESS of the mean.
    """

    ess: float
    rhat: float
    autocorrelation_time: float


def convergence(values: Float[Tensor, "walks draws"]) -> Convergence:
    """Estimate ESS, R-hat and autocorrelation time of a scalar along walks; each walk is a chain.

    For walks of 30 draws or more, the ESS is the bulk ESS of arviz-stats. Shorter walks have unreliable
    autocorrelations. There ESS = M var(values) / var(means of the M walks), because walks are independent; this ESS is
    not rank-normalised. R-hat is rank-normalised and split in both cases.

    Arguments:
        values: one summary function, (walks, draws): at least two walks of at least four draws.

    Returns:
        All three NaN where the summary does not vary.

    Raises:
        ArgumentError: fewer walks or draws, or values that are not finite.

    Source: Vehtari et al. 2021, arXiv 1903.08008, by arviz-stats.

    Example:
        >>> draws = torch.randn(100, 50, generator=torch.Generator().manual_seed(0))
        >>> found = convergence(draws)
        >>> 4000 < found.ess < 6000, abs(found.rhat - 1) < 0.01, abs(found.autocorrelation_time - 1) < 0.1
        (True, True, True)
    """
    if values.ndim != 2 or len(values) < 2 or values.shape[1] < _LEAST or not bool(torch.isfinite(values).all()):
        raise ArgumentError(
            "convergence",
            f"values of shape {tuple(values.shape)}",
            f"Give finite values of at least two walks and {_LEAST} draws",
        )
    from arviz_stats.base import array_stats  # takes two seconds, and sampling does not need it

    array = values.cpu().double().numpy()
    if np.ptp(array) == 0:
        return Convergence(math.nan, math.nan, math.nan)
    rhat = float(array_stats.rhat(array))
    if array.shape[1] >= _LONG:
        return Convergence(
            float(array_stats.ess(array)), rhat, array.size / float(array_stats.ess(array, method="mean"))
        )
    ess = float(len(array) * array.var() / array.mean(1).var(ddof=1))
    return Convergence(ess, rhat, array.size / ess)


def label_switches(label: Int[Tensor, "walks draws"]) -> float:
    """Return the share of successive draws of a walk with different labels; NaN for a single draw.

    Example:
        >>> label_switches(torch.tensor([[0, 0, 1], [2, 2, 2]]))
        0.25
    """
    return float((label[:, 1:] != label[:, :-1]).double().mean()) if label.shape[1] > 1 else math.nan


def effective_labels(label: Int[Tensor, " rows"], walk: Int[Tensor, " rows"]) -> float:
    """Estimate the number of independent labelled samples that determine the class shares equally well.

    Let p_k be the shares over all N rows, and n_wk the rows of class k among the n_w rows of walk w, of M walks. The
    number is sum_k p_k (1 - p_k) / sum_k Var(p_k), with Var(p_k) = M/(M - 1) sum_w (n_wk - n_w p_k)^2 / N^2, because
    walks are independent. A walk that keeps its class counts once. A walk that draws its class anew at every step
    counts as often as it has rows. A walk that avoids the class it comes from counts more.

    Arguments:
        label: class of every row, >= 0.
        walk: number of the row's walk.

    Returns:
        NaN for one walk, or where all rows are of one class.

    Source: Kish 1965, the design effect of clusters.

    Example:
        >>> walk = torch.arange(100).repeat_interleave(10)
        >>> round(effective_labels(walk % 2, walk))  # ten draws a walk, all of one class
        99
    """
    _, row = torch.unique(walk, return_inverse=True)
    walks = int(row.max()) + 1 if len(row) else 0
    counts = torch.zeros(walks, int(label.max()) + 1 if len(label) else 0, dtype=torch.float64)
    counts.index_put_((row, label.long()), torch.ones(len(label), dtype=torch.float64), accumulate=True)
    share = counts.sum(0) / max(len(label), 1)
    off = counts - counts.sum(1, keepdim=True) * share
    between = float(off.square().sum()) * walks / max(walks - 1, 1) / max(len(label), 1) ** 2
    within = float((share * (1 - share)).sum())
    return within / between if walks > 1 and between > 0 and within > 0 else math.nan


def class_entropy(probabilities: Float[Tensor, "batch classes"]) -> float:
    """Return the mean entropy of the probabilities, in nats: 0 for certainty, log(classes) for guessing.

    Example:
        >>> class_entropy(torch.tensor([[1.0, 0.0], [0.5, 0.5]])) == math.log(2) / 2
        True
    """
    return float(torch.special.entr(probabilities.cpu().double()).sum(1).mean())


def start_remembered_by_axis(
    start: Float[Tensor, "walks *event"], end: Float[Tensor, "walks *event"], axes: Float[Tensor, "some n"]
) -> list[float]:
    """Return the correlation of a walk's end with its start along each axis: 0 where it has forgotten.

    Arguments:
        start: x_0, (walks, *event), data units.
        end: x_R of the same walks, same shape.
        axes: directions, (K, n).

    Example:
        >>> x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
        >>> [round(c, 3) for c in start_remembered_by_axis(x, x * torch.tensor([1.0, -2.0]), torch.eye(2))]
        [1.0, -1.0]
    """
    a, b = (part.flatten(1).cpu().double() @ axes.cpu().double().T for part in (start, end))
    a, b = a - a.mean(0), b - b.mean(0)
    correlation: list[float] = ((a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0))).tolist()
    return correlation


class Discrepancy(NamedTuple):
    """Squared kernel Stein discrepancy of points from a law: 0 in expectation where they follow it, else above.

    Attributes:
        value: the unbiased estimate; may be below 0.
        error: its standard error where the points do not follow the law (jackknife over points).
    """

    value: float
    error: float


def stein_discrepancy(
    x: Float[Tensor, "batch *event"], score: Float[Tensor, "batch *event"], length: float | None = None
) -> Discrepancy:
    """Estimate how far points are from a law of which only the score is known.

    The kernel is k(x, y) = (1 + |x - y|^2 / length^2)^(-1/2). The estimate is the mean over pairs of its Stein kernel:
    s(x).s(y) k + s(x).grad_y k + s(y).grad_x k + tr grad_x grad_y k. Here the score is the
    autoencoder's own, s(x) = 2 (r(x) - x)/lambda.

    Arguments:
        x: points, (B, *event), data units; at least two.
        score: s(x), same shape, inverse data units.
        length: scale of the kernel > 0, data units; default: the median distance of the points.

    Raises:
        ArgumentError: shapes differ, fewer than two points, or a length that is not positive.

    Source: Gorham and Mackey 2017, arXiv 1703.01717; Liu et al. 2016, arXiv 1602.03253.

    Example:
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> abs(stein_discrepancy(x, -x).value) < 0.02 < stein_discrepancy(x + 1, -x - 1).value
        True
    """
    if x.shape != score.shape or len(x) < 2:
        raise ArgumentError(
            "stein_discrepancy", f"x {tuple(x.shape)} and score {tuple(score.shape)}", "Give equal shapes, two points"
        )
    a, s = x.flatten(1).cpu().double(), score.flatten(1).cpu().double()
    square = torch.cdist(a, a).square()
    if length is None:
        length = float(torch.pdist(a[:1000]).median())
    check_positive("stein_discrepancy", "length", length)
    n, q = a.shape[1], 1 + square / length**2
    k, slope = q.rsqrt(), -(q**-1.5) / length**2  # grad_x k = slope (x - y)
    along = s @ a.T  # s_i . x_j
    forth = (s * a).sum(1, keepdim=True) - along  # s_i . (x_i - x_j)
    stein = (s @ s.T) * k - slope * (forth + forth.T) - n * slope - 3 * q**-2.5 * square / length**4
    stein.fill_diagonal_(0)
    rows = stein.sum(1) / (len(a) - 1)
    return Discrepancy(float(rows.mean()), 2 * float(rows.std()) / math.sqrt(len(a)))


def start_remembered(start: Float[Tensor, "walks *event"], end: Float[Tensor, "ends *event"]) -> float:
    """Estimate the share of its start that a walk still carries, by least squares over walks and axes.

    The share is the slope of the end on the start: sum (x_0 - m_0).(x_R - m_R) / sum |x_0 - m_0|^2, m the means over
    walks. It is 0 for a walk that has forgotten its start and 1 for a walk that has not moved. On a Gaussian direction
    of variance v, Langevin with step lambda leaves (1 - lambda/(2v))^R. A walk that remembers its start does not sample
    p.

    Arguments:
        start: x_0, (walks, *event), data units.
        end: x_R of the same walks, same shape.

    Raises:
        ArgumentError: shapes differ, or fewer than two walks.

    Example:
        >>> x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
        >>> round(start_remembered(x, 0.6 * x + 1), 3)
        0.6
    """
    if start.shape != end.shape or len(start) < 2:
        raise ArgumentError(
            "start_remembered",
            f"shapes {tuple(start.shape)} and {tuple(end.shape)}",
            "Give the start and the end of the same walks, at least two",
        )
    a = start.flatten(1).cpu().double()
    b = end.flatten(1).cpu().double()
    a = a - a.mean(0)
    b = b - b.mean(0)
    return float((a * b).sum() / (a * a).sum())


def class_shares(label: Int[Tensor, " batch"], classes: int) -> list[float]:
    """Return the share of the samples in each class; ``label`` holds integers 0..classes - 1, shape (B,).

    Example:
        >>> class_shares(torch.tensor([0, 0, 1, 2]), 4)
        [0.5, 0.25, 0.25, 0.0]
    """
    count = torch.bincount(label.long(), minlength=classes).cpu().double()
    return [float(c) for c in count / count.sum()]
