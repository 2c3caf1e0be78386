"""Nearest neighbours by exact search, in parts that fit in memory."""

import torch
from torch import Tensor

from reinject.errors import ArgumentError

_PAIRS = 1 << 24  # distances that are held at a time, some 64 MiB


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
    found = []
    for first in range(0, len(x), size := max(1, _PAIRS // len(among))):
        part = x[first : first + size] - centre
        near = squares - 2 * part @ y.T
        if itself:
            near[torch.arange(len(part)), torch.arange(first, first + len(part))] = torch.inf
        found.append(near.topk(k, largest=False).indices)
    index = torch.cat(found)
    distance = torch.stack([(x - among[index[:, j]]).norm(dim=1) for j in range(k)], 1)
    order = distance.argsort(dim=1, stable=True)
    return distance.gather(1, order), index.gather(1, order)
