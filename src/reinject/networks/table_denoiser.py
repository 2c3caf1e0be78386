"""A noise-conditioned autoencoder of encoded table rows, which starts as the exact denoiser of independent columns."""

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from reinject.networks.denoisers import Modulation, level_features
from reinject.networks.network import Inputs, Network

SCALE = 2.0  # of a one-hot vector
_WAVES = 4  # frequencies w of each number


class TableDenoiser(Network):
    """A noise-conditioned autoencoder r(x, sigma) of rows x = (numbers, one-hot blocks), around a residual network f.

    A number z ~ N(0, 1): r = x/(1 + sigma^2) + sigma/sqrt(1 + sigma^2) f. A block with prior pi and scale s = 2:
    r = s softmax(log pi + f + s x/sigma^2). The last layer of f starts at 0. There r is the exact denoiser of
    independent columns, so a walk gives every marginal and no dependence.

    The network also takes a mask of known columns, which are clean in x. So it learns conditional rows.

    f sees what the independent columns say: the probabilities of each block, and for each number the expectations of
    sin wz and cos wz given x, w = 1, 2, 4, 8. Details between numbers need the high ones. Noise damps those first.
    Each layer standardises its input, and scales and shifts it by the level.

    Arguments:
        inputs: meaning of its inputs; the shape is (d,).
        numbers: number of numbers, the first values of x.
        sizes: lengths of the one-hot blocks that follow, in ascending order.
        width: of the hidden layers.
        depth: number of hidden layers, >= 1.

    Source: Barron et al. 2021, arXiv 2103.13415, eq. 14 (expected waves); Peebles and Xie 2023, arXiv 2212.09748
    (scales and shifts by the level).

    Example:
        >>> r = TableDenoiser(Inputs((3,), mean=0.0, std=1.0), numbers=1, sizes=(2,), width=8)
        >>> r(torch.tensor([[1.0, 0.0, 0.0]]), torch.ones(1)).tolist()
        [[0.5, 1.0, 1.0]]
    """

    noise_conditioned = True
    prior: Tensor

    def __init__(
        self,
        inputs: Inputs,
        numbers: int = 0,
        sizes: Sequence[int] = (),
        width: int = 512,
        depth: int = 4,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.numbers, self.sizes = numbers, tuple(sizes)
        hot, seen = sum(self.sizes), numbers * (2 + 2 * _WAVES)
        self.register_buffer("prior", torch.cat([torch.full((n,), 1.0 / n).log() for n in sizes] or [torch.zeros(0)]))
        self.first = nn.Linear(seen + 2 * hot + len(self.sizes) + 9, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.level = Modulation(depth, width)
        self.last = nn.Linear(width, numbers + hot)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(
        self,
        x: Float[Tensor, "batch d"],
        sigma: Float[Tensor, " batch"],
        known: Bool[Tensor, "batch blocks"] | None = None,
    ) -> Float[Tensor, "batch d"]:
        """Return r(x, sigma); known blocks of x are clean, and stay as they are.

        Arguments:
            x: (B, d), data units.
            sigma: (B,), data units.
            known: (B, numbers + blocks): the known numbers and one-hot blocks; None: none.
        """
        f, logits = self.parts(x, sigma, known)
        m, s2 = self.numbers, sigma.square()[:, None]
        z = x[:, :m] / (1 + s2) + (s2 / (1 + s2)).sqrt() * f
        r = torch.cat([z, SCALE * self.softmax(logits)], 1)
        return r if known is None else torch.where(self.spread(known), x, r)

    def parts(self, x: Tensor, sigma: Tensor, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return f of the numbers, (B, numbers), and the logits log pi + f + s x/sigma^2 of the blocks."""
        m = self.numbers
        z, hot = x[:, :m], x[:, m:]
        s2 = sigma.square()[:, None]
        c = (1 + s2).rsqrt()
        alone = self.prior + hot * (SCALE / s2)  # logits of a lone category
        belief = self.softmax(alone)
        zc, hc = z * c, hot * c
        mean, variance = zc * c, (s2 * c.square()).expand_as(z)  # of z given x
        if known is None:
            held = x.new_zeros((len(x), m + len(self.sizes)))
        else:
            held = known.to(x.dtype)
            mask = self.spread(known)
            zc, mean = (torch.where(mask[:, :m], z, one) for one in (zc, mean))
            variance = variance.masked_fill(mask[:, :m], 0.0)
            hc = torch.where(mask[:, m:], hot, hc)
            belief = torch.where(mask[:, m:], hot / SCALE, belief)
        y = self.body(torch.cat([zc, self.waves(mean, variance), hc, belief, held], 1), level_features(sigma.log()))
        return y[:, :m], alone + y[:, m:]

    def body(self, u: Tensor, t: Tensor) -> Tensor:
        """Return the residual network of what it sees, u, at the levels with features t, (B, 9)."""
        *within, end = self.level.places(t)
        h = nn.functional.silu(self.first(torch.cat([u, t], 1)))
        for layer, modulated in zip(self.hidden, within, strict=True):
            h = h + nn.functional.silu(layer(modulated(h)))
        y: Tensor = self.last(end(h))
        return y

    def waves(self, mean: Tensor, variance: Tensor) -> Tensor:
        """Return E sin wz and E cos wz of normal z, w = 1, 2, 4, 8: (B, numbers) -> (B, 8 numbers).

        E sin wz = sin(w mean) exp(-w^2 variance/2), and the same for the cosine.
        """
        w = 2.0 ** torch.arange(_WAVES, device=mean.device, dtype=mean.dtype)
        angle = mean[:, :, None] * w
        damped = torch.exp(-0.5 * variance[:, :, None] * w.square())
        return torch.cat([angle.sin() * damped, angle.cos() * damped], 2).flatten(1)

    def spread(self, known: Tensor) -> Tensor:
        """Return a mask of blocks, (B, numbers + blocks), as a mask of values, (B, d)."""
        lengths = torch.tensor([1] * self.numbers + list(self.sizes), device=known.device)
        return known.repeat_interleave(lengths, 1)

    def softmax(self, logits: Tensor) -> Tensor:
        """Return the probabilities of every one-hot block, (B, sum of sizes)."""
        return self._by_size(logits, lambda part: part.softmax(2))

    def log_softmax(self, logits: Tensor) -> Tensor:
        """Return the logarithms of :meth:`softmax`."""
        return self._by_size(logits, lambda part: part.log_softmax(2))

    def _by_size(self, values: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply a function of (B, count, size) to the blocks of each size at once."""
        parts, at = [], 0
        for size, group in groupby(self.sizes):
            count = len(list(group))
            part = values[:, at : at + count * size].reshape(-1, count, size)
            parts.append(function(part).reshape(len(values), -1))
            at += count * size
        return torch.cat(parts, 1) if parts else values
