"""The parts of an encoded table row."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Block:
    """A part of an encoded row.

    Attributes:
        column: name of the column.
        holds: number: z; category: SCALE times a one-hot vector; mark: the same, of the spikes of a number, a missing
            value and any other number, which z then says.
        start, stop: the part is x[start:stop].
    """

    column: str
    holds: Literal["number", "category", "mark"]
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Return the number of values."""
        return self.stop - self.start
