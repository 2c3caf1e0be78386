"""Solve the Euler-Lagrange equation of Prop. 1 in one dimension numerically: a reference without training."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject.base.errors import ArgumentError, ModelError, check_positive
from reinject.densities.density import Density

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stationary:
    """A stationary point r of the objective of Prop. 1 on [low, high], one dimension.

    Attributes:
        lam: lambda > 0, squared data units.
        low, high: ends of the interval, data units.
        residual: largest relative residual of the equation over the mesh.
        solution: x -> (r(x), r'(x)), shape (2, N).
    """

    lam: float
    low: float
    high: float
    residual: float
    solution: Callable[[Array], Array] = field(repr=False)

    def __call__(self, x: Tensor) -> Tensor:
        """Return r(x), shape and dtype of x; raise ArgumentError outside [low, high]."""
        return self._row(x, 0)

    def derivative(self, x: Tensor) -> Tensor:
        """Return r'(x), shape and dtype of x."""
        return self._row(x, 1)

    def _row(self, x: Tensor, row: int) -> Tensor:
        flat = x.detach().double().cpu().numpy().ravel()
        if flat.size and not (self.low <= flat.min() and flat.max() <= self.high):
            raise ArgumentError(
                "stationary r", f"x from {flat.min():g} to {flat.max():g}", f"Stay in [{self.low}, {self.high}]"
            )
        return torch.from_numpy(self.solution(flat)[row]).to(x.dtype).reshape(x.shape).to(x.device)


def euler_lagrange(
    density: Density, lam: float, low: float, high: float, tolerance: float = 1e-8, nodes: int = 2000
) -> Stationary:
    """Compute r of Prop. 1 by a boundary-value solver: 2 (r - x) = lambda s/r' - lambda r''/r'^2 on [low, high].

    The solver takes r'' = s r' - (2/lambda) (r - x) r'^2, with zero curvature at both ends: 2 (r - x) r' = lambda s.
    This condition is exact for Gaussian tails and off by O(lambda r'') otherwise.

    Two traps need care. First, the linearised equation d'' + s d' + (2/lambda) d = 0 oscillates with wave number
    sqrt(2/lambda) and amplitude p^(-1/2). An error d at an end shrinks inwards as sqrt(p(end)/p(x)), so put the ends
    where p is small. Second, the objective is concave in r', so a stationary point is no minimum against faster
    oscillations. For single values of lambda the interval resonates. So the solver starts on the slow manifold r = x +
    lambda s/2 - lambda^2 (s s' + s'')/4, and refuses a solution far from it.

    Arguments:
        density: one-dimensional, smooth.
        lam: lambda > 0, squared data units.
        low, high: ends of the interval, data units.
        tolerance: of the relative residual, > 0.
        nodes: of the first mesh.

    Raises:
        ArgumentError: a number out of range, or a density of more dimensions.
        ModelError: the solver does not converge, or leaves the branch of Prop. 2.

    Source: equations 5 to 7 of the paper's supplement; SciPy's solve_bvp (Kierzenka and Shampine 2001).

    Example:
        >>> from reinject.densities.gaussian import Gaussian
        >>> r = euler_lagrange(Gaussian(torch.zeros(1), torch.eye(1)), 0.375, -5, 5)
        >>> r(torch.ones(1, dtype=torch.float64)).round(decimals=6)  # a(1) = (1 + 1/2)/2
        tensor([0.7500], dtype=torch.float64)
    """
    from scipy.integrate import solve_bvp

    check_positive("euler_lagrange", "lam", lam)
    check_positive("euler_lagrange", "tolerance", tolerance)
    if density.n != 1 or not low < high:
        raise ArgumentError("euler_lagrange", f"n = {density.n} on [{low}, {high}]", "Give one dimension, low < high")

    def s(x: Array) -> Array:
        return np.asarray(density.score(torch.from_numpy(np.ascontiguousarray(x))[:, None])[:, 0])

    def equation(x: Array, y: Array) -> Array:
        r, slope = y
        return np.stack([slope, s(x) * slope - (2 / lam) * (r - x) * slope**2])

    s_ends = lam * s(np.array([low, high], dtype=np.float64))

    def ends(left: Array, right: Array) -> Array:
        return np.array([2 * (left[0] - low) * left[1] - s_ends[0], 2 * (right[0] - high) * right[1] - s_ends[1]])

    mesh = np.linspace(low, high, max(nodes, int(20 * (high - low) / np.sqrt(lam))))
    guess = _slow_manifold(density, lam, mesh)
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging solution is refused below
        solved: Any = solve_bvp(equation, ends, mesh, guess, tol=tolerance, max_nodes=10 * len(mesh))
    if not solved.success:
        raise ModelError(
            "euler_lagrange",
            f"no solution at lam = {lam:g} on [{low}, {high}]: {solved.message}",
            "Take a smaller lam, or other ends where p is small",
        )
    _check_branch(density, lam, mesh, solved.sol(mesh), guess)
    return Stationary(lam, low, high, float(solved.rms_residuals.max()), solved.sol)


def _slow_manifold(density: Density, lam: float, mesh: Array) -> Array:
    """Return r and r' to second order in lambda, with derivatives of s by autograd."""
    x = torch.from_numpy(mesh)[:, None].requires_grad_()
    derivatives = [density.score(x)]
    for _ in range(3):
        before = derivatives[-1]
        if before.requires_grad:
            derivatives.append(torch.autograd.grad(before.sum(), x, create_graph=True, materialize_grads=True)[0])
        else:
            derivatives.append(torch.zeros_like(x))
    s, s1, s2, s3 = (d.detach().numpy()[:, 0] for d in derivatives)
    r = mesh + lam / 2 * s - lam**2 / 4 * (s * s1 + s2)
    return np.stack([r, 1 + lam / 2 * s1 - lam**2 / 4 * (s1**2 + s * s2 + s3)])


def _check_branch(density: Density, lam: float, mesh: Array, y: Array, guess: Array) -> None:
    """Refuse a solution far from the slow manifold.

    Where p lies, the solution must be nearer to the manifold than the manifold is to the identity.
    """
    p = np.exp(np.asarray(density.log_prob(torch.from_numpy(mesh)[:, None])))
    off, pull = (np.sqrt(np.trapezoid(p * d**2, mesh)) for d in (y[0] - guess[0], guess[0] - mesh))
    if not (np.isfinite(off) and off <= 0.5 * pull and y[1].min() > 0):
        raise ModelError(
            "euler_lagrange",
            f"at lam = {lam:g} the solution is {off:.2g} from r = x + lam s/2, which is itself {pull:.2g} from x; "
            f"least slope {y[1].min():.2g}",
            "Take a smaller lam, or other ends where p is small",
        )
