"""Find principal axes of data, and the largest lambda that they allow a perfect lossy autoencoder."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reinject.base.errors import ArgumentError, CollapseError, check_positive

SAFETY = 0.9  # a sampled variance is known to some per cent, and a(v) falls steeply at the threshold
_MOST_ROWS = 20_000
_FLAT = 1e-6  # of the mean variance: smaller variances are rounding errors
_MOST_LOCAL = 64  # most dimensions for a mixture with full covariances


@dataclass(frozen=True)
class PrincipalAxes:
    """Hold the variances along orthogonal axes, of all data or of each cluster.

    Attributes:
        variances: v_j, ascending in each row, squared data units; shape (K, n).
        directions: unit vectors q_j as rows, shape (K, n, n).
        shares: share of the data in each of the K clusters, shape (K,).
    """

    variances: Tensor
    directions: Tensor
    shares: Tensor

    @property
    def least(self) -> float:
        """The smallest variance."""
        return float(self.variances.min())

    def below(self, v: float) -> list[str]:
        """Name the axes with a variance below ``v``, narrowest first."""
        k, j = torch.nonzero(self.variances < v, as_tuple=True)
        found = sorted(zip(self.variances[k, j].tolist(), k.tolist(), j.tolist(), strict=True))
        cluster = len(self.variances) > 1
        return [
            f"axis {j + 1}" + (f" of cluster {k + 1}" if cluster else "") + f" (variance {variance:.3g})"
            for variance, k, j in found
        ]


def principal_axes(data: Tensor, seed: int = 0) -> PrincipalAxes:
    """Find the principal axes of ``data``, cluster by cluster if it has clusters.

    A ring of narrow modes is wide as a whole, but r must keep each mode narrow: the local variance matters. So in up to
    64 dimensions a Gaussian mixture is fitted: 1, 2, 4, ... components with full covariances, chosen by BIC. In more
    dimensions the covariance of all data is used. Its smallest variance is still that of the flattest direction.

    Arguments:
        data: (N, *event), N at least 10 n + 10 rows, data units; 20,000 rows are used, or more if n requires it.
        seed: seed of the mixture's initialisation.

    Raises:
        ArgumentError: too few rows, or non-finite rows.

    Example:
        >>> x = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 3.0])
        >>> principal_axes(x).variances.round().tolist()
        [[1.0, 10.0]]
    """
    n = data[0].numel()
    x = data[: max(_MOST_ROWS, 10 * n + 10)].detach().flatten(1).cpu().double()
    rows = len(x)
    if rows < 10 * n + 10:
        raise ArgumentError(
            "principal_axes", f"{rows} rows for {n} dimensions are too few", f"Give at least {10 * n + 10}"
        )
    if not torch.isfinite(x).all():
        raise ArgumentError("principal_axes", "data has non-finite values", "Remove these rows")
    return _axes(*_fit(x.numpy(), seed)) if n <= _MOST_LOCAL else whole_axes(x)


def whole_axes(data: Tensor) -> PrincipalAxes:
    """Find the principal axes of ``data`` (N, *event) as one cluster, with any number of rows."""
    x = data.detach().flatten(1).cpu().double().numpy()
    return _axes(np.cov(x.T).reshape(1, x.shape[1], x.shape[1]), np.ones(1))


def _axes(covariances: np.ndarray, shares: np.ndarray) -> PrincipalAxes:
    values, vectors = torch.linalg.eigh(torch.from_numpy(np.ascontiguousarray(covariances)))
    values = torch.where(values > _FLAT * values.mean(), values, 0)
    return PrincipalAxes(values, vectors.mT, torch.from_numpy(shares))


def _fit(x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit the mixture that BIC prefers; return covariances and shares."""
    from sklearn.mixture import GaussianMixture

    whole = np.cov(x.T).reshape(1, x.shape[1], x.shape[1])
    scale = float(np.trace(whole[0])) / x.shape[1]
    best, chosen = np.inf, None
    count = 1
    while len(x) >= 10 * count * (x.shape[1] + 1):
        mixture = GaussianMixture(count, reg_covar=1e-9 * scale, random_state=seed, n_init=1 + (count > 1))
        bic = mixture.fit(x).bic(x)
        if bic >= best:
            break
        best, chosen = bic, mixture
        count *= 2
    if chosen is None or count == 1:
        return whole, np.ones(1)
    return np.asarray(chosen.covariances_), np.asarray(chosen.weights_)


def safe_lam(data: Tensor, smoothing: float = 0.0, seed: int = 0) -> float:
    """Compute the largest lambda at which no direction of ``data`` collapses: .9 (v_min + sigma^2) / 2.

    For a direction of variance v, the objective of Prop. 1 has a minimum only if v > 2 lambda. The factor .9 is a
    margin. The result is 0 for data that is flat in some direction, such as constant pixels. Then train on data with
    added noise, which has a variance of at least sigma^2.

    Arguments:
        data, seed: see :func:`principal_axes`.
        smoothing: sigma >= 0 of the noise that training adds, data units.

    Returns:
        lambda >= 0, squared data units.

    Source: Prop. 1 of the paper, for a Gaussian; see docs/theory.md.

    Example:
        >>> x = torch.randn(5000, 2, generator=torch.Generator().manual_seed(0))
        >>> round(safe_lam(x), 1)
        0.4
    """
    return SAFETY * (principal_axes(data, seed).least + smoothing**2) / 2


def check_lam(data: Tensor, lam: float, smoothing: float = 0.0, seed: int = 0) -> None:
    """Refuse a lambda at which directions of the data would collapse.

    Arguments:
        data, seed: see :func:`principal_axes`.
        lam: lambda > 0, squared data units.
        smoothing: sigma >= 0 of the noise that training adds, data units.

    Raises:
        CollapseError: some directions have a variance v + sigma^2 <= 2 lambda / .9; names them and the safe lambda.
    """
    check_positive("perfect lossy", "lam", lam)
    axes = principal_axes(data, seed)
    safe = SAFETY * (axes.least + smoothing**2) / 2
    if lam > safe:
        raise collapse(axes.below(2 * lam / SAFETY - smoothing**2), lam, safe)


def collapse(names: list[str], lam: float, safe: float, sign: str = "") -> CollapseError:
    """Make the error of a collapse: its ``sign``, the directions at ``lam``, and the ``safe`` lambda."""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    cure = (
        f"Take lam <= {safe:.3g}"
        if safe > 1e-9
        else "No lam is safe, because the data is flat in some direction. Add noise with --sigma"
    )
    seen = f"{sign}; " if sign else ""
    return CollapseError(
        "perfect lossy", f"{seen}at lam = {lam:g} these directions of the data collapse: {shown}", cure, names
    )
