"""Bounded wrapper: reflect walks into a box."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.walks.kernels.kernel import Info, Kernel, State


@dataclass(frozen=True)
class Bounded:
    """Take a kernel's step, then reflect every value beyond the box [low, high] at its walls.

    Reflection keeps a uniform density uniform; clipping would pile samples up on the walls. Values that are not finite
    stay not finite. The velocity of a reflected value changes its sign. Info's reconstruction does not change. The
    calls of r are those of the kernel; Metropolis needs one more, because a reflection makes its cached r(x) void.

    Attributes:
        kernel: the kernel.
        low, high: walls, low < high, data units.

    Raises:
        ArgumentError: low >= high, or not finite.

    Source: Bubeck, Eldan and Lehec 2015, arXiv 1507.02564 (projected and reflected Langevin).

    Example:
        >>> reflect(torch.tensor([-0.25, 0.5, 1.75, 2.25]), 0.0, 1.0)
        tensor([0.2500, 0.5000, 0.2500, 0.2500])
    """

    kernel: Kernel
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ArgumentError("bounded", f"box {self.low}..{self.high}", "Give low < high")

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x reflected into the box."""
        return self.kernel.init(reflect(x, self.low, self.high))

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return the kernel's next state, reflected."""
        after, info = self.kernel.step(state, generator)
        x = reflect(after.x, self.low, self.high)
        v = after.v
        if v is not None:
            walls = torch.floor((after.x - self.low) / (self.high - self.low))
            v = torch.where(walls.remainder(2) == 1, -v, v)
        return after._replace(x=x, y=None, v=v), info


def reflect(x: Float[Tensor, "*shape"], low: float, high: float) -> Float[Tensor, "*shape"]:
    """Fold x into [low, high] by reflection at both walls."""
    width = high - low
    return width - ((x - low).remainder(2 * width) - width).abs() + low
