"""Classifiers: x to logits."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reinject.base.errors import ModelError
from reinject.networks.network import Inputs, Network, image_shape, mlp


class MLPClassifier(Network):
    """A classifier of linear layers: logits = MLP((x - mean) / std).

    Arguments:
        inputs: meaning of its inputs; the number of class names is the number of outputs.
        hidden: widths of the hidden layers.
        dropout: probability of dropping a hidden value in training.
    """

    def __init__(self, inputs: Inputs, hidden: Sequence[int] = (512, 256), dropout: float = 0.2) -> None:
        super().__init__()
        self.inputs = inputs
        self.layers = mlp([inputs.n, *hidden, _classes(inputs)], dropout)

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch classes"]:
        """Return logits of shape (B, classes) for x of shape (B, *shape)."""
        y: Tensor = self.layers((x - self.inputs.mean).div(self.inputs.std).flatten(1))
        return y


class ConvClassifier(Network):
    """A small convolutional classifier: two blocks of two convolutions, pooling, one linear layer.

    Arguments:
        inputs: meaning of its inputs; height and width divisible by 4.
        channels: of the first block; the second has twice as many.
        dropout: probability of dropping a pooled value in training.
    """

    layout = torch.channels_last

    def __init__(self, inputs: Inputs, channels: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        self.inputs = inputs
        c, h, w = image_shape(inputs, "ConvClassifier")
        wide = 2 * channels
        self.layers = nn.Sequential(
            nn.Conv2d(c, channels, 3, 1, 1),
            nn.SiLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, wide, 3, 1, 1),
            nn.SiLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(wide * (h // 4) * (w // 4), 128),
            nn.SiLU(),
            nn.Linear(128, _classes(inputs)),
        )
        self.laid_out()

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch classes"]:
        """Return logits of shape (B, classes) for x of shape (B, channels, height, width)."""
        y: Tensor = self.layers((x - self.inputs.mean) / self.inputs.std)
        return y


class DeepClassifier(Network):
    """A convolutional classifier with a penultimate layer for features: four stages, then their mean.

    Each stage is a convolution that doubles the channels, and one with a skip connection; between stages the sides are
    halved. Channels are normalised in groups, by sample, so the features of a row do not depend on the other rows.

    Arguments:
        inputs: meaning of its inputs; height and width divisible by 8.
        channels: of the first stage; the last has eight times as many, which is the number of features.
        dropout: probability of dropping a feature in training.
    """

    layout = torch.channels_last

    def __init__(self, inputs: Inputs, channels: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        self.inputs = inputs
        c, _, _ = image_shape(inputs, "DeepClassifier", 8)
        stages: list[nn.Module] = []
        for k in range(4):
            wide = channels * 2**k
            stages += [_normed(c, wide), _Around(_normed(wide, wide))] if k else [_normed(c, wide)]
            stages += [nn.MaxPool2d(2)] if k < 3 else []
            c = wide
        self.stages = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(c, _classes(inputs)))
        self.laid_out()

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch classes"]:
        """Return logits of shape (B, classes) for x of shape (B, channels, height, width)."""
        y: Tensor = self.head(self.stages((x - self.inputs.mean) / self.inputs.std))
        return y


class _Around(nn.Module):
    """Skip connection: x + f(x)."""

    def __init__(self, f: nn.Module) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.f(x)
        return y


def _normed(channels: int, wide: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, wide, 3, 1, 1, bias=False), nn.GroupNorm(8, wide), nn.SiLU())


def _classes(inputs: Inputs) -> int:
    if len(inputs.class_names) < 2:
        raise ModelError("classifier", f"class names {inputs.class_names}", "Give at least two classes")
    return len(inputs.class_names)
