"""lambda, sigma, noise and the score: exact on Gaussians, errors of the right order."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reinject.base.errors import ArgumentError
from reinject.score import lam_of_sigma, noise_scale, score, sigma_of_lam

POSITIVE = st.floats(1e-6, 1e6)


@given(POSITIVE)
def test_sigma_and_lam_are_inverse(lam: float) -> None:
    assert lam_of_sigma(sigma_of_lam(lam)) == pytest.approx(lam)


@given(POSITIVE)
def test_noise_scales(lam: float) -> None:
    assert noise_scale(lam, "matched") ** 2 == pytest.approx(lam)
    assert noise_scale(lam, "printed") == lam


def test_matched_and_printed_coincide_at_one() -> None:
    assert noise_scale(1.0, "matched") == noise_scale(1.0, "printed")


@given(st.one_of(st.floats(max_value=0), st.just(float("nan")), st.just(float("inf"))))
def test_lam_out_of_range_is_refused_by_name(lam: float) -> None:
    for call in (
        lambda: noise_scale(lam, "matched"),
        lambda: sigma_of_lam(lam),
        lambda: score(lambda x: x, torch.zeros(1, 1), lam),
    ):
        with pytest.raises(ArgumentError, match="lam"):
            call()


@pytest.mark.parametrize("noise", ["loud", -0.1, float("nan"), float("inf")])
def test_bad_noise_is_refused(noise: object) -> None:
    with pytest.raises(ArgumentError, match="noise"):
        noise_scale(0.1, noise)  # type: ignore[arg-type]


def test_score_of_the_perfect_gaussian_autoencoder_has_an_error_of_order_lam() -> None:
    """r = a x with a = (1 + sqrt(1 - 2 lam / v)) / 2 (THEORY): 2 (r - x) / lam against -x / v, slope 1 in log-log."""
    v = 0.7
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    lams = np.array([0.1, 0.05, 0.025, 0.0125, 0.00625])
    errors = []
    for lam in lams:
        a = (1 + np.sqrt(1 - 2 * lam / v)) / 2
        errors.append(float((score(lambda x, a=a: a * x, x, float(lam)) + x / v).abs().max()))
    slope = np.polyfit(np.log(lams), np.log(errors), 1)[0]
    assert 0.9 < slope < 1.1


def test_score_of_the_optimal_denoiser_is_that_of_the_smoothed_gaussian() -> None:
    v, sigma = 0.7, 0.4
    x = torch.linspace(-2, 2, 9)[:, None]
    got = score(lambda x: x * v / (v + sigma**2), x, lam_of_sigma(sigma))
    torch.testing.assert_close(got, -x / (v + sigma**2))


def test_shapes_in_signatures_are_checked_while_tests_run() -> None:
    with pytest.raises(TypeError, match="score"):
        score(lambda x: x, torch.zeros(2, 3, dtype=torch.int64), 0.1)
