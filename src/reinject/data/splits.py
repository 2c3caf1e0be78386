"""The split of a data set: its held-out rows. Models and archives carry it, and are judged on no other split.

A fingerprint covers the stored rows without their labels, in any order. Equal rows have equal fingerprints, wherever
they are stored.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
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
        remembered: splits behind the old models that a model of this split remembers; they remember nothing themselves.
    """

    name: str
    seed: int | None
    rows: str = ""
    held_out: str = ""
    remembered: tuple["Split", ...] = field(default=(), compare=False)

    @property
    def behind(self) -> tuple["Split", ...]:
        """Return this split alone, then the remembered ones."""
        return (replace(self, remembered=()), *self.remembered)

    def as_json(self) -> dict[str, Any]:
        """Return JSON values, as models and archives carry them."""
        values = asdict(replace(self, remembered=()))
        del values["remembered"]
        if self.remembered:
            values["remembered"] = [one.as_json() for one in self.remembered]
        return values

    @classmethod
    def of(cls, value: Any, owner: str, kind: type[ReinjectError]) -> "Split":
        """Parse the values of :meth:`as_json`; raise an error of the given kind for other values."""
        fits = isinstance(value, Mapping) and value.keys() - {"remembered"} == {"name", "seed", "rows", "held_out"}
        fits = fits and all(isinstance(value[key], str) for key in ("name", "rows", "held_out"))
        fits = fits and isinstance(value.get("remembered", []), list)
        if not fits or not (value["seed"] is None or isinstance(value["seed"], int)):
            raise kind(owner, f"is damaged (split is {str(value)[:80]!r})", "Make the folder again")
        remembered = tuple(cls.of(one, owner, kind) for one in value.get("remembered", []))
        return cls(**{**value, "remembered": remembered})

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
    """Read the split that the model in a folder was trained on, with those that it remembers; None if it states none.

    Models older than fingerprints state a seed, which determined the split at that time.

    Raises:
        ModelError: the file is damaged.
    """
    plan = _plan_of(folder)
    if (folder / SPLIT).is_file():
        found = Split.of(read_json(folder / SPLIT, ModelError), str(folder / SPLIT), ModelError)
        return replace(found, remembered=_remembered(plan, str(folder / _TRAINING)))
    if "split_seed" in plan:
        return None
    name, seed = plan.get("dataset"), plan.get("seed")
    return Split(name, seed) if isinstance(name, str) and isinstance(seed, int) else None


def _plan_of(folder: Path) -> Mapping[str, Any]:
    """Return the plan of a training; an empty one where the folder states none."""
    found = read_json(folder / _TRAINING, ModelError) if (folder / _TRAINING).is_file() else {}
    plan = found.get("plan") if isinstance(found, dict) else None
    return plan if isinstance(plan, dict) else {}


def _remembered(plan: Mapping[str, Any], owner: str) -> tuple[Split, ...]:
    try:
        values = ((plan.get("remember") or {}).get("found") or {}).get("splits") or []
        return tuple(Split.of(one, owner, ModelError) for one in values)
    except (AttributeError, TypeError) as error:
        raise ModelError(owner, f"is damaged ({error})", "Copy the folder again") from error


def apart(one: Split, other: Split) -> tuple[Split, Split] | None:
    """Return splits behind both that hold out different rows of the same data; None without such a pair.

    Example:
        >>> first = Split("new", 0, "n", "m", remembered=(Split("old", 0, "a", "b"),))
        >>> [split.seed for split in apart(first, Split("old", 3, "a", "c"))]
        [0, 3]
    """
    pairs = ((a, b) for a in one.behind for b in other.behind)
    return next(((a, b) for a, b in pairs if a.rows and a.rows == b.rows and a.held_out != b.held_out), None)


def check_unseen(owner: str, known: Split, here: Split) -> str:
    """Raise DataError if a model or an archive was made from rows that are held out here.

    Rows behind remembered models count too. Otherwise return a remark if training rows are unknown, or "".

    Arguments:
        owner: the model or the archive.
        known: the split that it was made from, with the remembered ones.
        here: the split of the data now.

    Raises:
        DataError: it was made from rows that are held out here.

    Example:
        >>> check_unseen("models", Split("digits", 3, "a", "b"), Split("digits", 0, "a", "c"))
        Traceback (most recent call last):
        reinject.base.errors.DataError: models: has seen rows of digits that are held out here (its split seed is 3, not
        0). Give --split-seed 3.
    """
    same = any(_equal(one, here) for one in known.behind)
    remarks = []
    for number, one in enumerate(known.behind):
        who = f"an old model that {owner} remembers" if number else owner
        # where one split fits, other rows under the same name are other data, such as last month's file
        remarks.append(_other(who, one) if same and one.rows not in ("", here.rows) else _checked(who, one, here))
    return "; ".join(filter(None, remarks))


def _equal(known: Split, here: Split) -> bool:
    return bool(known.rows) and (known.rows, known.held_out) == (here.rows, here.held_out)


def _checked(owner: str, known: Split, here: Split) -> str:
    """Check one split, as :func:`check_unseen` does."""
    if _equal(known, here):
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
    return _other(owner, known)


def _other(owner: str, known: Split) -> str:
    return f"{owner} was trained on other data ({known.name}): it may hold rows that are held out here"


def unknown(owner: str) -> str:
    """Return the remark about a model without a split."""
    return f"{owner} does not say which rows it was trained on: if some are held out here, its score is too good"
