"""Two experts in one noise-conditioned autoencoder: linear layers for the whole, convolutions for details."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reinject.networks.denoisers import MLPDenoiser, level_features
from reinject.networks.network import Inputs, image_shape


class StagedDenoiser(MLPDenoiser):
    """An :class:`MLPDenoiser` at high noise, and a convolutional network at low noise, where details are visible.

    Below sigma = ``below`` radius, with u = x - m, v = sigma^2 + std^2, m the mean image: r(x, sigma) = m + (std^2/v) u
    + (sigma std/sqrt(v)) G(u / sqrt(v), log(sigma/radius)). These are c_skip, c_out and c_in of Karras et al. 2022
    (arXiv 2206.00364), so r(x, sigma) -> x as sigma -> 0.

    Linear layers cannot see details that may be anywhere; convolutions are slow. A walk spends most of its steps above
    the limit, and its last one or two below. Points of one level cost one expert only.

    Arguments:
        inputs: meaning of its inputs; height and width divisible by 4.
        width, depth, modulated: of the linear layers. ``reinject train`` makes modulated ones.
        channels: of the convolutions at half of the resolution; twice as many at a quarter.
        below: level, as a multiple of the data's radius, below which the convolutions are used.

    Source: Balaji et al. 2022, arXiv 2211.01324 (experts by noise level).
    """

    layout = torch.channels_last
    levels = 0.1, 1.2
    most_weight = 1000.0

    def __init__(
        self,
        inputs: Inputs,
        width: int | None = None,
        depth: int = 3,
        channels: int = 16,
        below: float = 0.04,
        modulated: bool = False,
    ) -> None:
        super().__init__(inputs, width, depth, modulated)
        c, _, _ = image_shape(inputs, "StagedDenoiser", 4)
        self.below = below * inputs.radius
        self.fine = _Fine(c, channels)
        self.laid_out()

    def forward(
        self, x: Float[Tensor, "batch *event"], sigma: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch *event"]:
        """Return r(x, sigma): x of shape (B, *shape), sigma of shape (B,), both in data units."""
        fine = sigma < self.below
        if not bool(fine.any()):
            return super().forward(x, sigma)
        if bool(fine.all()):
            return self._of_details(x, sigma)
        y = torch.empty_like(x)
        y[fine] = self._of_details(x[fine], sigma[fine]).to(y.dtype)  # autocast may give either type
        y[~fine] = super().forward(x[~fine], sigma[~fine]).to(y.dtype)
        return y

    def _of_details(self, x: Tensor, sigma: Tensor) -> Tensor:
        std = self.inputs.std
        s = sigma.reshape(-1, 1, 1, 1)
        v, u = s.square() + std**2, x - self.mean
        g: Tensor = self.fine(u * v.rsqrt(), torch.log(sigma / self.inputs.radius)).to(x.dtype)
        return self.mean + u * (std**2 / v) + g * (s * std * v.rsqrt())


class _Fine(nn.Module):
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
    """h + two convolutions of h; the level enters between them."""

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
