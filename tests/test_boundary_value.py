"""The Euler-Lagrange equation of Prop. 1, and what Prop. 2 says of its solution."""

import numpy as np
import pytest
import torch

from reinject.base.errors import ArgumentError, ModelError
from reinject.densities import Banana, Gaussian, SkewT, contraction, euler_lagrange
from reinject.experiments import check_proposition2 as proposition2

SKEWED = SkewT(4.0, 8.0)


@pytest.mark.parametrize(("v", "lam"), [(1.0, 0.375), (0.5, 0.1), (2.0, 0.02)])
def test_gaussian_solution_is_the_closed_form(v: float, lam: float) -> None:
    half = 4.5 * v**0.5
    r = euler_lagrange(Gaussian(torch.tensor([0.3]), torch.tensor([[v]])), lam, 0.3 - half, 0.3 + half)
    x = torch.linspace(0.3 - half, 0.3 + half, 50, dtype=torch.float64)
    a = contraction(torch.tensor([v], dtype=torch.float64), lam)
    torch.testing.assert_close(r(x), 0.3 + a * (x - 0.3), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(r.derivative(x), a.expand(50), rtol=1e-4, atol=1e-4)


def test_solution_is_stationary_for_the_objective() -> None:
    """d/de of int [(x - r)^2 + lam log|r'|] p along random smooth changes is 0, by quadrature, not by the equation."""
    lam = 0.02
    r = euler_lagrange(SKEWED, lam, -8, 6)
    x = torch.linspace(-8, 6, 40_001, dtype=torch.float64)
    p = SKEWED.log_prob(x[:, None]).exp()
    value, slope = r(x), r.derivative(x)
    for k in range(1, 6):
        u = torch.pi * (x + 5) / 9
        inside = ((x > -5) & (x < 4)).double()
        change, rate = inside * torch.sin(u * k).square(), inside * torch.sin(2 * k * u) * k * torch.pi / 9
        first = torch.trapezoid((2 * (value - x) * change + lam * rate / slope) * p, x)
        size = torch.trapezoid((2 * (value - x) * change).abs() * p, x)
        assert abs(float(first)) < 1e-4 * float(size)


def test_slope_of_the_score_error_is_one() -> None:
    found = proposition2.stationary((0.004, 0.012, 0.03))
    assert 0.9 < found.slope < 1.1
    assert found.errors[0] < found.errors[1] < found.errors[2]


def test_second_order_term_is_the_one_in_the_docs() -> None:
    """(r - x - lam s/2)/lam^2 -> -(s s' + s'')/4."""
    x = torch.linspace(-3, 2, 60, dtype=torch.float64)[:, None].requires_grad_()
    s = SKEWED.score(x)
    (first,) = torch.autograd.grad(s.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    expected = -(s * first + second).detach() / 4
    gaps = []
    for lam in (0.02, 0.005):
        r = euler_lagrange(SKEWED, lam, -8, 6)
        gaps.append(float((((r(x) - x - lam / 2 * s) / lam**2).detach() - expected).abs().max()))
    assert gaps[1] < 0.4 * gaps[0]
    assert gaps[1] < 0.05 * float(expected.abs().max())


def test_what_it_refuses() -> None:
    gaussian = Gaussian(torch.zeros(1), torch.eye(1))
    with pytest.raises(ArgumentError, match="n = 2"):
        euler_lagrange(Banana(2), 0.1, -1, 1)
    with pytest.raises(ArgumentError, match="low < high"):
        euler_lagrange(gaussian, 0.1, 1, -1)
    with pytest.raises(ArgumentError, match="lam = 0"):
        euler_lagrange(gaussian, 0.0, -1, 1)
    with pytest.raises(ModelError, match="smaller lam"):
        euler_lagrange(gaussian, 0.7, -4, 4)  # v = 1 < 2 lam: no minimum
    r = euler_lagrange(gaussian, 0.1, -4, 4)
    with pytest.raises(ArgumentError, match=r"x from 5 to 5.*Stay in \[-4, 4\]"):
        r(torch.tensor([5.0]))
    assert np.isfinite(r.residual)
