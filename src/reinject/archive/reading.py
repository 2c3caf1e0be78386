"""Read the data sets of a command by one split: the split that its models were trained on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reinject import data
from reinject.archive.schema import MANIFEST
from reinject.base.errors import ArchiveError, DataError
from reinject.base.progress import Progress, Silent
from reinject.data.splits import Split, apart, check_unseen

KINDS = ("autoencoders", "classifiers", "students")  # of models in a manifest
_ARCHIVE = "archive:"


@dataclass(frozen=True)
class Reading:
    """How a command reads data sets, and which it has read.

    Attributes:
        data_dir: where to look for data sets first.
        split_seed: of the split of data sets without a test part.
        progress: progress reporter.
        trained: splits that the command's models were trained on.
        splits: name -> split of every data set read so far.
    """

    data_dir: str | None = None
    split_seed: int = 0
    progress: Progress = field(default_factory=Silent)
    trained: tuple[Split, ...] = ()
    splits: dict[str, Split] = field(default_factory=dict)

    def load(self, name: str) -> data.Dataset:
        """Read a data set.

        Raises:
            DataError: it cannot be read, or the models were trained on rows that are held out here.
        """
        found = data.load(name, self.data_dir, self.split_seed, self.progress)
        for one in self.trained:
            check_unseen("the model", one, found.split)
        self.splits[name] = found.split
        return found

    def begin_at(self, folder: str, manifest: Mapping[str, Any]) -> None:
        """Record the splits behind an archive whose samples are starts of walks.

        Raises:
            DataError: the models were trained on its held-out rows, or it was made from theirs.
        """
        for one in made_from(manifest):
            for known in self.trained:
                pair = apart(one, known)
                if pair is not None:
                    there, here = pair
                    problem = f"was made from another split of {there.name} than the models"
                    problem += f" (seeds {there.seed}, {here.seed})"
                    raise DataError(folder, problem, "Start at an archive made from the models' split")
            self.splits[f"{_ARCHIVE}{folder}, {one.name}"] = one


def reading_again(
    parameters: Mapping[str, Any], start: str = "", data_dir: str | None = None, progress: Progress | None = None
) -> Reading:
    """Return how the data sets of an archive were read.

    Archives older than recorded splits split the data of ``data:`` and ``fitted:`` starts by the start's own seed. They
    split all other data by seed 0.

    Arguments:
        parameters: of the archive.
        start: text of the start that is read, if any.
        data_dir: where to look for data sets first.
        progress: progress reporter.

    Raises:
        ArchiveError: damaged splits.
    """
    if "splits" in parameters:
        seed = seed_of(split for name, split in read_by(parameters).items() if not name.startswith(_ARCHIVE))
    else:
        seed = parameters["seed"] if start.startswith(("data:", "fitted:")) else 0
    return Reading(data_dir, seed or 0, progress or Silent())


def read_by(parameters: Mapping[str, Any]) -> dict[str, Split]:
    """Return the splits of the data sets that an archive's walks used, by name.

    Raises:
        ArchiveError: damaged splits.
    """
    noted = parameters.get("splits", {})
    if not isinstance(noted, Mapping):
        raise ArchiveError(MANIFEST, f"is damaged (splits is {str(noted)[:80]!r})", "Sample again")
    return {name: Split.of(value, MANIFEST, ArchiveError) for name, value in noted.items()}


def made_from(manifest: Mapping[str, Any]) -> list[Split]:
    """Return the splits of an archive's models and walks, where the manifest states them.

    Raises:
        ArchiveError: damaged splits.
    """
    entries = [entry for kind in KINDS for entry in manifest["models"].get(kind, ())]
    noted = [Split.of(entry["split"], MANIFEST, ArchiveError) for entry in entries if "split" in entry]
    return [*noted, *read_by(manifest["parameters"]).values()]


def seed_of(splits: Iterable[Split]) -> int | None:
    """Return the seed of the splits; None if all data sets have their own test part."""
    return next((one.seed for one in splits if one.seed is not None), None)
