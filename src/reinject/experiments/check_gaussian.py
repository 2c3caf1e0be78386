"""Check Prop. 1 on Gaussians: eigenvalues a(v) of the trained linear r, and the collapse at v = 2 lambda."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reinject.base.errors import CollapseError
from reinject.densities import Gaussian, contraction
from reinject.experiments.check_training import descend
from reinject.experiments.claims import Row
from reinject.training.objectives import PerfectLossy, check_lam

LAM = 0.04  # .8 of the threshold of the narrowest direction
TOO_LARGE = 0.2  # some directions collapse at this lambda


@dataclass(frozen=True)
class Spectrum:
    """Hold eigenvalues of a trained linear r: lambda; v, a measured, a exact, each of shape (n,)."""

    lam: float
    v: Tensor
    measured: Tensor
    exact: Tensor


def rotated(v: Tensor, seed: int) -> Gaussian:
    """Make a Gaussian with variances ``v`` along random orthogonal axes."""
    q, _ = torch.linalg.qr(torch.randn(len(v), len(v), generator=torch.Generator().manual_seed(seed)).double())
    return Gaussian(torch.zeros(len(v)).double(), q @ torch.diag(v.double()) @ q.T)


def exact_sample(density: Gaussian, count: int, seed: int) -> Tensor:
    """Make points with exactly the mean and covariance of ``density``: (count, n), count > n, float64."""
    z = torch.randn(count, density.n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    z = z - z.mean(0)
    white: Tensor = torch.linalg.solve_triangular(torch.linalg.cholesky(z.T @ z / count), z.T, upper=False).T
    lower: Tensor = torch.linalg.cholesky(density.covariance)
    return white @ lower.T + density.mean


def train_linear(x: Tensor, lam: float) -> Tensor:
    """Find A of r(x) = A x + b at the local minimum of Prop. 1's objective on ``x``, starting at the identity."""
    n = x.shape[1]
    linear = nn.Linear(n, n, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.eye(n))
        linear.bias.zero_()
    curvature = 2 * float(torch.linalg.eigvalsh(torch.cov(x.T))[-1]) / lam**2
    descend(linear, PerfectLossy(lam), x, lr=1 / curvature)
    return linear.weight.detach()


def spectrum(n: int, lam: float = LAM) -> Spectrum:
    """Train a linear r on variances spread over two decades, .1 to 10, and compare its eigenvalues along their axes."""
    v = torch.logspace(-1, 1, n).double()
    density = rotated(v, seed=n)
    a = train_linear(exact_sample(density, n + 8, seed=n + 1), lam)
    values, axes = torch.linalg.eigh(density.covariance)
    return Spectrum(lam, values, torch.einsum("ji,jk,ki->i", axes, a, axes), contraction(values, lam))


def eigenvalues(got: Spectrum) -> Row:
    """Check that trained r has the eigenvalue a(v) = (1 + sqrt(1 - 2 lambda/v))/2 along every axis."""
    relative = ((got.measured - got.exact) / got.exact).abs()
    worst, error = int(relative.argmax()), float(relative.max())
    return Row(
        f"Gaussian, n = {len(got.v)}, variances .1 to 10, lambda = {got.lam}: eigenvalues of trained r",
        f"a({float(got.v[worst]):.3g}) = {float(got.exact[worst]):.6f}",
        float(got.measured[worst]),
        error,
        1e-3,
        "largest relative error over all directions",
    )


@dataclass(frozen=True)
class Refusal:
    """Hold the check before training: lambda, variances v ascending, (n,), names of collapsing axes."""

    lam: float
    v: Tensor
    names: tuple[str, ...]
    said: str


def refusal(n: int, lam: float = TOO_LARGE) -> Refusal:
    """Check whether ``lam`` is safe for samples with variances spread over two decades, .1 to 10."""
    v = torch.logspace(-1, 1, n).double()
    v = v[(v / (2 * lam)).log().abs() > 0.25]  # leave out axes near the threshold, where the margin decides
    x = exact_sample(rotated(v, seed=n), max(4000, 20 * len(v)), seed=n + 1)
    try:
        check_lam(x, lam)
    except CollapseError as error:
        return Refusal(lam, v, tuple(error.directions), str(error))
    return Refusal(lam, v, (), "no error")


def collapse(got: Refusal) -> Row:
    """Check that exactly the directions with v < 2 lambda are named before training starts."""
    below = int((got.v < 2 * got.lam).sum())
    found = len(got.names)
    return Row(
        f"Gaussian, n = {len(got.v)}, lambda = {got.lam}: directions reported as collapsing",
        below,
        found,
        abs(found - below),
        0,
        got.said,
    )
