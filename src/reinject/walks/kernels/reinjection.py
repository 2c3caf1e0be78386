"""Reinjection kernel: feed the output back, without noise."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.walks.kernels.kernel import Info, State, Usage
from reinject.walks.reconstruction import Autoencoder


@dataclass(frozen=True)
class Reinjection:
    """Feed the output back without noise, x <- r(x): find the attractors of r, modes of p.

    This does not sample; only the start is random. A noise-conditioned r is called at the level given to ``wrap``.
    Langevin with tau = 0 is the same kernel. Each step calls r once.

    Attributes:
        r: the autoencoder.

    Source: Ans and Rousset 1997, "Avoiding catastrophic forgetting by coupling two reverberating neural networks".

    Example:
        >>> from reinject import wrap
        >>> kernel = Reinjection(wrap(lambda x: 0.5 * x, (1,)))
        >>> state, _ = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator())
        >>> state.x.item()
        0.5
    """

    usage: ClassVar = Usage("reinjection", steps=5, burn_in=5)

    r: Autoencoder

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:  # noqa: ARG002
        """Return x_{i+1} = r(x_i)."""
        y = self.r(state.x)
        return State(y, state.i + 1), Info(y)
