"""Compare points with the data in the plane of the paper's Figures 1 to 3, its first two principal components."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reinject.base.errors import DataError
from reinject.training.learning_curves import LEVEL

REGION = 0.75  # of the data
_LEAST = 100
_MOST = 20_000  # rows of a kernel density, and held-out rows, drawn at random
_RESAMPLED = 200


class Inside(NamedTuple):
    """Hold the share of points inside the data's region, with a 95% interval over held-out rows and points."""

    share: float
    interval: tuple[float, float]


def inside(
    train: NDArray[np.float64], held_out: NDArray[np.float64], points: NDArray[np.float64], region: float = REGION
) -> Inside:
    """Compute the share of points inside the data's highest-density region, by a Gaussian kernel density.

    The density is that of the training rows, with Scott's bandwidth. The region contains the given share of held-out
    rows, those with the highest density. The interval is by bootstrap, for this density.

    Arguments:
        train, held_out, points: rows in the plane, (N, 2), (M, 2), (K, 2).
        region: share of the held-out rows in the region.

    Raises:
        DataError: fewer than 100 rows in one set.

    Example:
        >>> x = np.random.default_rng(0).standard_normal((3, 2000, 2))
        >>> abs(inside(*x).share - 0.75) < 0.04, inside(x[0], x[1], x[2] + 9).share
        (True, 0.0)
    """
    for what, rows in (("training rows", train), ("held-out rows", held_out), ("points", points)):
        if len(rows) < _LEAST:
            raise DataError("inside", f"{len(rows)} {what} are too few", f"Give at least {_LEAST}")
    rng = np.random.default_rng(0)
    some, others = (rows[rng.permutation(len(rows))[:_MOST]] for rows in (train, held_out))
    density = stats.gaussian_kde(some.T)
    known, asked = density(others.T), density(points.T)

    def share(here: NDArray[np.float64], there: NDArray[np.float64]) -> float:
        return float((there >= np.quantile(here, 1 - region)).mean())

    again = [share(rng.choice(known, len(known)), rng.choice(asked, len(asked))) for _ in range(_RESAMPLED)]
    low, high = np.quantile(again, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Inside(share(known, asked), (float(low), float(high)))
