"""One transition a file: ``init`` and ``step``, pure. Every module here is looked through for kernels."""

import inspect
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from reinject.walks.kernels.kernel import Info, Kernel, Named, State, Usage


def _found() -> dict[str, type[Any]]:
    """The kernels of the modules beside this one, by the names of their classes."""
    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__) if info.name != "kernel"]
    return {
        name: cls
        for module in modules
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if hasattr(cls, "step") and cls.__module__ == module.__name__
    }


_CLASSES = _found()
KERNELS: dict[str, type[Any]] = {cls.usage.name: cls for cls in _CLASSES.values() if hasattr(cls, "usage")}

__all__ = ["KERNELS", "Info", "Kernel", "Named", "State", "Usage", *_CLASSES]


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return _CLASSES[name]
    raise AttributeError(f"module 'reinject.walks.kernels' has no attribute {name!r}")
