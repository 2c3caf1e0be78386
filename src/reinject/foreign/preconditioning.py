"""Turn networks of diffusion models into denoisers r(x, sigma) = E[x_0 given x_0 + sigma z], whatever they predict.

A network of a variance-preserving model sees x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) z at timestep t. Its input over
sqrt(a_t) is x_0 + sigma_t z, sigma_t = sqrt((1 - a_t)/a_t). So one call of the network gives r at any level.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from reinject.base.errors import ModelError

Prediction = Literal["epsilon", "v_prediction", "sample"]
PREDICTIONS: tuple[Prediction, ...] = ("epsilon", "v_prediction", "sample")
_LEAST_SIGNAL = 1e-7  # of a_t; below it float32 has no x_0 left


class _Conditioned(nn.Module):
    """The common part: calls F(z, t), or F(z, t, label) of a class-conditional network."""

    levels: tuple[float, float]

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.what = f"{type(network).__name__} as a denoiser"

    def predicted(self, z: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        """Return F(z, t); of a network that predicts a variance too, the first half of the channels."""
        value = self.network(z, t) if label is None else self.network(z, t, label)
        y: Tensor = value if isinstance(value, Tensor) else value.sample
        return y[:, : z.shape[1]]


class VariancePreserving(_Conditioned):
    """r(x, sigma) of a network F with timesteps 0, 1, ... and signal shares a_0 > a_1 > ...

    With c = 1/sqrt(1 + sigma^2) and F = F(c x, t): r = x - sigma F for predicted noise ("epsilon"), c^2 x - sigma c F
    for a predicted velocity ("v_prediction"), F for a predicted x_0 ("sample"). t is interpolated in log sigma.
    Levels outside of the timesteps' take the first or the last timestep.

    Arguments:
        network: F, (B, *event), t of shape (B,) [, labels of shape (B,)] -> (B, *event).
        shares: a_t, cumulative products of 1 - beta, (T,), falling. Timesteps without signal (a_t = 0) are left out.
        prediction: what F predicts.
        clip: bound on |r|, as the model's scheduler clips its predictions; None: no bound.
        whole: whether F takes whole timesteps only, because it looks them up in a table.

    Raises:
        ModelError: an unknown prediction, or shares that do not fall.

    Source: Ho et al. 2020, arXiv 2006.11239; Salimans and Ho 2022, arXiv 2202.00512 (velocity); Karras et al. 2022,
    arXiv 2206.00364, appendix C (in terms of sigma).

    Example:
        >>> r = VariancePreserving(lambda z, t: 0 * z, torch.tensor([0.8, 0.2]))
        >>> r(torch.ones(1, 1), torch.ones(1)), r.levels
        (tensor([[1.]]), (0.5, 2.0))
    """

    table: Tensor

    def __init__(
        self,
        network: Callable[..., Tensor],
        shares: Tensor,
        prediction: str = "epsilon",
        clip: float | None = None,
        whole: bool = False,
    ) -> None:
        super().__init__(network)  # type: ignore[arg-type]  # a function works too
        if prediction not in PREDICTIONS:
            raise ModelError("network", f"predicts {prediction!r}", f"Give one that predicts {', '.join(PREDICTIONS)}")
        kept = shares.double()[shares >= _LEAST_SIGNAL]
        sigma = ((1 - kept) / kept).sqrt()
        if len(kept) < 2 or not bool((sigma[1:] > sigma[:-1]).all()) or not float(sigma[0]) > 0:
            raise ModelError("network", "its noise does not rise with the timestep", "Check the betas of its scheduler")
        self.prediction, self.clip, self.whole = prediction, clip, whole
        self.left_out = len(shares) - len(kept)
        self.levels = (round(float(sigma[0]), 6), round(float(sigma[-1]), 6))
        self.register_buffer("table", sigma.log().float(), persistent=False)

    def timestep(self, sigma: Tensor) -> Tensor:
        """Return the timestep of a level, linear in log sigma between two timesteps; (B,) -> (B,)."""
        level = sigma.log()
        high = torch.searchsorted(self.table, level.contiguous()).clamp(1, len(self.table) - 1)
        below, above = self.table[high - 1], self.table[high]
        t = (high - 1) + ((level - below) / (above - below)).clamp(0, 1)
        return t.round().long() if self.whole else t

    def forward(self, x: Tensor, sigma: Tensor, label: Tensor | None = None) -> Tensor:
        """Return r(x, sigma): x of shape (B, *event), sigma and label of shape (B,)."""
        wide = sigma.reshape(-1, *[1] * (x.ndim - 1))
        c = (1 + wide.square()).rsqrt()
        y = self.predicted(x * c, self.timestep(sigma), label)
        if self.prediction == "epsilon":
            y = x - wide * y
        elif self.prediction == "v_prediction":
            y = x * c.square() - wide * c * y
        return y if self.clip is None else y.clamp(-self.clip, self.clip)


class Elucidated(_Conditioned):
    """r(x, sigma) = c_skip x + c_out F(c_in x, log(sigma)/4), the preconditioning of Karras et al. (EDM).

    c_skip = d^2/(sigma^2 + d^2), c_out = sigma d/sqrt(sigma^2 + d^2), c_in = 1/sqrt(sigma^2 + d^2), d the spread of the
    data. With ``prediction="v_prediction"`` c_out has the other sign.

    Arguments:
        network: F, as for :class:`VariancePreserving`.
        levels: smallest and largest sigma of its training.
        spread: d, > 0.
        prediction: "epsilon" or "v_prediction".

    Source: Karras et al. 2022, arXiv 2206.00364, table 1.

    Example:
        >>> r = Elucidated(lambda z, t: 0 * z, (0.002, 80.0), spread=0.5)
        >>> r(torch.ones(1, 1), torch.tensor([0.5]))
        tensor([[0.5000]])
    """

    def __init__(
        self,
        network: Callable[..., Tensor],
        levels: tuple[float, float],
        spread: float = 0.5,
        prediction: str = "epsilon",
    ) -> None:
        super().__init__(network)  # type: ignore[arg-type]  # a function works too
        if prediction not in ("epsilon", "v_prediction"):
            raise ModelError("network", f"predicts {prediction!r}", "Give one that predicts epsilon or v_prediction")
        self.levels, self.spread = levels, spread
        self.sign = 1.0 if prediction == "epsilon" else -1.0

    def forward(self, x: Tensor, sigma: Tensor, label: Tensor | None = None) -> Tensor:
        """Return r(x, sigma): x of shape (B, *event), sigma and label of shape (B,)."""
        wide = sigma.reshape(-1, *[1] * (x.ndim - 1))
        variance = wide.square() + self.spread**2
        y = self.predicted(x * variance.rsqrt(), sigma.log() / 4, label)
        return x * (self.spread**2 / variance) + self.sign * self.spread * wide * variance.rsqrt() * y


class VarianceExploding(_Conditioned):
    """r(x, sigma) = x + sigma^2 F(x, sigma) of a network F that gives the score at level sigma.

    Arguments:
        network: F, as for :class:`VariancePreserving`.
        levels: smallest and largest sigma of its training.

    Source: Song et al. 2021, arXiv 2011.13456.

    Example:
        >>> r = VarianceExploding(lambda z, t: -z / 2, (0.01, 50.0))  # the score of N(0, 2)
        >>> r(torch.ones(1, 1), torch.ones(1))
        tensor([[0.5000]])
    """

    def __init__(self, network: Callable[..., Tensor], levels: tuple[float, float]) -> None:
        super().__init__(network)  # type: ignore[arg-type]  # a function works too
        self.levels = levels

    def forward(self, x: Tensor, sigma: Tensor, label: Tensor | None = None) -> Tensor:
        """Return r(x, sigma): x of shape (B, *event), sigma and label of shape (B,)."""
        wide = sigma.reshape(-1, *[1] * (x.ndim - 1))
        return x + wide.square() * self.predicted(x, sigma, label)
