"""One transition a file: ``init`` and ``step``, pure."""

from reinject.kernels.ancestral import Ancestral, falling
from reinject.kernels.base import Info, Kernel, State
from reinject.kernels.langevin import Langevin

__all__ = ["Ancestral", "Info", "Kernel", "Langevin", "State", "falling"]
