"""Check Prop. 2, 2 (r - x)/lambda = score + O(lambda), by the boundary-value solution and by training."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from reinject.densities import Density, SkewT, euler_lagrange
from reinject.experiments.check_training import Course, learn, residual
from reinject.experiments.claims import Row
from reinject.score import score
from reinject.training.objectives import PerfectLossy

SKEWED = SkewT(4.0, 8.0)
LOW, HIGH = -8.0, 6.0
LAMS = tuple(float(lam) for lam in np.geomspace(0.003, 0.03, 7))
TRAINED = (0.01, 0.02, 0.04, 0.06)
COURSE = Course(1200, batch=4096, lr=3e-3)


@dataclass(frozen=True)
class Convergence:
    """Hold L2(p) errors of r's score at descending lambda, and the slope of their logarithms."""

    lams: tuple[float, ...]
    errors: tuple[float, ...]

    @property
    def slope(self) -> float:
        """Compute the least-squares slope of log error against log lambda."""
        return float(np.polyfit(np.log(self.lams), np.log(self.errors), 1)[0])


def l2_error(r: Callable[[Tensor], Tensor], density: Density, lam: float, low: float, high: float) -> float:
    """Compute sqrt(int (2 (r - x)/lambda - s)^2 p dx) by the trapezoidal rule on [low, high]."""
    x = torch.linspace(low, high, 4001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        error = (score(r, x, lam) - density.score(x)).square()[:, 0]
        return float(torch.trapezoid(error * density.log_prob(x).exp(), x[:, 0]).sqrt())


def stationary(lams: Sequence[float] = LAMS) -> Convergence:
    """Compute the errors of the boundary-value solution of the Euler-Lagrange equation."""
    errors = [l2_error(euler_lagrange(SKEWED, lam, LOW, HIGH), SKEWED, lam, LOW, HIGH) for lam in lams]
    return Convergence(tuple(lams), tuple(errors))


@dataclass(frozen=True)
class Trained:
    """Hold networks trained by the objective of Prop. 1, one for each lambda, and their errors.

    Attributes:
        networks: networks in the order of ``found.lams``, float64.
        found: L2(p) errors of their scores.
        floor: error of a network trained at the limit lambda -> 0, which has noise of training but no bias.
    """

    networks: tuple[nn.Module, ...]
    found: Convergence
    floor: float


def trained(lams: Sequence[float] = TRAINED, on_step: Callable[[int], None] = lambda _: None) -> Trained:
    """Train one network for each lambda, and one at the limit."""
    networks = tuple(_train(PerfectLossy(lam), on_step) for lam in lams)
    errors = [l2_error(r, SKEWED, lam, LOW, HIGH) for r, lam in zip(networks, lams, strict=True)]
    limit = PerfectLossy(1e-3, log_det="first-order")
    floor = l2_error(_train(limit, on_step), SKEWED, limit.lam, LOW, HIGH)
    return Trained(networks, Convergence(tuple(lams), tuple(errors)), floor)


def _train(objective: PerfectLossy, on_step: Callable[[int], None]) -> nn.Module:
    network = residual(1, objective.lam, std=1.0, width=32)
    learn(network, objective, SKEWED.sample, COURSE, on_step=on_step)
    return network.double()


def by_equation(found: Convergence) -> Row:
    """Check for slope 1 over a decade of lambda, for a skewed density with heavy tails."""
    return Row(
        f"skew t(4, 8), boundary-value r, lambda = {found.lams[0]:.3g} to {found.lams[-1]:.3g}: slope of log error",
        1.0,
        found.slope,
        abs(found.slope - 1),
        0.1,
        f"L2(p) error {found.errors[0]:.2g} to {found.errors[-1]:.2g}",
    )


def by_training(trained: Trained) -> Row:
    """Check that trained networks follow the same line down to their noise floor, which adds in quadrature."""
    found, floor = trained.found, trained.floor
    pairs = zip(found.lams, found.errors, strict=True)
    bias = [(lam, math.sqrt(error**2 - floor**2)) for lam, error in pairs if error**2 > 2 * floor**2]
    slope = Convergence(*(tuple(column) for column in zip(*bias, strict=True))).slope if len(bias) > 1 else math.nan
    return Row(
        f"skew t(4, 8), trained r, lambda = {found.lams[0]:g} to {found.lams[-1]:g}: slope of log bias",
        1.0,
        slope,
        abs(slope - 1),
        0.1,
        f"bias^2 = error^2 - floor^2 where it exceeds floor^2; noise floor {floor:.3g}, errors "
        + ", ".join(f"{error:.3g}" for error in found.errors),
    )
