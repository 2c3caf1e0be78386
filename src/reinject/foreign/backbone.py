"""Load vision backbones of the transformers library, by name or from a folder: images in, pooled features out."""

import importlib.util
from typing import Any

import torch
from torch import Tensor, nn

from reinject.base.errors import ModelError, reason

_MOMENTS = ("image_mean", "image_std")
_SEEN = "preprocessor_config.json"


class Backbone(nn.Module):
    """Return features of images: resized, normalised as in the network's training, pooled.

    f(x) = pool(network((resize(x) - mean) / std)): the network's own pooled output, or the mean of its last layer.

    Arguments:
        network: a model of transformers.
        size: height and width of its inputs, pixels.
        mean, std: of its training images, one value a channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, size: tuple[int, int], mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.network, self.size = network, size
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("std", std.reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, d) of images (B, 1 or 3, H, W) in [0, 1]."""
        wide = x.expand(-1, self.mean.shape[1], -1, -1)
        if tuple(wide.shape[2:]) != self.size:
            smooth = {"mode": "bilinear", "align_corners": False, "antialias": True}
            wide = nn.functional.interpolate(wide, self.size, **smooth)  # type: ignore[arg-type]
        given: Any = self.network(pixel_values=(wide - self.mean) / self.std)
        pooled = getattr(given, "pooler_output", None)
        if pooled is not None:
            return torch.as_tensor(pooled).flatten(1)
        last = torch.as_tensor(given.last_hidden_state)
        return last.mean((2, 3)) if last.ndim == 4 else last.mean(1)


def load_backbone(name: str) -> Backbone:
    """Load a backbone by its name on the Hugging Face hub, or from a folder; safetensors only, and no foreign code.

    Raises:
        ModelError: transformers is not installed; there is no such model; it has no safetensors; its inputs are not
            images.
    """
    if importlib.util.find_spec("transformers") is None:
        raise ModelError(name, "needs the package transformers", "pip install 'reinject[backbones]'")
    from transformers import AutoConfig, AutoModel
    from transformers.image_processing_base import ImageProcessingMixin

    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        network = AutoModel.from_pretrained(name, use_safetensors=True, trust_remote_code=False)
        seen, _ = ImageProcessingMixin.get_image_processor_dict(name)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(
            f"hf:{name}", f"is not available ({reason(error)})", "Give a vision model with safetensors"
        ) from error
    if getattr(network, "main_input_name", "") != "pixel_values":
        raise ModelError(f"hf:{name}", "is not a model of images", "Give a vision backbone, such as a ViT or a ResNet")
    return Backbone(network.eval(), _size(name, config, seen), *_moments(name, config, seen))


def _moments(name: str, config: Any, seen: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the channels; 0 and 1 for a model without normalisation."""
    if seen.get("do_normalize") is False:
        channels = int(getattr(config, "num_channels", 3))
        return torch.zeros(channels), torch.ones(channels)
    if any(not isinstance(seen.get(key), list) for key in _MOMENTS):
        raise ModelError(
            f"hf:{name}", "does not state the normalisation of its images", f"Give {' and '.join(_MOMENTS)} in {_SEEN}"
        )
    mean, std = (torch.tensor(seen[key], dtype=torch.float32) for key in _MOMENTS)
    return mean, std


def _size(name: str, config: Any, seen: dict[str, Any]) -> tuple[int, int]:
    """Return height and width, from the processor or else from the network."""
    for said in (seen.get("crop_size"), seen.get("size"), getattr(config, "image_size", None)):
        if isinstance(said, int):
            return said, said
        if isinstance(said, dict) and "height" in said:
            return int(said["height"]), int(said["width"])
        if isinstance(said, dict) and "shortest_edge" in said:
            return int(said["shortest_edge"]), int(said["shortest_edge"])
        if isinstance(said, (list, tuple)) and len(said) == 2:
            return int(said[0]), int(said[1])
    raise ModelError(f"hf:{name}", "does not state the size of its images", f"Give size in {_SEEN}")
