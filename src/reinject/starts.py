"""Where walks begin: small frozen dataclasses with ``draw(shape, generator)``."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from reinject.errors import ArgumentError, check_positive


class Start(Protocol):
    """Draws x_0, shape (B, *event), on the generator's device, from the generator alone."""

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """x_0 of the given shape (B, *event), data units."""
        ...


@dataclass(frozen=True)
class Normal:
    """x_0 ~ N(0, std^2 I); std > 0, data units. std = 1 is the start of Algorithm 1.

    Example:
        >>> Normal().draw((2, 3), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """

    std: float = 1.0

    def __post_init__(self) -> None:
        check_positive("start normal", "std", self.std)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Std * z, z ~ N(0, I) of the given shape."""
        return torch.empty(shape, device=generator.device).normal_(0.0, self.std, generator=generator)


@dataclass(frozen=True)
class Uniform:
    """x_0 uniform in the box [low, high]^n; low < high, data units.

    Example:
        >>> bool(Uniform(0, 2).draw((1000,), torch.Generator().manual_seed(0)).max() < 2)
        True
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ArgumentError("start uniform", f"low = {self.low}, high = {self.high}", "Give low < high")

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Low + (high - low) u, u uniform in [0, 1) of the given shape."""
        u = torch.rand(shape, generator=generator, device=generator.device)
        return self.low + (self.high - self.low) * u


def parse_start(text: str) -> Start:
    """The start that a command line names: ``normal``, ``normal:STD``, ``uniform`` or ``uniform:LOW:HIGH``.

    Raises:
        ArgumentError: another name, or numbers that do not parse.

    Example:
        >>> parse_start("normal:10"), parse_start("uniform:-1:1")
        (Normal(std=10.0), Uniform(low=-1.0, high=1.0))
    """
    name, *numbers = text.split(":")
    try:
        values = [float(number) for number in numbers]
        if name == "normal" and len(values) <= 1:
            return Normal(*values)
        if name == "uniform" and len(values) in (0, 2):
            return Uniform(*values)
    except ValueError as error:
        if isinstance(error, ArgumentError):
            raise
    raise ArgumentError("start", f"{text!r} is not known", "Give normal, normal:STD, uniform or uniform:LOW:HIGH")
