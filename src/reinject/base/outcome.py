"""The outcome of a command: a JSON value, and lines of text."""

import shlex
from dataclasses import dataclass
from typing import Any

_SHOWN = 160  # most characters of the text


@dataclass(frozen=True, repr=False)
class Outcome:
    """What a command reports: a JSON value for machines, lines for people, and the reason of a failure.

    Attributes:
        result: JSON value.
        lines: of text.
        failure: why a completed command still counts as failed; "": it succeeded.
        status: exit status of a failure.
        repeated: whether the same command made all of it earlier.
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
    """Write one of our commands for a shell.

    Options that are None or empty are left out; an option with a list is repeated.

    Example:
        >>> command_line("report", "a b", against="digits", beside=["c", "d"], data_dir=None)
        "reinject report 'a b' --against digits --beside c --beside d"
    """
    found = ["reinject", name, *map(str, words)]
    for option, value in options.items():
        each = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        found += [word for one in each for word in (f"--{option.replace('_', '-')}", str(one))]
    return shlex.join(found)
