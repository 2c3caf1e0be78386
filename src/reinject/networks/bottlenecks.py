"""Autoencoders with a bottleneck, which loses what does not fit through it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reinject.networks.network import Inputs, Network, image_shape, mlp


class MLPAutoencoder(Network):
    """A bottleneck autoencoder of linear layers: r(x) = mean + std decoder(encoder((x - mean) / std)).

    Arguments:
        inputs: meaning of its inputs.
        hidden: widths of the encoder's hidden layers; the decoder mirrors them.
        latent: width of the bottleneck.
    """

    def __init__(self, inputs: Inputs, hidden: Sequence[int] = (512, 256), latent: int = 64) -> None:
        super().__init__()
        self.inputs = inputs
        self.encoder = mlp([inputs.n, *hidden, latent])
        self.decoder = mlp([latent, *reversed(list(hidden)), inputs.n])

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *event"]:
        """Return r(x), shape of x: (B, *shape)."""
        return self.decode(self.encode(x))

    def encode(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch latent"]:
        """Return the code of x, (B, latent)."""
        h: Tensor = self.encoder((x - self.inputs.mean).div(self.inputs.std).flatten(1))
        return h

    def decode(self, h: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch *event"]:
        """Return the point of a code, (B, *shape)."""
        y: Tensor = self.decoder(h)
        return y.mul(self.inputs.std).add(self.inputs.mean).reshape(-1, *self.inputs.shape)


class ConvAutoencoder(Network):
    """A convolutional bottleneck autoencoder: two strided convolutions, a linear code, and the way back.

    Arguments:
        inputs: meaning of its inputs; height and width divisible by 4.
        channels: of the first convolution; the second has twice as many.
        latent: width of the bottleneck.
    """

    layout = torch.channels_last

    def __init__(self, inputs: Inputs, channels: int = 32, latent: int = 128) -> None:
        super().__init__()
        self.inputs = inputs
        c, h, w = image_shape(inputs, "ConvAutoencoder")
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
        self.laid_out()

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *event"]:
        """Return r(x), shape of x: (B, channels, height, width)."""
        return self.decode(self.encode(x))

    def encode(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch latent"]:
        """Return the code of x, (B, latent)."""
        h: Tensor = self.encoder((x - self.inputs.mean) / self.inputs.std)
        return h

    def decode(self, h: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch *event"]:
        """Return the point of a code, (B, channels, height, width)."""
        y: Tensor = self.decoder(h)
        return y * self.inputs.std + self.inputs.mean
