"""Kernels: one transition a file, with pure ``init`` and ``step``. A new module here is found by itself."""

import inspect
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from reinject.walks.kernels.kernel import Info, Kernel, Named, State, Usage

if TYPE_CHECKING:  # what type checkers and editors see; a test compares it with what is found
    from reinject.walks.kernels.ancestral import Ancestral as Ancestral
    from reinject.walks.kernels.annealed import Annealed as Annealed
    from reinject.walks.kernels.bounded import Bounded as Bounded
    from reinject.walks.kernels.clamped import Clamped as Clamped
    from reinject.walks.kernels.clamped import Measured as Measured
    from reinject.walks.kernels.guided import Guided as Guided
    from reinject.walks.kernels.half_denoising import HalfDenoising as HalfDenoising
    from reinject.walks.kernels.langevin import Langevin as Langevin
    from reinject.walks.kernels.metropolis import Metropolis as Metropolis
    from reinject.walks.kernels.multistep import Multistep as Multistep
    from reinject.walks.kernels.reinjection import Reinjection as Reinjection
    from reinject.walks.kernels.self_tuning import SelfTuning as SelfTuning
    from reinject.walks.kernels.tangent import Tangent as Tangent
    from reinject.walks.kernels.underdamped import Underdamped as Underdamped
    from reinject.walks.kernels.walk_jump import WalkJump as WalkJump
    from reinject.walks.kernels.walkback import Walkback as Walkback

__all__ = [
    "KERNELS",
    "Ancestral",
    "Annealed",
    "Bounded",
    "Clamped",
    "Guided",
    "HalfDenoising",
    "Info",
    "Kernel",
    "Langevin",
    "Measured",
    "Metropolis",
    "Multistep",
    "Named",
    "Reinjection",
    "SelfTuning",
    "State",
    "Tangent",
    "Underdamped",
    "Usage",
    "WalkJump",
    "Walkback",
]


def _found() -> dict[str, type[Any]]:
    """Return the kernels of the modules of this package, by the names of their classes."""
    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__) if info.name != "kernel"]
    return {
        name: cls
        for module in modules
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if hasattr(cls, "step") and cls.__module__ == module.__name__
    }


_CLASSES = _found()
globals().update(_CLASSES)
KERNELS: dict[str, type[Any]] = {cls.usage.name: cls for cls in _CLASSES.values() if hasattr(cls, "usage")}


def __dir__() -> list[str]:
    return sorted(__all__)
