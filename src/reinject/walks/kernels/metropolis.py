"""Metropolis-adjusted Langevin kernel: accept r's proposals by r's own energy difference."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import check_count
from reinject.score import asymmetry, segment_integral, sigma_of_lam
from reinject.walks.kernels.kernel import Info, State, Usage, check_level, noise_like, option, uniform
from reinject.walks.reconstruction import Autoencoder


@dataclass(frozen=True)
class Metropolis:
    """Propose x* = r(x) + sqrt(lambda) z, and accept it by r's own energy difference.

    The probability of acceptance is min(1, p(x*) q(x given x*) / (p(x) q(x* given x))), q the density of proposals. log
    p(x*) - log p(x) = (2/lambda) int_0^1 (r(x_t) - x_t) . (x* - x) dt on the segment from x to x*, by Gauss-Legendre
    quadrature of the given order.

    The kernel is exact for p where r(x) - x = (lambda/2) grad log p is a gradient field. A trained r is not quite a
    gradient field. Info holds its asymmetry |J - J^T|_F / |J|_F at some points: trust the energy where the asymmetry is
    small.

    A proposal with a non-finite r is accepted, so that the walk counts and stops it. A noise-conditioned r is called at
    sigma = sqrt(lambda/2); p is then the data's density smoothed with sigma. Each step calls r order + 1 times, the
    first step once more, and three times on ``probes`` points.

    Attributes:
        r: the autoencoder.
        lam: lambda > 0 of r, squared data units: of the drift, the noise and the energy.
        order: order of the quadrature, >= 1.
        probes: number of points at which each step measures the asymmetry, >= 0; 0 for an r that torch cannot
            differentiate.

    Raises:
        ArgumentError: a parameter out of range.

    Source: Alain and Bengio 2014, arXiv 1211.4246, section 4; Roberts and Tweedie 1996 (the algorithm).

    Example:
        >>> from reinject import wrap
        >>> kernel = Metropolis(wrap(lambda x: 0.95 * x, (1,)), lam=0.1)  # p = N(0, 1)
        >>> state, info = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator().manual_seed(0))
        >>> info.accepted.tolist(), info.asymmetry.tolist()
        ([True], [0.0])
    """

    usage: ClassVar = Usage("metropolis", steps=30, burn_in=10, thin=2)

    r: Autoencoder
    lam: float = option("lambda of r, squared data units", default=0.1)
    order: int = option("of the energy's quadrature, calls of r a step", default=4)
    probes: int = option("points at which r's asymmetry is measured a step", default=1)

    def __post_init__(self) -> None:
        check_level("metropolis", "lam", self.lam)
        check_count("metropolis", "order", self.order)
        check_count("metropolis", "probes", self.probes, 0)

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return x* where it is accepted, else x."""

        def r(x: Tensor) -> Tensor:
            return self.r(x, sigma_of_lam(self.lam))

        x = state.x
        y = r(x) if state.y is None else state.y
        noise = noise_like(y, generator, math.sqrt(self.lam))
        proposal = y + noise
        y_there = r(proposal)
        log_ratio = segment_integral(r, x, proposal, self.lam, self.order)
        log_ratio += (_square(noise) - _square(x - y_there)) / (2 * self.lam)
        accepted = ~(uniform(x, generator).log() >= log_ratio)  # so written that NaN is accepted
        wide = accepted.reshape(-1, *[1] * (x.ndim - 1))
        after = State(torch.where(wide, proposal, x), state.i + 1, y=torch.where(wide, y_there, y))
        return after, Info(y, accepted=accepted, asymmetry=self._asymmetry(r, x, generator))

    def _asymmetry(self, r: Callable[[Tensor], Tensor], x: Tensor, generator: torch.Generator) -> Tensor | None:
        """Measure the asymmetry at the first finite points; NaN where there are too few."""
        if not self.probes:
            return None
        dead = ~torch.isfinite(x.flatten(1)).all(1)
        some = dead.to(torch.uint8).argsort(stable=True)[: self.probes]
        return asymmetry(r, x[some], generator, probes=1).masked_fill(dead[some], math.nan)


def _square(x: Tensor) -> Tensor:
    return x.flatten(1).square().sum(1)
