"""What a kernel is: ``init(x) -> State`` and ``step(state, generator) -> (State, Info)``, both pure.

A kernel is a frozen dataclass, so that its repr, which goes into manifests, says everything about it. It calls r once a
step unless its docstring says otherwise, and not in ``init``. What is emitted, the state or its reconstruction, is the
walk's choice: Info holds the r that the step which leaves the state has evaluated anyway.
"""

from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor


class State(NamedTuple):
    """What the next step needs: the points x, shape (B, *event), data units, and how many steps led there."""

    x: Tensor
    i: int


class Info(NamedTuple):
    """What diagnostics and emission want: r at the state that the step left, shape (B, *event), data units."""

    reconstruction: Tensor


class Kernel(Protocol):
    """One transition of a Markov chain on x; see the module's docstring for the contract."""

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """The state at x_0 = x, shape (B, *event); calls no network."""
        ...

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """The next state, with all its randomness drawn from ``generator``."""
        ...


def noise_like(x: Float[Tensor, "*shape"], generator: torch.Generator, std: float = 1.0) -> Float[Tensor, "*shape"]:
    """Noise std z, z ~ N(0, I) of x's shape and dtype, drawn on the generator's device and brought to x's."""
    z = torch.empty(x.shape, dtype=x.dtype, device=generator.device)
    return z.normal_(0.0, std, generator=generator).to(x.device)
