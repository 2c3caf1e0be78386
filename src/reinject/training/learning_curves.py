"""Summarise numbers over seeds: learning curves, figures with standard error, skill between curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST = 100
LEVEL = 0.95  # of every interval
_EQUAL = 1e-9  # area between curves that differ only by rounding


def interval_of(values: Sequence[float]) -> tuple[float, float]:
    """Compute Student's interval of the mean of independent values; infinite for a single one.

    Example:
        >>> [round(end, 3) for end in interval_of([1.0, 2.0, 3.0])]
        [-0.484, 4.484]
    """
    if len(values) < 2:
        return -math.inf, math.inf
    from scipy import stats  # imported here: sampling uses this module without scipy

    error = np.std(values, ddof=1) / math.sqrt(len(values)) * stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)
    return float(np.mean(values) - error), float(np.mean(values) + error)


@dataclass(frozen=True)
class Curve:
    """Hold a learning curve: ``accuracy[s][k]`` on real data of seed s's student after ``sizes[k]`` samples."""

    sizes: tuple[int, ...]
    accuracy: tuple[tuple[float, ...], ...]

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean accuracy over the seeds, for each size."""
        return tuple(float(a) for a in np.mean(self.accuracy, axis=0))


@dataclass(frozen=True)
class Figure:
    """Hold a number over seeds: values, mean, standard error and 95% interval of the mean.

    Standard error and interval are None for one seed.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))

    @property
    def standard_error(self) -> float | None:
        """Sample standard deviation over sqrt(number of seeds)."""
        if len(self.values) < 2:
            return None
        return float(np.std(self.values, ddof=1) / math.sqrt(len(self.values)))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's 95% interval of the mean over seeds."""
        return interval_of(self.values) if len(self.values) > 1 else None

    def as_json(self) -> dict[str, object]:
        """Return JSON values."""
        interval = self.interval and list(self.interval)
        error = self.standard_error
        return {"mean": self.mean, "standard_error": error, "interval": interval, "values": list(self.values)}


def sizes_for(rows: int) -> tuple[int, ...]:
    """List the sizes 100, 300, 1,000, 3,000, ... up to the number of real training rows, the last size.

    Example:
        >>> sizes_for(1347)
        (100, 300, 1000, 1347)
    """
    steps = (LEAST * (3 if k % 2 else 1) * 10 ** (k // 2) for k in range(20))
    return (*(n for n in steps if n < rows), rows)


def skill(
    synthetic: Sequence[float], real: Sequence[float], noise: Sequence[float], sizes: Sequence[int]
) -> float | None:
    """Divide the area between synthetic and noise curve by that between real and noise curve, in log n.

    int (synthetic - noise) d log n / int (real - noise) d log n, by the trapezoid rule.

    Arguments:
        synthetic, real, noise: accuracies at the sizes.
        sizes: n, ascending, at least two.

    Returns:
        Skill; None if the real curve is not above the noise curve. Then real data teaches nothing beyond noise.

    Example:
        >>> skill([0.5, 0.8], [0.6, 0.9], [0.1, 0.4], [100, 1000])
        0.8
    """
    at = np.log(np.asarray(sizes, float))
    gained = np.trapezoid(np.subtract(synthetic, noise), at)
    possible = np.trapezoid(np.subtract(real, noise), at)
    return float(round(gained / possible, 12)) if possible > _EQUAL else None
