"""What a walk went through: tensors in, numbers out."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from reinject.errors import ArgumentError


def start_remembered(start: Float[Tensor, "walks *event"], end: Float[Tensor, "ends *event"]) -> float:
    """The share of its start that a walk still carries, by least squares over walks and axes.

    sum (x_0 - m_0).(x_R - m_R) / sum |x_0 - m_0|^2, m the means over walks: the slope of the end on the start. On a
    Gaussian direction of variance v, Langevin with step lambda leaves (1 - lambda/(2v))^R of it: 0 is a walk that
    has forgotten, 1 one that has not moved. A walk that remembers its start does not sample p, it decorates the start.

    Arguments:
        start: x_0, (walks, *event), data units.
        end: x_R of the same walks, same shape.

    Raises:
        ArgumentError: shapes differ, or fewer than two walks.

    Example:
        >>> x = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
        >>> round(start_remembered(x, 0.6 * x + 1), 3)
        0.6
    """
    if start.shape != end.shape or len(start) < 2:
        raise ArgumentError(
            "start_remembered",
            f"shapes {tuple(start.shape)} and {tuple(end.shape)}",
            "Give the start and the end of the same walks, two at least",
        )
    a = start.flatten(1).double()
    b = end.flatten(1).double()
    a = a - a.mean(0)
    b = b - b.mean(0)
    return float((a * b).sum() / (a * a).sum())


def class_shares(label: Int[Tensor, " batch"], classes: int) -> list[float]:
    """Share of the samples in each class; ``label`` holds whole numbers 0..classes - 1, shape (B,).

    Example:
        >>> class_shares(torch.tensor([0, 0, 1, 2]), 4)
        [0.5, 0.25, 0.25, 0.0]
    """
    count = torch.bincount(label.long(), minlength=classes).double()
    return [float(c) for c in count / count.sum()]
