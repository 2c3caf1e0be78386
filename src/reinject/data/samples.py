"""The one table of samples from synthesis to archive to evaluation, and the storage of its values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError

if TYPE_CHECKING:
    import pyarrow as pa


KINDS = ("uint8", "float", "table")  # of storage


def usual_kind(event_shape: Sequence[int]) -> str:
    """Return the default storage of a shape: levels for images, whose range is known; floats for vectors.

    Example:
        >>> usual_kind((1, 28, 28)), usual_kind((20,))
        ('uint8', 'float')
    """
    return "uint8" if len(event_shape) == 3 else "float"


@dataclass(frozen=True)
class Storage:
    """How a sample is stored: as uint8 levels of a value range, as the walk's floats, or as a decoded row of a table.

    A value v is stored as level = round(255 (v - low) / (high - low)), clipped to 0..255. A level means the value low +
    (high - low) level / 255.

    Attributes:
        kind: "uint8", "float" (float32, without rounding or clipping), or "table" (columns, which are decoded from the
            walk's floats).
        low: value of level 0, data units.
        high: value of level 255, data units; above ``low``.
    """

    kind: str = "uint8"
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError("store", f"{self.kind!r} is not known", "Give 'uint8' or 'float'")
        if not self.low < self.high:
            raise ArgumentError("store", f"range {self.low}..{self.high}", "Give low < high")

    def store(self, x: Tensor) -> tuple[Tensor, int]:
        """Return the stored x, and the number of values that lay outside of the range and were clipped."""
        if self.kind != "uint8":
            return x.float(), 0
        level = x.sub(self.low).mul_(255 / (self.high - self.low)).round_()
        inside = level.clamp(0, 255)
        return inside.to(torch.uint8), int((inside != level).sum())

    def load(self, kept: Tensor) -> Tensor:
        """Return the values of a stored tensor: float32, data units."""
        if self.kind != "uint8":
            return kept
        return kept.float().mul_((self.high - self.low) / 255).add_(self.low)


@dataclass(frozen=True)
class LabelledSamples:
    """Rows of the one table from synthesis to archive to evaluation; B rows of one block and step.

    Attributes:
        x: stored samples, (B, *event): uint8 levels, or float32 in data units.
        label: class of the highest probability, or the requested class, int64, (B,); -1: none.
        probabilities: of all classes, float32, (B, classes); rows sum to 1. (B, 0) without a classifier.
        walk: number of the walk, int64, (B,).
        step: i of x_i.
        model: number of the ensemble's autoencoder that walked, int64, (B,).
        block: number of the block.
        clipped: number of values that were clipped to the storage's range.
        stopped: number of walks of the block that became non-finite and stopped since its last rows.
        strayed: number of walks that left the range and stopped since then.
        accepted: share of accepted proposals since then; None where the kernel proposes nothing.
        asymmetry: mean |J - J^T|_F / |J|_F of r since then; None where not measured.
        dropped: number of rows that filters dropped, by the filter's name.
        table: the rows as columns, where x is an encoded row of a table; None: x is stored.
    """

    x: Tensor
    label: Tensor
    probabilities: Tensor
    walk: Tensor
    step: int
    model: Tensor
    block: int
    clipped: int
    stopped: int
    strayed: int = 0
    accepted: float | None = None
    asymmetry: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    table: "pa.Table | None" = None

    def rows(self, kept: Tensor) -> "LabelledSamples":
        """Return the samples with some of the rows; kept: bool, (B,)."""
        columns = {name: getattr(self, name)[kept] for name in ("x", "label", "probabilities", "walk", "model")}
        table = None if self.table is None else self.table.filter(kept.numpy())
        return replace(self, table=table, **columns)
