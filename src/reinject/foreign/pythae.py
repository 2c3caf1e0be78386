"""Load model folders of pythae; their pickled weights are read once, at the import, and stored as safetensors."""

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from reinject.base.errors import ModelError
from reinject.base.files import read_json
from reinject.foreign.adapters import Noiseless
from reinject.foreign.route import Given, Loaded, Route, Taken, library, readable

_CONFIG, _PICKLE, _WEIGHTS = "model_config.json", "model.pt", "weights.safetensors"
_OWN = ("encoder.pkl", "decoder.pkl")
_BETWEEN = ("VQVAE", "VAE_IAF", "VAE_LinNF")  # a quantiser or a flow lies between encoder and decoder


def _fits(source: str) -> bool:
    return (Path(source) / _CONFIG).is_file()


def _take(source: str, folder: Path, given: Given) -> Taken:  # noqa: ARG001
    for name in (_CONFIG, _PICKLE):
        if not (Path(source) / name).is_file():
            raise ModelError(source, f"has no {name}", "Save it with model.save(folder)")
    shutil.copyfile(Path(source) / _CONFIG, folder / _CONFIG)
    for name in _OWN:
        if (Path(source) / name).is_file():
            shutil.copyfile(Path(source) / name, folder / name)
    if any((folder / name).is_file() for name in _OWN):
        shutil.copyfile(Path(source) / _PICKLE, folder / _PICKLE)
        return Taken(".")
    model = _built(folder)
    try:
        state = torch.load(Path(source) / _PICKLE, weights_only=True, map_location="cpu")["model_state_dict"]
        model.load_state_dict(state)
    except Exception as error:  # a damaged pickle may raise any error
        raise readable("pythae", source, error) from error
    save_model(model, str(folder / _WEIGHTS))
    return Taken(".")


def _class(folder: Path) -> Any:
    """Return the class of the model and the class of its config."""
    models = library("pythae.models", "pythae")
    name = str(read_json(folder / _CONFIG, ModelError).get("name", ""))
    kind, config = (getattr(models, one, None) for one in (name.removesuffix("Config").rstrip("_"), name))
    if kind is None or config is None:
        raise ModelError(str(folder), f"has a config {name!r}", "Give a model of pythae.models")
    return kind, config


def _built(folder: Path) -> nn.Module:
    kind, config = _class(folder)
    try:
        model: nn.Module = kind(config.from_json_file(str(folder / _CONFIG)))
    except Exception as error:  # its own validation may raise any error
        raise readable("pythae", str(folder), error) from error
    return model


def _runs_code(folder: Path, source: str) -> bool:
    return any((folder / source / name).is_file() for name in _OWN)


def _load(folder: Path, source: str) -> Loaded:
    place = folder / source
    if _runs_code(folder, source):
        kind, _ = _class(place)
        model = kind.load_from_folder(str(place))
    else:
        model = _built(place)
        load_model(model, place / _WEIGHTS)
    shape = read_json(place / _CONFIG, ModelError).get("input_dim")

    mean = _Mean(model)

    def decode(h: Tensor) -> Tensor:
        x: Tensor = model.decoder(h).reconstruction
        return x

    return Loaded(mean, tuple(shape) if shape else None, (0.0, 1.0), mean.code, decode, "values")


class _Mean(nn.Module):
    """Return decode(code(x)), with the mean code of variational models, so that r is deterministic."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.what = model, type(model).__name__

    def code(self, x: Tensor) -> Tensor:
        """Return the code that the model decodes, without its noise."""
        if self.what in _BETWEEN:
            with Noiseless():
                code: Tensor = self.model({"data": x}).z
            return code
        code = self.model.encoder(x).embedding
        return code / code.norm(dim=-1, keepdim=True) if self.what == "SVAE" else code  # its codes lie on a sphere

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model.decoder(self.code(x)).reconstruction
        return y


ROUTE = Route(
    "pythae", "a folder of a pythae model", _fits, _take, _load, _runs_code, pickled=True, libraries=("pythae.models",)
)
