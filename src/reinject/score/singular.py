"""Compute the extreme singular values of J_r by Golub-Kahan bidiagonalisation: one jvp and one vjp a step."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import check_count
from reinject.score.jacobian import Map, check_square, pullback, push


class Singular(NamedTuple):
    """Extreme singular values of J_r, each of shape (B,): the smallest from above, the largest from below."""

    smallest: Tensor
    largest: Tensor


def singular_values(r: Map, x: Float[Tensor, "batch *event"], generator: torch.Generator, steps: int = 20) -> Singular:
    """Return sigma_min and sigma_max of J_r(x): those of its projection on the Krylov space of a random vector.

    Arguments:
        r: (B, *event) -> (B, *event), row by row.
        x: points, (B, *event), floating point.
        generator: of the first vector.
        steps: dimension of the Krylov space, >= 1; with steps >= n the values are exact to rounding.

    Raises:
        ArgumentError, ModelError: as :func:`reinject.score.log_det`.

    Source: Golub and Kahan 1965; every vector is orthogonalised against all earlier ones.

    Example:
        >>> r = lambda x: x * torch.tensor([3.0, 0.5])
        >>> singular_values(r, torch.zeros(1, 2), torch.Generator().manual_seed(0))
        Singular(smallest=tensor([0.5000]), largest=tensor([3.0000]))
    """
    check_square("singular_values", r, x)
    check_count("singular_values", "steps", steps)
    steps = min(steps, x[0].numel())
    _, pull = pullback(r, x)
    b = _bidiagonal(r, pull, x, generator, steps)
    found = torch.linalg.svdvals(b)
    return Singular(found[:, -1], found[:, 0])


def _bidiagonal(r: Map, pull: Map, x: Tensor, generator: torch.Generator, steps: int) -> Tensor:
    """Return U^T J V of shape (B, steps, steps), upper bidiagonal up to rounding.

    V is a basis of the Krylov space of J^T J.
    """
    start = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype).to(x.device)
    v = _unit(start.flatten(1))
    right, images = [v], []
    for k in range(steps):
        images.append(push(r, x, right[-1].reshape(x.shape))[1].flatten(1))
        if k + 1 < steps:
            back = pull(images[-1].reshape(x.shape)).flatten(1)
            right.append(_unit(_orthogonal(back, right, generator)))
    upper: Tensor = torch.linalg.qr(torch.stack(images, 2)).R
    return upper


def _orthogonal(v: Tensor, basis: list[Tensor], generator: torch.Generator) -> Tensor:
    """Return v without its components along ``basis``.

    If nothing is left, return a random direction orthogonal to the basis.
    """
    size = v.norm(dim=1, keepdim=True)
    for _ in range(2):  # twice is enough (Kahan)
        for u in basis:
            v = v - (u * v).sum(1, keepdim=True) * u
    lost = v.norm(dim=1, keepdim=True) <= 1e-6 * size.clamp(min=1e-30)
    if bool(lost.any()):
        fresh = torch.randn(v.shape, generator=generator, device=generator.device, dtype=v.dtype).to(v.device)
        for _ in range(2):
            for u in basis:
                fresh = fresh - (u * fresh).sum(1, keepdim=True) * u
        v = torch.where(lost, fresh, v)
    return v


def _unit(v: Tensor) -> Tensor:
    length: Tensor = v.norm(dim=1, keepdim=True)
    return v / length
