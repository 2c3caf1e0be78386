"""Stochastic traces and log-determinants against exact ones, on random networks."""

import math

import torch
from torch import Tensor, nn

from reinject.score import jacobian, log_det, log_det_lanczos, log_det_roulette, trace
from reinject.score.stochastic import Estimate
from reinject.theory.rows import Row

SIZES = (2, 8, 64)
POINTS = 4
_PROBES = 120
FALSE_ALARM = 0.01  # of a whole row, over its estimates


class Contraction(nn.Module):
    """r = x + .7 W2 tanh(W1 x), both matrices of spectral norm 1: Lip(r - id) <= .7; symmetric if W2 = W1^T."""

    def __init__(self, n: int, symmetric: bool, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        w1, w2 = (torch.randn(n, n, generator=generator, dtype=torch.float64) for _ in range(2))
        w1, w2 = (w / torch.linalg.matrix_norm(w, 2) for w in (w1, w1.T if symmetric else w2))
        self.w1, self.w2 = nn.Parameter(w1), nn.Parameter(w2)

    def forward(self, x: Tensor) -> Tensor:
        """r(x)."""
        return x + 0.7 * torch.tanh(x @ self.w1.T) @ self.w2.T


def all_rows() -> list[Row]:
    """One row an estimator: the largest |z| over sizes and points beside what chance allows."""
    found: dict[str, list[float]] = {}
    generator = torch.Generator().manual_seed(3)
    for n in SIZES:
        for symmetric in (False, True):
            r = Contraction(n, symmetric, seed=n)
            x = torch.randn(POINTS, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
            exact_trace = jacobian(r, x).diagonal(dim1=1, dim2=2).sum(1)
            exact_log_det = log_det(r, x).value
            for name, got, exact in _estimates(r, x, symmetric, exact_trace, exact_log_det, generator):
                error = got.standard_error.clamp(min=1e-9)
                found.setdefault(name, []).extend(((got.value - exact) / error).abs().tolist())
    return [_row(name, z) for name, z in found.items()]


def _estimates(
    r: nn.Module, x: Tensor, symmetric: bool, exact_trace: Tensor, exact_log_det: Tensor, generator: torch.Generator
) -> list[tuple[str, Estimate, Tensor]]:
    found = [
        ("Hutchinson trace", trace(r, x, generator, probes=_PROBES), exact_trace),
        ("Hutch++ trace", trace(r, x, generator, probes=30, method="hutch++"), exact_trace),
        ("log-determinant by Russian roulette", log_det_roulette(r, x, generator, probes=_PROBES), exact_log_det),
    ]
    if symmetric:
        lanczos = log_det_lanczos(r, x, generator, probes=_PROBES, steps=min(x.shape[1], 30))
        found.append(("log-determinant by Lanczos quadrature", lanczos, exact_log_det))
    return found


def _row(name: str, z: list[float]) -> Row:
    bound = math.sqrt(2) * float(torch.erfinv(torch.tensor(1 - FALSE_ALARM / len(z), dtype=torch.float64)))
    return Row(
        f"{name}, n = {', '.join(map(str, SIZES))}: distance from the exact value in standard errors",
        0.0,
        max(z),
        max(z),
        max(3.0, bound),
        f"largest of {len(z)}; {sum(value <= 3 for value in z)} within 3",
    )
