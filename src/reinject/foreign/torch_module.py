"""Any ``nn.Module``, or (encoder, decoder), by import path; with weights from safetensors where they are given."""

import importlib
import importlib.util
import shutil
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_model
from torch import nn

from reinject.errors import ModelError
from reinject.foreign.base import Loaded, Route, always

WEIGHTS = "weights.safetensors"


def _fits(source: str) -> bool:
    place, colon, name = source.rpartition(":")
    return (
        bool(colon) and name.isidentifier() and (place.endswith(".py") or all(map(str.isidentifier, place.split("."))))
    )


def _take(source: str, folder: Path, weights: Path | None) -> str:
    place, _, name = source.rpartition(":")
    if weights is not None:
        if weights.suffix != ".safetensors":
            raise ModelError(str(weights), "is no safetensors file", "Save it with safetensors.torch.save_model")
        shutil.copyfile(weights, folder / WEIGHTS)
    if not place.endswith(".py"):
        return source
    shutil.copyfile(place, folder / Path(place).name)
    return f"{Path(place).name}:{name}"


def _load(folder: Path, source: str) -> Loaded:
    place, _, name = source.rpartition(":")
    try:
        found = getattr(_module(folder, place), name)
        model = found if isinstance(found, (nn.Module, tuple)) else found()
    except (ImportError, AttributeError, TypeError, OSError) as error:
        raise ModelError(
            source, f"gives no model ({error})", "Name an nn.Module, a pair of them, or a function that makes one"
        ) from error
    whole = nn.Sequential(*model) if isinstance(model, tuple) else model
    if not isinstance(whole, nn.Module):
        raise ModelError(source, f"is a {type(model).__name__}", "Name an nn.Module, or a function that makes one")
    if (folder / WEIGHTS).is_file():
        _fill(whole, folder / WEIGHTS, source)
    halves = model if isinstance(model, tuple) else (getattr(model, "encode", None), getattr(model, "decode", None))
    encoder, decoder = (half if callable(half) else None for half in halves)
    return Loaded(whole, encoder=encoder, decoder=decoder)


def _module(folder: Path, place: str) -> Any:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    spec = importlib.util.spec_from_file_location(Path(place).stem, folder / place)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot read {place}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _fill(model: nn.Module, path: Path, source: str) -> None:
    try:
        load_model(model, path)
    except (SafetensorError, RuntimeError, OSError) as error:
        why = next(iter(str(error).splitlines()), "")
        raise ModelError(str(path), f"does not fit {source} ({why})", "Give the weights of this class") from error


ROUTE = Route(
    "module", "package.module:NAME or FILE.py:NAME, an nn.Module or what makes one", _fits, _take, _load, always
)
