"""Walks of table rows with known columns, sets and ranges: the network knows them, so no row is rejected."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from reinject.base.files import fingerprint
from reinject.data.table_conditions import Allowed
from reinject.networks import TableDenoiser
from reinject.networks.table_denoiser import SCALE
from reinject.sampling.presets import Constraint
from reinject.walks.kernels.kernel import Kernel
from reinject.walks.kernels.wrappers import autoencoder_of, values_by_row, with_autoencoder
from reinject.walks.reconstruction import Autoencoder

_TINY = 1e-30
_FAR = 10.0  # beyond all z


def given_rows(network: TableDenoiser, known: Tensor, mask: Tensor, allowed: tuple[Allowed, ...] = ()) -> Constraint:
    """Return the wrapper of kernels that walks rows with known blocks and allowed values.

    Arguments:
        network: of the table; the wrapped kernel calls it with the mask.
        known: values of known blocks, (P, d); row k of a block of walks has known[k mod P].
        mask: which blocks are known, bool, (P, blocks).
        allowed: sets and ranges of the other columns.
    """

    def wrapped(kernel: Kernel) -> Kernel:
        return with_autoencoder(kernel, GivenRows(autoencoder_of(kernel), network, known, mask, allowed))

    return wrapped


@dataclass(frozen=True)
class GivenRows:
    """The r of rows that meet conditions: E[x0 given x, known columns, allowed values].

    Known blocks are clean for the network, which was trained with such masks. An allowed event A of another column adds
    sigma^2 grad log P(A given x) to r. P sums the probabilities of the allowed categories. z of a number is normal
    given x, with the mean m = r and the variance sigma^2 dm/dz. The column itself gets its mean inside of A. So r is
    exact where the rows are Gaussian, and every row meets the conditions.

    Attributes:
        r: the autoencoder without conditions.
        network: the network of r.
        known, mask, allowed: see :func:`given_rows`.
    """

    r: Autoencoder
    network: TableDenoiser = field(repr=False, compare=False)
    known: Tensor = field(repr=False, compare=False)
    mask: Tensor = field(repr=False, compare=False)
    allowed: tuple[Allowed, ...] = ()
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", fingerprint(self.known, self.mask))

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Return the shape of one row."""
        return self.r.event_shape

    @property
    def device(self) -> torch.device:
        """Return the device of the network."""
        return self.r.device

    @property
    def noise_conditioned(self) -> bool:
        """Return True."""
        return True

    @property
    def has_code(self) -> bool:
        """Return False: there is no encoder."""
        return False

    def encode(self, x: Tensor) -> Tensor:
        """Return the code of x by r."""
        return self.r.encode(x)

    def decode(self, h: Tensor) -> Tensor:
        """Return the point of a code by r."""
        return self.r.decode(h)

    def __call__(self, x: Tensor, sigma: float | None = None) -> Tensor:
        """Return r(x, sigma) of rows that meet the conditions; shape of x."""
        level = 1.0 if sigma is None else sigma
        known, mask = (values_by_row(one.to(x.device), x) for one in (self.known, self.mask))
        wide = self.network.spread(mask)
        x = torch.where(wide, known, x)
        sigmas = torch.full((len(x),), level, dtype=x.dtype, device=x.device)
        if not self.allowed:
            return self.network(x, sigmas, mask)  # type: ignore[no-any-return]
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            y = self.network(x, sigmas, mask)
            drawn = y.detach().clone()
            own: list[tuple[slice | int, Tensor]] = []
            for one in self.allowed:
                log_p, parts = _event(one, x, y, level)
                if log_p is not None:
                    (slope,) = torch.autograd.grad(log_p.sum(), x, retain_graph=True)
                    drawn += level**2 * slope
                own += parts
        for place, value in own:
            drawn[:, place] = value.to(drawn.dtype)
        return torch.where(wide, known, drawn)


def _event(one: Allowed, x: Tensor, y: Tensor, sigma: float) -> tuple[Tensor | None, list[tuple[slice | int, Tensor]]]:
    """Return log P(A given x), and the values of the column itself inside of A."""
    own: list[tuple[slice | int, Tensor]] = []
    inside = mean = None
    if one.number is not None:
        m = y[:, one.number]
        (slope,) = torch.autograd.grad(m.sum(), x, retain_graph=True)
        s = (sigma**2 * slope[:, one.number].double()).clamp(min=(1e-3 * sigma) ** 2).sqrt()
        inside, mean = _truncated(m.double(), s, one.low, one.high)
        if one.block is None:
            own.append((one.number, mean.detach()))
            return inside, own
    assert one.block is not None
    part = slice(*one.block)
    p = (y[:, part] / SCALE).double() * one.codes.to(y.device)
    if inside is not None and mean is not None:
        other = p[:, -1:] * inside.exp()[:, None]
        p = torch.cat([p[:, :-1], other], 1)
        own.append((one.number or 0, mean.detach()))
    total = p.sum(1, keepdim=True)
    usable = one.codes.double().to(y.device) / one.codes.sum()
    own.append((part, (SCALE * torch.where(total > _TINY, p / total.clamp(min=_TINY), usable)).detach()))
    return (total[:, 0] + _TINY).log(), own


def _truncated(m: Tensor, s: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Return log P(low <= z <= high) for z ~ N(m, s^2), and the mean of z inside."""
    low, high = max(low, -_FAR), min(high, _FAR)  # or gradients at infinity are not numbers
    a, b = (low - m) / s, (high - m) / s
    flip = (a > 0).to(m.dtype) * -2 + 1  # the mass lies in the lower tail, where logarithms are exact
    first, last = torch.where(a > 0, -b, a), torch.where(a > 0, -a, b)
    upper = torch.special.log_ndtr(last)
    lower = torch.special.log_ndtr(first)
    inside = upper + torch.log1p(-(lower - upper).clamp(max=-1e-12).exp())
    density = [(-end.square() / 2 - inside).exp() * 0.3989422804014327 for end in (first, last)]
    shift = torch.nan_to_num(density[0]) - torch.nan_to_num(density[1])
    return inside, (m + s * flip * shift).clamp(low, high)
