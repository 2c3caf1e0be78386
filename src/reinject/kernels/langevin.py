"""Langevin on r, matched or as the paper prints it."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.kernels.base import Info, State, noise_like
from reinject.reconstruction import Ensemble, Reconstruction
from reinject.score import noise_scale, sigma_of_lam


@dataclass(frozen=True)
class Langevin:
    """x <- r(x) + tau z, z ~ N(0, I): feed the output back with a little noise.

    With tau = sqrt(lambda) ("matched") this is the unadjusted Langevin algorithm for p with step lambda, because
    r(x) = x + (lambda/2) s(x) + o(lambda). Algorithm 1 of the paper prints tau = lambda ("printed"), which is colder
    for lambda < 1: it samples a distribution narrower than p. Both coincide at lambda = 1; tau = 0 is noise-free
    reinjection, which finds modes and does not sample. A noise-conditioned r is held at the level that corresponds to
    lambda, sigma = sqrt(lambda/2). One call of r a step.

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

    r: Reconstruction | Ensemble
    lam: float = 0.1
    noise: str | float = "matched"
    tau: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", noise_scale(self.lam, self.noise))

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """The state at x_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """x_{i+1} = r(x_i) + tau z."""
        level = sigma_of_lam(self.lam) if self.r.noise_conditioned else None
        y = self.r(state.x, level)
        x = noise_like(y, generator, self.tau).add_(y)
        return State(x, state.i + 1), Info(y)
