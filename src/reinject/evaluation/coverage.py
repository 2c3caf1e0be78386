"""Judge coverage: whether samples lie near real data, and reach all of it.

Precision, recall, density and coverage (Naeem et al. 2020, arXiv 2002.09797) use balls around points that reach to the
k-th neighbour. Frechet distance (Heusel et al. 2017, arXiv 1706.08500) and kernel distance (Binkowski et al. 2018,
arXiv 1801.01401) compare features. Each value stands beside that of held-out real data at the same n.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.evaluation.judgement import Judgement, Sets, over_draws
from reinject.training.neighbours import nearest

K = 5
_PAIRS = 1 << 21  # distances at a time: 8 MiB, which fit in caches


class Prdc(NamedTuple):
    """Hold precision, recall, density, coverage."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: Tensor, fake: Tensor, k: int = K) -> Prdc:
    """Compute precision, recall, density and coverage of samples against real data.

    B(x) is the open ball around a point of a set that reaches to the point's k-th neighbour in that set. Precision:
    share of samples in some B(real). Recall: share of real points in some B(sample). Density: mean number of B(real)
    around a sample, divided by k. Coverage: share of B(real) that contain a sample.

    Arguments:
        real: (N, d).
        fake: (M, d).
        k: neighbours, >= 1.

    Raises:
        ArgumentError: fewer than k + 1 points in one set.

    Source: Naeem et al. 2020, arXiv 2002.09797, equations 3 to 6; a test compares with their package prdc.

    Example:
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> prdc(x, x)
        Prdc(precision=1.0, recall=1.0, density=..., coverage=1.0)
    """
    if k < 1 or min(len(real), len(fake)) <= k:
        raise ArgumentError("prdc", f"{len(real)} and {len(fake)} points for k = {k}", f"Give at least {k + 1} of each")
    radius, other = (nearest(x, x, k, itself=True)[0][:, -1] for x in (real, fake))
    around = torch.zeros(len(fake), dtype=torch.int64, device=fake.device)
    inside, covered = [], []
    for first in range(0, len(real), size := max(1, _PAIRS // len(fake))):
        distance = torch.cdist(real[first : first + size], fake, compute_mode="use_mm_for_euclid_dist")
        reached = distance < radius[first : first + size, None]
        around += reached.sum(0)
        covered.append(reached.any(1))
        inside.append((distance < other).any(1))
    return Prdc(
        float((around > 0).double().mean()),
        float(torch.cat(inside).double().mean()),
        float(around.double().mean() / k),
        float(torch.cat(covered).double().mean()),
    )


def frechet(a: Tensor, b: Tensor) -> float:
    """Compute the Frechet distance of two sets' Gaussians: |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)).

    It is biased upwards by about tr(S) d / n, so compare it at equal n only.

    Arguments:
        a, b: (N, d) and (M, d), at least two points each.

    Source: Heusel et al. 2017, arXiv 1706.08500, equation 6.

    Example:
        >>> x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
        >>> round(frechet(x, x + 2), 3), round(frechet(x, 2 * x), 1)  # 3 (2^2), and 3 (2 - 1)^2
        (12.0, 3.0)
    """
    means, covariances = zip(
        *((x.double().mean(0), torch.cov(x.double().T).reshape(x.shape[1], -1)) for x in (a, b)), strict=True
    )
    values, vectors = torch.linalg.eigh(covariances[0])
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp_min(0).sqrt().sum()
    traces = covariances[0].trace() + covariances[1].trace()
    return float((means[0] - means[1]).square().sum() + traces - 2 * cross)


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """Compute the unbiased squared MMD with the kernel (x.y / d + 1)^3; for equal laws its expectation is 0.

    Arguments:
        a, b: (N, d) and (M, d), at least two points each.

    Source: Binkowski et al. 2018, arXiv 1801.01401, equation 4.

    Example:
        >>> x = torch.tensor([[1.0], [-1.0]])
        >>> kernel_distance(x, x)  # the kernel is 8 or 0: (0 + 0) - 2 * 4
        -8.0
    """

    def total(x: Tensor, y: Tensor) -> float:
        rows = max(1, _PAIRS // len(y))
        return sum(float((part @ y.T / x.shape[1] + 1).pow(3).double().sum()) for part in torch.split(x, rows))

    def own(x: Tensor) -> float:
        diagonal = float((x.square().sum(1) / x.shape[1] + 1).pow(3).double().sum())
        return (total(x, x) - diagonal) / (len(x) * (len(x) - 1))

    return own(a) + own(b) - 2 * total(a, b) / (len(a) * len(b))


QUESTIONS = {
    "precision": "What share of the samples lies near real data?",
    "recall": "What share of real data lies near samples?",
    "density": "How densely does real data lie around the samples, where 1 is as densely as around real data?",
    "coverage": "What share of real data has a sample among its nearest neighbours?",
    "frechet": "How far apart are the Gaussians of samples and real data (features' units, squared)?",
    "kernel distance": "How far apart are samples and real data by a cubic kernel?",
}


def coverage(parts: Sequence[Sets], k: int = K) -> list[Judgement]:
    """Judge all of these over draws; parts: reference, held-out and synthetic features of each draw, (n, d) each."""

    def measure(real: Tensor, other: Tensor) -> dict[str, float]:
        distances = {"frechet": frechet(real, other), "kernel distance": kernel_distance(real, other)}
        return {**prdc(real, other, k)._asdict(), **distances}

    return over_draws(QUESTIONS, measure, parts)


def class_histogram(classes: int, parts: Sequence[Sets]) -> Judgement:
    """Judge the total variation distance of class shares from the real data's, over draws.

    Arguments:
        classes: number of classes.
        parts: labels of reference, held-out and synthetic rows of each draw, int64, (n,) each.

    Example:
        >>> y = torch.arange(20) % 2
        >>> class_histogram(2, [(y, y, 0 * y), (y, y, 0 * y)]).value
        0.5
    """

    def distance(real: Tensor, other: Tensor) -> dict[str, float]:
        a, b = (torch.bincount(y, minlength=classes).double() / len(y) for y in (real, other))
        return {"class histogram": float((a - b).abs().sum() / 2)}

    question = "What share of the samples would have to change class to have the real data's shares?"
    return over_draws({"class histogram": question}, distance, parts)[0]
