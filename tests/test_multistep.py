"""Multistep: its step by NumPy, its order against exact probability flows, its law, and levels that rise."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm
from torch import Tensor

from reinject import wrap
from reinject.densities import Gaussian, Mixture
from reinject.walks import kernels as K  # noqa: N812
from reinject.walks.kernels import ancestral as module
from reinject.walks.kernels.kernel import Kernel
from reinject.walks.reconstruction import Reconstruction
from reinject.walks.schedules import Geometric, PerStep
from test_kernel_laws import SKEWED, check_moments, final_states, moments
from test_kernels import TOLD, Draws, generator, r_of

FIRST, LAST = 6.0, 0.15
COUNTS = (16, 32, 64)
GAUSSIAN = Gaussian(torch.tensor([0.7]), torch.tensor([[0.8]]))
MIXTURE = Mixture(torch.tensor([0.7, 0.3]), torch.tensor([[-1.0], [1.5]]), torch.tensor([[[0.3]], [[0.1]]]))


def told(p: Any, n: int = 1) -> Reconstruction:
    return wrap(lambda x, s: p.denoiser(x, float(s[0])), (n,), noise_conditioned=True, sigma=1.0, name="exact")


def run(kernel: Kernel, x: Tensor, steps: int) -> Tensor:
    state = kernel.init(x)
    for i in range(steps):
        state, _ = kernel.step(state, generator(i))
    return state.x


def renoised(x: np.ndarray, d: np.ndarray, s: float, after: float, eta: float, draws: Draws) -> np.ndarray:
    su = eta * after * np.sqrt(1 - (after / s) ** 2)
    sd = np.sqrt(after**2 - su**2)
    return d + sd / s * (x - d) + (su * draws.normal(*x.shape) if su else 0)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_two_steps_are_the_numpy_steps(eta: float) -> None:
    levels = (3.0, 1.0, 0.4)
    x = torch.randn((50, 3), generator=generator(5))
    kernel = K.Multistep(TOLD, PerStep(levels), eta)
    first, _ = kernel.step(kernel.init(x), generator(1))
    second, info = kernel.step(first, generator(2))
    y = r_of(x.numpy(), 3.0)
    one = renoised(x.numpy(), y, 3.0, 1.0, eta, Draws(1))
    np.testing.assert_allclose(first.x.numpy(), one, atol=3e-6)
    new = r_of(one, 1.0)
    share = np.log(1.0 / 0.4) / np.log(3.0 / 1.0)
    two = renoised(one, new + share / 2 * (new - y), 1.0, 0.4, eta, Draws(2))
    np.testing.assert_allclose(second.x.numpy(), two, atol=3e-6)
    np.testing.assert_allclose(info.reconstruction.numpy(), new, atol=3e-6)


@pytest.mark.parametrize("levels", [(3.0, 1.0, 1.0, 0.4), (3.0, 1.0, 2.0, 0.4)], ids=["held", "rising"])
def test_a_level_that_does_not_fall_ends_the_fall(levels: Sequence[float]) -> None:
    """The step to it, and the first step of the next fall, are those of Ancestral."""
    x = torch.randn((50, 3), generator=generator(5))
    a, b = (kind(TOLD, PerStep(levels)) for kind in (K.Multistep, K.Ancestral))
    before = a.step(a.init(x), generator(1))[0]
    theirs = b.init(before.x)._replace(i=1)
    for i in (2, 3):
        before, theirs = a.step(before, generator(i))[0], b.step(theirs, generator(i))[0]
        torch.testing.assert_close(before.x, theirs.x)


def flow_of_gaussian(x: np.ndarray) -> np.ndarray:
    m, v = float(GAUSSIAN.mean), float(GAUSSIAN.covariance)
    return m + np.sqrt((v + LAST**2) / (v + FIRST**2)) * (x - m)


def flow_of_mixture(x: np.ndarray) -> np.ndarray:
    """In one dimension the flow keeps quantiles: F_last^-1(F_first(x))."""
    w, m, v = (part.numpy().ravel() for part in (MIXTURE.weights, MIXTURE.means, MIXTURE.covariances))

    def share(at: float, sigma: float) -> float:
        return float(w @ norm.cdf(at, m, np.sqrt(v + sigma**2)))

    def end(p: float) -> float:
        return float(brentq(lambda y: share(y, LAST) - p, -20, 20, xtol=1e-13))

    return np.array([end(share(at, FIRST)) for at in x])


FLOWS = {"gaussian": (GAUSSIAN, flow_of_gaussian), "mixture": (MIXTURE, flow_of_mixture)}


def slope(errors: Sequence[float]) -> float:
    """Least squares on the log-log plot of the error against the number of steps, with its sign changed."""
    return -float(np.polyfit(np.log(COUNTS), np.log(errors), 1)[0])


@pytest.mark.parametrize("name", FLOWS)
def test_the_deterministic_walk_has_order_two(name: str) -> None:
    """Against the exact probability flow at the last level; Ancestral has order one."""
    p, flow = FLOWS[name]
    x = torch.linspace(-2 * FIRST, 2 * FIRST, 41, dtype=torch.float64)[:, None]
    exact = flow(x[:, 0].numpy())

    def order(kind: Callable[..., Kernel]) -> float:
        ends = (run(kind(told(p), Geometric(FIRST, LAST, n), 0.0), x, n) for n in COUNTS)
        return slope([float(np.sqrt(np.mean((end[:, 0].numpy() - exact) ** 2))) for end in ends])

    assert order(K.Multistep) == pytest.approx(2.0, abs=0.2)
    assert order(K.Ancestral) == pytest.approx(1.0, abs=0.15)


def law(kind: Callable[..., Kernel], n: int, eta: float, monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
    """Mean and variance of x_n on the Gaussian: the walk is affine in x_0 and its noises, so rows of 0 and 1 give both.

    Row 0 has neither, row 1 has x_0 = 1, and row 2 + k has the noise 1 in step k only.
    """
    step = iter(range(n))

    def impulse(x: Tensor, _: torch.Generator, std: float = 1.0) -> Tensor:
        z = torch.zeros_like(x)
        z[2 + next(step)] = std
        return z

    monkeypatch.setattr(module, "noise_like", impulse)
    x = torch.zeros(2 + n, 1, dtype=torch.float64)
    x[1] = 1.0
    end = run(kind(told(GAUSSIAN), Geometric(FIRST, LAST, n), eta), x, n)[:, 0].numpy()
    weights = end[1:] - end[0]
    m, v = float(GAUSSIAN.mean), float(GAUSSIAN.covariance)
    return end[0] + weights[0] * m, weights[0] ** 2 * (v + FIRST**2) + (weights[1:] ** 2).sum()


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_the_walk_with_noise_has_weak_order_two(eta: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean and variance on a Gaussian from the exact law at the first level to that at the last; no Monte Carlo."""
    m, v = float(GAUSSIAN.mean), float(GAUSSIAN.covariance)
    for kind, order, margin in ((K.Multistep, 2.0, 0.3), (K.Ancestral, 1.0, 0.15)):
        found = [law(kind, n, eta, monkeypatch) for n in COUNTS]
        assert max(abs(mean - m) for mean, _ in found) < 1e-12
        assert slope([abs(variance - v - LAST**2) for _, variance in found]) == pytest.approx(order, abs=margin)


def test_the_law_is_that_of_the_last_level() -> None:
    """Skewed target, 60 steps with noise: mean, variance and third moment."""
    r = wrap(lambda x, s: SKEWED.denoise(x, float(s[0])), (1,), noise_conditioned=True, sigma=1.0)
    x = final_states(K.Multistep(r, Geometric(20.0, 0.1)), 50_000, 60, std=20.0)
    grid = np.linspace(-9, 9, 2401)
    check_moments(x, moments(SKEWED.density(grid, 0.1), grid), allowance=0.005)
