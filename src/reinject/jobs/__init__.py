"""What a command does, from names and folders to files: rooms put together, and nothing else."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a job has to say: a JSON value for machines, lines for people; why it is a failure though it is done."""

    result: Any
    lines: list[str]
    failure: str = ""
