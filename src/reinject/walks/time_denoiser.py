"""Denoisers of other libraries that take a time in place of a level, as r(x, sigma)."""

import math
from typing import Any

import torch
from torch import Tensor, nn

_HALVINGS = 30  # of the time 0..1, to the last bit of float32


class AtTime(nn.Module):
    """r(x, sigma) of a denoiser of (x_t, t), x_t = a_t x_0 + s_t z with t in 0..1, as azula has them.

    t is the time at which s_t/a_t = sigma, found by bisection; x_t = a_t x.

    Arguments:
        denoiser: a module, (x_t, t) -> E[x_0 given x_t], or a distribution with this ``mean``. Its ``schedule`` maps t
            to (a_t, s_t), with s_t/a_t rising.

    Example:
        >>> class Unit(nn.Module):  # the denoiser of N(0, 1) for a_t = 1
        ...     def schedule(self, t):
        ...         return torch.ones_like(t), 0.01 + 9.99 * t
        ...     def forward(self, x, t):
        ...         return x / (1 + self.schedule(t)[1] ** 2)[:, None]
        >>> AtTime(Unit())(torch.ones(1, 1), torch.ones(1)).round(decimals=4)
        tensor([[0.5000]])
    """

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.what = f"{type(denoiser).__name__} at the time of a noise level"

    @property
    def levels(self) -> tuple[float, float]:
        """Return s_t/a_t at t = 0 and at t = 1."""
        with torch.no_grad():
            low, high = (float(self._log_level(torch.full((1,), t)).exp()) for t in (0.0, 1.0))
        return low, high

    def time(self, sigma: Tensor) -> Tensor:
        """Return the time of a level, (B,) -> (B,); 0 or 1 for levels beyond those of the schedule."""
        wanted, low, high = sigma.log(), torch.zeros_like(sigma), torch.ones_like(sigma)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            above = self._log_level(middle) > wanted
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        return (low + high) / 2

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return r(x, sigma): x of shape (B, *event), sigma of shape (B,)."""
        t = self.time(sigma)
        a, _ = self._schedule(t)
        return mean_of(self.denoiser(a.reshape(-1, *[1] * (x.ndim - 1)) * x, t))

    def _schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
        a, s = self.denoiser.schedule(t)  # type: ignore[operator]  # the denoiser has it
        return a.reshape(t.shape), s.reshape(t.shape)

    def _log_level(self, t: Tensor) -> Tensor:
        a, s = self._schedule(t)
        return s.log() - a.log()


def mean_of(value: Any) -> Tensor:
    """Return a tensor itself, and the ``mean`` of a posterior distribution.

    Example:
        >>> mean_of(torch.distributions.Normal(torch.ones(1), 2.0))
        tensor([1.])
    """
    found: Tensor = value if isinstance(value, Tensor) else value.mean
    return found


def as_denoiser(source: Any) -> Any:
    """Return a module of (x_t, t) with a ``schedule`` as one of (x, sigma), and anything else unchanged."""
    timed = isinstance(source, nn.Module) and callable(getattr(source, "schedule", None))
    return AtTime(source) if timed else source


def levels_of_module(module: nn.Module) -> tuple[float, float] | None:
    """Return the smallest and the largest level that a denoiser states; None if it states none.

    They are the ends of its schedule in time, or its ``sigma_min`` and ``sigma_max``, as k-diffusion has them.
    """
    try:
        if isinstance(module, AtTime):
            low, high = module.levels
        else:
            low, high = (float(getattr(module, name)) for name in ("sigma_min", "sigma_max"))
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return None
    return (low, high) if 0 < low < high < math.inf else None
