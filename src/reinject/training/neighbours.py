"""Find nearest neighbours by exact search, in parts that fit in memory."""

import torch
from torch import Tensor, nn

from reinject.base.errors import ArgumentError
from reinject.walks.execution import Fast

_ROWS = 2048  # of both sets at a time: 16 MiB of distances for any sizes


def nearest(x: Tensor, among: Tensor, k: int = 1, *, itself: bool = False) -> tuple[Tensor, Tensor]:
    """Find the k nearest neighbours of each point, nearest first.

    Neighbours have the largest x.y - |y|^2 / 2. Returned distances come from differences, so they are exactly 0 for
    equal points.

    Arguments:
        x: points, (N, d).
        among: candidates, (M, d), M >= k.
        k: number of neighbours.
        itself: ``among`` is ``x``, and a point is not its own neighbour.

    Returns:
        Euclidean distances, (N, k); numbers of the neighbours, int64, (N, k).

    Raises:
        ArgumentError: fewer points than neighbours, or another dimension.

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
    with torch.no_grad():
        centre = among.mean(0)
        y = among - centre
        halves = -y.square().sum(1) / 2
        parts = enumerate(torch.split(x, _ROWS))
        index = torch.cat([_nearest(part - centre, y, halves, k, at * _ROWS if itself else -1) for at, part in parts])
        distance = torch.stack([(x - among[index[:, j]]).norm(dim=1) for j in range(k)], 1)
        order = distance.argsort(dim=1, stable=True)
        return distance.gather(1, order), index.gather(1, order)


def _nearest(part: Tensor, y: Tensor, halves: Tensor, k: int, itself: int) -> Tensor:
    """Find the numbers of the k nearest points; ``itself``: position of x in y, -1 if x is not part of y."""
    values, index = [], []
    for first in range(0, len(y), _ROWS):
        some = slice(first, first + _ROWS)
        near = Fast(nn.functional.linear)(part, y[some], halves[some])
        if first == itself:
            near.fill_diagonal_(-torch.inf)
        best = near.topk(min(k, near.shape[1]))
        values.append(best.values)
        index.append(best.indices + first)
    chosen = torch.cat(values, 1).topk(k).indices
    return torch.cat(index, 1).gather(1, chosen)
