"""Judge the distance to the closest record: whether synthetic rows are nearer to training than to held-out rows."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reinject.base.errors import DataError
from reinject.evaluation.copied import copied_share
from reinject.evaluation.judgement import Judgement, clustered_interval
from reinject.evaluation.memorisation import distance_to_others, relative
from reinject.training.neighbours import nearest

_LEAST = 20  # rows of each set
MEANING = (
    "The distance to the closest record is no measure of privacy by itself. Of a fresh sample, half of the rows are "
    "nearer to training rows than to equally many held-out rows. A larger share shows copies. One half does not show "
    "that no person can be recognised."
)


class Closest(NamedTuple):
    """Hold the closest real rows of N synthetic rows.

    Attributes:
        nearer: 1 if a training row is nearest, 0 if a held-out row is, 1/2 if both are equally near, (N,).
        row: number of the nearest row, held-out rows counted after training rows, int64, (N,).
    """

    nearer: Tensor
    row: Tensor


def closest(train: Tensor, held_out: Tensor, synthetic: Tensor) -> Closest:
    """Find whether a training row or a held-out row is nearest to each synthetic row.

    Arguments:
        train: features of training rows, (N, d).
        held_out: features of held-out rows, (N, d).
        synthetic: features of synthetic rows, (M, d).

    Raises:
        DataError: different numbers of training and held-out rows; then one half is not the null.

    Example:
        >>> near = closest(torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0], [9.0]]), torch.tensor([[0.2], [0.5]]))
        >>> near.nearer.tolist()
        [1.0, 0.5]
    """
    if len(train) != len(held_out):
        raise DataError("closest record", f"{len(train)} training and {len(held_out)} held-out rows", "Give as many")
    (a, of_train), (b, of_other) = nearest(synthetic, train), nearest(synthetic, held_out)
    a, b = a[:, 0], b[:, 0]
    row = torch.where(a <= b, of_train[:, 0], len(train) + of_other[:, 0])
    return Closest(torch.where(a == b, 0.5, (a < b).double()), row)


def closest_record(train: Tensor, held_out: Tensor, synthetic: Tensor, seed: int = 0) -> Judgement:
    """Judge the share of synthetic rows that are nearer to training rows than to equally many held-out rows.

    Training rows are compared in disjoint random parts, each as large as the held-out part. Rows that fill no part are
    left out. The share is the mean over the parts, so one half is the null for any sizes. Of T training and P held-out
    rows a copy of a training row counts as 1/2 + P/(2 T), P <= T (``of a copy``). So give half of the rows as the
    held-out part where you can. ``Parts`` is the number of parts.

    Rows with one nearest real row depend on each other. The interval is of clusters of such rows.

    Arguments:
        train: features of training rows, (T, d).
        held_out: features of held-out rows, (P, d).
        synthetic: features of synthetic rows, (M, d).
        seed: seed of the parts.

    Raises:
        DataError: fewer than 20 rows of one kind.
    """
    if min(len(train), len(held_out), len(synthetic)) < _LEAST:
        sizes = f"{len(train)} training, {len(held_out)} held-out and {len(synthetic)} synthetic rows"
        raise DataError("closest record", sizes, f"Give at least {_LEAST} of each")
    rng = np.random.default_rng([seed, 5])
    n = min(len(train), len(held_out))
    order, other = rng.permutation(len(train)), held_out[torch.from_numpy(rng.permutation(len(held_out))[:n])]
    count = len(train) // n
    parts = [closest(train[torch.from_numpy(order[k * n : (k + 1) * n])], other, synthetic) for k in range(count)]
    share = float(torch.stack([one.nearer for one in parts]).mean())
    low, high = np.mean([clustered_interval(one.nearer, one.row.numpy()) for one in parts], 0)
    return Judgement(
        "nearer to training",
        "What share of synthetic rows is nearer to training rows than to equally many held-out rows?",
        share,
        0.5,
        (float(low), float(high)),
        n,
        detail={"parts": count, "of a copy": 0.5 + 0.5 * n / len(train)},
    )


def table_copies(train: Tensor, held_out: Tensor, synthetic: Tensor, seed: int = 0) -> Judgement:
    """Judge the share of copies, with an exact p; see :func:`reinject.evaluation.copied.copied_share`.

    Rows of a table repeat, so several real rows may be nearest. The search runs over all real rows in random order.
    So ties do not prefer training rows.

    Arguments:
        train: features of training rows, (T, d).
        held_out: features of held-out rows, (P, d).
        synthetic: features of synthetic rows, (M, d).
        seed: seed of the order.
    """
    real = torch.cat([train, held_out])
    order = torch.from_numpy(np.random.default_rng([seed, 12]).permutation(len(real)))
    distance, found = (one[:, 0] for one in nearest(synthetic, real[order]))
    nearness = relative(distance, distance_to_others(found, real[order]))
    return copied_share(order[found], nearness, len(train), len(held_out))
