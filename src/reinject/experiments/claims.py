"""Hold the result of a check."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["holds", "fails"]


@dataclass(frozen=True)
class Row:
    """Hold one claim and its check.

    Attributes:
        claim: claim with its parameters.
        exact: value from theory, as text or number.
        measured: value from the program.
        error: distance of the two, in the unit of ``bound``.
        bound: largest error at which the claim holds.
        note: further information for the reader.
    """

    claim: str
    exact: float | str
    measured: float | str
    error: float
    bound: float
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Return "holds" if the error is a number within the bound, else "fails"."""
        return "holds" if math.isfinite(self.error) and self.error <= self.bound else "fails"

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON, with its verdict; non-finite numbers become null."""
        row = {**asdict(self), "verdict": self.verdict}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
