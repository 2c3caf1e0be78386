"""Find the synthetic rows nearest to training rows, and these training rows, to look at them side by side."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from reinject.table_evaluation.table_coding import Coded, Coding
from reinject.table_evaluation.table_recall import features
from reinject.training.neighbours import nearest


@dataclass(frozen=True)
class NearestPairs:
    """Hold K synthetic rows and the training row nearest to each, nearest first.

    Attributes:
        synthetic: synthetic rows, K.
        train: training rows, K, all different.
        distance: distance of each pair, standard deviations, (K,).
        as_near: share of held-out rows that are at least as near to a training row, (K,); NaN without held-out rows.
    """

    synthetic: pa.Table
    train: pa.Table
    distance: NDArray[np.float64]
    as_near: NDArray[np.float64]


def nearest_pairs(
    train: pa.Table, held_out: pa.Table | None, synthetic: pa.Table, count: int, *, most: int = 50_000, seed: int = 0
) -> NearestPairs:
    """Find the synthetic rows nearest to training rows.

    Distances are those of the closest record: numbers in standard deviations, 1 between different categories. A
    training row is shown once, with the nearest synthetic row.

    Arguments:
        train: rows that the tool learned from.
        held_out: other real rows; None: there are none.
        synthetic: synthetic rows. Columns that a table lacks are left out.
        count: most pairs, >= 1.
        most: most rows of each table, >= 1, drawn at random.
        seed: seed of the draw.

    Raises:
        DataError: columns of different types, or an infinite value.

    Example:
        >>> train, fake = pa.table({"x": [0.0, 4.0, 9.0]}), pa.table({"x": [5.0, 9.0, 8.8]})
        >>> found = nearest_pairs(train, None, fake, 2)
        >>> found.synthetic["x"].to_pylist(), found.train["x"].to_pylist(), found.distance.round(2).tolist()
        ([9.0, 5.0], [9.0, 4.0], [0.0, 0.27])
    """
    others = train.slice(0, 0) if held_out is None else held_out
    names = [name for name in train.column_names if name in synthetic.column_names and name in others.column_names]
    rng = np.random.default_rng([seed, 13])
    tables = [_some(table.select(names), most, rng) for table in (train, others, synthetic)]
    coding = Coding.of(tables)
    coded: list[Coded] = [coding.code(table) for table in tables]
    a, b, c = features(coding, *coded, standardised=True)
    distance, row = (one[:, 0].numpy() for one in nearest(c, a))
    order = np.argsort(distance, kind="stable")
    first = np.sort(np.unique(row[order], return_index=True)[1])[:count]
    chosen = order[first]
    unseen = np.sort(nearest(b, a)[0][:, 0].numpy()) if len(b) else np.zeros(0)
    below = np.searchsorted(unseen, distance[chosen], side="right")
    return NearestPairs(
        tables[2].take(pa.array(chosen)),
        tables[0].take(pa.array(row[chosen])),
        distance[chosen].astype(np.float64),
        below / len(unseen) if len(unseen) else np.full(len(chosen), np.nan),
    )


def _some(table: pa.Table, most: int, rng: np.random.Generator) -> pa.Table:
    return table if len(table) <= most else table.take(pa.array(rng.permutation(len(table))[:most]))
