"""Nearest neighbours by exact search, in parts that fit in memory."""

import torch
from torch import Tensor

from reinject.errors import ArgumentError

_ROWS = 2048  # of both sets at a time: 16 MiB of distances, whatever the sets' sizes


def nearest(x: Tensor, among: Tensor, k: int = 1, *, itself: bool = False) -> tuple[Tensor, Tensor]:
    """The k nearest neighbours of each point, nearest first.

    Found by |x|^2 + |y|^2 - 2 x.y; the distances that are returned are computed from the differences, so that they are
    exactly 0 for equal points.

    Arguments:
        x: points, (N, d).
        among: where neighbours are looked for, (M, d), M >= k.
        k: how many.
        itself: ``among`` is ``x``, and a point is not a neighbour of itself.

    Returns:
        Euclidean distances, (N, k); numbers of the neighbours, int64, (N, k).

    Raises:
        ArgumentError: fewer points than neighbours, or of another dimension.

    Example:
        >>> nearest(torch.tensor([[0.0], [5.0]]), torch.tensor([[1.0], [7.0], [4.5]]), 2)
        (tensor([[1.0000, 4.5000],
                [0.5000, 2.0000]]), tensor([[0, 2],
                [2, 1]]))
    """
    if x.ndim != 2 or among.ndim != 2 or x.shape[1] != among.shape[1] or len(among) < k + itself:
        raise ArgumentError(
            "nearest", f"{tuple(x.shape)} among {tuple(among.shape)}", f"Give {k + itself} points (M, d)"
        )
    centre = among.mean(0)
    y = among - centre
    squares = y.square().sum(1)
    parts = enumerate(torch.split(x, _ROWS))
    index = torch.cat([_nearest(part - centre, y, squares, k, at * _ROWS if itself else -1) for at, part in parts])
    distance = torch.stack([(x - among[index[:, j]]).norm(dim=1) for j in range(k)], 1)
    order = distance.argsort(dim=1, stable=True)
    return distance.gather(1, order), index.gather(1, order)


def _nearest(part: Tensor, y: Tensor, squares: Tensor, k: int, itself: int) -> Tensor:
    """Numbers of the k nearest of some points; ``itself``: where in y they begin, -1 where they are not of it."""
    values, index = [], []
    for first in range(0, len(y), _ROWS):
        near = torch.addmm(squares[first : first + _ROWS], part, y[first : first + _ROWS].T, alpha=-2)
        if first == itself:
            near.fill_diagonal_(torch.inf)
        best = near.topk(min(k, near.shape[1]), largest=False)
        values.append(best.values)
        index.append(best.indices + first)
    chosen = torch.cat(values, 1).topk(k, largest=False).indices
    return torch.cat(index, 1).gather(1, chosen)
