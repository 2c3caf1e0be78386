"""Load Keras 3 models, on its torch backend."""

import json
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from reinject.base.errors import ModelError
from reinject.foreign.route import Loaded, Route, check_zip, copied, ends_with, library, readable

_PARTS = ("layers", "initializers", "regularizers", "constraints", "activations")
_MODULES = ("keras", *(f"keras.{part}" for part in _PARTS))
_OBJECTS = ("Sequential", "Functional", "Model", "DTypePolicy")  # of keras itself
_TRAINING = re.compile(r"keras\.(optimizers(\.schedules)?|losses|metrics|src\.backend\.\w+\.optimizers\.\w+)")
_UNSAFE = (  # layers that run code, and layers that read files named by the config
    *("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"),
    *("StringLookup", "IntegerLookup", "TextVectorization"),
)
_MOST = 64 << 20  # most bytes of a config


def _config(path: Path) -> Any:
    check_zip(path)
    try:
        with zipfile.ZipFile(path) as file:
            info = file.getinfo("config.json")
            if info.file_size > _MOST:
                raise ModelError(str(path), f"has a config of {info.file_size} bytes", "Export it again")
            return json.loads(file.read(info))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, RecursionError) as error:
        raise readable("keras", str(path), error) from error


def _runs_code(folder: Path, source: str) -> bool:
    """Return whether a layer is not one of Keras' own, or is one that runs code.

    The model's own compile settings are not read. Those of a model inside it are, and must be Keras' own.
    """
    config = _config(folder / source)
    layers = {name: part for name, part in config.items() if name != "compile_config"}
    return any(_foreign(node) for node in _nodes(layers))


def _foreign(node: dict[str, Any]) -> bool:
    module, name = node.get("module"), node["class_name"]
    if node.get("registered_name") not in (None, name) or name in _UNSAFE:
        return True
    if module is None:
        return bool(name != "__keras_tensor__")  # __lambda__, __function__ and their like
    if (module, name) == ("keras.src.models.functional", "Functional"):
        return False
    if _TRAINING.fullmatch(str(module)):
        return False
    return bool(module not in _MODULES or (module == "keras" and name not in _OBJECTS))


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all parts of a config that name a class."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            if isinstance(one.get("class_name"), str):
                yield one
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)


def _load(folder: Path, source: str) -> Loaded:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = library("keras", "keras")
    if keras.backend.backend() != "torch":
        raise ModelError(source, f"Keras runs on {keras.backend.backend()} here", "Set KERAS_BACKEND=torch")
    path = folder / source
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not _runs_code(folder, source))
    except Exception as error:  # a damaged file may raise any error
        raise readable("keras", source, error) from error
    shape = tuple(model.input_shape[1:])
    return Loaded(_Inference(model), shape if all(isinstance(length, int) for length in shape) else None)


class _Inference(nn.Module):
    """Call a model as its own ``predict`` does: not in training, whatever its layers default to."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.what = model, type(model).__name__

    def forward(self, x: Tensor) -> Any:
        return self.model(x, training=False)


ROUTE = Route(
    "keras", "FILE.keras, on the torch backend", ends_with(".keras"), copied, _load, _runs_code, libraries=("keras",)
)
