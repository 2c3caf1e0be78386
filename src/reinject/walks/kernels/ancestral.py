"""Ancestral kernel: walk from noise that drowns the data down to little noise, by a noise-conditioned network."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.walks.kernels.annealed import require_noise_conditioned
from reinject.walks.kernels.kernel import Info, State, Usage, check_between, check_level, noise_like, option
from reinject.walks.reconstruction import Autoencoder
from reinject.walks.schedules import Parameter, value_at


@dataclass(frozen=True)
class Ancestral:
    """Step from one noise level to the next: x <- r + (sd/s)(x - r) + su z, r = r(x, s).

    s is the level of x, s' the next level, and su^2 + sd^2 = s'^2. sd is the part of the old noise that stays, su = eta
    s' sqrt(1 - k^2) the new noise.

    Where the level falls, k = s'/s. At eta = 1 this is the ancestral step: for x ~ N(x_0, s^2 I) it draws x' as N(x_0,
    s'^2 I) conditioned on x, with r in place of x_0. At eta = 0 it draws nothing: the deterministic (DDIM) walk.

    Where the level stays or rises, k = 0. At eta = 1, x <- r + s' z replaces the noise. At a level that stays, this is
    Langevin with tau = s'.

    A start in noise that drowns the data makes walks forget their start and visit the classes evenly. A level that
    rises now and then makes one walk visit many points. Each step calls r once.

    Attributes:
        r: a noise-conditioned autoencoder.
        sigma: level of x_0, x_1, ..., data units, all > 0. The start must have the standard deviation of the first.
        eta: 0 (deterministic) to 1 (as much new noise as the levels allow).

    Raises:
        ArgumentError: a level that is not positive, or ``eta`` out of range.
        ModelError: r is not noise-conditioned.

    Source: Ho et al. 2020, arXiv 2006.11239 (the step); Song et al. 2021, arXiv 2010.02502 (eta) and 2011.13456 (the
    levels); Karras et al. 2022, arXiv 2206.00364; Xu et al. 2023, arXiv 2306.14878 (rising again).

    Example:
        >>> from reinject import wrap
        >>> from reinject.walks.schedules import Geometric
        >>> r = wrap(lambda x, sigma: 0 * x, (1,), noise_conditioned=True, sigma=1.0)
        >>> kernel = Ancestral(r, Geometric(4.0, 1.0, steps=2), eta=0.0)
        >>> state, info = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator().manual_seed(0))
        >>> state.x.item(), info.reconstruction.item()
        (0.5, 0.0)
    """

    usage: ClassVar = Usage(
        "ancestral",
        steps=13 + 8 * 10,
        burn_in=13,
        thin=10,
        emit="reconstruction",
        values={"sigma": "cycles:1.4r:0.06r:13:1r:10"},
    )

    r: Autoencoder
    sigma: Parameter = option("noise level of every state, data units")
    eta: float = option("0 deterministic .. 1 as much new noise as the levels allow", default=1.0)

    def __post_init__(self) -> None:
        check_level(self.usage.name, "sigma", self.sigma)
        check_between(self.usage.name, "eta", self.eta, 0.0, 1.0)
        require_noise_conditioned(self.usage.name, self.r)

    def level(self, i: int) -> float:
        """Return the noise level of x_i, data units."""
        return value_at(self.sigma, i)

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return x_{i+1} at its level; the reconstruction is r(x_i, s_i)."""
        s, after = self.level(state.i), self.level(state.i + 1)
        y = self.r(state.x, s)
        return State(renoise(state.x, y, (s, after), self.eta, generator), state.i + 1), Info(y)


def renoise(
    x: Float[Tensor, "batch *event"],
    y: Float[Tensor, "batch *event"],
    levels: tuple[float, float],
    eta: float,
    generator: torch.Generator,
) -> Float[Tensor, "batch *event"]:
    """Return y + (sd/s)(x - y) + su z: the point at the next level for an estimate y of the clean point.

    Arguments:
        x: points at level s, (B, *event), data units.
        y: estimates of their clean points, same shape.
        levels: s and s', both > 0, data units.
        eta: share of the new noise, see :class:`Ancestral`.
        generator: of z.

    Example:
        >>> renoise(torch.ones(1, 1), torch.zeros(1, 1), (4.0, 1.0), 0.0, torch.Generator()).item()
        0.25
    """
    s, after = levels
    k = after / s if after < s else 0.0
    new = eta * after * math.sqrt(1 - k**2)
    kept = math.sqrt(max(after**2 - new**2, 0.0)) / s  # weight of the old noise, x - y
    moved = noise_like(y, generator, new).add_(y, alpha=1 - kept) if new else y * (1 - kept)
    return moved.add_(x, alpha=kept) if kept else moved
