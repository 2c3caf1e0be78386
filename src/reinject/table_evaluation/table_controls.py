"""Make control tables: independent columns, and a Gaussian for each class. A synthetic table has to beat them."""

import numpy as np
from numpy.typing import NDArray

from reinject.table_evaluation.table_coding import Coded, Coding

_PARTS = 10  # of a numeric target, each with a Gaussian of its own


def independent_columns(train: Coded, rows: int, seed: int = 0) -> Coded:
    """Draw every column from the training rows by itself: perfect columns, without any dependence.

    Arguments:
        train: training rows.
        rows: number of rows to draw, >= 1.
        seed: seed of the draw.
    """
    rng = np.random.default_rng([seed, 8])
    found = Coded(np.zeros((rows, train.numbers.shape[1])), np.zeros((rows, train.codes.shape[1]), np.int64))
    for values, drawn in ((train.numbers, found.numbers), (train.codes, found.codes)):
        for k in range(values.shape[1]):
            drawn[:, k] = values[rng.integers(len(values), size=rows), k]
    return found


def gaussian_a_class(coding: Coding, train: Coded, target: str | None, rows: int, seed: int = 0) -> Coded:
    """Draw from one Gaussian for each class, over numbers and one-hot categories, in the classes' shares.

    A category is the largest of its one-hot values. Numbers stay in the range of the training rows. A numeric target is
    cut into ten parts of equal size. A number is missing at the rate of its class.

    Arguments:
        coding: kinds of the columns.
        train: training rows.
        target: column of the classes; None: one Gaussian.
        rows: number of rows to draw, >= 1.
        seed: seed of the draw.
    """
    rng = np.random.default_rng([seed, 9])
    group = _groups(coding, train, target)
    drawn = np.sort(group[rng.integers(len(group), size=rows)])
    blocks = [np.eye(size)[train.codes[:, k]] for k, size in enumerate(coding.sizes)]
    numbers, codes = np.zeros((rows, train.numbers.shape[1])), np.zeros((rows, len(blocks)), np.int64)
    for name in np.unique(drawn):
        chosen, here = group == name, drawn == name
        known = train.numbers[chosen]
        missing = np.isnan(known)
        middle = np.where(missing.all(0), 0.0, np.nanmean(np.where(missing.all(0), 0.0, known), 0))
        x = np.concatenate([np.where(missing, middle, known), *(block[chosen] for block in blocks)], 1)
        z = _gaussian(x, int(here.sum()), rng)
        p = train.numbers.shape[1]
        numbers[here] = np.where(rng.random((len(z), p)) < missing.mean(0), np.nan, z[:, :p])
        ends = np.cumsum([p, *coding.sizes])
        for k in range(len(blocks)):
            codes[here, k] = z[:, ends[k] : ends[k + 1]].argmax(1)
    order = rng.permutation(rows)
    return Coded(_within(numbers, train.numbers)[order], codes[order])


def _groups(coding: Coding, train: Coded, target: str | None) -> NDArray[np.int64]:
    if target is None:
        return np.zeros(len(train), np.int64)
    if target in coding.categories:
        return train.codes[:, list(coding.categories).index(target)]
    y = train.numbers[:, coding.numeric.index(target)]
    edges = np.unique(np.nanquantile(y, np.linspace(0, 1, _PARTS + 1)[1:-1]))
    return np.searchsorted(edges, y).astype(np.int64)


def _gaussian(x: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    if len(x) < 2:
        return np.repeat(x[:1], count, 0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(x.T)))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    return np.asarray(rng.standard_normal((count, x.shape[1])) @ root.T + x.mean(0))


def _within(numbers: NDArray[np.float64], real: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clip to the range of the real rows; whole numbers stay whole."""
    found = numbers.copy()
    for k in range(numbers.shape[1]):
        known = real[~np.isnan(real[:, k]), k]
        if len(known):
            found[:, k] = np.clip(found[:, k], known.min(), known.max())
            found[:, k] = np.round(found[:, k]) if np.array_equal(known, np.round(known)) else found[:, k]
    return found


def make_controls(coding: Coding, train: Coded, target: str | None, rows: int, seed: int = 0) -> dict[str, Coded]:
    """Make both controls, by name; the arguments are those of :func:`gaussian_a_class`."""
    return {
        "independent columns": independent_columns(train, rows, seed),
        "Gaussian a class": gaussian_a_class(coding, train, target, rows, seed),
    }
