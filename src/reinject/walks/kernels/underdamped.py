"""Underdamped Langevin kernel: walk with a velocity, by the splitting BAOA."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.score import sigma_of_lam
from reinject.walks.kernels.kernel import Info, State, Usage, check_level, noise_like, option
from reinject.walks.reconstruction import Autoencoder
from reinject.walks.schedules import Parameter, value_at


@dataclass(frozen=True)
class Underdamped:
    """Walk with a velocity: v += h s(x); x += (h/2) v; v <- c v + sqrt(1 - c^2) z; x += (h/2) v.

    s(x) = 2 (r(x) - x)/lambda and c = exp(-gamma h). This is BAOAB, the splitting of dx = v dt, dv = s dt - gamma v dt
    + sqrt(2 gamma) dW into kick, drift and noise. The half kicks at the end of one step and at the start of the next
    lie at the same x, so here they are one kick. The points x are the same, and each step calls r once.

    On a Gaussian (r linear with the score of a Gaussian) the stationary variance of x is exact for every stable h.
    These satisfy h^2 < 4 v, v the smallest variance. Walks start at rest. A noise-conditioned r is called at sigma =
    sqrt(lambda/2).

    Attributes:
        r: the autoencoder.
        lam: lambda > 0 of r, squared data units.
        step_size: h over sigma = sqrt(lambda/2), > 0; a denoiser's score is stable up to 2.
        friction: gamma in units of 1/sigma, > 0; at infinity every step draws the velocity anew.

    Raises:
        ArgumentError: a parameter that is not positive.

    Source: Leimkuhler and Matthews 2013, "Rational construction of stochastic numerical methods for molecular
    sampling", doi 10.1093/amrx/abs010.

    Example:
        >>> from reinject import wrap
        >>> kernel = Underdamped(wrap(lambda x: x - 0.5, (1,)), lam=0.5, step_size=1.0, friction=1e-9)
        >>> state, _ = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator().manual_seed(0))
        >>> round(state.x.item(), 3), round(state.v.item(), 3)
        (0.5, -1.0)
    """

    usage: ClassVar = Usage("underdamped", steps=60, burn_in=20, thin=4)

    r: Autoencoder
    lam: Parameter = option("lambda of r, squared data units", default=0.1)
    step_size: Parameter = option("step over sqrt(lambda/2)", default=1.0)
    friction: Parameter = option("friction times sqrt(lambda/2)", default=0.5)

    def __post_init__(self) -> None:
        for name in ("lam", "step_size", "friction"):
            check_level("underdamped", name, getattr(self, name))

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x_0 = x, at rest."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return the next x and v."""
        sigma = sigma_of_lam(value_at(self.lam, state.i))
        size = value_at(self.step_size, state.i)
        c = math.exp(-value_at(self.friction, state.i) * size)
        h = size * sigma
        y = self.r(state.x, sigma)
        v = (y - state.x).mul_(h / sigma**2)
        if state.v is not None:
            v.add_(state.v)
        x = state.x.add(v, alpha=h / 2)
        v = noise_like(v, generator, math.sqrt(1 - c**2)).add_(v, alpha=c)
        return State(x.add_(v, alpha=h / 2), state.i + 1, v=v), Info(y)
