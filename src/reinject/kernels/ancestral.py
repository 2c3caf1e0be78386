"""Ancestral: from noise that drowns the data down to little, by a network that knows the noise level."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from reinject.errors import ArgumentError, check_count, check_positive
from reinject.kernels.base import Info, State, noise_like
from reinject.reconstruction import Ensemble, Reconstruction


@dataclass(frozen=True)
class Ancestral:
    """x <- r(x, s) + (s'/s) k (x - r(x, s)) + s' sqrt(1 - k^2) z: the noise level falls from s to s' a step.

    k is how much of the old noise the new one remembers. While the level falls, k = s'/s, the ancestral step: given
    x ~ N(x_0, s^2 I) it draws x' as N(x_0, s'^2 I) conditioned on x, with r in place of x_0. Once the lowest level is
    reached it is held with k = 0: x <- r(x, s) + s z, the matched Langevin step of a denoiser, which goes on visiting
    new points. Levels fall geometrically, s_i = sigma_max (sigma_min/sigma_max)^(i/falls). Starting where noise
    drowns the data makes the start forgotten and the classes even. One call of r a step.

    Attributes:
        r: a noise-conditioned autoencoder.
        sigma_max: level of the start, data units; the start must have this standard deviation.
        sigma_min: lowest level, data units, 0 < sigma_min <= sigma_max.
        falls: steps from the one to the other, >= 1.

    Raises:
        ArgumentError: a level or number out of range, or an r that is not told the noise level.

    Source: Ho et al. 2020, arXiv 2006.11239 (the step); Song et al. 2021, arXiv 2011.13456.

    Example:
        >>> from reinject import wrap
        >>> r = wrap(lambda x, sigma: 0 * x, (1,), noise_conditioned=True, sigma=1.0)
        >>> Ancestral(r, sigma_max=4.0, sigma_min=1.0, falls=2).levels(3)
        [4.0, 2.0, 1.0, 1.0]
    """

    r: Reconstruction | Ensemble
    sigma_max: float
    sigma_min: float
    falls: int

    def __post_init__(self) -> None:
        check_positive("ancestral", "sigma_min", self.sigma_min)
        check_count("ancestral", "falls", self.falls)
        if not self.sigma_min <= self.sigma_max < math.inf:
            raise ArgumentError(
                "ancestral", f"sigma_max = {self.sigma_max} < sigma_min = {self.sigma_min}", "Let the level fall"
            )
        if not self.r.noise_conditioned:
            raise ArgumentError(
                "ancestral",
                "the autoencoder is not told the noise level",
                "Train one with --autoencoder mlp-denoiser or conv-denoiser, or walk with langevin",
            )

    def level(self, i: int) -> float:
        """s_i, the noise level of x_i, data units."""
        if i >= self.falls:
            return self.sigma_min
        return float(self.sigma_max * (self.sigma_min / self.sigma_max) ** (i / self.falls))

    def levels(self, steps: int) -> list[float]:
        """s_0, ..., s_steps."""
        return [self.level(i) for i in range(steps + 1)]

    def init(self, x: Tensor) -> State:
        """The state at x_0 = x, at level sigma_max."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """x_{i+1} at level s_{i+1}; the reconstruction is r(x_i, s_i)."""
        s, after = self.level(state.i), self.level(state.i + 1)
        k = after / s if after < s else 0.0
        y = self.r(state.x, s)
        x = noise_like(y, generator).mul_(after * math.sqrt(1 - k**2)).add_(y)
        if k > 0:
            x.add_(state.x - y, alpha=k * after / s)
        return State(x, state.i + 1), Info(y)
