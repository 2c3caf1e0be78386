"""Load autoencoders of diffusers: folders of ``AutoencoderKL``, ``AutoencoderTiny`` and ``VQModel``."""

import json
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from reinject.base.errors import ModelError
from reinject.base.files import read_json
from reinject.foreign.route import Given, Loaded, Route, Taken, library, never, readable

_CLASSES = ("AutoencoderKL", "AutoencoderTiny", "VQModel")
_FILES = ("config.json", "diffusion_pytorch_model.safetensors")


def _fits(source: str) -> bool:
    path = Path(source) / "config.json"
    try:
        return path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("_class_name") in _CLASSES
    except (ValueError, AttributeError):
        return False


def _take(source: str, folder: Path, given: Given) -> Taken:  # noqa: ARG001
    for name in _FILES:
        if not (Path(source) / name).is_file():
            raise ModelError(source, f"has no {name}", "Save it with save_pretrained(safe_serialization=True)")
        shutil.copyfile(Path(source) / name, folder / name)
    return Taken(".")


def _load(folder: Path, source: str) -> Loaded:
    diffusers = library("diffusers", "diffusers")
    config: Any = read_json(folder / source / _FILES[0], ModelError)
    if config.get("_class_name") not in _CLASSES:
        raise ModelError(str(folder), f"is a {config.get('_class_name')!r}", f"Give one of {', '.join(_CLASSES)}")
    try:
        model = getattr(diffusers, config["_class_name"]).from_pretrained(
            str(folder / source), use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
        )
    except (OSError, ValueError, RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise readable("diffusers", str(folder), error) from error
    size = config.get("sample_size")
    shape = (config["in_channels"], size, size) if isinstance(size, int) else None

    def encode(x: Tensor) -> Tensor:
        found = model.encode(x)
        code: Tensor = found.latent_dist.mode() if hasattr(found, "latent_dist") else found.latents
        return code

    decode = lambda h: model.decode(h).sample  # noqa: E731
    return Loaded(model, None, (-1.0, 1.0), encode, decode, "values", usual=shape)


ROUTE = Route(
    "diffusers",
    "a folder of AutoencoderKL, AutoencoderTiny or VQModel",
    _fits,
    _take,
    _load,
    never,
    libraries=("diffusers.models",),
)
