"""What a check says."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["holds", "fails"]


@dataclass(frozen=True)
class Row:
    """One claim and what came of it.

    Attributes:
        claim: what is said, with its parameters.
        exact: what theory gives, as text or number.
        measured: what the program found.
        error: distance between the two, in the unit that ``bound`` is in.
        bound: largest error at which the claim holds.
        note: what a reader has to know besides.
    """

    claim: str
    exact: float | str
    measured: float | str
    error: float
    bound: float
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the error is a number within the bound: holds, else fails."""
        return "holds" if math.isfinite(self.error) and self.error <= self.bound else "fails"

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON, its verdict included; numbers that are not finite, which JSON lacks, are null."""
        row = {**asdict(self), "verdict": self.verdict}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
