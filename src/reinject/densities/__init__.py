"""Exact densities with score, smoothed score and perfect autoencoder: oracles for docs, tests and `reinject theory`."""

from reinject.densities.boundary_value import Stationary, euler_lagrange
from reinject.densities.density import Density, Smoothable
from reinject.densities.gaussian import Gaussian, barrier, collapse_threshold, contraction
from reinject.densities.mixture import Mixture, mixture8, ring, two_modes
from reinject.densities.shapes import Banana, Funnel, SkewT

__all__ = [
    "Banana",
    "Density",
    "Funnel",
    "Gaussian",
    "Mixture",
    "SkewT",
    "Smoothable",
    "Stationary",
    "barrier",
    "collapse_threshold",
    "contraction",
    "euler_lagrange",
    "mixture8",
    "ring",
    "two_modes",
]


def __dir__() -> list[str]:
    return sorted(__all__)
