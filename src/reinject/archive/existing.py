"""What to do with existing results, in one value."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from reinject.base.errors import ArgumentError

Resume = Literal["if-possible", "never", "always"]


@dataclass(frozen=True)
class Existing:
    """What to do with an existing archive, or with an unfinished run.

    Attributes:
        overwrite: replace an existing archive; otherwise an existing archive is an error.
        resume: "if-possible": resume an unfinished run if there is one. "never": discard it and start anew. "always":
            require one, or a finished archive of the same plan, whose damaged shards are then repaired.
        base: a finished archive whose shards are the first ones of the new plan; the new archive replaces it. None:
            make all shards.

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
