"""Compute energies from r: differences of log-density along segments."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import ArgumentError, check_positive
from reinject.score.jacobian import Map, asymmetry, check_square

_FIRST, _LAST = 4, 256  # orders of the quadrature


class Difference(NamedTuple):
    """log p(b) - log p(a) from r, shape (B,).

    Attributes:
        value: the difference.
        error: difference between the last two orders of the quadrature: numerical error only.
        order: of the quadrature, calls of r a pair.
        asymmetry: |J - J^T|_F / |J|_F of J_r half-way, 0 for a path-independent difference; NaN without a generator.
    """

    value: Tensor
    error: Tensor
    order: int
    asymmetry: Tensor


def energy_difference(
    r: Map,
    a: Float[Tensor, "batch *event"],
    b: Float[Tensor, "batch *event"],
    lam: float,
    tolerance: float = 1e-6,
    generator: torch.Generator | None = None,
) -> Difference:
    """Return log p(b) - log p(a) = (2/lambda) int_0^1 (r(x_t) - x_t) . (b - a) dt, x_t = a + t (b - a).

    The integral is computed by Gauss-Legendre quadrature of order 4, 8, ..., 256, doubled until two orders agree for
    every pair. It depends on the path unless J_r is symmetric. No trained network has an exactly symmetric J_r: trust
    the value where ``asymmetry`` is small.

    Arguments:
        r: (B, *event) -> (B, *event), row by row.
        a, b: points, (B, *event), data units.
        lam: lambda > 0 of r, squared data units.
        tolerance: largest difference between two orders at which the doubling stops, > 0; if order 256 does not reach
            it, ``error`` holds the difference.
        generator: of the probes that measure the asymmetry half-way; None: no measurement.

    Raises:
        ArgumentError: ``lam`` or ``tolerance`` <= 0; a and b of different shapes.
        ModelError: r changes the shape.

    Source: Alain and Bengio 2014, arXiv 1211.4246, section 4.

    Example:
        >>> r = lambda x: x - 0.05 * x  # p = N(0, I), lambda = .1
        >>> energy_difference(r, torch.zeros(1, 2), torch.ones(1, 2), lam=0.1).value
        tensor([-1.0000])
    """
    check_positive("energy_difference", "lam", lam)
    check_positive("energy_difference", "tolerance", tolerance)
    if a.shape != b.shape:
        raise ArgumentError("energy_difference", f"a is {tuple(a.shape)}, b is {tuple(b.shape)}", "Give equal shapes")
    check_square("energy_difference", r, a)
    order, value = _FIRST, segment_integral(r, a, b, lam, _FIRST)
    while True:
        order *= 2
        before, value = value, segment_integral(r, a, b, lam, order)
        error = (value - before).abs()
        if float(error.max()) <= tolerance or order == _LAST:
            break
    nan = torch.full_like(value, torch.nan)
    return Difference(value, error, order, nan if generator is None else asymmetry(r, (a + b) / 2, generator))


def segment_integral(
    r: Map, a: Float[Tensor, "batch *event"], b: Float[Tensor, "batch *event"], lam: float, order: int
) -> Float[Tensor, " batch"]:
    """Return (2/lambda) int_0^1 (r(x_t) - x_t) . (b - a) dt on the segment from a to b.

    The quadrature is Gauss-Legendre of the given order.

    Arguments:
        r, a, b, lam: as for :func:`energy_difference`.
        order: order of the quadrature, >= 1, and calls of r; exact for a polynomial integrand of degree 2 order - 1.

    Example:
        >>> segment_integral(lambda x: 0.9 * x, torch.zeros(1, 2), torch.ones(1, 2), lam=0.2, order=1)
        tensor([-1.0000])
    """
    nodes, weights = np.polynomial.legendre.leggauss(order)
    total = torch.zeros(len(a), dtype=a.dtype, device=a.device)
    with torch.no_grad():
        for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
            x = a + (node + 1) / 2 * (b - a)
            total += weight / 2 * ((r(x) - x) * (b - a)).flatten(1).sum(1)
    return total * (2 / lam)


def relative_log_density(
    r: Map,
    x: Float[Tensor, "batch *event"],
    reference: Float[Tensor, "*event"],
    lam: float,
    tolerance: float = 1e-6,
    generator: torch.Generator | None = None,
) -> Difference:
    """Return log p(x) - log p(x_0) of every point against one reference x_0, along straight segments.

    Arguments:
        r, lam, tolerance, generator: as for :func:`energy_difference`.
        x: points, (B, *event), data units.
        reference: x_0, (*event), a point where r is reliable: the mean, or a typical input.

    Example:
        >>> relative_log_density(lambda x: 0.9 * x, torch.ones(1, 2), torch.zeros(2), lam=0.2).value
        tensor([-1.0000])
    """
    return energy_difference(r, reference.expand_as(x), x, lam, tolerance, generator)


def outlier_score(
    r: Map, x: Float[Tensor, "batch *event"], reference: Float[Tensor, "*event"], lam: float, tolerance: float = 1e-4
) -> Float[Tensor, " batch"]:
    """Return log p(x_0) - log p(x): a higher value means a less likely point than the reference.

    Arguments:
        r, x, reference, lam, tolerance: as for :func:`relative_log_density`.

    Example:
        >>> outlier_score(lambda x: 0.9 * x, torch.tensor([[0.0, 1.0], [0.0, 3.0]]), torch.zeros(2), lam=0.2)
        tensor([0.5000, 4.5000])
    """
    return -relative_log_density(r, x, reference, lam, tolerance).value
