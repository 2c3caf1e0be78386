"""Walk-jump kernel: walk by Langevin on the smoothed density, and emit denoised states."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.walks.kernels.kernel import Info, State, Usage, check_between, check_level, noise_like, option
from reinject.walks.reconstruction import Autoencoder
from reinject.walks.schedules import Parameter, value_at


def noisy_langevin(
    x: Float[Tensor, "batch *event"],
    y: Float[Tensor, "batch *event"],
    sigma: float,
    eps: float,
    generator: torch.Generator,
) -> Float[Tensor, "batch *event"]:
    """Return x + (eps/2)(y - x) + sqrt(eps) sigma z, y = r(x): a Langevin step for p smoothed with sigma.

    The step size is eps sigma^2. (y - x)/sigma^2 is the score of the smoothed density where r is a denoiser for noise
    sigma.

    Arguments:
        x: points, (B, *event), data units.
        y: r(x), same shape.
        sigma: noise level of the denoiser r, data units.
        eps: step size over sigma^2. At eps = 2 the old point drops out: x <- y + sqrt(2) sigma z, the matched Langevin
            step.
        generator: of z.

    Example:
        >>> noisy_langevin(torch.ones(1, 1), torch.zeros(1, 1), 1e-9, 1.0, torch.Generator()).item()
        0.5
    """
    return noise_like(x, generator, math.sqrt(eps) * sigma).add_(x, alpha=1 - eps / 2).add_(y, alpha=eps / 2)


@dataclass(frozen=True)
class WalkJump:
    """Walk on the smoothed density, y <- y + (eps/2)(r(y) - y) + sqrt(eps) sigma z, and emit r(y).

    The states y follow p smoothed with one large sigma, where noise joins the modes and walking is easy. The samples
    are the reconstructions r(y) = E[x given y]. They are not fed back, so their bias does not build up. At eps = 2 the
    kernel is matched Langevin of the same denoiser. Each step calls r once.

    Attributes:
        r: the autoencoder; a noise-conditioned one is called at level sigma.
        sigma: noise > 0, data units.
        eps: step size over sigma^2, 0 < eps < 4; at 4 and above the walk diverges along a flat direction.

    Raises:
        ArgumentError: ``sigma`` or ``eps`` out of range.

    Source: Saremi and Hyvarinen 2019, arXiv 1903.02334.

    Example:
        >>> from reinject import wrap
        >>> kernel = WalkJump(wrap(lambda x: 0 * x, (1,)), sigma=1e-9, eps=1.0)
        >>> state, info = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator())
        >>> state.x.item(), info.reconstruction.item()
        (0.5, 0.0)
    """

    usage: ClassVar = Usage("walk-jump", steps=50, burn_in=20, thin=3, emit="reconstruction")

    r: Autoencoder
    sigma: Parameter = option("noise, data units", default=0.5)
    eps: Parameter = option("step size over sigma^2", default=0.5)

    def __post_init__(self) -> None:
        check_level("walk-jump", "sigma", self.sigma)
        check_level("walk-jump", "eps", self.eps)
        check_between("walk-jump", "eps", self.eps, 0.0, 4.0)

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at y_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return the next y; the reconstruction is r of the y before."""
        sigma = value_at(self.sigma, state.i)
        y = self.r(state.x, sigma)
        x = noisy_langevin(state.x, y, sigma, value_at(self.eps, state.i), generator)
        return State(x, state.i + 1), Info(y)
