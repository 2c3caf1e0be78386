"""How a command reads data sets: by one split, never by another than its models were trained on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reinject import data
from reinject.archive.schema import MANIFEST
from reinject.base.errors import ArchiveError, DataError
from reinject.base.progress import Progress, Silent
from reinject.data.splits import Split, are_apart, check_unseen

KINDS = ("autoencoders", "classifiers", "students")  # of models in a manifest
_ARCHIVE = "archive:"


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

    def begin_at(self, folder: str, manifest: Mapping[str, Any]) -> None:
        """Note what an archive was made from at whose samples walks begin.

        Raises:
            DataError: the models have seen rows that are held out of it, or it has seen rows that are held out of them.
        """
        for one in made_from(manifest):
            for known in self.trained:
                if are_apart(one, known):
                    problem = (
                        f"was made from another split of {one.name} than the models (seeds {one.seed}, {known.seed})"
                    )
                    raise DataError(folder, problem, "Begin at an archive of one split with the models")
            self.splits[f"{_ARCHIVE}{folder}, {one.name}"] = one


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

    Raises:
        ArchiveError: splits that are damaged.
    """
    if "splits" in parameters:
        seed = seed_of(split for name, split in read_by(parameters).items() if not name.startswith(_ARCHIVE))
    else:
        seed = parameters["seed"] if start.startswith(("data:", "fitted:")) else 0
    return Reading(data_dir, seed or 0, progress or Silent())


def read_by(parameters: Mapping[str, Any]) -> dict[str, Split]:
    """What the walks of an archive were told of data sets, by their names.

    Raises:
        ArchiveError: splits that are damaged.
    """
    noted = parameters.get("splits", {})
    if not isinstance(noted, Mapping):
        raise ArchiveError(MANIFEST, f"is damaged (splits is {str(noted)[:80]!r})", "Sample again")
    return {name: Split.of(value, MANIFEST, ArchiveError) for name, value in noted.items()}


def made_from(manifest: Mapping[str, Any]) -> list[Split]:
    """What an archive's models were trained on and what its walks were told, where the manifest says it.

    Raises:
        ArchiveError: splits that are damaged.
    """
    entries = [entry for kind in KINDS for entry in manifest["models"].get(kind, ())]
    noted = [Split.of(entry["split"], MANIFEST, ArchiveError) for entry in entries if "split" in entry]
    return [*noted, *read_by(manifest["parameters"]).values()]


def seed_of(splits: Iterable[Split]) -> int | None:
    """The seed by which data sets were split; None where all had a test part of their own."""
    return next((one.seed for one in splits if one.seed is not None), None)
