"""What a write does about what is there already, in one value."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from reinject.base.errors import ArgumentError

Resume = Literal["if-possible", "never", "always"]


@dataclass(frozen=True)
class Existing:
    """What to do about an archive, or an unfinished run, that is there already.

    Attributes:
        overwrite: replace an archive that is there; otherwise it is refused.
        resume: "if-possible": resume an unfinished run where there is one; "never": give that up and begin anew;
            "always": there has to be one, or a finished archive of the same plan, whose damaged shards are made again.
        base: a finished archive whose shards are the first ones of the new plan, and which the new one replaces; None:
            all shards are made.

    Raises:
        ArgumentError: an unknown way to resume.

    Example:
        >>> Existing(resume="sometimes")
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: --resume: 'sometimes' is not known. Use one of if-possible, never, always.
    """

    overwrite: bool = False
    resume: Resume = "if-possible"
    base: Path | None = None

    def __post_init__(self) -> None:
        if self.resume not in get_args(Resume):
            known = ", ".join(get_args(Resume))
            raise ArgumentError("--resume", f"{self.resume!r} is not known", f"Use one of {known}")
