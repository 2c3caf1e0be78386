"""Two experts in one noise-conditioned autoencoder: linear layers for the whole, convolutions for details."""

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.models.base import Inputs, image_shape
from reinject.models.denoisers import MLPDenoiser
from reinject.models.unet import UNet, past


class StagedDenoiser(MLPDenoiser):
    """An :class:`MLPDenoiser` at high noise, and a convolutional network where noise leaves details to see.

    Below sigma = ``below`` radius, with u = x - m, v = sigma^2 + std^2, m the mean image:
    r(x, sigma) = m + (std^2/v) u + (sigma std/sqrt(v)) G(u / sqrt(v), log(sigma/radius)): c_skip, c_out and c_in of
    Karras et al. 2022 (arXiv 2206.00364), with which r(x, sigma) -> x as sigma -> 0. Linear layers cannot see details
    that may be anywhere, convolutions are slow; a walk spends most of its steps above, and its last ones below. Points
    of one level cost the expert of that level alone.

    Arguments:
        inputs: what its inputs mean; height and width divisible by 4.
        width, depth: of the linear layers.
        channels: of the convolutions at half of the resolution; twice as many at a quarter.
        below: level, as a multiple of the data's radius, under which the convolutions take over.

    Source: Balaji et al. 2022, arXiv 2211.01324 (experts by noise level).
    """

    layout = torch.channels_last
    levels = (0.08, 1.3)

    def __init__(
        self, inputs: Inputs, width: int | None = None, depth: int = 3, channels: int = 64, below: float = 0.08
    ) -> None:
        super().__init__(inputs, width, depth)
        c, _, _ = image_shape(inputs, "StagedDenoiser", 4)
        self.below = below * inputs.radius
        self.fine = UNet(c, channels)
        self.laid_out()

    def forward(
        self, x: Float[Tensor, "batch *event"], sigma: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch *event"]:
        """r(x, sigma): x of shape (B, *shape), sigma of shape (B,), both in data units."""
        fine = sigma < self.below
        if not bool(fine.any()):
            return super().forward(x, sigma)
        if bool(fine.all()):
            return self._of_details(x, sigma)
        y = torch.empty_like(x)
        y[fine] = self._of_details(x[fine], sigma[fine]).to(y.dtype)  # autocast has either type
        y[~fine] = super().forward(x[~fine], sigma[~fine]).to(y.dtype)
        return y

    def _of_details(self, x: Tensor, sigma: Tensor) -> Tensor:
        return past(self.fine, x - self.mean, sigma, self.inputs) + self.mean
