"""The common part of all networks: the meaning of the inputs, and storage on disk."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from reinject.base.errors import ModelError


@dataclass(frozen=True)
class Inputs:
    """Meaning of a model's inputs.

    Attributes:
        shape: of one input, without the batch; images are (channels, height, width).
        low: value of the darkest pixel (level 0 of 255), data units.
        high: value of the brightest pixel (level 255), data units.
        mean: of all values of the training data; networks subtract it.
        std: root mean square distance of a training value from its mean image; networks divide by it. std * sqrt(n) is
            the distance of a typical input from the mean, the natural unit of noise levels.
        class_names: in the order of a classifier's outputs.
        space: space of the inputs; "": pixels, else the features of one extractor.
    """

    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0
    mean: float = 0.5
    std: float = 0.5
    class_names: tuple[str, ...] = ()
    space: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if not (self.low < self.high and self.std > 0 and self.shape and min(self.shape) > 0):
            raise ModelError("inputs", f"{self}", "Give a shape, low < high and std > 0")

    @property
    def n(self) -> int:
        """Return the number of values of one input."""
        return math.prod(self.shape)

    @property
    def radius(self) -> float:
        """Return std * sqrt(n): distance of a typical input from the mean, data units."""
        return self.std * math.sqrt(self.n)


_CARD = """---
{{ card_data }}
---
A network of [reinject](https://pypi.org/project/reinject/). `config.json` says what its inputs mean; load it with
`reinject.models.bundle.load(folder)`, or with `from_pretrained` of the class that `architecture` names in
`reinject.networks`.
"""


class Network(nn.Module, PyTorchModelHubMixin, library_name="reinject", model_card_template=_CARD):
    """A network that stores its name and the meaning of its inputs in ``config.json``."""

    inputs: Inputs
    noise_conditioned = False
    layout = torch.contiguous_format  # of images in memory; channels_last if it is measurably faster

    def laid_out(self) -> Self:
        """Return the network with its weights in its layout, which its convolutions then keep."""
        return self.to(memory_format=self.layout)  # type: ignore[call-overload,no-any-return]  # stubs lack it

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> Any:
        """Save as huggingface_hub does, with the name of the class as ``architecture`` in ``config.json``."""
        config: Any = kwargs.pop("config", None) or self._hub_mixin_config
        config = {**config, "architecture": type(self).__name__}
        return super().save_pretrained(save_directory, config=config, **kwargs)


def mlp(sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Return linear layers of the given sizes, with SiLU and dropout between them."""
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes[:-1]):
        layers += [nn.Linear(a, b), nn.SiLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def image_shape(inputs: Inputs, owner: str, divisor: int = 4) -> tuple[int, int, int]:
    """Return (channels, height, width); raise ModelError unless ``divisor`` divides the sides."""
    if len(inputs.shape) != 3 or inputs.shape[1] % divisor or inputs.shape[2] % divisor:
        raise ModelError(
            owner,
            f"inputs of shape {inputs.shape}",
            f"Give (channels, height, width) with sides divisible by {divisor}, or use an MLP",
        )
    c, h, w = inputs.shape
    return c, h, w
