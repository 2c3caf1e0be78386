"""Provide losses with a corrupted input: denoising, and walkback, whose walk corrupts the input."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reinject.base.errors import ArgumentError, check_count, check_positive
from reinject.training.objectives.objective import Value
from reinject.walks.kernels.kernel import noise_like


@dataclass(frozen=True)
class Denoising:
    """Compute the denoising loss: E w(sigma) |x - r(x + sigma z, sigma)|^2 / n, log sigma ~ N(log median, spread^2).

    At its optimum r(x, sigma) = x + sigma^2 s_sigma(x) (Tweedie): one network has the score at every noise level. The
    weight is w = min(most, 1 + std^2/sigma^2) / std^2. Levels below the data's own spread get more weight, because
    their errors are smaller. An unconditional denoiser learns the mixture of all levels.

    Attributes:
        median: median of the noise level, data units, > 0.
        spread: standard deviation of log sigma, >= 0; 0: one level.
        std: standard deviation of the data, data units, > 0.
        most: bound on the weights of low levels, >= 1. A network that is exact at noise 0 learns more from them.

    Source: Vincent 2011 (one level); Karras et al. 2022, arXiv 2206.00364, section 5 (the levels).
    """

    median: float
    spread: float
    std: float
    most: float = 5.0

    def __post_init__(self) -> None:
        check_positive("denoising", "median", self.median)
        check_positive("denoising", "most", self.most)
        check_positive("denoising", "std", self.std)
        if not 0 <= self.spread < math.inf:
            raise ArgumentError("denoising", f"spread = {self.spread} is out of range", "Give a finite number >= 0")

    def __call__(self, network: nn.Module, x: Tensor, generator: torch.Generator) -> Value:
        """Compute the weighted loss on one batch; its part ``error`` is the unweighted E |x - r|^2 / n."""
        draw = torch.randn(len(x), generator=generator, device=generator.device).to(x.device)
        sigma = self.median * torch.exp(self.spread * draw)
        wide = sigma.reshape(-1, *[1] * (x.ndim - 1))
        y = x + wide * noise_like(x, generator)
        error = (_reconstruct(network, y, sigma) - x).square()
        weight = (1 + (self.std / wide).square()).clamp(max=self.most) / self.std**2
        return Value((error * weight).mean(), {"error": error.detach().mean()})


@dataclass(frozen=True)
class Walkback:
    """Compute the mean over k = 1..steps of E |x - r(y_k)|^2 / n, y_1 = x + sigma z, y_{k+1} = r(y_k) + sigma z.

    The walk's own states are the corrupted inputs. So r learns to return from places that walks reach, and spurious
    modes vanish. No gradient flows through the walk. One step is denoising at one level.

    Attributes:
        sigma: noise of the walk, data units, > 0.
        steps: length of the walk, >= 1.

    Source: Bengio et al. 2013, arXiv 1305.6663, algorithm 1.

    Example:
        >>> zero = lambda x: 0 * x
        >>> Walkback(0.1, 3)(zero, torch.ones(2, 4), torch.Generator()).value.item()
        1.0
    """

    sigma: float
    steps: int = 3

    def __post_init__(self) -> None:
        check_positive("walkback", "sigma", self.sigma)
        check_count("walkback", "steps", self.steps)

    def __call__(self, network: nn.Module, x: Tensor, generator: torch.Generator) -> Value:
        """Compute the loss on one batch; its parts ``step_1``, ``step_2``, ... are the errors of the walk's steps."""
        level = torch.full((len(x),), self.sigma, dtype=x.dtype, device=x.device)
        y, errors = x, []
        for _ in range(self.steps):
            r = _reconstruct(network, y.detach() + noise_like(x, generator, self.sigma), level)
            errors.append((r - x).square().mean())
            y = r
        parts = {f"step_{k}": error.detach() for k, error in enumerate(errors, 1)}
        return Value(torch.stack(errors).mean(), parts)


def _reconstruct(network: nn.Module, y: Tensor, sigma: Tensor) -> Tensor:
    r: Tensor = network(y, sigma) if getattr(network, "noise_conditioned", False) else network(y)
    return r
