"""The interface of a density: an oracle with exact answers, which shares no code with the tested code."""

from typing import Protocol

import torch
from torch import Tensor


class Density(Protocol):
    """A density p on R^n: samples, log p and its gradient.

    Points are (B, n); log_prob is (B,); score is (B, n), inverse data units. Answers have the dtype of the points.
    """

    @property
    def n(self) -> int:
        """Return the dimension."""
        ...

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw independent points, (count, n), float32, from the generator alone."""
        ...

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x)."""
        ...

    def score(self, x: Tensor) -> Tensor:
        """Return s(x) = grad log p(x)."""
        ...


class Smoothable(Density, Protocol):
    """A density with a known convolution with N(0, sigma^2 I)."""

    def smoothed(self, sigma: float) -> "Smoothable":
        """Return the law of x + sigma z, z ~ N(0, I); sigma >= 0, data units."""
        ...

    def denoiser(self, x: Tensor, sigma: float) -> Tensor:
        """Return E[x_0 | x_0 + sigma z = x] = x + sigma^2 s_sigma(x) (Tweedie): the optimal denoiser."""
        ...
