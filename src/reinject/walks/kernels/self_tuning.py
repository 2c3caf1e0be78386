"""Self-tuning kernel: an unconditional denoiser shows by its own step how much noise is left."""

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
    """Remove part of the noise that an unconditional denoiser sees, put some back, and stop when little is left.

    d = r(y) - y; sigma = |d|/sqrt(n); y <- y + h d + gamma z, gamma^2 = ((1 - beta h)^2 - (1 - h)^2) sigma^2.

    h grows with the step, h_t = h0 t / (1 + h0 (t - 1)), t = i + 1. Each walk has its own pace. It stops when its sigma
    falls below sigma_stop: later steps leave it there and report it as done. beta = 1 adds no noise: the walk goes
    straight down. The noise left falls by a factor 1 - beta h each step. Each step calls r once.

    Attributes:
        r: an unconditional denoiser, trained on a range of noise levels.
        h0: first step, 0 < h0 <= 1.
        beta: 0 < beta <= 1, share of the removed noise that stays removed.
        sigma_stop: sigma_L > 0, data units.

    Raises:
        ArgumentError: a parameter out of range.
        ModelError: r is noise-conditioned, so its step does not show the noise level.

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
    beta: float = option("share of the removed noise that stays removed", default=0.2)
    sigma_stop: float = option("noise left at which a walk stops, data units", default=0.05)

    def __post_init__(self) -> None:
        for name in ("h0", "beta", "sigma_stop"):
            check_level("self-tuning", name, getattr(self, name))
        for name in ("h0", "beta"):
            check_between("self-tuning", name, getattr(self, name), 0.0, 1.0)
        if self.r.noise_conditioned:
            raise ModelError(
                "self-tuning",
                "the autoencoder is noise-conditioned, so its step does not show how much noise is left",
                "Train one with --objective denoising --autoencoder mlp --spread 0.9, or walk with --kernel ancestral",
            )

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at y_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return the next y of the walks that are not done."""
        t = state.i + 1
        h = self.h0 * t / (1 + self.h0 * (t - 1))
        y = self.r(state.x)
        d = (y - state.x).flatten(1)
        sigma = d.norm(dim=1) / math.sqrt(d.shape[1])
        gamma = sigma * math.sqrt((1 - self.beta * h) ** 2 - (1 - h) ** 2)
        done = sigma < self.sigma_stop  # false where sigma is not finite, so that the walk is stopped and counted
        z = noise_like(d, generator)
        move = z.mul_(gamma[:, None]).add_(d, alpha=h).masked_fill_(done[:, None], 0.0)
        return State(state.x + move.reshape(state.x.shape), t), Info(y, done=done)
