"""reinject: sample from any autoencoder.

    model + start --> kernel --> walk --> label --> archive --> evaluation --> report

The public names below are loaded when they are first used, so that ``import reinject`` costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Archive": "reinject.archive",
    "Reconstruction": "reinject.reconstruction",
    "ReinjectError": "reinject.errors",
    "Stream": "reinject.jobs.stream",
    "algorithm1": "reinject.synthesis",
    "evaluate": "reinject.jobs.evaluate",
    "latent": "reinject.reconstruction",
    "sample": "reinject.jobs.sample",
    "wrap": "reinject.reconstruction",
    "synthesise": "reinject.synthesis",
    "train": "reinject.jobs.train",
    "walk": "reinject.walks",
}
_ROOMS = ("densities", "kernels", "objectives", "schedules", "score", "starts")

__all__ = [
    "Archive",
    "Reconstruction",
    "ReinjectError",
    "Stream",
    "algorithm1",
    "evaluate",
    "latent",
    "sample",
    "synthesise",
    "train",
    "walk",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _ROOMS:
        return import_module(f"reinject.{name}")
    raise AttributeError(f"module 'reinject' has no attribute {name!r}")
