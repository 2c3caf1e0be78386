"""A U-Net denoiser with a skip past the network, for details of images."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reinject.networks.denoisers import Denoiser, level_features
from reinject.networks.network import Inputs, image_shape

_GROUPS = 8
_SMALL = 1024  # values of an input for which a network is trained on a CPU
_WIDTHS = 16, 64  # channels at full resolution for small and for large inputs


class UNet(Denoiser):
    """A :class:`Denoiser` with a skip: r(x, sigma) = m + c_skip (x - m) + c_out F(c_in (x - m), log(sigma/radius)).

    c_skip = std^2/(sigma^2 + std^2), c_out = sigma std/sqrt(sigma^2 + std^2) and c_in = 1/sqrt(sigma^2 + std^2). So r
    tends to the identity as sigma -> 0. F is a U-Net over three scales. It is nowhere narrower than its input, so it
    can cancel the noise that the skip passes. F is zero before training.

    Each scale has a residual block down and one up: group norm, SiLU, 3 x 3 convolution, twice. The level is added
    between the convolutions. The lowest scale has two blocks, and attention between them.

    Arguments:
        inputs: meaning of its inputs; height and width divisible by 4.
        channels: at full resolution, a multiple of 8; twice as many at the lower ones. Default: 16, or 64 for inputs of
            more than 1,024 values, which need a GPU.
        attention: whether the lowest scale has attention.

    Source: Karras et al. 2022, arXiv 2206.00364, table 1 (c_skip, c_out, c_in); Ho et al. 2020, arXiv 2006.11239 (the
    U-Net).

    Example:
        >>> r = UNet(Inputs((1, 8, 8), mean=0.0, std=1.0))
        >>> x = torch.ones(2, 1, 8, 8)
        >>> r(x, torch.tensor([1e-3, 1.0]))[:, 0, 0, 0].round(decimals=3).tolist()  # c_skip x, before training
        [1.0, 0.5]
    """

    levels = 0.06, 1.3
    most_weight = 1000.0
    layout = torch.channels_last

    def __init__(self, inputs: Inputs, channels: int | None = None, attention: bool = True) -> None:
        super().__init__(inputs)
        c, _, _ = image_shape(inputs, "UNet")
        narrow = channels or _WIDTHS[inputs.n > _SMALL]
        wide, told = 2 * narrow, 4 * narrow
        self.level = nn.Sequential(nn.Linear(9, told), nn.SiLU(), nn.Linear(told, told), nn.SiLU())
        self.enter = nn.Conv2d(c, narrow, 3, 1, 1)
        self.down = nn.ModuleList([_Block(narrow, narrow, told), _Block(wide, wide, told)])
        self.smaller = nn.ModuleList([nn.Conv2d(narrow, wide, 3, 2, 1), nn.Conv2d(wide, wide, 3, 2, 1)])
        self.middle = nn.ModuleList([_Block(wide, wide, told), _Block(wide, wide, told)])
        self.attention = _Attention(wide) if attention else nn.Identity()
        self.larger = nn.ModuleList([nn.Conv2d(wide, narrow, 3, 1, 1), nn.Conv2d(wide, wide, 3, 1, 1)])
        self.up = nn.ModuleList([_Block(2 * narrow, narrow, told), _Block(2 * wide, wide, told)])
        self.leave = nn.Sequential(nn.GroupNorm(_GROUPS, narrow), nn.SiLU(), _zero(nn.Conv2d(narrow, c, 3, 1, 1)))
        self.laid_out()

    def forward(
        self, x: Float[Tensor, "batch *event"], sigma: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch *event"]:
        """Return r(x, sigma): x of shape (B, *shape), sigma of shape (B,), both in data units."""
        std, wide = self.inputs.std, sigma[:, None, None, None]
        size = (wide.square() + std**2).sqrt()
        centred = x - self.mean
        f = self.body(centred / size, torch.log(sigma / self.inputs.radius))
        return self.mean + centred * (std / size).square() + f * (wide * std / size)

    def body(self, u: Float[Tensor, "batch *event"], t: Float[Tensor, " batch"]) -> Float[Tensor, "batch *event"]:
        """Return F(u, t)."""
        told = self.level(level_features(t))
        h, kept = self.enter(u), []
        for block, smaller in zip(self.down, self.smaller, strict=True):
            kept.append(block(h, told))
            h = smaller(kept[-1])
        h = self.middle[1](self.attention(self.middle[0](h, told)), told)
        for block, larger, skip in zip(reversed(self.up), reversed(self.larger), reversed(kept), strict=True):
            h = larger(nn.functional.interpolate(h, scale_factor=2.0))
            h = block(torch.cat([h, skip], 1), told)
        y: Tensor = self.leave(h)
        return y


class _Block(nn.Module):
    """A residual block that knows the level."""

    def __init__(self, channels: int, wide: int, told: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(_GROUPS, channels), nn.SiLU(), nn.Conv2d(channels, wide, 3, 1, 1))
        self.told = nn.Linear(told, wide)
        self.last = nn.Sequential(nn.GroupNorm(_GROUPS, wide), nn.SiLU(), _zero(nn.Conv2d(wide, wide, 3, 1, 1)))
        self.around = nn.Conv2d(channels, wide, 1) if channels != wide else nn.Identity()

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        y: Tensor = self.around(x) + self.last(self.first(x) + self.told(told)[:, :, None, None])
        return y


class _Attention(nn.Module):
    """Self-attention between the places of an image, with a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.mix = nn.GroupNorm(_GROUPS, channels), nn.Conv2d(channels, 3 * channels, 1)
        self.leave = _zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.mix(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        y: Tensor = x + self.leave(mixed)
        return y


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Return a layer that gives 0 before training."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
