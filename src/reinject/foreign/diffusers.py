"""Load models of diffusers: folders of autoencoders and of pipelines, or their names on the hub."""

import json
import shutil
from pathlib import Path
from typing import Any

from reinject.base.errors import ModelError
from reinject.base.files import read_json
from reinject.foreign.hub import fetched, is_hub_name
from reinject.foreign.pipelines import AUTOENCODERS, halves, is_pipeline, load_pipeline, read_part, take_pipeline
from reinject.foreign.route import Given, Loaded, Route, Taken, never

_FILES = ("config.json", "diffusion_pytorch_model.safetensors")


def _fits(source: str) -> bool:
    path = Path(source) / "config.json"
    if is_pipeline(Path(source)) or is_hub_name(source):
        return True
    try:
        return path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("_class_name") in AUTOENCODERS
    except (ValueError, AttributeError):
        return False


def _take(source: str, folder: Path, given: Given) -> Taken:  # noqa: ARG001
    place = fetched(source) if is_hub_name(source) else Path(source)
    if is_pipeline(place):
        take_pipeline(place, folder, source)
        return Taken(".")
    for name in _FILES:
        if not (place / name).is_file():
            raise ModelError(source, f"has no {name}", "Save it with save_pretrained(safe_serialization=True)")
        shutil.copyfile(place / name, folder / name)
    return Taken(".")


def _load(folder: Path, source: str) -> Loaded:
    if is_pipeline(folder / source):
        return load_pipeline(folder / source, str(folder))
    config: Any = read_json(folder / source / _FILES[0], ModelError)
    if config.get("_class_name") not in AUTOENCODERS:
        raise ModelError(str(folder), f"is a {config.get('_class_name')!r}", f"Give one of {', '.join(AUTOENCODERS)}")
    model = read_part(folder / source, config["_class_name"])
    size = config.get("sample_size")
    shape = (config["in_channels"], size, size) if isinstance(size, int) else None
    encode, decode = halves(model)
    return Loaded(model, None, (-1.0, 1.0), encode, decode, "values", usual=shape)


ROUTE = Route(
    "diffusers",
    "a folder of AutoencoderKL, AutoencoderTiny or VQModel, or of a pipeline of UNet2DModel, or its name on the hub",
    _fits,
    _take,
    _load,
    never,
    libraries=("diffusers.models", "diffusers.schedulers"),
)
