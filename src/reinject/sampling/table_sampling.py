"""Sample rows of a table: the settings of the walk, the options that do not apply, and the verdict without data."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from reinject.archive import Archive
from reinject.base.errors import ArgumentError
from reinject.models.table_model import TableModel
from reinject.sampling.auto import Choice
from reinject.sampling.presets import Settings
from reinject.sampling.selection import Selection
from reinject.sampling.table_given import parse_given
from reinject.sampling.table_walks import table_settings
from reinject.walks.verdict import Verdict

TABLE_BLOCK = 8192  # rows of a block and so of a shard: a table's rows are small
CHOICE = Choice(table_settings(), "rows of a table: every walk begins in noise and gives one row")
_MISSING = 0.05  # part of a class's share in the training rows, below which it is missing
_EXPECTED = 20  # rows of a class, below which it may be absent by chance


def check_options(settings: Settings, selection: Selection, store: str | None) -> None:
    """Raise ArgumentError for options that rows of a table do not have."""
    usual = Selection()
    for item in fields(Selection):
        if item.name not in ("rows", "labels") and getattr(selection, item.name) != getattr(usual, item.name):
            raise _no_option(item.name)
    if selection.labels == "asked":
        raise _no_option("labels")
    for name in ("classes", "latent", "known", "mask", "measured"):
        if getattr(settings, name):
            raise _no_option(name)
    if store is not None:
        raise _no_option("store")


def _no_option(name: str) -> ArgumentError:
    flag = name.replace("_", "-")
    return ArgumentError(f"--{flag}", "is for images and vectors, these models sample rows of a table", "Leave it out")


def table_remarks(table: TableModel, given: str | None, choice: Choice | None, archive: Archive) -> dict[str, Any]:
    """Judge an almost finished archive by what needs no data: walks, classes of the target, columns that vary.

    Arguments:
        table: the encoder and the target.
        given: conditions on the rows, which change the shares of classes; None: no conditions.
        choice: reason for the settings.
        archive: the archive.

    Returns:
        JSON values for the manifest: ``verdict``, ``figures`` and, with a choice, ``chosen``.
    """
    counts, walks = archive.manifest["counts"], archive.manifest["parameters"]["walks"]
    stopped = (counts["stopped_walks"] + counts["strayed_walks"]) / walks
    wanted = {} if given else table.classes
    found = shares_of(archive, table) if wanted else {}
    figures: dict[str, Any] = {"stopped": round(stopped, 3)}
    if wanted:
        figures["shares"] = [round(found.get(name, 0.0), 4) for name in wanted]
        figures["training_shares"] = [round(share, 4) for share in wanted.values()]
    said = {"verdict": _verdict(archive, table, stopped, (wanted, found), given).as_json(), "figures": figures}
    return said if choice is None else {**said, "chosen": choice.as_json()}


def shares_of(archive: Archive, table: TableModel) -> dict[str, float]:
    """Return the share of each class of the target in an archive; none where the target has no classes."""
    if not table.classes:
        return {}
    counts: dict[str, int] = {}
    for shard in archive.tables([str(table.target)]):
        for one in _text(shard.column(0)).value_counts().to_pylist():
            name = str(one["values"])
            counts[name] = counts.get(name, 0) + one["counts"]
    return {name: count / archive.rows for name, count in counts.items()}


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _verdict(
    archive: Archive,
    table: TableModel,
    stopped: float,
    classes: tuple[Mapping[str, float], Mapping[str, float]],
    given: str | None,
) -> Verdict:
    wanted, found = classes
    expected = {name: share for name, share in wanted.items() if share * archive.rows >= _EXPECTED}
    gone = [name for name, share in expected.items() if found.get(name, 0.0) < _MISSING * share]
    held = parse_given(given, table.encoder) if given else {}
    still, varying = _still(archive, table, held)
    reasons = [
        (stopped, 0.1, 0.01, f"{stopped:.1%} of the walks diverged"),
        (
            len(gone) / max(1, len(expected)),
            0.5,
            0.0,
            f"{len(gone)} of {len(expected)} classes of {table.target} are missing",
        ),
        (len(still) / max(1, varying), 0.5, 0.0, f"columns with one value in all rows: {', '.join(still[:5])}"),
    ]
    for value, broken, _, reason in reasons:
        if value > broken:
            return Verdict("broken", reason)
    return next((Verdict("doubtful", reason) for value, _, least, reason in reasons if value > least), Verdict("good"))


def _still(archive: Archive, table: TableModel, held: Collection[str]) -> tuple[list[str], int]:
    """Return the columns with one value in the first shard, and the number of columns that should vary."""
    first = archive.shard(0)
    varying = [column.name for column in table.encoder.described if column.distinct + (column.missing > 0) > 1]
    varying = [name for name in varying if name not in held]
    if len(first) < _EXPECTED:
        return [], len(varying)
    return [name for name in varying if len(pc.unique(first.column(name))) == 1], len(varying)
