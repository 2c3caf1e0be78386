"""Half-denoising kernel: add noise, then go half the way back."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.walks.kernels.kernel import Info, State, Usage, check_level, noise_like, option
from reinject.walks.reconstruction import Autoencoder
from reinject.walks.schedules import Parameter, value_at


@dataclass(frozen=True)
class HalfDenoising:
    """Add noise, then go half the way back: y = x + sigma z; x <- (y + r(y)) / 2.

    Of the kernels with a single noise level this one has the least bias. r is a denoiser for noise sigma, r(y) = y +
    sigma^2 s_sigma(y), so the step ends at y + (sigma^2/2) s_sigma(y). This is a Langevin step of size sigma^2 that
    evaluates the score of the smoothed density at noisy points, where it holds. :class:`Walkback` without spread goes
    the whole way back, and its law is too narrow. Info holds r(y). Each step calls r once.

    Attributes:
        r: the autoencoder; a noise-conditioned one is called at level sigma.
        sigma: noise > 0, data units.

    Raises:
        ArgumentError: ``sigma`` is not positive.

    Source: Hyvarinen 2025, arXiv 2410.05837.

    Example:
        >>> from reinject import wrap
        >>> kernel = HalfDenoising(wrap(lambda x: 0 * x, (1,)), sigma=1e-9)
        >>> state, _ = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator())
        >>> state.x.item()
        0.5
    """

    usage: ClassVar = Usage("half-denoising", steps=30, burn_in=10, emit="reconstruction")

    r: Autoencoder
    sigma: Parameter = option("noise, data units", default=0.5)

    def __post_init__(self) -> None:
        check_level("half-denoising", "sigma", self.sigma)

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return x_{i+1} = (y + r(y)) / 2, y = x_i + sigma z."""
        sigma = value_at(self.sigma, state.i)
        noisy = noise_like(state.x, generator, sigma).add_(state.x)
        y = self.r(noisy, sigma)
        return State(noisy.add_(y).mul_(0.5), state.i + 1), Info(y)
