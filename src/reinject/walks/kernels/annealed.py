"""Annealed Langevin kernel: some Langevin steps at each of several falling noise levels."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import ModelError
from reinject.walks.kernels.kernel import Info, State, Usage, check_between, check_level, option
from reinject.walks.kernels.walk_jump import noisy_langevin
from reinject.walks.reconstruction import Autoencoder
from reinject.walks.schedules import Parameter, value_at


@dataclass(frozen=True)
class Annealed:
    """Take T Langevin steps at each falling level: x <- x + (eps/2)(r(x, sigma_k) - x) + sqrt(eps) sigma_k z.

    The step size is a_k = eps sigma_k^2, for p smoothed with sigma_k; the source writes eps/sigma_L^2 for this eps.
    With a constant sigma the kernel is :class:`~reinject.walks.kernels.walk_jump.WalkJump`. The start must have the
    standard deviation of the first level. Each step calls r once.

    Attributes:
        r: a noise-conditioned autoencoder.
        sigma: levels > 0, data units: geometric:HIGH:LOW:T on the command line, ``Geometric(high, low, hold=T)`` in
            Python.
        eps: step size over sigma^2, 0 < eps <= 4.

    Raises:
        ArgumentError: ``sigma`` or ``eps`` out of range.
        ModelError: r is not noise-conditioned.

    Source: Song and Ermon 2019, arXiv 1907.05600, algorithm 1.

    Example:
        >>> from reinject import wrap
        >>> from reinject.walks.schedules import Geometric
        >>> r = wrap(lambda x, sigma: 0 * x, (1,), noise_conditioned=True, sigma=1.0)
        >>> kernel = Annealed(r, Geometric(4.0, 1.0, steps=20, hold=10), eps=0.2)
        >>> kernel.level(0), kernel.level(10), kernel.level(20)
        (4.0, 2.0, 1.0)
    """

    usage: ClassVar = Usage(
        "annealed",
        steps=100,
        burn_in=100,
        emit="reconstruction",
        values={"sigma": "geometric:1.4r:0.02r:5"},
    )

    r: Autoencoder
    sigma: Parameter = option("falling noise, data units")
    eps: Parameter = option("step size over sigma^2", default=0.5)

    def __post_init__(self) -> None:
        check_level("annealed", "sigma", self.sigma)
        check_level("annealed", "eps", self.eps)
        check_between("annealed", "eps", self.eps, 0.0, 4.0)
        require_noise_conditioned("annealed", self.r)

    def level(self, i: int) -> float:
        """Return the noise level of x_i, data units."""
        return value_at(self.sigma, i)

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return the next x; the reconstruction is r(x_i, sigma_k)."""
        sigma = self.level(state.i)
        y = self.r(state.x, sigma)
        x = noisy_langevin(state.x, y, sigma, value_at(self.eps, state.i), generator)
        return State(x, state.i + 1), Info(y)


def require_noise_conditioned(owner: str, r: Autoencoder) -> None:
    """Raise ModelError unless r is noise-conditioned."""
    if not r.noise_conditioned:
        raise ModelError(
            owner,
            "the autoencoder is not noise-conditioned",
            "Train one with --autoencoder mlp-denoiser or staged-denoiser, or walk with --kernel langevin",
        )
