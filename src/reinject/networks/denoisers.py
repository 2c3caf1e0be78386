"""Noise-conditioned autoencoders r(x, sigma)."""

import functools
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reinject.networks.network import Inputs, Network, image_shape


class Denoiser(Network):
    """A noise-conditioned autoencoder r(x, sigma) around a network F that predicts the clean input.

    r(x, sigma) = m + std F((x - m) / sqrt(sigma^2 + std^2), log(sigma/radius)), m the mean image. F gets inputs and
    targets of unit size at every noise level. There is no skip past F (c_skip of Karras et al. 2022, arXiv 2206.00364).
    In a layer narrower than twice the input, a skip would pass noise that F cannot cancel.
    """

    noise_conditioned = True
    levels = (
        0.12,
        0.9,
    )  # of training noise: median, a multiple of the data's radius, and standard deviation of log sigma
    most_weight = 5.0  # of a low level in training, times the weight of a high one
    mean: Tensor

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        self.inputs = inputs
        self.register_buffer("mean", torch.full(inputs.shape, inputs.mean))

    def forward(
        self, x: Float[Tensor, "batch *event"], sigma: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch *event"]:
        """Return r(x, sigma): x of shape (B, *shape), sigma of shape (B,), both in data units."""
        std = self.inputs.std
        scale = (sigma.square() + std**2).rsqrt().reshape(-1, *[1] * len(self.inputs.shape))
        f = self.body((x - self.mean) * scale, torch.log(sigma / self.inputs.radius))
        return f.mul(std).add(self.mean)

    def body(self, u: Float[Tensor, "batch *event"], t: Float[Tensor, " batch"]) -> Float[Tensor, "batch *event"]:
        """Return F(u, t): u of shape (B, *shape), t = log(sigma/radius) of shape (B,) -> shape of u."""
        raise NotImplementedError


def level_features(t: Tensor, count: int = 4) -> Tensor:
    """Return (t/4, sin f t, cos f t) of t = log(sigma/radius), f = 1/2, 1, 2, ...; (B,) -> (B, 1 + 2 count)."""
    angle = t[:, None] * 2.0 ** (torch.arange(count, device=t.device, dtype=t.dtype) - 1)
    return torch.cat([t[:, None] / 4, angle.sin(), angle.cos()], 1)


class Modulation(nn.Linear):
    """Scales and shifts of the layers of a network by the level of noise: h <- (1 + scale) norm(h) + shift.

    norm gives a row the mean 0 and the standard deviation 1. Before training, scales and shifts are 0.

    Arguments:
        count: number of places where h is modulated, >= 1.
        width: number of values of h.

    Source: Peebles and Xie 2023, arXiv 2212.09748.

    Example:
        >>> place, = Modulation(1, 2).places(torch.zeros(1, 9))
        >>> place(torch.tensor([[1.0, 5.0]])).round(decimals=3).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__(9, count * 2 * width)
        self.sizes = 2, count, width
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def places(self, seen: Float[Tensor, "batch 9"]) -> list[Callable[[Tensor], Tensor]]:
        """Return the change of h, (B, width), at each place, for the features of the levels from level_features."""
        scales, shifts = self(seen).unflatten(1, self.sizes).unbind(1)
        both = zip(scales.unbind(1), shifts.unbind(1), strict=True)
        return [functools.partial(_modulated, scale=scale, shift=shift) for scale, shift in both]


def _modulated(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return torch.addcmul(shift, nn.functional.layer_norm(h, h.shape[1:]), 1 + scale)


def _same(h: Tensor) -> Tensor:
    return h


class MLPDenoiser(Denoiser):
    """A :class:`Denoiser` whose F is a residual network of linear layers.

    Arguments:
        inputs: meaning of its inputs.
        width: of the hidden layers; default: 1,024, or 512 for inputs of at most 256 values.
        depth: number of hidden layers, >= 1.
        modulated: whether the level scales and shifts what each layer after the first takes.
    """

    def __init__(self, inputs: Inputs, width: int | None = None, depth: int = 3, modulated: bool = False) -> None:
        super().__init__(inputs)
        width = width or (512 if inputs.n <= 256 else 1024)
        self.first = nn.Linear(inputs.n + 9, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, inputs.n)
        self.level = Modulation(depth, width) if modulated else None

    def body(self, u: Float[Tensor, "batch *event"], t: Float[Tensor, " batch"]) -> Float[Tensor, "batch *event"]:
        """Return F(u, t)."""
        seen = level_features(t)
        *within, end = [_same] * (len(self.hidden) + 1) if self.level is None else self.level.places(seen)
        h = nn.functional.silu(self.first(torch.cat([u.flatten(1), seen], 1)))
        for layer, modulated in zip(self.hidden, within, strict=True):
            h = h + nn.functional.silu(layer(modulated(h)))
        y: Tensor = self.last(end(h))
        return y.reshape(u.shape)


class ConvDenoiser(Denoiser):
    """A :class:`Denoiser` whose F is a small U-shaped convolutional network over two scales.

    Arguments:
        inputs: meaning of its inputs; height and width divisible by 2.
        channels: at full resolution; twice as many at half resolution.
    """

    layout = torch.channels_last

    def __init__(self, inputs: Inputs, channels: int = 32) -> None:
        super().__init__(inputs)
        c, _, _ = image_shape(inputs, "ConvDenoiser", 2)
        wide = 2 * channels
        self.level = nn.Linear(9, wide)
        self.enter = nn.Sequential(nn.Conv2d(c, channels, 3, 1, 1), nn.SiLU())
        self.down = nn.Conv2d(channels, wide, 4, 2, 1)
        self.middle = nn.ModuleList(nn.Conv2d(wide, wide, 3, 1, 1) for _ in range(4))
        self.up = nn.ConvTranspose2d(wide, channels, 4, 2, 1)
        self.leave = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, 1, 1), nn.SiLU(), nn.Conv2d(channels, c, 3, 1, 1)
        )
        self.laid_out()

    def body(self, u: Float[Tensor, "batch *event"], t: Float[Tensor, " batch"]) -> Float[Tensor, "batch *event"]:
        """Return F(u, t)."""
        full = self.enter(u)
        h = nn.functional.silu(self.down(full) + self.level(level_features(t))[:, :, None, None])
        for layer in self.middle:
            h = h + nn.functional.silu(layer(h))
        y: Tensor = self.leave(torch.cat([full, nn.functional.silu(self.up(h))], 1))
        return y
