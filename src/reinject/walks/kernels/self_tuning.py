"""Self-tuning: a denoiser that is not told the noise level says by its own step how much noise is left."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import ModelError
from reinject.walks.kernels.kernel import Info, State, Usage, check_between, check_level, noise_like, option
from reinject.walks.reconstruction import Autoencoder


@dataclass(frozen=True)
class SelfTuning:
    """d = r(y) - y; sigma = |d|/sqrt(n); y <- y + h d + gamma z, gamma^2 = ((1 - beta h)^2 - (1 - h)^2) sigma^2.

    h grows with the step, h_t = h0 t / (1 + h0 (t - 1)), t = i + 1. Each walk goes at its own pace and stops when its
    sigma falls below sigma_stop: then it is left where it is, and reported as done. beta = 1 adds no noise: a walk
    straight down. The noise left falls by 1 - beta h a step. One call of r a step.

    Attributes:
        r: an autoencoder trained to denoise a range of noise levels that it is not told.
        h0: first step, 0 < h0 <= 1.
        beta: 0 < beta <= 1, share of the removed noise that is not put back.
        sigma_stop: sigma_L > 0, data units.

    Raises:
        ArgumentError: a parameter out of range.
        ModelError: r is told the noise level, so that it cannot say it.

    Source: Kadkhodaie and Simoncelli 2020, arXiv 2007.13640, algorithm 1.

    Example:
        >>> from reinject import wrap
        >>> kernel = SelfTuning(wrap(lambda x: 0 * x, (2,)), h0=0.5, beta=1.0, sigma_stop=0.4)
        >>> state, info = kernel.step(kernel.init(torch.ones(1, 2)), torch.Generator())
        >>> state.x.tolist(), info.done.tolist()
        ([[0.5, 0.5]], [False])
    """

    usage: ClassVar = Usage("self-tuning", steps=200, burn_in=200, emit="reconstruction")

    r: Autoencoder
    h0: float = option("first step", default=0.1)
    beta: float = option("share of the removed noise that is not put back", default=0.2)
    sigma_stop: float = option("noise left at which a walk stops, data units", default=0.05)

    def __post_init__(self) -> None:
        for name in ("h0", "beta", "sigma_stop"):
            check_level("self-tuning", name, getattr(self, name))
        for name in ("h0", "beta"):
            check_between("self-tuning", name, getattr(self, name), 0.0, 1.0)
        if self.r.noise_conditioned:
            raise ModelError(
                "self-tuning",
                "the autoencoder is told the noise level, so it cannot say how much noise is left",
                "Train one with --objective denoising --autoencoder mlp --spread 0.9, or walk with --kernel ancestral",
            )

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """The state at y_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """The next y of the walks that are not done."""
        t = state.i + 1
        h = self.h0 * t / (1 + self.h0 * (t - 1))
        y = self.r(state.x)
        d = (y - state.x).flatten(1)
        sigma = d.norm(dim=1) / math.sqrt(d.shape[1])
        gamma = sigma * math.sqrt((1 - self.beta * h) ** 2 - (1 - h) ** 2)
        done = sigma < self.sigma_stop  # false where sigma is not finite: such a walk moves on and is counted
        z = noise_like(d, generator)
        move = z.mul_(gamma[:, None]).add_(d, alpha=h).masked_fill_(done[:, None], 0.0)
        return State(state.x + move.reshape(state.x.shape), t), Info(y, done=done)
