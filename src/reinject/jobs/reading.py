"""How a command reads data sets: by one split, never by another than its models were trained on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reinject import data
from reinject.progress import Progress, Silent
from reinject.splits import Split, check_unseen


@dataclass(frozen=True)
class Reading:
    """How the data sets of a command are read, and which have been.

    Attributes:
        data_dir: where to look for data sets first.
        split_seed: of the split of those without a test part.
        progress: progress reporter.
        trained: what the command's models were trained on.
        splits: name -> split of every data set that has been read.
    """

    data_dir: str | None = None
    split_seed: int = 0
    progress: Progress = field(default_factory=Silent)
    trained: tuple[Split, ...] = ()
    splits: dict[str, Split] = field(default_factory=dict)

    def load(self, name: str) -> data.Dataset:
        """Read a data set.

        Raises:
            DataError: it is not to be had, or the models have seen rows that are held out of it here.
        """
        found = data.load(name, self.data_dir, self.split_seed, self.progress)
        for one in self.trained:
            check_unseen("the model", one, found.split)
        self.splits[name] = found.split
        return found


def reading_again(
    parameters: Mapping[str, Any], start: str = "", data_dir: str | None = None, progress: Progress | None = None
) -> Reading:
    """How the data sets of an archive were read.

    Archives from before their splits were noted have starts of ``data:`` and ``fitted:`` from the split by their own
    seed, all else from that by 0.

    Arguments:
        parameters: of the archive.
        start: text of the start that is read, if it is one.
        data_dir: where to look for data sets first.
        progress: progress reporter.
    """
    noted = parameters.get("splits")
    if noted is None:
        seed = parameters["seed"] if start.startswith(("data:", "fitted:")) else 0
    else:
        seed = seed_of(noted) or 0
    return Reading(data_dir, seed, progress or Silent())


def seed_of(splits: Mapping[str, Mapping[str, Any]]) -> int | None:
    """The seed by which data sets were split, from JSON values; None where all had a test part of their own."""
    return next((one["seed"] for one in splits.values() if one["seed"] is not None), None)
