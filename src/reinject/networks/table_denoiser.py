"""A noise-conditioned autoencoder of encoded table rows, which starts as the exact denoiser of independent columns."""

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from reinject.networks.denoisers import level_features
from reinject.networks.network import Inputs, Network

SCALE = 2.0  # of a one-hot vector


class TableDenoiser(Network):
    """A noise-conditioned autoencoder r(x, sigma) of rows x = (numbers, one-hot blocks), around a residual network f.

    A number z ~ N(0, 1): r = x/(1 + sigma^2) + sigma/sqrt(1 + sigma^2) f. A block with prior pi and scale s = 2:
    r = s softmax(log pi + f + s x/sigma^2). The last layer of f starts at 0. There r is the exact denoiser of
    independent columns, so a walk gives every marginal and no dependence.

    The network also takes a mask of known columns, which are clean in x. So it learns conditional rows.

    Arguments:
        inputs: meaning of its inputs; the shape is (d,).
        numbers: number of numbers, the first values of x.
        sizes: lengths of the one-hot blocks that follow, in ascending order.
        width: of the hidden layers.
        depth: number of hidden layers, >= 1.

    Example:
        >>> r = TableDenoiser(Inputs((3,), mean=0.0, std=1.0), numbers=1, sizes=(2,), width=8)
        >>> r(torch.tensor([[1.0, 0.0, 0.0]]), torch.ones(1)).tolist()
        [[0.5, 1.0, 1.0]]
    """

    noise_conditioned = True
    levels = (0.82, 1.2)  # of training noise: median, data units, and standard deviation of log sigma
    prior: Tensor

    def __init__(
        self, inputs: Inputs, numbers: int = 0, sizes: Sequence[int] = (), width: int = 512, depth: int = 4
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.numbers, self.sizes = numbers, tuple(sizes)
        hot = sum(self.sizes)
        self.register_buffer("prior", torch.cat([torch.full((n,), 1.0 / n).log() for n in sizes] or [torch.zeros(0)]))
        self.first = nn.Linear(numbers + 2 * hot + numbers + len(self.sizes) + 9, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
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
        if known is None:
            held = x.new_zeros((len(x), m + len(self.sizes)))
        else:
            held = known.to(x.dtype)
            mask = self.spread(known)
            zc = torch.where(mask[:, :m], z, zc)
            hc = torch.where(mask[:, m:], hot, hc)
            belief = torch.where(mask[:, m:], hot / SCALE, belief)
        h = nn.functional.silu(self.first(torch.cat([zc, hc, belief, held, level_features(sigma.log())], 1)))
        for layer in self.hidden:
            h = h + nn.functional.silu(layer(h))
        y = self.last(h)
        return y[:, :m], alone + y[:, m:]

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
