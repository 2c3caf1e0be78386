"""What a noise-conditioned network takes besides x and sigma: a range of levels, and the class of a row."""

from dataclasses import dataclass

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError


@dataclass(frozen=True)
class Conditioning:
    """Describe what a noise-conditioned network r(x, sigma), or r(x, sigma, label), was trained with.

    Row k of a block has the class asked[k mod their number], so all classes make a block balanced.

    Attributes:
        levels: smallest and largest sigma of its training, data units, 0 < smallest < largest; None: unknown.
        classes: number of classes of a class-conditional network, >= 0; 0: it takes no class.
        asked: classes of rows 0, 1, ... in turn, in 0..classes - 1; none: all classes.

    Raises:
        ArgumentError: levels that do not rise, or a class that the network lacks.

    Example:
        >>> Conditioning(classes=3).labels(torch.zeros(5, 1))
        (tensor([0, 1, 2, 0, 1]),)
        >>> Conditioning(levels=(0.01, 80.0)).labels(torch.zeros(5, 1))
        ()
    """

    levels: tuple[float, float] | None = None
    classes: int = 0
    asked: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.levels is not None and not 0 < self.levels[0] < self.levels[1] < float("inf"):
            raise ArgumentError("conditioning", f"levels = {self.levels}", "Give 0 < smallest < largest")
        if self.classes < 0 or not all(0 <= y < self.classes for y in self.asked):
            cure = f"Give 0..{self.classes - 1}" if self.classes > 0 else "Leave the classes out"
            raise ArgumentError("conditioning", f"classes {self.asked} of {self.classes}", cure)

    @property
    def turn(self) -> tuple[int, ...]:
        """Return the classes of rows 0, 1, ..., in turn; none for an unconditional network."""
        return self.asked or tuple(range(self.classes))

    def labels(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the labels of the rows of x, int64, (B,), as one more argument; none for an unconditional network."""
        if not self.classes:
            return ()
        return (torch.tensor(self.turn, device=x.device)[torch.arange(len(x), device=x.device) % len(self.turn)],)
