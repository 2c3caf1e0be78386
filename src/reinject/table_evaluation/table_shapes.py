"""Judge column shapes and pair trends of a table, as SDMetrics defines them: 1 where two tables are alike.

Independent columns have perfect shapes, so shapes alone say nothing about the dependence between columns.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reinject.base.errors import DataError
from reinject.base.files import finite
from reinject.evaluation.judgement import Judgement
from reinject.table_evaluation.table_coding import Coded, Coding

_BINS = 10  # of a number beside a category


@dataclass(frozen=True)
class Likeness:
    """Hold the likeness of two tables, column by column and pair by pair; NaN where it is not defined.

    Attributes:
        shapes: name of a column -> 1 - distance of the two distributions (Kolmogorov-Smirnov for numbers, total
            variation for categories).
        pairs: likeness of each pair of columns, symmetric, in the order of ``shapes``, (C, C).
    """

    shapes: Mapping[str, float]
    pairs: NDArray[np.float64]

    @property
    def shape(self) -> float:
        """Mean over columns."""
        return float(np.nanmean(list(self.shapes.values())))

    @property
    def trend(self) -> float:
        """Mean over pairs; NaN for one column."""
        each = self.pairs[np.triu_indices(len(self.pairs), 1)]
        return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")

    def hardest(self, count: int = 3) -> list[tuple[str, float]]:
        """List the columns with the least likely shapes, worst first."""
        known = [(name, value) for name, value in self.shapes.items() if np.isfinite(value)]
        return sorted(known, key=lambda one: one[1])[:count]

    def hardest_pairs(self, count: int = 3) -> list[tuple[str, str, float]]:
        """List the pairs of columns with the least likeness, worst first."""
        names, (a, b) = list(self.shapes), np.triu_indices(len(self.pairs), 1)
        known = [(names[i], names[j], float(self.pairs[i, j])) for i, j in zip(a, b, strict=True)]
        return sorted((one for one in known if np.isfinite(one[2])), key=lambda one: one[2])[:count]


def likeness(coding: Coding, real: Coded, synthetic: Coded) -> Likeness:
    """Compare the columns and the pairs of columns of two tables.

    | columns | shape | pair |
    | --- | --- | --- |
    | number | 1 - sup abs(F - G) | 1 - abs(r - r') / 2 of Pearson's correlations |
    | category | 1 - sum abs(p - q) / 2 | the same sum, over pairs of categories |
    | both | | the same, with the number in ten equal bins of the real range |

    Missing numbers are left out, also of the correlation; a missing category is a category. Bins count missing numbers.

    Arguments:
        coding: kinds of the columns.
        real: real rows.
        synthetic: synthetic rows.

    Source: SDMetrics (KSComplement, TVComplement, CorrelationSimilarity, ContingencySimilarity); a test compares with
        its values.

    Example:
        >>> import pyarrow as pa
        >>> people = pa.table({"age": [1.0, 2.0, 3.0], "sex": ["f", "m", "m"]})
        >>> coding = Coding.of([people])
        >>> found = likeness(coding, coding.code(people), coding.code(people.take([0, 0, 0])))
        >>> {name: round(value, 3) for name, value in found.shapes.items()}
        {'age': 0.333, 'sex': 0.333}
    """
    if min(len(real), len(synthetic)) == 0:
        raise DataError("column shapes", f"{len(real)} real and {len(synthetic)} synthetic rows", "Give more rows")
    p, sizes = len(coding.numeric), coding.sizes
    shapes = [_complement(real.numbers[:, k], synthetic.numbers[:, k]) for k in range(p)]
    shapes += [_overlap(real.codes[:, k], synthetic.codes[:, k], size) for k, size in enumerate(sizes)]
    binned = [_bins(real.numbers[:, k], synthetic.numbers[:, k]) for k in range(p)]
    a = [*(one[0] for one in binned), *real.codes.T]
    b = [*(one[1] for one in binned), *synthetic.codes.T]
    many = [*[_BINS + 1] * p, *sizes]
    pairs = np.full((p + len(sizes), p + len(sizes)), np.nan)
    correlated = 1 - np.abs(_correlation(real.numbers) - _correlation(synthetic.numbers)) / 2
    pairs[:p, :p] = np.where(np.eye(p, dtype=bool), np.nan, correlated)
    for i in range(len(pairs)):
        for j in range(max(p, i + 1), len(pairs)):
            u, v = (columns[i] * many[j] + columns[j] for columns in (a, b))
            pairs[i, j] = pairs[j, i] = _overlap(u, v, many[i] * many[j])
    names = [*coding.numeric, *coding.categories]
    order = [names.index(name) for name in coding.schema.names]
    return Likeness({names[k]: shapes[k] for k in order}, pairs[np.ix_(order, order)])


def _complement(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Compute 1 - Kolmogorov and Smirnov's distance of the known values; 0 where one table has none, NaN where both."""
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    if not len(a) or not len(b):
        return 0.0 if len(a) or len(b) else float("nan")
    return 1 - float(stats.ks_2samp(a, b, method="asymp").statistic)


def _overlap(a: NDArray[np.int64], b: NDArray[np.int64], size: int) -> float:
    """Compute 1 - total variation of the shares of categories."""
    if size > 4 * (len(a) + len(b)):  # few of the pairs occur
        found = np.unique(np.concatenate([a, b]), return_inverse=True)[1]
        a, b, size = found[: len(a)], found[len(a) :], int(found.max()) + 1
    shares = [np.bincount(codes, minlength=size) / len(codes) for codes in (a, b)]
    return 1 - float(np.abs(shares[0] - shares[1]).sum()) / 2


def _bins(real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Put numbers into equal bins of the real range, the outer ones open; a missing number has a bin of its own."""
    known = real[~np.isnan(real)]
    edges = np.histogram_bin_edges(known, _BINS)[1:-1] if len(known) else np.zeros(0)
    a, b = (
        np.where(np.isnan(values), _BINS, np.searchsorted(edges, values, side="right")) for values in (real, synthetic)
    )
    return a.astype(np.int64), b.astype(np.int64)


def _correlation(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute Pearson's correlations over the rows that have both numbers; NaN for a constant."""
    known = ~np.isnan(numbers)
    n = known.T.astype(float) @ known
    x = np.where(known, numbers - np.nanmean(np.where(known.any(0), numbers, 0.0), axis=0), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        sums, squares, products = x.T @ known, (x**2).T @ known, x.T @ x  # [i, j]: of column i where j is known too
        covariance = products / n - sums * sums.T / n**2
        variance = squares / n - (sums / n) ** 2
        found = covariance / (np.sqrt(variance) * np.sqrt(variance.T))
        tiny = variance <= 1e-12 * np.maximum(squares / n, 1e-300)
    return np.where(tiny | tiny.T, np.nan, found)


def shape_judgements(found: Likeness, null: Mapping[str, float], rows: int) -> list[Judgement]:
    """Judge shapes and trends; the null is another part of the real rows. They have no interval."""
    questions = {
        "column shapes": "How alike are the distributions of single columns (1: equal)?",
        "pair trends": "How alike are the dependences of pairs of columns (1: equal)?",
    }
    details: list[dict[str, object]] = [
        {"columns": {name: finite(value) for name, value in found.shapes.items()}},
        {"hardest": [list(one) for one in found.hardest_pairs()]},
    ]
    each = zip(questions.items(), (found.shape, found.trend), details, strict=True)
    return [
        Judgement(name, question, value, null[name], (-math.inf, math.inf), rows, detail=detail)
        for (name, question), value, detail in each
        if math.isfinite(value)
    ]
