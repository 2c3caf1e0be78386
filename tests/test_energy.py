"""Energies and lambda read off r, against densities that know both."""

import math
from inspect import unwrap  # past the shape checks of conftest.py, to those that users meet

import pytest
import torch
from torch import Tensor

from reinject.base.errors import ArgumentError, ModelError
from reinject.densities import Gaussian, mixture8, ring, two_modes
from reinject.score import effective_dimension, energy_difference, estimate_lam, outlier_score, relative_log_density

LAM = 0.05


def exact_r(density):
    return lambda x: x + LAM / 2 * density.score(x)


def points(density, count: int, seed: int) -> Tensor:
    return density.sample(count, torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("density", [mixture8(), ring(), two_modes()], ids=["mixture8", "ring", "two modes"])
def test_energy_difference_is_that_of_the_log_densities(density) -> None:
    a, b = points(density, 50, 1), points(density, 50, 2)
    got = energy_difference(exact_r(density), a, b, LAM)
    torch.testing.assert_close(got.value, density.log_prob(b) - density.log_prob(a), rtol=0, atol=1e-4)
    assert float(got.error.max()) <= 1e-6 or got.order == 256


def test_energy_does_not_depend_on_the_path_where_the_jacobian_is_symmetric() -> None:
    density = mixture8()
    a, b, c = (points(density, 20, seed) for seed in (1, 2, 3))
    r = exact_r(density)
    bent = energy_difference(r, a, c, LAM, 1e-9).value + energy_difference(r, c, b, LAM, 1e-9).value
    torch.testing.assert_close(energy_difference(r, a, b, LAM, 1e-9).value, bent, rtol=0, atol=1e-6)


def test_energy_depends_on_the_path_where_it_is_not_and_says_so() -> None:
    turn = torch.tensor([[1.0, 0.4], [-0.4, 1.0]], dtype=torch.float64)
    a, b, c = (torch.tensor([p], dtype=torch.float64) for p in ([0.0, 0.0], [1.0, 0.0], [1.0, 1.0]))
    generator = torch.Generator().manual_seed(0)

    def go(p: Tensor, q: Tensor) -> float:
        return float(energy_difference(lambda x: x @ turn, p, q, LAM).value)

    assert abs(go(a, b) - go(a, c) - go(c, b)) > 1
    straight = energy_difference(lambda x: x @ turn, a, b, LAM, generator=generator)
    assert float(straight.asymmetry) == pytest.approx(0.8 * math.sqrt(2) / turn.norm().item())
    assert math.isnan(float(energy_difference(lambda x: x @ turn, a, b, LAM).asymmetry))


def test_energy_difference_is_antisymmetric_and_scales_as_one_over_lambda() -> None:
    density = ring()
    a, b = points(density, 10, 1), points(density, 10, 2)
    r = exact_r(density)
    forth, back = energy_difference(r, a, b, LAM).value, energy_difference(r, b, a, LAM).value
    torch.testing.assert_close(forth, -back)
    torch.testing.assert_close(energy_difference(r, a, b, 2 * LAM).value, forth / 2)


def test_quadrature_stops_at_the_tolerance() -> None:
    density = ring()
    a, b = points(density, 20, 1), points(density, 20, 2)
    orders = [energy_difference(exact_r(density), a, b, LAM, tolerance).order for tolerance in (1.0, 1e-3, 1e-9)]
    assert orders == sorted(orders)
    assert orders[0] < orders[2]
    kinked = energy_difference(lambda x: x + LAM * (x > 0.3).double(), a, b, LAM)
    assert kinked.order == 256
    assert float(kinked.error.max()) > 1e-6


def test_no_gradient_is_kept() -> None:
    linear = torch.nn.Linear(2, 2)
    assert not energy_difference(linear, torch.zeros(3, 2), torch.ones(3, 2), LAM).value.requires_grad


def test_relative_log_density_and_outliers() -> None:
    density, reference = ring(), torch.tensor([2.0, 0.0], dtype=torch.float64)
    x = points(density, 30, 3)
    expected = density.log_prob(x) - density.log_prob(reference[None])
    torch.testing.assert_close(
        relative_log_density(exact_r(density), x, reference, LAM).value, expected, rtol=0, atol=1e-4
    )
    torch.testing.assert_close(outlier_score(exact_r(density), x, reference, LAM), -expected, rtol=0, atol=1e-3)
    far = torch.tensor([[6.0, 6.0]], dtype=torch.float64)
    assert float(outlier_score(exact_r(density), far, reference, LAM)) > 20


WIDE = Gaussian(torch.tensor([3.0, -1.0, 0.0]), torch.diag(torch.tensor([4.0, 0.5, 0.01])))


@pytest.mark.parametrize("sigma", [0.05, 0.3])
def test_lambda_of_a_gaussian_denoiser(sigma: float) -> None:
    """Matched and effective on clean points, full on noisy ones: 2 sigma^2 within 4.5 standard errors."""
    x = points(WIDE, 20_000, 1)
    noisy = x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def r(y: Tensor) -> Tensor:
        return WIDE.denoiser(y, sigma)

    exact = (estimate_lam(r, x), estimate_lam(r, x, "effective"), estimate_lam(r, noisy, "full"))
    for found in (*exact, estimate_lam(r, noisy, 3.0)):
        assert abs(found.value - 2 * sigma**2) < 4.5 * found.standard_error
        assert found.standard_error < 0.05 * found.value
    short = estimate_lam(r, x, "full")
    v = torch.tensor([4.0, 0.5, 0.01])
    assert short.value == pytest.approx(2 / 3 * float((sigma**2 * v / (v + sigma**2)).sum()), rel=0.03)


@pytest.mark.parametrize("density", [mixture8(), ring(), two_modes()], ids=["mixture8", "ring", "two modes"])
@pytest.mark.parametrize("sigma", [0.1, 0.4])
def test_matched_lambda_is_exact_for_the_denoiser_of_any_density(density, sigma: float) -> None:
    found = estimate_lam(lambda y: density.denoiser(y, sigma), points(density, 20_000, 1))
    assert abs(found.value - 2 * sigma**2) < 4.5 * found.standard_error
    assert found.standard_error < 0.05 * found.value


def test_effective_lambda_is_not_where_the_density_is_no_gaussian() -> None:
    found = estimate_lam(lambda y: two_modes().denoiser(y, 0.6), points(two_modes(), 20_000, 1), "effective")
    assert abs(found.value / 0.72 - 1) > 0.2


def test_lambda_of_a_perfect_lossy_autoencoder_agrees_to_first_order() -> None:
    density = Gaussian(torch.zeros(2), torch.diag(torch.tensor([1.0, 2.0])))
    x = points(density, 20_000, 1)
    for lam in (0.1, 0.01):
        for method in ("matched", "full", "effective"):
            found = estimate_lam(density.perfect(lam), x, method)
            assert abs(found.value / lam - 1) < lam + 4.5 * found.standard_error / lam


@pytest.mark.parametrize("method", ["matched", "effective"])
def test_lambda_of_a_bottleneck_counts_what_it_keeps(method) -> None:
    """A denoiser and then a projection: the flat direction is dropped, and does not count."""
    sigma = 0.2
    keep = torch.tensor([1.0, 1.0, 0.0])
    flat = Gaussian(torch.zeros(3), torch.diag(torch.tensor([2.0, 1.0, 1e-8])))
    x = points(flat, 20_000, 1)

    def r(y: Tensor) -> Tensor:
        return flat.denoiser(y, sigma) * keep

    found = estimate_lam(r, x, method)
    assert abs(found.value - 2 * sigma**2) < 4.5 * found.standard_error
    dimension = effective_dimension(r, x, torch.Generator().manual_seed(0))
    assert dimension == pytest.approx(2 / 2.04 + 1 / 1.04, abs=0.01)


def test_matched_lambda_of_a_map_that_only_shrinks_noise_is_refused() -> None:
    """r = m for every y takes all noise away, whatever its level."""
    with pytest.raises(ModelError, match="no noise level matches"):
        estimate_lam(lambda y: y.mean(0, keepdim=True).expand_as(y), points(WIDE, 200, 1))


@pytest.mark.parametrize("method", ["matched", "effective", "full"])
def test_lambda_does_not_depend_on_where_the_data_is(method) -> None:
    """A shift by 100 changes nothing: (y - m), not y."""
    x = points(WIDE, 1000, 1)
    here = estimate_lam(lambda y: WIDE.denoiser(y, 0.3), x, method)
    there = estimate_lam(lambda y: WIDE.denoiser(y - 100, 0.3) + 100, x + 100, method)
    assert there.value == pytest.approx(here.value, rel=1e-9)
    assert there.standard_error == pytest.approx(here.standard_error, rel=1e-6)


def test_standard_error_of_lambda_is_that_of_repetitions() -> None:
    found = [estimate_lam(lambda y: WIDE.denoiser(y, 0.3), points(WIDE, 400, k)) for k in range(200)]
    z2 = torch.tensor([((e.value - 0.18) / e.standard_error) ** 2 for e in found]).mean()
    assert 0.7 < float(z2) < 1.4


def test_effective_dimension_is_the_mean_trace() -> None:
    a = torch.tensor([[0.9, 0.3], [-0.2, 0.4]])
    got = effective_dimension(lambda x: x @ a, torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)),
                              torch.Generator().manual_seed(1))  # fmt: skip
    assert got == pytest.approx(1.3, abs=0.01)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: energy_difference(lambda x: x, x, x, 0.0), ArgumentError, "lam = 0"),
        (lambda x: energy_difference(lambda x: x, x, x, LAM, -1.0), ArgumentError, "tolerance = -1"),
        (lambda x: unwrap(energy_difference)(lambda x: x, x, x[:1], LAM), ArgumentError, r"b is \(1, 2\)"),
        (lambda x: energy_difference(lambda x: x[:, :1], x, x, LAM), ModelError, "not square"),
        (lambda x: estimate_lam(lambda x: 0.9 * x, x[:15]), ArgumentError, "15 held-out points are too few.*16"),
        (lambda x: unwrap(estimate_lam)(lambda x: 0.9 * x, x, "half"), ArgumentError, "'half'"),
        (lambda x: estimate_lam(lambda x: 0.9 * x, x, 0.0), ArgumentError, "dimension = 0"),
        (lambda x: estimate_lam(lambda x: 1.1 * x, x), ModelError, "does not pull"),
        (lambda x: estimate_lam(lambda x: x[:, :1], x), ModelError, "not square"),
        (lambda x: unwrap(estimate_lam)(lambda x: 0.9 * x, x.long()), ArgumentError, "floating-point"),
    ],
)
def test_bad_input_is_named(call, error, words: str) -> None:
    with pytest.raises(error, match=words):
        call(torch.randn(40, 2, generator=torch.Generator().manual_seed(0)))
