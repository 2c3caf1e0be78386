"""Ancestral: from noise that drowns the data down to little, by a network that knows the noise level."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.errors import ArgumentError, check_count, check_positive
from reinject.kernels.base import Info, State, noise_like
from reinject.reconstruction import Ensemble, Reconstruction


def falling(high: float, low: float, falls: int) -> tuple[float, ...]:
    """Noise levels that fall geometrically: high (low/high)^(i/falls), i = 0..falls.

    Arguments:
        high: first level, data units.
        low: last level, data units, 0 < low <= high.
        falls: steps from the one to the other, >= 1.

    Example:
        >>> falling(4.0, 1.0, 2)
        (4.0, 2.0, 1.0)
    """
    check_positive("ancestral", "low", low)
    check_count("ancestral", "falls", falls)
    if not low <= high < math.inf:
        raise ArgumentError("ancestral", f"high = {high} below low = {low}", "Let the noise level fall")
    return tuple(float(high * (low / high) ** (i / falls)) for i in range(falls + 1))


@dataclass(frozen=True)
class Ancestral:
    """x <- r(x, s) + (s'/s) k (x - r(x, s)) + s' sqrt(1 - k^2) z: one noise level s after another, s'.

    k is how much of the old noise the new one remembers. Where the level falls, k = s'/s, the ancestral step: given
    x ~ N(x_0, s^2 I) it draws x' as N(x_0, s'^2 I) conditioned on x, with r in place of x_0. Where the level stays or
    rises, k = 0: x <- r(x, s) + s' z forgets the noise and goes on from what was made of it (at a level that stays,
    the matched Langevin step of a denoiser). Starting where noise drowns the data makes walks forget their start and
    visit the classes evenly; rising again now and then makes one walk visit many points. One call of r a step.

    Attributes:
        r: a noise-conditioned autoencoder.
        sigmas: level of x_0, x_1, ..., data units, all > 0; the last one is held by a longer walk. The start must
            have the standard deviation sigmas[0].

    Raises:
        ArgumentError: no level, one that is not positive, or an r that is not told the noise level.

    Source: Ho et al. 2020, arXiv 2006.11239 (the step); Song et al. 2021, arXiv 2011.13456 (the levels); Xu et al.
    2023, arXiv 2306.14878 (rising again).

    Example:
        >>> from reinject import wrap
        >>> r = wrap(lambda x, sigma: 0 * x, (1,), noise_conditioned=True, sigma=1.0)
        >>> kernel = Ancestral(r, falling(4.0, 1.0, 2))
        >>> state, info = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator().manual_seed(0))
        >>> state.i, info.reconstruction.item()
        (1, 0.0)
    """

    r: Reconstruction | Ensemble
    sigmas: tuple[float, ...]

    def __post_init__(self) -> None:
        check_count("ancestral", "number of levels", len(self.sigmas))
        for sigma in self.sigmas:
            check_positive("ancestral", "sigma", sigma)
        if not self.r.noise_conditioned:
            raise ArgumentError(
                "ancestral",
                "the autoencoder is not told the noise level",
                "Train one with --autoencoder mlp-denoiser or conv-denoiser, or walk with --kernel langevin",
            )

    def level(self, i: int) -> float:
        """The noise level of x_i, data units."""
        return self.sigmas[min(i, len(self.sigmas) - 1)]

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """The state at x_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """x_{i+1} at its level; the reconstruction is r(x_i, s_i)."""
        s, after = self.level(state.i), self.level(state.i + 1)
        k = after / s if after < s else 0.0
        y = self.r(state.x, s)
        kept = k * after / s  # weight of the old noise, x - y
        x = noise_like(y, generator, after * math.sqrt(1 - k**2)).add_(y, alpha=1 - kept)
        if kept:
            x.add_(state.x, alpha=kept)
        return State(x, state.i + 1), Info(y)
