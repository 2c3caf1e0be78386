"""Densities: what each says of itself (log p, score, samples, denoiser) has to be one law."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reinject.base.errors import ArgumentError, CollapseError
from reinject.densities import (
    Banana,
    Density,
    Funnel,
    Gaussian,
    Mixture,
    SkewT,
    Smoothable,
    barrier,
    collapse_threshold,
    contraction,
    mixture8,
    ring,
    two_modes,
)

SKEWED = Gaussian(torch.tensor([1.0, -2.0]), torch.tensor([[2.0, 0.6], [0.6, 0.5]]))
UNEQUAL = Mixture(
    torch.tensor([0.7, 0.3]),
    torch.tensor([[-1.0, 0.0], [2.0, 1.0]]),
    torch.tensor([[[1.0, 0.3], [0.3, 0.4]], [[0.2, 0.0], [0.0, 0.9]]]),
)
ALL: dict[str, Density] = {
    "gaussian": SKEWED,
    "mixture": UNEQUAL,
    "mixture8": mixture8(),
    "two modes": two_modes(),
    "skew t": SkewT(4.0, 8.0),
    "heavy skew t": SkewT(0.8, 2.0),
    "banana": Banana(2),
    "banana in 4": Banana(4, curvature=-0.3, std=1.5),
    "funnel": Funnel(2, spread=1.0),
    "funnel in 5": Funnel(5, spread=0.7),
}
SMOOTHABLE: dict[str, Smoothable] = {"gaussian": SKEWED, "mixture": UNEQUAL, "two modes": two_modes()}


def points(density: Density, count: int = 200, seed: int = 0) -> Tensor:
    return density.sample(count, torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("name", ALL)
def test_score_is_the_gradient_of_log_prob(name: str) -> None:
    x = points(ALL[name]).requires_grad_()
    (gradient,) = torch.autograd.grad(ALL[name].log_prob(x).sum(), x)
    torch.testing.assert_close(ALL[name].score(x), gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "half"), [("skew t", 60.0), ("two modes", 6.0)])
def test_log_prob_integrates_to_one_on_the_line(name: str, half: float) -> None:
    x = torch.linspace(-half, half, 200_001, dtype=torch.float64)[:, None]
    assert float(torch.trapezoid(ALL[name].log_prob(x).exp(), x[:, 0])) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["gaussian", "mixture", "banana", "funnel"])
def test_log_prob_integrates_to_one_in_the_plane(name: str) -> None:
    low, high = (-40.0, 40.0) if name in ("banana", "funnel") else (-14.0, 14.0)
    line = torch.linspace(low, high, 3001, dtype=torch.float64)
    total = ALL[name].log_prob(torch.cartesian_prod(line, line)).exp().sum() * (line[1] - line[0]) ** 2
    assert float(total) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_samples_obey_steins_identity(name: str) -> None:
    """E[s_i f_j] + E[d_i f_j] = 0 for bounded f = tanh: it ties samples to the score. |z| <= 5 of <= 72: 4e-5 false."""
    density = ALL[name]
    x = points(density, 100_000, seed=1)
    centred = (x - x.median(0).values) / 2
    f = torch.tanh(centred + 0.3)
    products = density.score(x)[:, :, None] * f[:, None, :]
    products += torch.diag_embed((1 - f.square()) / 2)
    z = products.mean(0) / (products.std(0) / math.sqrt(len(x)))
    assert float(z.abs().max()) < 5


@pytest.mark.parametrize(("a", "b"), [(4.0, 8.0), (0.8, 2.0), (3.0, 0.5)])
def test_skew_t_samples_have_its_distribution(a: float, b: float) -> None:
    """u -> (1 + u)/2 is Beta(a, b): Kolmogorov-Smirnov at 1e-4."""
    x = points(SkewT(a, b), 20_000)[:, 0].numpy()
    u = (1 + x / np.sqrt(a + b + x**2)) / 2
    assert scipy.stats.kstest(u, scipy.stats.beta(a, b).cdf).pvalue > 1e-4


def test_symmetric_skew_t_is_students() -> None:
    x = torch.linspace(-6, 6, 31, dtype=torch.float64)[:, None]
    expected = scipy.stats.t(5).logpdf(x[:, 0].numpy())
    np.testing.assert_allclose(SkewT(2.5, 2.5).log_prob(x).numpy(), expected, rtol=1e-10)


def standard_normal(n: int) -> tuple[Tensor, Tensor]:
    """Nodes (K, n) and weights (K,), sum 1, of a Gauss-Hermite quadrature over N(0, I)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    grid = np.stack(np.meshgrid(*[nodes] * n, indexing="ij"), -1).reshape(-1, n)
    w = np.prod(np.meshgrid(*[weights] * n, indexing="ij"), axis=0).ravel()
    return torch.from_numpy(grid), torch.from_numpy(w / w.sum())


@pytest.mark.parametrize("name", SMOOTHABLE)
def test_smoothed_density_is_the_law_of_noisy_samples(name: str) -> None:
    """p_sigma(x) = E p(x - sigma z), by Gauss-Hermite quadrature."""
    density, sigma = SMOOTHABLE[name], 0.25
    grid, w = standard_normal(density.n)
    x = points(density, 20)
    moved = x[:, None] - sigma * grid
    expected = (density.log_prob(moved.reshape(-1, density.n)).exp().reshape(len(x), -1) * w).sum(1)
    torch.testing.assert_close(density.smoothed(sigma).log_prob(x).exp(), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", SMOOTHABLE)
def test_denoiser_is_the_posterior_mean(name: str) -> None:
    """E[x_0 | y] by importance weights p(x_0) at x_0 = y + sigma z: quadrature again."""
    density, sigma = SMOOTHABLE[name], 0.25
    grid, w = standard_normal(density.n)
    y = points(density, 20)
    x0 = y[:, None] + sigma * grid
    joint = density.log_prob(x0.reshape(-1, density.n)).exp().reshape(len(y), -1) * w
    expected = (joint[:, :, None] * x0).sum(1) / joint.sum(1, keepdim=True)
    torch.testing.assert_close(density.denoiser(y, sigma), expected, rtol=1e-6, atol=1e-8)


def test_gaussian_denoiser_is_the_closed_form() -> None:
    x, s = points(SKEWED), SKEWED.covariance
    shrink = s @ torch.linalg.inv(s + 0.09 * torch.eye(2))
    torch.testing.assert_close(SKEWED.denoiser(x, 0.3), SKEWED.mean + (x - SKEWED.mean) @ shrink.T)


def objective_in_one_direction(a: Tensor, v: Tensor, lam: float) -> Tensor:
    return (1 - a).square() * v + lam * a.abs().log()


@given(st.floats(0.05, 20), st.floats(1e-3, 0.99))
def test_contraction_is_the_minimum_and_barrier_the_maximum(v: float, share: float) -> None:
    lam = share * v / 2
    variance = torch.tensor([v], dtype=torch.float64)
    for root, curvature in ((contraction(variance, lam), 1), (barrier(variance, lam), -1)):
        a = root.clone().requires_grad_()
        value = objective_in_one_direction(a, variance, lam).sum()
        (slope,) = torch.autograd.grad(value, a, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), a)
        assert abs(float(slope.detach())) < 1e-9 * max(1, lam / float(root)) * 1e3
        assert curvature * float(bend.detach()) > 0


def test_perfect_autoencoder_has_the_covariances_axes() -> None:
    lam = 0.1
    r = SKEWED.perfect(lam)
    values, axes = torch.linalg.eigh(SKEWED.covariance)
    for v, q in zip(values, axes.T, strict=True):
        moved = r((SKEWED.mean + q)[None]) - SKEWED.mean
        torch.testing.assert_close(moved[0], q * (1 + math.sqrt(1 - 2 * lam / v)) / 2)


def test_perfect_autoencoder_names_what_collapses() -> None:
    density = Gaussian(torch.zeros(3), torch.diag(torch.tensor([0.1, 1.0, 0.15])))
    with pytest.raises(CollapseError, match=r"axis 1 \(variance 0.1\), axis 2 \(variance 0.15\).*lam < 0.05") as caught:
        density.perfect(0.1)
    assert len(caught.value.directions) == 2
    density.perfect(0.0499)


def test_threshold_is_twice_lambda() -> None:
    v = collapse_threshold(0.1)
    assert float(contraction(torch.tensor([v], dtype=torch.float64), 0.1)) == pytest.approx(0.5)
    with pytest.raises(CollapseError, match=r"lam <= 0\.095"):
        contraction(torch.tensor([0.19]), 0.1)


def test_ring_is_as_described() -> None:
    assert ring().n == 2
    assert ring().means.norm(dim=1).tolist() == pytest.approx([2.0] * 8)
    assert ring().covariances[3].tolist() == [[0.25, 0.0], [0.0, 0.25]]


def test_samples_come_from_the_generator_alone() -> None:
    for density in ALL.values():
        before = torch.get_rng_state()
        first = density.sample(7, torch.Generator().manual_seed(5))
        assert torch.equal(before, torch.get_rng_state())
        assert first.dtype == torch.float32
        assert first.shape == (7, density.n)
        assert torch.equal(first, density.sample(7, torch.Generator().manual_seed(5)))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Gaussian(torch.zeros(2), torch.eye(3)), r"shape \(3, 3\).*Give \(2, 2\)"),
        (lambda: Gaussian(torch.zeros(2), torch.tensor([[1.0, 0.5], [0.0, 1.0]])), "not symmetric"),
        (lambda: Gaussian(torch.zeros(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]])), "eigenvalue -1"),
        (lambda: Mixture(torch.tensor([0.5, 0.6]), torch.zeros(2, 1), torch.ones(2, 1, 1)), "of sum 1"),
        (lambda: Mixture(torch.tensor([1.0]), torch.zeros(1, 2), torch.ones(1, 1, 1)), r"Give \(1, 2, 2\)"),
        (lambda: SkewT(0.0, 1.0), "a = 0"),
        (lambda: Banana(1), "n = 1"),
        (lambda: Banana(2, curvature=math.nan), "curvature = nan"),
        (lambda: Funnel(2, spread=-1.0), "spread = -1"),
        (lambda: collapse_threshold(0.0), "lam = 0"),
        (lambda: contraction(torch.ones(1), -1.0), "lam = -1"),
    ],
)
def test_bad_numbers_are_named(build, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        build()
