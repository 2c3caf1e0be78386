"""Full-rank autoencoders r = x + g(x) with g smooth: the subject of Prop. 1."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from reinject.base.errors import ArgumentError, check_positive
from reinject.networks.network import Inputs, Network, image_shape

SILU_SLOPE = 1.0999  # largest derivative of SiLU, at 2.3994


class Residual(Network):
    """A full-rank autoencoder around a smooth network F: r(x) = x + c F((x - mean) / std), identity at the start.

    Without a bound, c = ``scale`` is a fixed number. For the perfect lossy autoencoder choose lambda/std; F then has
    unit size. With ``lipschitz`` = L < 1 every layer of F is spectrally normalised and c = L std tanh(t), t learnt from
    0. Then Lip(r - id) <= L, so r is a diffeomorphism and the power series of log det J_r converges (Behrmann et al.
    2019, arXiv 1811.00995).

    Arguments:
        inputs: meaning of its inputs.
        scale: c, data units, > 0; default: the data's std. Unused with ``lipschitz``.
        lipschitz: L in (0, 1), the bound on Lip(r - id); default: no bound.

    Raises:
        ArgumentError: ``scale`` or ``lipschitz`` out of range.
    """

    def __init__(self, inputs: Inputs, scale: float | None = None, lipschitz: float | None = None) -> None:
        super().__init__()
        self.inputs = inputs
        self.scale = inputs.std if scale is None else scale
        check_positive("residual autoencoder", "scale", self.scale)
        if lipschitz is not None and not 0 < lipschitz < 1:
            raise ArgumentError("residual autoencoder", f"lipschitz = {lipschitz}", "Give a bound in (0, 1)")
        self.lipschitz = lipschitz
        if lipschitz is not None:
            self.gain = nn.Parameter(torch.zeros(()))

    def _smooth(self, layer: nn.Linear | nn.Conv2d, last: bool = False) -> nn.Module:
        """Return a layer that keeps the bound: of spectral norm <= 1 with the activation before it.

        The last layer starts at 0.
        """
        if self.lipschitz is not None:
            return spectral_norm(layer, n_power_iterations=3)
        if last:
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        return layer

    def forward(self, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *event"]:
        """Return r(x), shape of x: (B, *shape), data units."""
        f = self.body((x - self.inputs.mean) / self.inputs.std)
        if self.lipschitz is None:
            return x + self.scale * f
        return x + self.lipschitz * self.inputs.std * torch.tanh(self.gain) * f

    def body(self, u: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *event"]:
        """Return F(u), shape of u."""
        raise NotImplementedError


class MLPResidual(Residual):
    """A :class:`Residual` whose F is a chain of linear layers with SiLU.

    Arguments:
        inputs, scale, lipschitz: as for :class:`Residual`.
        width: of the hidden layers; default: 1,024, or 512 for inputs of at most 256 values.
        depth: number of hidden layers, >= 1.

    Example:
        >>> r = MLPResidual(Inputs((2,), mean=0.0, std=1.0))
        >>> r(torch.ones(1, 2)).tolist()  # the identity, before training
        [[1.0, 1.0]]
    """

    def __init__(
        self,
        inputs: Inputs,
        scale: float | None = None,
        lipschitz: float | None = None,
        width: int | None = None,
        depth: int = 3,
    ) -> None:
        super().__init__(inputs, scale, lipschitz)
        width = width or (512 if inputs.n <= 256 else 1024)
        sizes = [inputs.n, *[width] * depth]
        self.hidden = nn.ModuleList(self._smooth(nn.Linear(a, b)) for a, b in pairwise(sizes))
        self.last = self._smooth(nn.Linear(width, inputs.n), last=True)

    def body(self, u: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *event"]:
        """Return F(u)."""
        h = u.flatten(1)
        for layer in self.hidden:
            h = _activation(layer(h), self.lipschitz)
        y: Tensor = self.last(h)
        return y.reshape(u.shape)


class ConvResidual(Residual):
    """A :class:`Residual` whose F is a chain of 3 x 3 convolutions with SiLU at full resolution.

    With a bound each convolution is also divided by 3: a k x k convolution has at most k times the spectral norm of its
    weights as a matrix (Tsuzuku et al. 2018, arXiv 1802.04034).

    Arguments:
        inputs, scale, lipschitz: as for :class:`Residual`; inputs are (channels, height, width).
        channels: of the hidden layers.
        depth: number of hidden layers, >= 1.
    """

    def __init__(
        self,
        inputs: Inputs,
        scale: float | None = None,
        lipschitz: float | None = None,
        channels: int = 32,
        depth: int = 4,
    ) -> None:
        super().__init__(inputs, scale, lipschitz)
        c, _, _ = image_shape(inputs, "ConvResidual", 1)
        sizes = [c, *[channels] * depth]
        self.hidden = nn.ModuleList(self._smooth(nn.Conv2d(a, b, 3, 1, 1)) for a, b in pairwise(sizes))
        self.last = self._smooth(nn.Conv2d(channels, c, 3, 1, 1), last=True)

    def body(self, u: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *event"]:
        """Return F(u)."""
        k = 1.0 if self.lipschitz is None else 3.0
        h = u
        for layer in self.hidden:
            h = _activation(layer(h) / k, self.lipschitz)
        y: Tensor = self.last(h)
        return y / k


def _activation(h: Tensor, lipschitz: float | None) -> Tensor:
    y = nn.functional.silu(h)
    return y if lipschitz is None else y / SILU_SLOPE
