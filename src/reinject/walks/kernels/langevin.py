"""Langevin kernel: matched noise, noise as printed in the paper, or any temperature."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.score import noise_scale, sigma_of_lam
from reinject.walks.kernels.kernel import Info, State, Usage, check_between, check_level, noise_like, option
from reinject.walks.reconstruction import Autoencoder
from reinject.walks.schedules import Parameter, Schedule, value_at


@dataclass(frozen=True)
class Langevin:
    """Feed the output back with a little noise: x <- r(x) + tau z, z ~ N(0, I).

    With tau = sqrt(lambda) ("matched") this is the unadjusted Langevin algorithm for p with step lambda, because r(x) =
    x + (lambda/2) s(x) + o(lambda). Algorithm 1 of the paper prints tau = lambda ("printed"). For lambda < 1 this is
    colder and samples a distribution narrower than p. Both coincide at lambda = 1. Any other tau is a temperature tau^2
    / lambda. tau = 0 is noise-free reinjection, which finds modes and does not sample.

    A noise-conditioned r is called at sigma = sqrt(lambda/2), the level that corresponds to lambda. Each step calls r
    once.

    Attributes:
        r: the autoencoder.
        lam: lambda > 0, squared data units.
        noise: "matched", "printed", or tau >= 0 itself, data units.

    Raises:
        ArgumentError: ``lam`` or ``noise`` out of range.

    Source: Algorithm 1 and Prop. 2 of the paper.

    Example:
        >>> from reinject import wrap
        >>> r = wrap(lambda x: 0.5 * x, (1,))
        >>> kernel = Langevin(r, lam=0.1, noise=0.0)
        >>> state, info = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator())
        >>> state.x.item(), info.reconstruction.item()
        (0.5, 0.5)
    """

    usage: ClassVar = Usage("langevin", steps=10, burn_in=2)

    r: Autoencoder
    lam: Parameter = option("lambda of r, squared data units", default=0.1)
    noise: str | Parameter = option("matched (sqrt(lambda)), printed (lambda), or tau, data units", default="matched")

    def __post_init__(self) -> None:
        check_level("langevin", "lam", self.lam)
        if isinstance(self.noise, Schedule):
            check_between("langevin", "noise", self.noise, 0.0)
        else:
            noise_scale(1.0, self.noise)

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return x_{i+1} = r(x_i) + tau z."""
        lam = value_at(self.lam, state.i)
        noise = self.noise if isinstance(self.noise, str) else value_at(self.noise, state.i)
        tau = noise_scale(lam, noise)
        y = self.r(state.x, sigma_of_lam(lam))
        x = noise_like(y, generator, tau).add_(y)
        return State(x, state.i + 1), Info(y)
