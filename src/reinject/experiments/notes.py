"""Record the progress of a seed on disk, so that an interrupted run resumes: seconds, tables, marks."""

import math
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reinject.base.errors import DataError
from reinject.base.files import finite, read_json, write_json
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.training.students import Marks

T = TypeVar("T")


@dataclass(frozen=True)
class Clock:
    """Record the seconds of each task in a file; finished tasks of an interrupted run keep their times."""

    path: Path

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each task, by name."""
        return dict(read_json(self.path, DataError)) if self.path.is_file() else {}

    def time(self, what: str, work: Callable[[], T]) -> T:
        """Do some work and return its result; record its seconds unless they are known."""
        began = time.monotonic()
        result = work()
        known = self.seconds
        write_json(self.path, {**known, what: known.get(what, round(time.monotonic() - began, 1))})
        return result


class MarksOnDisk(dict[str, Marks]):
    """Record marks of students by name, each in a file at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        there = read_json(path, DataError) if path.is_file() else {}
        super().__init__({name: _marks_of(one) for name, one in there.items()})

    def __setitem__(self, name: str, one: Marks) -> None:
        super().__setitem__(name, one)
        write_json(self.path, {name: _as_json(one) for name, one in self.items()})


def _as_json(one: Marks) -> dict[str, Any]:
    """Convert NaN, the accuracy of a class without test rows, to null."""
    return {**asdict(one), "per_class": [finite(value) for value in one.per_class]}


def _marks_of(one: dict[str, Any]) -> Marks:
    return Marks(**{**one, "per_class": tuple(math.nan if value is None else value for value in one["per_class"])})


def kept(path: Path, storage: Storage, make: Callable[[], Table]) -> Table:
    """Read a table from a file, or make and write it.

    Raises:
        DataError: the file is damaged.
    """
    if not path.is_file():
        table, temporary = make(), path.with_suffix(".tmp")
        path.parent.mkdir(exist_ok=True)
        with temporary.open("wb") as file:
            np.savez(file, x=table.x, y=table.y)
        temporary.rename(path)
        return table
    try:
        with np.load(path, allow_pickle=False) as there:
            return Table(there["x"], there["y"], storage)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(str(path), f"is damaged ({error})", "Remove it and run the same command again") from error
