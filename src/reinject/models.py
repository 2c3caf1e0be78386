"""Ready-made autoencoders and classifiers.

Every network takes its inputs in data units and gives r(x) or logits; what the units are is said once, by
:class:`Inputs`, and kept in its ``config.json``. All of them are huggingface_hub models: ``save_pretrained``,
``from_pretrained`` and ``push_to_hub`` work.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from jaxtyping import Float
from torch import Tensor, nn

from reinject.errors import ModelError


@dataclass(frozen=True)
class Inputs:
    """What the inputs of a model mean.

    Attributes:
        shape: of one input, without the batch; images are (channels, height, width).
        low: value of the darkest pixel (level 0 of 255), data units.
        high: value of the brightest pixel (level 255), data units.
        mean: of all values of the training data; networks subtract it.
        std: root mean square distance of a training value from its mean image; networks divide by it. std * sqrt(n)
            is the distance of a typical input from the mean, the natural unit of noise levels.
        class_names: in the order of a classifier's outputs.
    """

    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0
    mean: float = 0.5
    std: float = 0.5
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if not (self.low < self.high and self.std > 0 and self.shape and min(self.shape) > 0):
            raise ModelError("inputs", f"{self}", "Give a shape, low < high and std > 0")

    @property
    def n(self) -> int:
        """Number of values of one input."""
        return math.prod(self.shape)

    @property
    def radius(self) -> float:
        """Std * sqrt(n): distance of a typical input from the mean, data units."""
        return self.std * math.sqrt(self.n)


_CARD = """---
{{ card_data }}
---
A network of [reinject](https://pypi.org/project/reinject/). `config.json` says what its inputs mean; load it with
`reinject.bundle.load(folder)`, or with `from_pretrained` of the class that `architecture` names in `reinject.models`.
"""


class Network(nn.Module, PyTorchModelHubMixin, library_name="reinject", model_card_template=_CARD):
    """A network that says what its inputs mean, and keeps that and its name in ``config.json``."""

    inputs: Inputs
    noise_conditioned = False

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> Any:
        """As huggingface_hub's, with the name of the class as ``architecture`` in ``config.json``."""
        config: Any = kwargs.pop("config", None) or self._hub_mixin_config
        config = {**config, "architecture": type(self).__name__}
        return super().save_pretrained(save_directory, config=config, **kwargs)


def _mlp(sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes[:-1]):
        layers += [nn.Linear(a, b), nn.SiLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


class MLPAutoencoder(Network):
    """A bottleneck autoencoder of linear layers: r(x) = mean + std decoder(encoder((x - mean) / std)).

    Arguments:
        inputs: what its inputs mean.
        hidden: widths of the encoder's hidden layers; the decoder mirrors them.
        latent: width of the bottleneck.
    """

    def __init__(self, inputs: Inputs, hidden: Sequence[int] = (512, 256), latent: int = 64) -> None:
        super().__init__()
        self.inputs = inputs
        self.encoder = _mlp([inputs.n, *hidden, latent])
        self.decoder = _mlp([latent, *reversed(list(hidden)), inputs.n])

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *event"]:
        """r(x), shape of x: (B, *shape)."""
        u = (x - self.inputs.mean).div(self.inputs.std).flatten(1)
        y: Tensor = self.decoder(self.encoder(u))
        return y.mul(self.inputs.std).add(self.inputs.mean).reshape(x.shape)


class ConvAutoencoder(Network):
    """A convolutional bottleneck autoencoder: two strided convolutions, a linear code, and the way back.

    Arguments:
        inputs: what its inputs mean; height and width divisible by 4.
        channels: of the first convolution; the second has twice as many.
        latent: width of the bottleneck.
    """

    def __init__(self, inputs: Inputs, channels: int = 32, latent: int = 128) -> None:
        super().__init__()
        self.inputs = inputs
        c, h, w = _image_shape(inputs, "ConvAutoencoder")
        wide = 2 * channels
        size = wide * (h // 4) * (w // 4)
        self.encoder = nn.Sequential(
            nn.Conv2d(c, channels, 4, 2, 1),
            nn.SiLU(),
            nn.Conv2d(channels, wide, 4, 2, 1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(size, latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, size),
            nn.SiLU(),
            nn.Unflatten(1, (wide, h // 4, w // 4)),
            nn.ConvTranspose2d(wide, channels, 4, 2, 1),
            nn.SiLU(),
            nn.ConvTranspose2d(channels, c, 4, 2, 1),
        )

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *event"]:
        """r(x), shape of x: (B, channels, height, width)."""
        y: Tensor = self.decoder(self.encoder((x - self.inputs.mean) / self.inputs.std))
        return y * self.inputs.std + self.inputs.mean


class Denoiser(Network):
    """A noise-conditioned autoencoder r(x, sigma) around a network F that predicts the clean input.

    r(x, sigma) = m + std F((x - m) / sqrt(sigma^2 + std^2), log(sigma/radius)), m the mean image: F sees inputs and
    learns targets of unit size at every noise level. There is no skip past F (c_skip of Karras et al. 2022,
    arXiv 2206.00364): through a layer narrower than twice the input it would let noise pass that F cannot cancel.
    """

    noise_conditioned = True
    mean: Tensor

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        self.inputs = inputs
        self.register_buffer("mean", torch.full(inputs.shape, inputs.mean))

    def forward(
        self, x: Float[Tensor, "batch *event"], sigma: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch *event"]:
        """r(x, sigma): x of shape (B, *shape), sigma of shape (B,), both in data units."""
        std = self.inputs.std
        scale = (sigma.square() + std**2).rsqrt().reshape(-1, *[1] * len(self.inputs.shape))
        f = self.body((x - self.mean) * scale, torch.log(sigma / self.inputs.radius))
        return f.mul(std).add(self.mean)

    def body(self, u: Float[Tensor, "batch *event"], t: Float[Tensor, " batch"]) -> Float[Tensor, "batch *event"]:
        """F(u, t): u of shape (B, *shape), t = log(sigma/radius) of shape (B,) -> shape of u."""
        raise NotImplementedError


def _level_features(t: Tensor, count: int = 4) -> Tensor:
    """(t/4, sin f t, cos f t) for octaves f = 1/2, 1, 2, ...; shape (B, 1 + 2 count)."""
    angle = t[:, None] * 2.0 ** (torch.arange(count, device=t.device, dtype=t.dtype) - 1)
    return torch.cat([t[:, None] / 4, angle.sin(), angle.cos()], 1)


class MLPDenoiser(Denoiser):
    """A :class:`Denoiser` whose F is a residual network of linear layers.

    Arguments:
        inputs: what its inputs mean.
        width: of the hidden layers; default: 1,024, and 512 for inputs of at most 256 values.
        depth: number of hidden layers, >= 1.
    """

    def __init__(self, inputs: Inputs, width: int | None = None, depth: int = 3) -> None:
        super().__init__(inputs)
        width = width or (512 if inputs.n <= 256 else 1024)
        self.first = nn.Linear(inputs.n + 9, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, inputs.n)

    def body(self, u: Float[Tensor, "batch *event"], t: Float[Tensor, " batch"]) -> Float[Tensor, "batch *event"]:
        """F(u, t)."""
        h = nn.functional.silu(self.first(torch.cat([u.flatten(1), _level_features(t)], 1)))
        for layer in self.hidden:
            h = h + nn.functional.silu(layer(h))
        y: Tensor = self.last(h)
        return y.reshape(u.shape)


class ConvDenoiser(Denoiser):
    """A :class:`Denoiser` whose F is a small U-shaped convolutional network over two scales.

    Arguments:
        inputs: what its inputs mean; height and width divisible by 2.
        channels: at full resolution; twice as many at half resolution.
    """

    def __init__(self, inputs: Inputs, channels: int = 32) -> None:
        super().__init__(inputs)
        c, _, _ = _image_shape(inputs, "ConvDenoiser", 2)
        wide = 2 * channels
        self.level = nn.Linear(9, wide)
        self.enter = nn.Sequential(nn.Conv2d(c, channels, 3, 1, 1), nn.SiLU())
        self.down = nn.Conv2d(channels, wide, 4, 2, 1)
        self.middle = nn.ModuleList(nn.Conv2d(wide, wide, 3, 1, 1) for _ in range(4))
        self.up = nn.ConvTranspose2d(wide, channels, 4, 2, 1)
        self.leave = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, 1, 1), nn.SiLU(), nn.Conv2d(channels, c, 3, 1, 1)
        )

    def body(self, u: Float[Tensor, "batch *event"], t: Float[Tensor, " batch"]) -> Float[Tensor, "batch *event"]:
        """F(u, t)."""
        full = self.enter(u)
        h = nn.functional.silu(self.down(full) + self.level(_level_features(t))[:, :, None, None])
        for layer in self.middle:
            h = h + nn.functional.silu(layer(h))
        y: Tensor = self.leave(torch.cat([full, nn.functional.silu(self.up(h))], 1))
        return y


class MLPClassifier(Network):
    """A classifier of linear layers: logits = MLP((x - mean) / std).

    Arguments:
        inputs: what its inputs mean; its class names give the number of outputs.
        hidden: widths of the hidden layers.
        dropout: probability of dropping a hidden value in training.
    """

    def __init__(self, inputs: Inputs, hidden: Sequence[int] = (512, 256), dropout: float = 0.2) -> None:
        super().__init__()
        self.inputs = inputs
        self.layers = _mlp([inputs.n, *hidden, _classes(inputs)], dropout)

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch classes"]:
        """Logits of shape (B, classes) for x of shape (B, *shape)."""
        y: Tensor = self.layers((x - self.inputs.mean).div(self.inputs.std).flatten(1))
        return y


class ConvClassifier(Network):
    """A small convolutional classifier: two blocks of two convolutions, pooling, one linear layer.

    Arguments:
        inputs: what its inputs mean; height and width divisible by 4.
        channels: of the first block; the second has twice as many.
        dropout: probability of dropping a pooled value in training.
    """

    def __init__(self, inputs: Inputs, channels: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        self.inputs = inputs
        c, h, w = _image_shape(inputs, "ConvClassifier")
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

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch classes"]:
        """Logits of shape (B, classes) for x of shape (B, channels, height, width)."""
        y: Tensor = self.layers((x - self.inputs.mean) / self.inputs.std)
        return y


def _image_shape(inputs: Inputs, owner: str, divisor: int = 4) -> tuple[int, int, int]:
    if len(inputs.shape) != 3 or inputs.shape[1] % divisor or inputs.shape[2] % divisor:
        raise ModelError(
            owner,
            f"inputs of shape {inputs.shape}",
            f"Give (channels, height, width) with sides divisible by {divisor}, or use an MLP",
        )
    c, h, w = inputs.shape
    return c, h, w


def _classes(inputs: Inputs) -> int:
    if len(inputs.class_names) < 2:
        raise ModelError("classifier", f"class names {inputs.class_names}", "Give two classes at least")
    return len(inputs.class_names)


AUTOENCODERS: dict[str, type[Network]] = {
    "mlp-denoiser": MLPDenoiser,
    "conv-denoiser": ConvDenoiser,
    "mlp": MLPAutoencoder,
    "conv": ConvAutoencoder,
}
CLASSIFIERS: dict[str, type[Network]] = {"mlp": MLPClassifier, "conv": ConvClassifier}
