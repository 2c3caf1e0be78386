"""Losses on r: reconstruction, contractive, denoising, walkback, perfect lossy. See :mod:`reinject.objectives.base`."""

from reinject.objectives.axes import PrincipalAxes, check_lam, principal_axes, safe_lam
from reinject.objectives.base import Objective, Value
from reinject.objectives.denoising import Denoising, Walkback
from reinject.objectives.lossy import PerfectLossy
from reinject.objectives.plain import Contractive, reconstruction

__all__ = [
    "Contractive",
    "Denoising",
    "Objective",
    "PerfectLossy",
    "PrincipalAxes",
    "Value",
    "Walkback",
    "check_lam",
    "principal_axes",
    "reconstruction",
    "safe_lam",
]
