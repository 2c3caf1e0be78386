"""The one table that goes from synthesis to archive to evaluation, and how its values are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError


def usual_kind(event_shape: Sequence[int]) -> str:
    """How samples of a shape are kept unless it is said: images, whose range is known, as levels; vectors as floats.

    Example:
        >>> usual_kind((1, 28, 28)), usual_kind((20,))
        ('uint8', 'float')
    """
    return "uint8" if len(event_shape) == 3 else "float"


@dataclass(frozen=True)
class Storage:
    """How a sample is kept: as uint8 levels of a value range, or as the floats the walk visited.

    A value v is kept as level = round(255 (v - low) / (high - low)), clipped to 0..255, and means
    low + (high - low) level / 255.

    Attributes:
        kind: "uint8" or "float" (float32, nothing is rounded or clipped).
        low: value of level 0, data units.
        high: value of level 255, data units; above ``low``.
    """

    kind: str = "uint8"
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("uint8", "float"):
            raise ArgumentError("store", f"{self.kind!r} is not known", "Give 'uint8' or 'float'")
        if not self.low < self.high:
            raise ArgumentError("store", f"range {self.low}..{self.high}", "Give low < high")

    def store(self, x: Tensor) -> tuple[Tensor, int]:
        """What is kept of x, and how many values lay outside the range and were clipped."""
        if self.kind == "float":
            return x.float(), 0
        level = x.sub(self.low).mul_(255 / (self.high - self.low)).round_()
        inside = level.clamp(0, 255)
        return inside.to(torch.uint8), int((inside != level).sum())

    def load(self, kept: Tensor) -> Tensor:
        """The values that the kept tensor means: float32, data units."""
        if self.kind == "float":
            return kept
        return kept.float().mul_((self.high - self.low) / 255).add_(self.low)


@dataclass(frozen=True)
class LabelledSamples:
    """Some rows of the one table that goes from synthesis to archive to evaluation; B rows of one block and step.

    Attributes:
        x: kept samples, (B, *event): uint8 levels, or float32 in data units.
        label: class of the highest probability, or the class that was asked for, int64, (B,); -1: none.
        probabilities: of all classes, float32, (B, classes); rows sum to 1. (B, 0) where nothing labels.
        walk: number of the walk, int64, (B,).
        step: i of x_i.
        model: which autoencoder of an ensemble walked, int64, (B,).
        block: number of the block.
        clipped: how many values were clipped to the storage's range.
        stopped: how many walks of the block were stopped as non-finite since its last rows.
        strayed: how many were stopped because they left the stated range.
        accepted: share of proposals accepted since then; None where the kernel proposes nothing.
        asymmetry: mean |J - J^T|_F / |J|_F of r since then; None where it is not measured.
        dropped: how many rows filters refused, by the filter's name.
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

    def rows(self, kept: Tensor) -> "LabelledSamples":
        """The same with some of its rows; kept: bool, (B,)."""
        columns = {name: getattr(self, name)[kept] for name in ("x", "label", "probabilities", "walk", "model")}
        return replace(self, **columns)
