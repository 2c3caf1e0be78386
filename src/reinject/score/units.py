"""The one place where lambda, sigma and step sizes meet.

The reconstruction of an autoencoder that loses information moves towards higher density (Prop. 2): r(x) = x +
(lambda/2) s(x) + o(lambda), with s = grad log p. The optimal denoiser for noise sigma satisfies r(x) = x + sigma^2
s_sigma(x) (Tweedie), so lambda = 2 sigma^2. Units: lambda in squared data units, sigma in data units, s in inverse data
units.
"""

import math
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import ArgumentError, check_positive


def lam_of_sigma(sigma: float) -> float:
    """Return lambda = 2 sigma^2, the lambda of a denoiser trained with noise ``sigma`` > 0 (data units).

    Raises ArgumentError if ``sigma`` is not a positive number. Source: Tweedie's formula against Prop. 2.

    Example:
        >>> lam_of_sigma(0.5)
        0.5
    """
    check_positive("lam_of_sigma", "sigma", sigma)
    return 2 * sigma**2


def sigma_of_lam(lam: float) -> float:
    """Return sigma = sqrt(lambda / 2), the inverse of :func:`lam_of_sigma`; ``lam`` > 0, squared data units.

    Example:
        >>> sigma_of_lam(0.5)
        0.5
    """
    check_positive("sigma_of_lam", "lam", lam)
    return math.sqrt(lam / 2)


def noise_scale(lam: float, noise: str | float) -> float:
    """Return tau, the standard deviation of the noise that Langevin adds to r(x) at every step.

    ``matched``: tau = sqrt(lambda), the unadjusted Langevin algorithm for p with step lambda. ``printed``: tau =
    lambda, as in Algorithm 1 of the paper. The two coincide at lambda = 1. A number is tau itself, data units.

    Arguments:
        lam: lambda > 0, squared data units.
        noise: "matched", "printed", or tau >= 0; 0 gives the noise-free walk (mode finding).

    Raises:
        ArgumentError: ``lam`` <= 0, or ``noise`` another word or a negative number.

    Example:
        >>> noise_scale(0.25, "matched"), noise_scale(0.25, "printed"), noise_scale(0.25, 0.7)
        (0.5, 0.25, 0.7)
    """
    check_positive("noise_scale", "lam", lam)
    if noise == "matched":
        return math.sqrt(lam)
    if noise == "printed":
        return lam
    if isinstance(noise, str) or not (math.isfinite(noise) and noise >= 0):
        raise ArgumentError("noise_scale", f"noise = {noise!r}", "Give 'matched', 'printed' or a number >= 0")
    return float(noise)


def score(r: Callable[[Tensor], Tensor], x: Float[Tensor, "batch *event"], lam: float) -> Float[Tensor, "batch *event"]:
    """Return s(x) = 2 (r(x) - x) / lambda, the score of an autoencoder (Prop. 2), with an error of O(lambda).

    Arguments:
        r: x -> r(x), shapes (B, *event).
        x: points, (B, *event), data units.
        lam: lambda > 0, squared data units.

    Returns:
        grad log p(x), shape of ``x``, inverse data units.

    Example:
        >>> import torch
        >>> score(lambda x: 0.9 * x, torch.tensor([[1.0]]), lam=0.2).round(decimals=4)  # p = N(0, 1)
        tensor([[-1.]])
    """
    check_positive("score", "lam", lam)
    return (r(x) - x) * (2 / lam)
