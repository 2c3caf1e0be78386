"""A Gaussian, and its perfect lossy autoencoder in closed form."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError, CollapseError, check_positive


@dataclass(frozen=True)
class Gaussian:
    """N(mean, covariance).

    Attributes:
        mean: m, (n,), data units.
        covariance: S, (n, n), symmetric and positive definite, squared data units.

    Raises:
        ArgumentError: shapes that do not match; a covariance that is not symmetric positive definite.

    Example:
        >>> Gaussian(torch.zeros(2), torch.eye(2)).score(torch.ones(1, 2))
        tensor([[-1., -1.]])
    """

    mean: Tensor
    covariance: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", self.mean.double())
        object.__setattr__(self, "covariance", check_covariance(self.covariance.double(), len(self.mean)))

    @property
    def n(self) -> int:
        """Return the dimension."""
        return len(self.mean)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw m + L z with S = L L^T; (count, n), float32."""
        z = torch.randn(count, self.n, generator=generator, dtype=torch.float64)
        lower: Tensor = torch.linalg.cholesky(self.covariance)
        return (self.mean + z @ lower.T).float()

    def log_prob(self, x: Tensor) -> Tensor:
        """Return -(x - m)^T S^-1 (x - m)/2 - log det(2 pi S)/2, (B,)."""
        s, away = self.covariance.to(x.dtype), x - self.mean.to(x.dtype)
        solved: Tensor = torch.linalg.solve(s, away.T).T
        volume: Tensor = torch.linalg.slogdet(s)[1]
        return -((away * solved).sum(1) + volume + self.n * math.log(2 * math.pi)) / 2

    def score(self, x: Tensor) -> Tensor:
        """Return -S^-1 (x - m), (B, n)."""
        solved: Tensor = torch.linalg.solve(self.covariance.to(x.dtype), (x - self.mean.to(x.dtype)).T).T
        return -solved

    def smoothed(self, sigma: float) -> "Gaussian":
        """Return N(m, S + sigma^2 I)."""
        return Gaussian(self.mean, self.covariance + sigma**2 * torch.eye(self.n, dtype=torch.float64))

    def denoiser(self, x: Tensor, sigma: float) -> Tensor:
        """Return m + S (S + sigma^2 I)^-1 (x - m), (B, n)."""
        return x + sigma**2 * self.smoothed(sigma).score(x)

    def perfect(self, lam: float) -> Callable[[Tensor], Tensor]:
        """Return the perfect lossy autoencoder: r(x) = m + Q diag(a(v)) Q^T (x - m), S = Q diag(v) Q^T.

        Arguments:
            lam: lambda > 0, squared data units, below v_min / 2.

        Raises:
            CollapseError: some variance is <= 2 lambda; the message names the principal axes and the largest lambda.

        Source: Prop. 1 of the paper; see docs/theory.md.
        """
        check_positive("Gaussian.perfect", "lam", lam)
        values, q = torch.linalg.eigh(self.covariance)
        names = [f"axis {j + 1} (variance {v:.3g})" for j, v in enumerate(values.tolist()) if v <= 2 * lam]
        if names:
            raise CollapseError(
                "Gaussian.perfect",
                f"at lam = {lam:g} these directions collapse: {', '.join(names)}",
                f"Take lam < {float(values[0]) / 2:.4g}",
                names,
            )
        a = q @ torch.diag(contraction(values, lam)) @ q.T
        return lambda x: self.mean.to(x.dtype) + (x - self.mean.to(x.dtype)) @ a.to(x.dtype)


def collapse_threshold(lam: float) -> float:
    """Return v = 2 lambda: below this variance a direction has no minimum of the objective of Prop. 1.

    Example:
        >>> collapse_threshold(0.1)
        0.2
    """
    check_positive("collapse_threshold", "lam", lam)
    return 2 * lam


def contraction(v: Tensor, lam: float) -> Tensor:
    """Return a(v) = (1 + sqrt(1 - 2 lambda/v))/2: the local minimum of f(a) = (1 - a)^2 v + lambda log|a|.

    Arguments:
        v: variances, squared data units, all >= 2 lambda.
        lam: lambda > 0, squared data units.

    Raises:
        CollapseError: some v < 2 lambda.

    Example:
        >>> contraction(torch.tensor([1.0, 0.5]), 0.25)
        tensor([0.8536, 0.5000])
    """
    return (1 + _root(v, lam)) / 2


def barrier(v: Tensor, lam: float) -> Tensor:
    """Return (1 - sqrt(1 - 2 lambda/v))/2: the local maximum of f(a) = (1 - a)^2 v + lambda log|a|.

    Beyond it a direction falls to a = 0. Arguments and errors as for :func:`contraction`.

    Example:
        >>> barrier(torch.tensor([1.0]), 0.25)
        tensor([0.1464])
    """
    return (1 - _root(v, lam)) / 2


def _root(v: Tensor, lam: float) -> Tensor:
    check_positive("contraction", "lam", lam)
    if bool((v < 2 * lam).any()):
        least = float(v.min())
        raise CollapseError("contraction", f"variance {least:g} < 2 lam = {2 * lam:g}", f"Take lam <= {least / 2:g}")
    return (1 - 2 * lam / v).sqrt()


def check_covariance(covariance: Tensor, n: int) -> Tensor:
    """Return the covariance, (n, n); raise ArgumentError unless it is symmetric and positive definite."""
    if covariance.shape != (n, n):
        raise ArgumentError("covariance", f"shape {tuple(covariance.shape)} for {n} dimensions", f"Give ({n}, {n})")
    if not torch.allclose(covariance, covariance.T, rtol=1e-6, atol=0):
        raise ArgumentError("covariance", "is not symmetric", "Give (S + S^T)/2")
    least = float(torch.linalg.eigvalsh(covariance)[0])
    if not least > 0:
        raise ArgumentError("covariance", f"has the eigenvalue {least:g}", "Give a positive definite matrix")
    return covariance
