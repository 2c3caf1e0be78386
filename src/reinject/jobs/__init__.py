"""What a command does, from names and folders to files: rooms put together, and nothing else."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a job has to say: numbers for machines (JSON values), lines for people."""

    result: dict[str, Any]
    lines: list[str]
