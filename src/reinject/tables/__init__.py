"""Synthesise tables of mixed columns: fit on rows, then sample, complete, save and load.

synthesizer = reinject.tables.fit(frame, target="income")
synthesizer.sample(10_000, seed=0)
"""

from reinject.data.table_constraints import Constraints
from reinject.tables.synthesizer import Synthesizer, fit
from reinject.training.table_fit import TableSpec

__all__ = ["Constraints", "Synthesizer", "TableSpec", "fit"]


def __dir__() -> list[str]:
    return sorted(__all__)
