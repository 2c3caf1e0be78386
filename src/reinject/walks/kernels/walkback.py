"""Walkback kernel: corrupt, then reconstruct; the chain of a generative stochastic network."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.walks.kernels.kernel import Info, State, Usage, check_between, check_level, noise_like, option
from reinject.walks.reconstruction import Autoencoder
from reinject.walks.schedules import Parameter, value_at


@dataclass(frozen=True)
class Walkback:
    """Corrupt, then reconstruct: y ~ N(x, sigma^2 I); x ~ N(r(y), spread^2 I).

    If the second law were the true conditional of x given y, the chain would sample p. A denoiser gives only the mean
    of that conditional. With spread 0 (noise, then the whole way back) the law is too narrow. The right spread is that
    of clean points around r(y): the root mean squared error of r at noise sigma. Info holds r(y). Each step calls r
    once.

    Attributes:
        r: the autoencoder; a noise-conditioned one is called at level sigma.
        sigma: noise of the corruption > 0, data units.
        spread: standard deviation of x around r(y), >= 0, data units.

    Raises:
        ArgumentError: ``sigma`` or ``spread`` out of range.

    Source: Bengio et al. 2013, arXiv 1305.6663.

    Example:
        >>> from reinject import wrap
        >>> kernel = Walkback(wrap(lambda x: 0.5 * x, (1,)), sigma=1e-9, spread=0.0)
        >>> state, _ = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator())
        >>> state.x.item()
        0.5
    """

    usage: ClassVar = Usage("walkback", steps=30, burn_in=10, emit="reconstruction")

    r: Autoencoder
    sigma: Parameter = option("noise of the corruption, data units", default=0.5)
    spread: Parameter = option("standard deviation around r, data units", default=0.1)

    def __post_init__(self) -> None:
        check_level("walkback", "sigma", self.sigma)
        check_between("walkback", "spread", self.spread, 0.0)

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return x_{i+1} = r(x_i + sigma z) + spread z'."""
        sigma, spread = value_at(self.sigma, state.i), value_at(self.spread, state.i)
        y = self.r(noise_like(state.x, generator, sigma).add_(state.x), sigma)
        x = noise_like(y, generator, spread).add_(y) if spread else y
        return State(x, state.i + 1), Info(y)
