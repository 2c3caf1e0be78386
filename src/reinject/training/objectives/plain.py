"""Provide losses on the clean input: reconstruction and contractive reconstruction."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from reinject.base.errors import ArgumentError, check_count, check_positive
from reinject.score import push, signs_like, value_and_jacobian
from reinject.training.objectives.objective import Value


def reconstruction(network: nn.Module, x: Tensor, generator: torch.Generator) -> Value:  # noqa: ARG001
    """Compute E |x - r(x)|^2 / n: plain reconstruction. Only the network's bottleneck loses information.

    Example:
        >>> x = torch.ones(2, 3)
        >>> reconstruction(torch.nn.Identity(), x, torch.Generator()).value.item()
        0.0
    """
    error: Tensor = (network(x) - x).square().mean()
    return Value(error, {})


@dataclass(frozen=True)
class Contractive:
    """Compute E[ |x - r(x)|^2 + (lambda/2) |J_r(x)|_F^2 ] / n: reconstruction with a small Jacobian.

    Its minimum satisfies r(x) = x + (lambda/2) s(x) + o(lambda). Prop. 2 says the same of the perfect lossy
    autoencoder, Tweedie's formula of a denoiser with sigma^2 = lambda/2. For a Gaussian the three agree to first order
    in lambda. The minimum equals the denoiser exactly: eigenvalues v / (v + lambda/2).

    Attributes:
        lam: lambda > 0, squared data units; half of it is the weight of the penalty.
        method: "exact" (the whole Jacobian, n passes) or "hutchinson" (|J z|^2 for random signs z, unbiased).
        probes: draws of z for each point, >= 1; for "hutchinson".

    Raises:
        ArgumentError: a number out of range, or an unknown method.

    Source: Rifai et al. 2011 (the penalty); Alain and Bengio 2014, arXiv 1211.4246, section 3 (on r, and its minimum).

    Example:
        >>> half = lambda x: 0.5 * x
        >>> Contractive(0.4)(half, torch.ones(1, 2), torch.Generator()).value.item()  # .25 + .2 * .25
        0.30000001192092896
    """

    lam: float
    method: Literal["exact", "hutchinson"] = "exact"
    probes: int = 1

    def __post_init__(self) -> None:
        check_positive("contractive", "lam", self.lam)
        check_count("contractive", "probes", self.probes)
        if self.method not in ("exact", "hutchinson"):
            raise ArgumentError("contractive", f"method = {self.method!r} is unknown", "Give exact or hutchinson")

    def __call__(self, network: nn.Module, x: Tensor, generator: torch.Generator) -> Value:
        """Compute the loss on one batch, the sum of its parts ``error`` and ``penalty``."""
        n = x[0].numel()
        if self.method == "exact":
            r, j = value_and_jacobian(network, x)
            squared = j.square().sum() / len(x)
        else:
            total = torch.zeros((), device=x.device)
            for _ in range(self.probes):
                z = signs_like(x, generator)
                r, jz = push(network, x, z)
                total = total + jz.square().sum() / len(x)
            squared = total / self.probes
        error = (r - x).square().mean()
        penalty = self.lam / 2 * squared / n
        return Value(error + penalty, {"error": error.detach(), "penalty": penalty.detach()})
