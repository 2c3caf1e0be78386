"""Judge alpha-precision and beta-recall of a table: typical rows made, and all real rows reached."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject.base.errors import DataError
from reinject.evaluation.judgement import Judgement
from reinject.table_evaluation.table_coding import Coded, Coding
from reinject.training.neighbours import nearest

_FAR = 1e15  # largest scaled number: its square is finite in single precision
_LEVELS = np.linspace(0, 1, 30)
QUESTIONS = {
    "alpha-precision": "Do synthetic rows lie as far from the centre of the real rows as real rows do (1: yes)?",
    "beta-recall": "What share of real rows has a synthetic row at least as near as the nearest other real row?",
}


class Recall(NamedTuple):
    """Hold alpha-precision and beta-recall."""

    precision: float
    recall: float


def features(coding: Coding, real: Coded, *others: Coded, standardised: bool = False) -> list[Tensor]:
    """Return features of tables for distances: scaled numbers beside one-hot categories, float32, (N, d) each.

    Numbers are scaled by the real rows: to 0..1, as published results do, or to deviation 1. A missing number is at the
    real mean, and has an indicator. Two different categories are at distance sqrt(2), and at 1 if standardised.

    Arguments:
        coding: kinds of the columns.
        real: real rows.
        others: further tables.
        standardised: scale by the standard deviation.
    """
    numbers = real.numbers
    has = ~np.isnan(numbers).all(0)
    low, high = np.zeros(numbers.shape[1]), np.ones(numbers.shape[1])
    mean, deviation = low.copy(), high.copy()
    low[has], high[has] = np.nanmin(numbers[:, has], 0), np.nanmax(numbers[:, has], 0)
    mean[has], deviation[has] = np.nanmean(numbers[:, has], 0), np.nanstd(numbers[:, has], 0)
    scale = deviation if standardised else high - low
    scale = np.where(scale > 0, scale, 1.0)
    missing = np.isnan(np.concatenate([one.numbers for one in (real, *others)])).any(0)
    one = math.sqrt(0.5) if standardised else 1.0

    def rows(table: Coded) -> Tensor:
        at = np.where(np.isnan(table.numbers), mean, table.numbers)
        parts = [np.clip((at - low) / scale, -_FAR, _FAR), np.isnan(table.numbers[:, missing]) * 1.0]
        parts += [one * np.eye(size)[table.codes[:, k]] for k, size in enumerate(coding.sizes)]
        return torch.from_numpy(np.concatenate(parts, 1).astype(np.float32))

    return [rows(table) for table in (real, *others)]


def alpha_beta(real: Tensor, synthetic: Tensor) -> Recall:
    """Compute alpha-precision and beta-recall of equally many rows.

    P(a) is the share of synthetic rows within the a-quantile of the real rows' distances from their mean. Precision is
    1 - sum abs(a - P(a)) / sum a over 30 levels. R(b) is the share of real rows with two properties. Their nearest
    synthetic row is at least as near as their nearest other real row. And this synthetic row lies within the b-quantile
    of such rows' distances from the synthetic mean. Recall is 1 - sum abs(b - R(b)) / sum b.

    Recall depends on the number of rows, and is below 1 for real rows too.

    Arguments:
        real: features of real rows, (N, d).
        synthetic: features of synthetic rows, (N, d).

    Raises:
        DataError: fewer than two rows, or different numbers of rows.

    Source: Alaa et al. 2022, arXiv 2102.08921, as synthcity computes them without an embedding ("naive").

    Example:
        >>> x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
        >>> round(alpha_beta(x, x).precision, 2), round(alpha_beta(x, x + 9).recall, 2)
        (1.0, 0.0)
    """
    if len(real) != len(synthetic) or len(real) < 2:
        cure = "Give equally many, at least two"
        raise DataError("beta-recall", f"{len(real)} real and {len(synthetic)} synthetic rows", cure)
    to_centre, other = ((rows - real.mean(0)).norm(dim=1).numpy() for rows in (real, synthetic))
    precision = [float((other <= radius).mean()) for radius in np.quantile(to_centre, _LEVELS)]
    apart = nearest(real, real, itself=True)[0][:, 0].numpy()
    distance, row = nearest(real, synthetic)
    reached = distance[:, 0].numpy() <= apart
    depth = (synthetic[row[:, 0]] - synthetic.mean(0)).norm(dim=1).numpy()
    recall = [float((reached & (depth <= radius)).mean()) for radius in np.quantile(depth, _LEVELS)]
    return Recall(_area(precision), _area(recall))


def _area(curve: list[float]) -> float:
    gap: NDArray[np.float64] = np.abs(_LEVELS - curve)
    return float(1 - gap.sum() / _LEVELS.sum())


def measure_recall(coding: Coding, real: Coded, synthetic: Coded, most: int, seed: int = 0) -> Recall:
    """Compute both of equally many rows of each table, drawn at random.

    Arguments:
        coding: kinds of the columns.
        real: real rows.
        synthetic: synthetic rows.
        most: most rows of each table.
        seed: seed of the draw.

    Raises:
        DataError: fewer than two rows.
    """
    rng = np.random.default_rng([seed, 4])
    n = min(len(real), len(synthetic), most)
    if n < 2:
        raise DataError(
            "beta-recall", f"{len(real)} real and {len(synthetic)} synthetic rows", "Give at least two of each"
        )
    a, b = (rows.take(rng.permutation(len(rows))[:n]) for rows in (real, synthetic))
    return alpha_beta(*features(coding, a, b))


def recall_judgements(found: Mapping[str, float], null: Mapping[str, float], rows: int) -> list[Judgement]:
    """Judge both; the null is another part of the real rows. They have no interval."""
    return [
        Judgement(name, question, found[name], null[name], (-math.inf, math.inf), rows)
        for name, question in QUESTIONS.items()
    ]
