"""Name and number classes: names in order, and numbers 0, 1, ... for labels of any kind."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reinject.base.errors import ArgumentError, DataError

_SHOWN = 5  # most names in a message


@dataclass(frozen=True)
class Labels:
    """Labels of some rows, as stored.

    Attributes:
        values: integers or text, (N,); None or NaN for a row without a label.
        names: names of the classes, if the values are numbers of names; -1 means no label.
    """

    values: NDArray[Any]
    names: tuple[str, ...] | None = None


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names: as numbers if all are integers, else as text.

    Example:
        >>> in_order(["10", "2", "1"]), in_order(["b", "a10", "a2"])
        (('1', '2', '10'), ('a10', 'a2', 'b'))
    """
    found = sorted(names)
    if all(name.removeprefix("-").isdecimal() for name in found):
        found.sort(key=int)
    return tuple(found)


def check_names(owner: str, names: Sequence[Any], outputs: int | None = None) -> tuple[str, ...]:
    """Return the names of classes as text; integers become text.

    Arguments:
        owner: name for messages.
        names: of the classes.
        outputs: required number of names; None: any number.

    Raises:
        ArgumentError: a name that is not text, is blank or repeated; too few or too many names.

    Example:
        >>> check_names("sample", [3, 5, 8], 3)
        ('3', '5', '8')
    """
    if isinstance(names, str):
        raise ArgumentError(owner, f"class names {names!r} are a single text", "Give a list of names")
    whole = (int, np.integer)
    texts = [str(name) if isinstance(name, whole) and not isinstance(name, bool) else name for name in names]
    for name in texts:
        if not isinstance(name, str):
            raise ArgumentError(owner, f"class name {name!r} is not text", "Give names as text")
        if not name.strip():
            raise ArgumentError(owner, f"class name {name!r} is blank", "Give every class a name")
    twice = sorted({name for name in texts if texts.count(name) > 1})
    if twice:
        raise ArgumentError(owner, f"class names are repeated: {_list(twice)}", "Give every class its own name")
    if outputs is not None and len(texts) != outputs:
        raise ArgumentError(owner, f"{len(texts)} class names for {outputs} outputs", "Give one name for each output")
    return tuple(map(str, texts))


def coded(
    owner: str, parts: Mapping[str, Sequence[Labels]], first: str, *, sort: bool = False
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Return the names of the classes of the ``first`` part, and the labels of all parts as numbers of these names.

    Given names keep their order; labels without names are sorted. The other parts are mapped by name.

    Arguments:
        owner: name for messages.
        parts: name of a part -> its labels, in pieces that may have their own names.
        first: the part that determines the classes.
        sort: whether to sort given names, too.

    Raises:
        DataError: rows without a label; labels beyond the names, or neither integers nor text; other classes in another
            part.

    Example:
        >>> train, test = Labels(np.array([0, 1]), ("a", "b")), Labels(np.array([0, 1]), ("b", "a"))
        >>> names, y = coded("set", {"train": [train], "test": [test]}, "train")
        >>> names, y["test"].tolist()
        (('a', 'b'), [1, 0])
    """
    codes = {part: [_codes(f"the {part} part of {owner}", one) for one in pieces] for part, pieces in parts.items()}
    named = parts[first][0].names is not None
    names = codes[first][0][0] if named else tuple({name: None for found, _ in codes[first] for name in found})
    if sort or not named:
        names = in_order(names)
    return names, {
        part: np.concatenate([_renumbered(owner, part, *piece, names, all_of_them=named) for piece in pieces])
        for part, pieces in codes.items()
    }


def _codes(owner: str, labels: Labels) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names of a part's classes, and its labels as numbers of these names."""
    values, names = labels.values, labels.names
    none = np.array([value is None or value != value for value in values.tolist()], dtype=bool)
    if names is not None:
        none |= values == -1
    if none.any():
        raise DataError(
            owner,
            f"{none.sum():,} of {len(values):,} rows have no label",
            "Remove these rows, or use a part whose rows all have labels",
        )
    if names is None:
        texts = [_text(owner, value) for value in values.tolist()]
        found = tuple(dict.fromkeys(texts))
        if not all(name.strip() for name in found):
            blank = sum(not text.strip() for text in texts)
            raise DataError(owner, f"{blank:,} of {len(texts):,} rows have a blank label", "Give these rows a class")
        number = {name: k for k, name in enumerate(found)}
        return found, np.array([number[text] for text in texts], np.int64)
    codes = values.astype(np.int64)
    beyond = (codes < 0) | (codes >= len(names))
    if beyond.any():
        raise DataError(
            owner,
            f"{beyond.sum():,} of {len(codes):,} labels are outside 0..{len(names) - 1}, the numbers of its classes",
            "Correct these labels, or name all classes",
        )
    return names, codes


def _text(owner: str, value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (int, str)):
        return str(value)
    raise DataError(owner, f"label {value!r} is neither an integer nor text", "Give a class for each row")


def _renumbered(
    owner: str, part: str, names: Sequence[str], codes: NDArray[np.int64], wanted: Sequence[str], *, all_of_them: bool
) -> NDArray[np.int64]:
    """Map numbers of names to numbers of the wanted names.

    The wanted names must include all names. With ``all_of_them`` the part must have all wanted names, too.
    """
    more = [name for name in names if name not in wanted]
    fewer = [name for name in wanted if name not in names] if all_of_them else []
    if more or fewer:
        said = [f"{what} {_list(those)}" for what, those in (("has also", more), ("lacks", fewer)) if those]
        raise DataError(
            owner,
            f"its {part} part has other classes than its training part: it {' and '.join(said)}",
            "Give all parts the same classes",
        )
    return np.array([wanted.index(name) for name in names], np.int64)[codes]


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
