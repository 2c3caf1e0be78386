"""Fit the noise-conditioned autoencoder of a table: fresh u, noise and masks at every step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from reinject.base.errors import ArgumentError, check_count, check_positive
from reinject.data.table_encoder import SCALE, TableEncoder
from reinject.networks import Inputs, TableDenoiser
from reinject.training.fit import Recipe, Rows, fit

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_STEPS, _USUAL_ROWS, _MOST_STEPS = 6_000, 30_000, 20_000
_PASSES, _FEW_STEPS, _MOST_PASSES = 150, 1_600, 200
_LEAST_BATCH = 32
# Of training noise: median, data units, and standard deviation of log sigma. Little noise hides no category.
_NUMBERS, _CATEGORIES = (0.35, 1.6), (0.82, 1.2)


@dataclass(frozen=True)
class TableSpec:
    """Describe the network of a table and its training.

    Attributes:
        width, depth: of the network's hidden layers, >= 1.
        steps: gradient steps, and at least one pass over the rows; None: by the number of rows.
        batch: rows in a gradient step, >= 1.
        lr: highest learning rate, > 0.
        given: share of rows with random known columns, in [0, 1]; they teach conditional rows.

    Raises:
        ArgumentError: a number out of range.
    """

    width: int = 512
    depth: int = 4
    steps: int | None = None
    batch: int = 512
    lr: float = 2e-3
    given: float = 0.25

    def __post_init__(self) -> None:
        for name in ("width", "depth", "batch"):
            check_count("table", name, getattr(self, name))
        if self.steps is not None:
            check_count("table", "steps", self.steps)
        check_positive("table", "lr", self.lr)
        if not 0 <= self.given <= 1:
            raise ArgumentError("table", f"given = {self.given} is no share", "Give 0 to 1")

    def recipe(self, rows: int) -> Recipe:
        """Return the length and the rates of the training for a number of rows.

        Without ``steps`` there are 6,000, more by the root of the rows above 30,000, at most 20,000. Small tables have
        at most 150 passes, because more would learn the rows by heart. Smaller ones have 1,600 steps, in at most 200.

        Example:
            >>> [TableSpec().recipe(rows).least_steps for rows in (1_000, 10_000, 120_000, 1_000_000)]
            [1600, 2850, 12000, 20000]
        """
        batch = min(self.batch, max(_LEAST_BATCH, rows // 8))
        longest = min(_MOST_STEPS, round(_STEPS * max(1.0, rows / _USUAL_ROWS) ** 0.5))
        a_pass = max(1, rows // batch)
        steps = self.steps or min(longest, max(_PASSES * a_pass, min(_FEW_STEPS, _MOST_PASSES * a_pass)))
        return Recipe(1, batch, self.lr, least_steps=steps, warm_up=steps // 20, average=0.999)


@dataclass(frozen=True)
class TableLoss:
    """Compute the loss of packed rows: squared error of f for numbers, cross-entropy for one-hot blocks.

    The loss is the mean over the blocks that are not known. log sigma is normal, with moments for numbers or for
    categories. The share of numbers among the blocks is the probability of the former.

    Attributes:
        encoder: the table's encoder, which draws encoded rows.
        given: share of rows with random known columns.
        mixed: whether to multiply in 16 bits on the CPU; default: where it has matrix tiles for them, five times as
            fast.
    """

    encoder: TableEncoder
    given: float
    mixed: bool = field(default_factory=torch.cpu._is_amx_tile_supported)

    def __call__(
        self, network: nn.Module, packed: Tensor, _: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and its two parts."""
        x = self.encoder.unpack(packed, generator)
        net: Any = network
        sigma = self.levels(len(x), generator)
        noisy = x + sigma[:, None] * torch.randn(x.shape, generator=generator)
        known = self.masks(len(x), generator) if self.given else None
        wide = None if known is None else net.spread(known)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
            f, logits = net.parts(noisy if wide is None else torch.where(wide, x, noisy), sigma, known)
        f, logits = f.float(), logits.float()
        return self._mean(net, (x, noisy, sigma), (f, logits), wide)

    def levels(self, rows: int, generator: torch.Generator) -> Tensor:
        """Draw the noise level of each row, (rows,)."""
        share = len(self.encoder.numbers) / len(self.encoder.blocks)
        medians, spreads = torch.tensor([_NUMBERS, _CATEGORIES]).T
        which = (torch.rand(rows, generator=generator) >= share).long()
        sigma: Tensor = medians[which] * torch.exp(spreads[which] * torch.randn(rows, generator=generator))
        return sigma

    def masks(self, rows: int, generator: torch.Generator) -> Tensor:
        """Draw which blocks are known, (rows, blocks): none in most rows, else each with one probability a row."""
        blocks = len(self.encoder.blocks)
        chosen = torch.rand((rows, 1), generator=generator) < self.given
        known = torch.rand((rows, blocks), generator=generator) < torch.rand((rows, 1), generator=generator)
        known &= chosen
        for number, mark in self.encoder.marked:
            known[:, mark] |= known[:, number]  # who knows a number knows whether z says it
        return known

    def _mean(
        self, net: Any, points: tuple[Tensor, Tensor, Tensor], found: tuple[Tensor, Tensor], wide: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        (x, noisy, sigma), (f, logits) = points, found
        m = net.numbers
        free = torch.ones_like(x) if wide is None else (~wide).to(x.dtype)
        s2 = sigma.square()[:, None]
        wanted = (x[:, :m] - noisy[:, :m] / (1 + s2)) * ((1 + s2) / s2).sqrt()
        squares = ((f - wanted).square() * free[:, :m]).sum()
        entropy = -(net.log_softmax(logits) * (x[:, m:] / SCALE) * free[:, m:]).sum()
        count = free[:, :m].sum() + (free[:, m:] * x[:, m:]).sum() / SCALE
        parts = {"numbers": squares.detach() / count, "categories": entropy.detach() / count}
        return (squares + entropy) / count.clamp(min=1.0), parts


def network_of(encoder: TableEncoder, spec: TableSpec = TableSpec(), seed: int = 0) -> TableDenoiser:
    """Make the untrained network of an encoder: the exact denoiser of independent columns.

    Raises:
        ArgumentError: no column has values to learn.
    """
    if not encoder.width:
        raise ArgumentError("table", "has only constants, counters and empty columns", "Give a column that varies")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inputs = Inputs((encoder.width,), mean=0.0, std=1.0)
        sizes = [block.size for block in encoder.hot]
        network = TableDenoiser(inputs, len(encoder.numbers), sizes, spec.width, spec.depth)
    network.prior.copy_(encoder.prior.clamp(min=1e-12).log())
    return network.eval()


def fit_table(
    encoder: TableEncoder,
    table: pa.Table,
    spec: TableSpec = TableSpec(),
    *,
    seed: int = 0,
    fabric: "Fabric",
    checkpoint: Path | None = None,
    on_steps: Callable[[int, float], None] = lambda *_: None,
) -> tuple[TableDenoiser, list[dict[str, float]]]:
    """Train the autoencoder of a table on all rows, and keep the average of its last weights.

    Held-out rows do not choose the weights. Their loss is smallest before the learning rate has fallen, where rows are
    worse.

    Arguments:
        encoder: fitted on these rows.
        table: training rows.
        spec: size of the network, length of the training.
        seed: of all randomness, >= 0.
        fabric, checkpoint, on_steps: see :func:`reinject.training.fit.fit`.

    Returns:
        The network, in evaluation mode, and its loss curve.

    Raises:
        ModelError: the loss becomes non-finite.
    """
    network = network_of(encoder, spec, seed)
    packed = encoder.pack(table)
    rows = Rows(packed, torch.zeros(len(packed), dtype=torch.long), lambda x: x)
    loss = TableLoss(encoder, spec.given)
    recipe = spec.recipe(len(rows))
    curve = fit(network, loss, rows, recipe, seed=seed, fabric=fabric, checkpoint=checkpoint, on_steps=on_steps)
    return network, curve
