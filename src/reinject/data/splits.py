"""The split of a data set: which of its rows are held out. Models and archives carry it, and are not judged on others.

A fingerprint is of the rows as they are kept, without their labels, in any order: of equal rows it is equal, wherever
they lie.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from reinject.base.errors import DataError, ModelError, ReinjectError
from reinject.base.files import read_json, write_json

SPLIT = "split.json"
_TRAINING = "training.json"
_AS_IT_WAS = "Give the data set as it was, or train again on it as it is"


@dataclass(frozen=True)
class Split:
    """Which rows of a data set are held out.

    Attributes:
        name: of the data set, as a command names it.
        seed: of the split; None: the data set has a test part of its own.
        rows: fingerprint of all rows; "": not known, because the model is older than fingerprints.
        held_out: fingerprint of the test rows.
    """

    name: str
    seed: int | None
    rows: str = ""
    held_out: str = ""

    def as_json(self) -> dict[str, Any]:
        """JSON values, as models and archives carry them."""
        return asdict(self)

    @classmethod
    def of(cls, value: Any, owner: str, kind: type[ReinjectError]) -> "Split":
        """The split of which :meth:`as_json` spoke; an error of the given kind where the values are others."""
        fits = isinstance(value, Mapping) and value.keys() == {"name", "seed", "rows", "held_out"}
        fits = fits and all(isinstance(value[key], str) for key in ("name", "rows", "held_out"))
        if not fits or not (value["seed"] is None or isinstance(value["seed"], int)):
            raise kind(owner, f"is damaged (split is {str(value)[:80]!r})", "Make the folder again")
        return cls(**value)

    def save(self, folder: Path) -> None:
        """Write FOLDER/split.json."""
        write_json(folder / SPLIT, self.as_json())


def digests(x: Tensor) -> list[bytes]:
    """A hash of each row of (N, *event)."""
    return [hashlib.blake2b(row, digest_size=16).digest() for row in x.flatten(1).contiguous().numpy()]


def joined(rows: Iterable[bytes]) -> str:
    """The fingerprint of rows, from the hash of each, in any order.

    Example:
        >>> joined([b"a", b"b"]) == joined([b"b", b"a"]), joined([b"a"]) == joined([b"a", b"a"])
        (True, False)
    """
    return hashlib.sha256(b"".join(sorted(rows))).hexdigest()[:16]


def split_of(folder: Path) -> Split | None:
    """What the model in a folder was trained on; None where it does not say.

    Models from before there were fingerprints say it by their seed, by which data was split then.

    Raises:
        ModelError: a file that is damaged.
    """
    if (folder / SPLIT).is_file():
        return Split.of(read_json(folder / SPLIT, ModelError), str(folder / SPLIT), ModelError)
    if not (folder / _TRAINING).is_file():
        return None
    found = read_json(folder / _TRAINING, ModelError)
    plan = found.get("plan") if isinstance(found, dict) else None
    if not isinstance(plan, dict) or "split_seed" in plan:
        return None
    name, seed = plan.get("dataset"), plan.get("seed")
    return Split(name, seed) if isinstance(name, str) and isinstance(seed, int) else None


def are_apart(one: Split, other: Split) -> bool:
    """Whether two splits hold out other rows of the same data."""
    return bool(one.rows) and one.rows == other.rows and one.held_out != other.held_out


def check_unseen(owner: str, known: Split, here: Split) -> str:
    """Refuse a split whose held-out rows a model or an archive has seen; a remark where that is not known, or "".

    Arguments:
        owner: the model or the archive.
        known: what it was made from.
        here: what is read now.

    Raises:
        DataError: it has seen rows that are held out here.

    Example:
        >>> check_unseen("models", Split("digits", 3, "a", "b"), Split("digits", 0, "a", "c"))
        Traceback (most recent call last):
        reinject.base.errors.DataError: models: has seen rows of digits that are held out here (its split seed is 3, not
        0). Give --split-seed 3.
    """
    if known.rows and (known.rows, known.held_out) == (here.rows, here.held_out):
        return ""
    split_here = here.seed is not None
    if known.rows == here.rows or (not known.rows and known.name == here.name and split_here):
        if not known.rows and known.seed == here.seed:
            return unknown(owner)
        problem = f"has seen rows of {here.name} that are held out here"
        if known.seed is None:
            raise DataError(owner, problem, "Give the data set with the test part that it had")
        if known.seed == here.seed:  # rows in another order, or labels that are others, are split otherwise
            raise DataError(owner, f"{problem}: it lies there in another order", _AS_IT_WAS)
        here_is = here.seed if split_here else "a test part of its own"
        raise DataError(
            owner, f"{problem} (its split seed is {known.seed}, not {here_is})", f"Give --split-seed {known.seed}"
        )
    if not known.rows:
        return unknown(owner)
    if known.name == here.name and (split_here or known.seed is not None):
        problem = f"is of {here.name} with other rows, some of which may be held out here"
        raise DataError(owner, problem, _AS_IT_WAS)
    return f"{owner} was trained on other data ({known.name}): whether rows held out here were among it is not known"


def unknown(owner: str) -> str:
    """The remark on a model that carries no split."""
    return f"{owner} does not say which rows it was trained on: if some are held out here, it is judged too well"
