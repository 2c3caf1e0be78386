"""The split of a data set: its held-out rows. Models and archives carry it, and are judged on no other split.

A fingerprint covers the stored rows without their labels, in any order. Equal rows have equal fingerprints, wherever
they are stored.
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
_AS_IT_WAS = "Give the earlier version of the data set, or train again on this version"


@dataclass(frozen=True)
class Split:
    """The held-out rows of a data set.

    Attributes:
        name: of the data set, as in a command.
        seed: of the split; None: the data set has its own test part.
        rows: fingerprint of all rows; "": unknown, because the model is older than fingerprints.
        held_out: fingerprint of the test rows.
    """

    name: str
    seed: int | None
    rows: str = ""
    held_out: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return JSON values, as models and archives carry them."""
        return asdict(self)

    @classmethod
    def of(cls, value: Any, owner: str, kind: type[ReinjectError]) -> "Split":
        """Parse the values of :meth:`as_json`; raise an error of the given kind for other values."""
        fits = isinstance(value, Mapping) and value.keys() == {"name", "seed", "rows", "held_out"}
        fits = fits and all(isinstance(value[key], str) for key in ("name", "rows", "held_out"))
        if not fits or not (value["seed"] is None or isinstance(value["seed"], int)):
            raise kind(owner, f"is damaged (split is {str(value)[:80]!r})", "Make the folder again")
        return cls(**value)

    def save(self, folder: Path) -> None:
        """Write FOLDER/split.json."""
        write_json(folder / SPLIT, self.as_json())


def digests(x: Tensor) -> list[bytes]:
    """Return a hash of each row of (N, *event)."""
    return [hashlib.blake2b(row, digest_size=16).digest() for row in x.flatten(1).contiguous().numpy()]


def joined(rows: Iterable[bytes]) -> str:
    """Return the fingerprint of rows from their hashes, in any order.

    Example:
        >>> joined([b"a", b"b"]) == joined([b"b", b"a"]), joined([b"a"]) == joined([b"a", b"a"])
        (True, False)
    """
    return hashlib.sha256(b"".join(sorted(rows))).hexdigest()[:16]


def split_of(folder: Path) -> Split | None:
    """Read the split that the model in a folder was trained on; None if it states none.

    Models older than fingerprints state a seed, which determined the split at that time.

    Raises:
        ModelError: the file is damaged.
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
    """Return whether two splits hold out different rows of the same data."""
    return bool(one.rows) and one.rows == other.rows and one.held_out != other.held_out


def check_unseen(owner: str, known: Split, here: Split) -> str:
    """Raise DataError if a model or an archive was made from rows that are held out here.

    Otherwise return a remark if its training rows are unknown, or "".

    Arguments:
        owner: the model or the archive.
        known: the split that it was made from.
        here: the split of the data now.

    Raises:
        DataError: it was made from rows that are held out here.

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
            raise DataError(owner, problem, "Give the data set with its earlier test part")
        if known.seed == here.seed:  # rows in another order, or other labels, have another split
            raise DataError(owner, f"{problem}: its rows have another order now", _AS_IT_WAS)
        here_is = here.seed if split_here else "a test part of its own"
        raise DataError(
            owner, f"{problem} (its split seed is {known.seed}, not {here_is})", f"Give --split-seed {known.seed}"
        )
    if not known.rows:
        return unknown(owner)
    if known.name == here.name and (split_here or known.seed is not None):
        problem = f"is of {here.name} with other rows, some of which may be held out here"
        raise DataError(owner, problem, _AS_IT_WAS)
    return f"{owner} was trained on other data ({known.name}): it may hold rows that are held out here"


def unknown(owner: str) -> str:
    """Return the remark about a model without a split."""
    return f"{owner} does not say which rows it was trained on: if some are held out here, its score is too good"
