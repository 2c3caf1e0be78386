"""Mixtures of Gaussians: every answer in closed form, several modes, any shape."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.densities.gaussian import check_covariance


@dataclass(frozen=True)
class Mixture:
    """sum_k w_k N(m_k, S_k).

    Attributes:
        weights: w, (K,), positive, sum 1.
        means: m, (K, n), data units.
        covariances: S, (K, n, n), squared data units.

    Raises:
        ArgumentError: shapes that do not match, weights that are not positive or do not sum to 1, a bad covariance.

    Example:
        >>> two_modes().score(torch.zeros(1, 1))
        tensor([[0.]])
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def __post_init__(self) -> None:
        for name in ("weights", "means", "covariances"):
            object.__setattr__(self, name, getattr(self, name).double())
        k, n = self.means.shape
        if self.weights.shape != (k,) or not (self.weights > 0).all() or abs(float(self.weights.sum()) - 1) > 1e-6:
            raise ArgumentError("mixture", f"weights {self.weights.tolist()}", f"Give {k} positive weights of sum 1")
        if self.covariances.shape != (k, n, n):
            raise ArgumentError("mixture", f"covariances {tuple(self.covariances.shape)}", f"Give {(k, n, n)}")
        for covariance in self.covariances:
            check_covariance(covariance, n)

    @property
    def n(self) -> int:
        """Return the dimension."""
        return self.means.shape[1]

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw a component by its weight, then a point of it; (count, n), float32."""
        k = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        z = torch.randn(count, self.n, 1, generator=generator, dtype=torch.float64)
        lower: Tensor = torch.linalg.cholesky(self.covariances)
        return (self.means[k] + (lower[k] @ z)[:, :, 0]).float()

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the logarithm of the weighted sum of the components' densities, (B,)."""
        return self._joint(x)[0].logsumexp(1)

    def score(self, x: Tensor) -> Tensor:
        """Return sum_k P(k | x) S_k^-1 (m_k - x), (B, n)."""
        joint, pulls = self._joint(x)
        return (joint.softmax(1)[:, :, None] * pulls).sum(1)

    def _joint(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return log w_k N(x; m_k, S_k), (B, K), and S_k^-1 (m_k - x), (B, K, n)."""
        away = self.means.to(x.dtype) - x[:, None]
        precision = torch.linalg.inv(self.covariances).to(x.dtype)
        pulls = torch.einsum("kij,bkj->bki", precision, away)
        constant = self.weights.log() - (torch.logdet(self.covariances) + self.n * math.log(2 * math.pi)) / 2
        return constant.to(x.dtype) - (away * pulls).sum(2) / 2, pulls

    def smoothed(self, sigma: float) -> "Mixture":
        """Return the mixture of the smoothed components: S_k + sigma^2 I."""
        noise = sigma**2 * torch.eye(self.n, dtype=torch.float64)
        return Mixture(self.weights, self.means, self.covariances + noise)

    def denoiser(self, x: Tensor, sigma: float) -> Tensor:
        """Return E[x_0 | x_0 + sigma z = x] = x + sigma^2 s_sigma(x), (B, n)."""
        return x + sigma**2 * self.smoothed(sigma).score(x)


def ring(modes: int = 8, radius: float = 2.0, std: float = 0.5) -> Mixture:
    """Return equal modes on a circle in the plane, each N(., std^2 I).

    Example:
        >>> ring().means.norm(dim=1).unique().round(decimals=6)
        tensor([2.], dtype=torch.float64)
    """
    angle = torch.arange(modes, dtype=torch.float64) * (2 * math.pi / modes)
    means = radius * torch.stack([angle.cos(), angle.sin()], 1)
    return Mixture(torch.full((modes,), 1 / modes).double(), means, std**2 * torch.eye(2).repeat(modes, 1, 1))


def two_modes(mean: float = 1.0, std: float = 0.3) -> Mixture:
    """Return .5 N(-mean, std^2) + .5 N(mean, std^2), one dimension."""
    means = torch.tensor([[-mean], [mean]])
    return Mixture(torch.tensor([0.5, 0.5]), means, torch.full((2, 1, 1), std).double() ** 2)


def mixture8() -> Mixture:
    """Return a fixed mixture in n = 8: four modes 2.5 from the middle, variances .25 to 1 along different axes."""
    generator = torch.Generator().manual_seed(8)
    v = torch.logspace(math.log10(0.25), 0, 8, dtype=torch.float64)
    turns = torch.linalg.qr(torch.randn(4, 8, 8, generator=generator, dtype=torch.float64)).Q
    means = torch.randn(4, 8, generator=generator, dtype=torch.float64)
    means = 2.5 * means / means.norm(dim=1, keepdim=True)
    covariances = turns @ torch.diag(v) @ turns.mT
    return Mixture(torch.tensor([0.4, 0.3, 0.2, 0.1]), means, (covariances + covariances.mT) / 2)
