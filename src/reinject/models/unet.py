"""A noise-conditioned autoencoder of convolutions over two scales, with a way for the input past them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reinject.models.base import Inputs, image_shape
from reinject.models.denoisers import Denoiser, level_features


class UNetDenoiser(Denoiser):
    """A U of convolutions G at every noise level: the best samples of images, for a GPU or for patience.

    With u = x - m, v = sigma^2 + std^2, m the mean image:
    r(x, sigma) = m + (std^2/v) u + (sigma std/sqrt(v)) G(u / sqrt(v), log(sigma/radius)): c_skip, c_out and c_in of
    Karras et al. 2022 (arXiv 2206.00364), with which r(x, sigma) -> x as sigma -> 0. A quarter of the resolution is
    the coarsest, so for images of some 32 pixels a side every output sees the whole.

    Arguments:
        inputs: what its inputs mean; height and width divisible by 4.
        channels: of the convolutions at half of the resolution; twice as many at a quarter.
    """

    layout = torch.channels_last
    levels = (0.12, 1.2)

    def __init__(self, inputs: Inputs, channels: int = 64) -> None:
        super().__init__(inputs)
        c, _, _ = image_shape(inputs, "UNetDenoiser", 4)
        self.unet = UNet(c, channels)
        self.laid_out()

    def forward(
        self, x: Float[Tensor, "batch *event"], sigma: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch *event"]:
        """r(x, sigma): x of shape (B, *shape), sigma of shape (B,), both in data units."""
        return past(self.unet, x - self.mean, sigma, self.inputs) + self.mean


def past(G: nn.Module, u: Tensor, sigma: Tensor, inputs: Inputs) -> Tensor:
    """(std^2/v) u + (sigma std/sqrt(v)) G(u / sqrt(v), log(sigma/radius)), v = sigma^2 + std^2; shape of u."""
    s = sigma.reshape(-1, 1, 1, 1)
    v = s.square() + inputs.std**2
    g: Tensor = G(u * v.rsqrt(), torch.log(sigma / inputs.radius)).to(u.dtype)
    return u * (inputs.std**2 / v) + g * (s * inputs.std * v.rsqrt())


class UNet(nn.Module):
    """G: a U over a half and a quarter of the resolution; its first layer takes squares of 2 x 2 pixels as channels."""

    def __init__(self, colours: int, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.enter = nn.Conv2d(4 * colours, channels, 3, 1, 1)
        self.before = nn.ModuleList(_Block(channels) for _ in range(2))
        self.down = nn.Conv2d(channels, wide, 2, 2)
        self.middle = nn.ModuleList(_Block(wide) for _ in range(2))
        self.up = nn.ConvTranspose2d(wide, channels, 2, 2)
        self.after = _Block(channels)
        self.leave = nn.Conv2d(channels, 4 * colours, 3, 1, 1)

    def forward(self, u: Tensor, t: Tensor) -> Tensor:
        """G(u, t): u of shape (B, colours, H, W), t = log(sigma/radius) of shape (B,) -> shape of u."""
        level = level_features(t)
        full = self.enter(nn.functional.pixel_unshuffle(u, 2).contiguous(memory_format=torch.channels_last))
        for block in self.before:
            full = block(full, level)
        h = self.down(full)
        for block in self.middle:
            h = block(h, level)
        y = self.leave(nn.functional.silu(self.after(full + self.up(h), level)))
        return nn.functional.pixel_shuffle(y, 2).contiguous()


class _Block(nn.Module):
    """h + two convolutions of h, between which the level comes in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, 1, 1)
        self.level = nn.Linear(9, channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        nn.init.zeros_(self.second.weight)  # the identity before training

    def forward(self, h: Tensor, level: Tensor) -> Tensor:
        inner = nn.functional.silu(self.first(h) + self.level(level)[:, :, None, None])
        y: Tensor = h + self.second(inner)
        return y
