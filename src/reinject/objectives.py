"""Losses on r, all of the signature (network, x, generator) -> scalar, x of shape (B, *event) in data units."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reinject.errors import check_positive
from reinject.kernels.base import noise_like


def reconstruction(network: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """E |x - r(x)|^2 / n: plain reconstruction; information is lost only to the network's bottleneck.

    Example:
        >>> x = torch.ones(2, 3)
        >>> reconstruction(torch.nn.Identity(), x, torch.Generator()).item()
        0.0
    """
    error: Tensor = network(x) - x
    return error.square().mean()


@dataclass(frozen=True)
class Denoising:
    """E w(sigma) |x - r(x + sigma z, sigma)|^2 / n, with log sigma ~ N(log median, spread^2).

    At its optimum r(x, sigma) = x + sigma^2 s_sigma(x) (Tweedie): one network that knows the score at every noise
    level. The weight is w = min(5, 1 + std^2/sigma^2) / std^2: levels below the data's own spread count more, as their
    errors are smaller. A network that is not told sigma learns the mixture of all levels, which is the plain denoising
    autoencoder.

    Attributes:
        median: of the noise level, data units, > 0.
        spread: standard deviation of log sigma, >= 0; 0 is one level.
        std: of the data, data units, > 0.

    Source: Vincent 2011 (one level); Karras et al. 2022, arXiv 2206.00364, section 5 (the levels).
    """

    median: float
    spread: float
    std: float

    def __post_init__(self) -> None:
        check_positive("denoising", "median", self.median)
        check_positive("denoising", "std", self.std)

    def __call__(self, network: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        """The weighted loss on one batch."""
        draw = torch.randn(len(x), generator=generator, device=generator.device).to(x.device)
        sigma = self.median * torch.exp(self.spread * draw)
        wide = sigma.reshape(-1, *[1] * (x.ndim - 1))
        y = x + wide * noise_like(x, generator)
        told = getattr(network, "noise_conditioned", False)
        error: Tensor = (network(y, sigma) if told else network(y)) - x
        weight = (1 + (self.std / wide).square()).clamp(max=5.0) / self.std**2
        return (error.square() * weight).mean()
