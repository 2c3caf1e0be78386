"""Check energies: differences along segments against exact log-densities, and independence of the path."""

from collections.abc import Callable

import torch
from torch import Tensor

from reinject.densities import Mixture
from reinject.experiments.claims import Row
from reinject.score import energy_difference

_LAM = 0.1


def difference(density: Mixture, pairs: int = 200) -> Row:
    """Check that for r = x + (lambda/2) s(x) the integral along the segment is log p(b) - log p(a)."""
    a, b = (density.sample(pairs, torch.Generator().manual_seed(seed)).double() for seed in (1, 2))
    got = energy_difference(_exact_r(density), a, b, _LAM)
    error = (got.value - (density.log_prob(b) - density.log_prob(a))).abs().max()
    return Row(
        f"mixture, n = {density.n}, {pairs} pairs: log p(b) - log p(a) by energy difference, exact r",
        "log p(b) - log p(a)",
        f"Gauss-Legendre of order {got.order}",
        float(error),
        1e-4,
        "largest absolute error",
    )


def path(density: Mixture, triples: int = 100) -> Row:
    """Check that for symmetric J_r the paths a to b and a to c to b agree."""
    a, b, c = (density.sample(triples, torch.Generator().manual_seed(seed)).double() for seed in (1, 2, 3))
    r = _exact_r(density)
    straight = energy_difference(r, a, b, _LAM, tolerance=1e-9).value
    bent = (
        energy_difference(r, a, c, _LAM, tolerance=1e-9).value + energy_difference(r, c, b, _LAM, tolerance=1e-9).value
    )
    error = float((straight - bent).abs().max())
    return Row(
        f"mixture, n = {density.n}: energy from a to b and from a over c to b, symmetric J_r",
        "equal",
        "straight beside bent path",
        error,
        1e-6,
        "largest absolute difference",
    )


def _exact_r(density: Mixture) -> Callable[[Tensor], Tensor]:
    def r(x: Tensor) -> Tensor:
        return x + _LAM / 2 * density.score(x)

    return r
