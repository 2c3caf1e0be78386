"""What a density is: an oracle with exact answers, sharing no code with what it checks."""

from typing import Protocol

import torch
from torch import Tensor


class Density(Protocol):
    """A density p on R^n: samples, log p and its gradient.

    Points are (B, n); log_prob is (B,); score is (B, n), inverse data units. Answers have the dtype of the points.
    """

    @property
    def n(self) -> int:
        """Dimension."""
        ...

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent points, (count, n), float32, from the generator alone."""
        ...

    def log_prob(self, x: Tensor) -> Tensor:
        """Log p(x)."""
        ...

    def score(self, x: Tensor) -> Tensor:
        """s(x) = grad log p(x)."""
        ...


class Smoothable(Density, Protocol):
    """A density whose convolution with N(0, sigma^2 I) is known."""

    def smoothed(self, sigma: float) -> "Smoothable":
        """The law of x + sigma z, z ~ N(0, I); sigma >= 0, data units."""
        ...

    def denoiser(self, x: Tensor, sigma: float) -> Tensor:
        """E[x_0 | x_0 + sigma z = x] = x + sigma^2 s_sigma(x) (Tweedie): the optimal denoiser."""
        ...
