"""Define an objective: (network, x, generator) -> Value, x of shape (B, *event) in data units."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn


class Value(NamedTuple):
    """Hold the number to minimise, and its parts by name for the loss curve (detached)."""

    value: Tensor
    parts: Mapping[str, Tensor]


class Objective(Protocol):
    """Define a loss on r; all its randomness comes from ``generator``."""

    def __call__(self, network: nn.Module, x: Tensor, generator: torch.Generator) -> Value:
        """Compute the loss on one batch."""
        ...
