"""Data sets and tables with rehearsed rows among their training rows."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from reinject.base.errors import DataError
from reinject.data.datasets import Dataset, LabelledImages
from reinject.data.splits import Split
from reinject.data.table_parts import TableParts


@dataclass(frozen=True)
class Rehearsed(Dataset):
    """New rows and rehearsed rows, mixed; ``train.y`` holds probabilities, float32, (N, classes).

    Attributes:
        real: split of the new rows, which the models carry; rehearsed rows are nobody's data.
        walks: rehearsed rows that are held out, with their classes.
        new: which training rows are new or kept, not rehearsed, bool, (N,); None: unknown.
    """

    real: Split | None = None
    walks: LabelledImages | None = None
    new: Tensor | None = None

    @cached_property
    def split(self) -> Split:
        """Return the split of the real rows.

        Raises:
            DataError: there is none.
        """
        return _split_of(self.name, self.real)


@dataclass(frozen=True)
class RehearsedTable(TableParts):
    """New rows, rehearsed rows and kept rows of a table; the test part holds new rows alone.

    Attributes:
        real: split of the new rows, which the models carry; rehearsed rows are nobody's data.
    """

    real: Split | None = None

    @cached_property
    def split(self) -> Split:
        """Return the split of the real rows.

        Raises:
            DataError: there is none.
        """
        return _split_of(self.name, self.real)


def _split_of(name: str, real: Split | None) -> Split:
    if real is None:
        raise DataError(name, "has rehearsed rows without a split of the real ones", "Give real=, the split of these")
    return real
