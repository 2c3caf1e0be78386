"""reinject: sample from any autoencoder.

    model + start --> kernel --> walk --> label --> archive --> evaluation --> report

The public names below are loaded when they are first used, so that ``import reinject`` costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Archive": "reinject.archive.read",
    "Reconstruction": "reinject.walks.reconstruction",
    "ReinjectError": "reinject.base.errors",
    "RunSpec": "reinject.walks.specs",
    "StoreSpec": "reinject.sampling.synthesis",
    "WalkSpec": "reinject.walks.specs",
    "Stream": "reinject.sampling.stream",
    "algorithm1": "reinject.sampling.synthesis",
    "evaluate": "reinject.report.evaluated",
    "latent": "reinject.walks.reconstruction",
    "Format": "reinject.sampling.sample_spec",
    "SampleSpec": "reinject.sampling.sample_spec",
    "Writing": "reinject.sampling.sample_spec",
    "sample": "reinject.sampling.sample",
    "wrap": "reinject.walks.reconstruction",
    "synthesise": "reinject.sampling.synthesis",
    "train": "reinject.training.train",
    "walk": "reinject.walks.loop",
}
_MODULES = {
    "densities": "reinject.densities",
    "kernels": "reinject.walks.kernels",
    "objectives": "reinject.training.objectives",
    "schedules": "reinject.walks.schedules",
    "score": "reinject.score",
    "starts": "reinject.walks.starts",
}

__all__ = [
    "Archive",
    "Format",
    "Reconstruction",
    "ReinjectError",
    "RunSpec",
    "SampleSpec",
    "StoreSpec",
    "Stream",
    "WalkSpec",
    "Writing",
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
    if name in _MODULES:
        return import_module(_MODULES[name])
    raise AttributeError(f"module 'reinject' has no attribute {name!r}")
