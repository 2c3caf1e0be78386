"""Multistep kernel: the ancestral walk with steps of second order, from the r of two levels, at one call a step."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from reinject.walks.kernels.ancestral import Ancestral, renoise
from reinject.walks.kernels.kernel import Info, State, Usage


@dataclass(frozen=True)
class Multistep(Ancestral):
    """Step from one noise level to the next by an extrapolated r: x <- D + (sd/s)(x - D) + su z.

    D = r + (r - r_old) h/(2 h_old), h = log(s/s'), h_old = log(s_old/s). r = r(x, s) is evaluated at x, r_old is the r
    of the step before, and s_old its level. D estimates r in the middle of the step, on the scale of log s.

    s is the level of x, s' the next level; su and sd are those of :class:`~reinject.walks.kernels.ancestral.Ancestral`,
    which is the same step with D = r. At eta = 1 the step is that of DPM-Solver++ (2M) in its form with noise, at eta =
    0 the deterministic one. The error of a fall of R steps is O(1/R^2), where that of Ancestral is O(1/R).

    The first step has no r_old, so D = r. Where the level stays or rises, the step is Ancestral's, and the next step
    has no r_old: r belongs to another fall. A walk that emits reconstructions ends with r at the last level, which is
    a step of first order to noise 0. Each step calls r once.

    Attributes:
        r: a noise-conditioned autoencoder.
        sigma: level of x_0, x_1, ..., data units, all > 0. The start must have the standard deviation of the first.
        eta: 0 (deterministic) to 1 (as much new noise as the levels allow).

    Raises:
        ArgumentError: a level that is not positive, or ``eta`` out of range.
        ModelError: r is not noise-conditioned.

    Source: Lu et al. 2022, arXiv 2211.01095 (DPM-Solver++, 2M and its SDE form).

    Example:
        >>> from reinject import wrap
        >>> from reinject.walks.schedules import Geometric
        >>> r = wrap(lambda x, sigma: x / 2, (1,), noise_conditioned=True, sigma=1.0)
        >>> kernel = Multistep(r, Geometric(4.0, 1.0, steps=2), eta=0.0)
        >>> state, _ = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator().manual_seed(0))
        >>> state.x.item(), kernel.step(state, torch.Generator().manual_seed(0))[0].x.item()
        (0.75, 0.53125)
    """

    usage: ClassVar = Usage(
        "multistep",
        steps=9,
        burn_in=9,
        emit="reconstruction",
        values={"sigma": "karras:1.4r:0.006r:4"},
    )

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return x_{i+1} at its level; the reconstruction is r(x_i, s_i)."""
        s, after = self.level(state.i), self.level(state.i + 1)
        y = d = self.r(state.x, s)
        if state.old is not None and after < s:
            share = math.log(s / after) / math.log(self.level(state.i - 1) / s)
            d = torch.lerp(state.old, y, 1 + share / 2)  # y + (y - old) share / 2
        x = renoise(state.x, d, (s, after), self.eta, generator)
        return State(x, state.i + 1, old=y if after < s else None), Info(y)
