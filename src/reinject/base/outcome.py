"""What a command does, from names and folders to files: rooms put together, and nothing else."""

import shlex
from dataclasses import dataclass
from typing import Any

_SHOWN = 160  # characters of what is said


@dataclass(frozen=True, repr=False)
class Outcome:
    """What a job has to say: a JSON value for machines, lines for people; why it is a failure though it is done.

    Attributes:
        result: JSON value.
        lines: of text.
        failure: why it failed; "": it did not.
        status: exit status of a failure.
        repeated: whether all of it was there already, made by the same command.
    """

    result: Any
    lines: list[str]
    failure: str = ""
    status: int = 1
    repeated: bool = False

    def __repr__(self) -> str:
        said = "; ".join(self.lines).replace("\n", " ")
        return f"Outcome({said[:_SHOWN] + '...' if len(said) > _SHOWN else said})"


def command_line(name: str, *words: object, **options: object) -> str:
    """A command of ours as a shell reads it, without the options that are None or empty; those of a list come again.

    Example:
        >>> command_line("report", "a b", against="digits", beside=["c", "d"], data_dir=None)
        "reinject report 'a b' --against digits --beside c --beside d"
    """
    found = ["reinject", name, *map(str, words)]
    for option, value in options.items():
        each = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        found += [word for one in each for word in (f"--{option.replace('_', '-')}", str(one))]
    return shlex.join(found)
