"""The score, the Jacobian and the energy of any autoencoder; the one place where lambda, sigma and step sizes meet."""

from reinject.score.energy import Difference, energy_difference, outlier_score, relative_log_density, segment_integral
from reinject.score.jacobian import LogDet, asymmetry, jacobian, log_det, push, signs_like, value_and_jacobian
from reinject.score.singular import Singular, singular_values
from reinject.score.stein import Lam, effective_dimension, estimate_lam
from reinject.score.stochastic import Estimate, log_det_lanczos, log_det_roulette, trace
from reinject.score.units import lam_of_sigma, noise_scale, score, sigma_of_lam

__all__ = [
    "Difference",
    "Estimate",
    "Lam",
    "LogDet",
    "Singular",
    "asymmetry",
    "effective_dimension",
    "energy_difference",
    "estimate_lam",
    "jacobian",
    "lam_of_sigma",
    "log_det",
    "log_det_lanczos",
    "log_det_roulette",
    "noise_scale",
    "outlier_score",
    "push",
    "relative_log_density",
    "score",
    "segment_integral",
    "sigma_of_lam",
    "signs_like",
    "singular_values",
    "trace",
    "value_and_jacobian",
]


def __dir__() -> list[str]:
    return sorted(__all__)
