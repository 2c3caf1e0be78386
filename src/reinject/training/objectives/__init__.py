"""Provide losses on r: reconstruction, contractive, denoising, walkback, perfect lossy."""

from reinject.training.objectives.axes import PrincipalAxes, check_lam, principal_axes, safe_lam
from reinject.training.objectives.denoising import Denoising, Walkback
from reinject.training.objectives.lossy import PerfectLossy
from reinject.training.objectives.objective import Objective, Value
from reinject.training.objectives.plain import Contractive, reconstruction

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


def __dir__() -> list[str]:
    return sorted(__all__)
