"""What an objective is: (network, x, generator) -> Value, x of shape (B, *event) in data units."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn


class Value(NamedTuple):
    """The number to minimise, and what it is made of, by name, for the loss curve (detached)."""

    value: Tensor
    parts: Mapping[str, Tensor]


class Objective(Protocol):
    """A loss on r; all its randomness comes from ``generator``."""

    def __call__(self, network: nn.Module, x: Tensor, generator: torch.Generator) -> Value:
        """The loss on one batch."""
        ...
