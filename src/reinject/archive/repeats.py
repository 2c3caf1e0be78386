"""Near-duplicates in different shards of an unfinished archive: found when all are there, then left out.

While walks are made, a rule sees one block, so that it does not matter who makes which. Samples of different blocks are
compared here, in the archive's order: a row goes where a row of an earlier shard that stays is closer than the stated
distance. That too is a function of the shards alone. Which rows went is noted in the entries of their shards, so that a
block that is made again comes out the same.
"""

import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject.archive.arrow import arrow_file
from reinject.archive.read import values_of
from reinject.archive.remote import deliver
from reinject.archive.schema import Plan
from reinject.archive.shards import entry_file, write_shard
from reinject.base.errors import ArchiveError, check_positive
from reinject.base.files import read_json, write_json
from reinject.data.samples import LabelledSamples

NOTE = "shard-repeats.json"
_SCRATCH = "repeats"
Numbers = NDArray[np.int64]
_AXES, _LOOKED_UP, _AXES_FROM = 24, 12, 2048  # axes, those of the look-up, and rows that they are found from
_AT_ONCE, _PAIRS, _HELD = 256, 2**16, 2**29  # rows, pairs of rows, and bytes of shards in memory
_SLACK = 1e-4  # by which float32 may err in the look-up; distances themselves are computed from the samples


@dataclass(frozen=True)
class Repeats:
    """Which samples repeat an earlier one: those that are closer to it than this.

    Attributes:
        distance: root mean square difference, > 0, data units.
        name: under which the rows that go are counted.
        on_rows: told how many rows have been compared so far.

    Raises:
        ArgumentError: a distance that is not positive.
    """

    distance: float
    name: str
    on_rows: Callable[[int], None] = lambda _: None

    def __post_init__(self) -> None:
        check_positive("repeats", "distance", self.distance)


def without_repeats(
    place: Path, notes: Path, plan: Plan, entries: Sequence[dict[str, Any]], rule: Repeats, fixed: int = 0
) -> list[dict[str, Any]]:
    """The entries of the shards, out of which the rows have been taken that repeat an earlier shard's.

    What is to go is noted before any shard is changed, so a run that is cut in between goes on with it.

    Arguments:
        place: where the shards are, here or elsewhere.
        notes: folder of this machine for the entries.
        plan: of the archive.
        entries: of all its shards, in order.
        rule: which rows go.
        fixed: of the first so many shards none does.
    """
    if (notes / _SCRATCH).is_dir():  # of a run that was cut
        shutil.rmtree(notes / _SCRATCH)
    note = notes / NOTE
    if not note.is_file():
        found = repeats(place, plan, entries, rule, fixed)
        write_json(note, {str(block): rows for block, rows in found.items()})
    wanted: Mapping[str, list[int]] = read_json(note, ArchiveError)
    return [
        _replaced(place, notes, plan, entry, wanted[str(entry["block"])], rule.name)
        if str(entry["block"]) in wanted and "repeats" not in entry
        else entry
        for entry in entries
    ]


def _replaced(
    place: Path, notes: Path, plan: Plan, entry: dict[str, Any], rows: list[int], name: str
) -> dict[str, Any]:
    scratch = notes / _SCRATCH
    after = leave_out(place / entry["file"], scratch, plan, entry, rows, name)
    write_json(notes / entry_file(entry["block"]), after)  # first: a cut after it leaves a shard that is not this one
    deliver(scratch / after["file"], place / after["file"])  # and is made again, never one that loses rows twice
    shutil.rmtree(scratch)
    return after


def leave_out(
    shard: Path, scratch: Path, plan: Plan, entry: dict[str, Any], rows: Sequence[int], name: str
) -> dict[str, Any]:
    """Write a shard without some of its rows into ``scratch``; its entry, which names them as ``repeats``."""
    (scratch / "data").mkdir(parents=True, exist_ok=True)
    after = write_shard(scratch, plan, entry["block"], _without(_parts_of(shard, plan, entry["block"]), rows))
    made = ("values", "clipped_values", "stopped_walks", "strayed_walks", "accepted", "asymmetry")
    dropped = {**entry["dropped"], name: entry["dropped"].get(name, 0) + len(rows)}
    return {**after, **{key: entry[key] for key in made}, "dropped": dropped, "repeats": list(rows)}


def _parts_of(shard: Path, plan: Plan, block: int) -> Iterator[LabelledSamples]:
    """The parts that a shard was written from, a row group each; what they counted is in its entry."""
    with arrow_file(shard) as file:
        groups = pq.ParquetFile(file)
        for number in range(groups.num_row_groups):
            table = groups.read_row_group(number)
            column = {name: table.column(name).to_numpy() for name in ("walk", "step", "model")}
            rows, classes = len(table), len(plan.class_names)
            label, probabilities = torch.full((rows,), -1), torch.zeros((rows, 0))
            if classes:
                flat = table.column("probabilities").combine_chunks().flatten().to_numpy(zero_copy_only=False)
                label = torch.from_numpy(table.column("label").to_numpy().copy())
                probabilities = torch.from_numpy(flat.copy()).reshape(rows, classes)
            yield LabelledSamples(
                x=values_of(table.column(0), plan.event_shape),
                label=label,
                probabilities=probabilities,
                walk=torch.from_numpy(column["walk"].copy()),
                step=int(column["step"][0]) if rows else 0,
                model=torch.from_numpy(column["model"].astype(np.int64)),
                block=block,
                clipped=0,
                stopped=0,
            )


def _without(parts: Iterable[LabelledSamples], rows: Sequence[int]) -> Iterator[LabelledSamples]:
    first = 0
    for part in parts:
        kept = torch.ones(len(part.walk), dtype=torch.bool)
        here = [row - first for row in rows if first <= row < first + len(kept)]
        kept[torch.tensor(here, dtype=torch.int64)] = False
        first += len(kept)
        yield part.rows(kept)


def repeats(
    place: Path, plan: Plan, entries: Sequence[dict[str, Any]], rule: Repeats, fixed: int = 0
) -> dict[int, list[int]]:
    """Block -> its rows that are closer than the distance to a row of an earlier shard that stays; arguments as above.

    Rows are looked up by their coordinates along some principal axes, in which they are no farther apart than they
    are: what is not near there is not near. Then the distances of those that are left are computed. Memory: about 200
    bytes a sample, and half a GiB of shards.
    """
    from scipy.spatial import cKDTree  # a second of imports, which most commands can do without

    shards = _Shards(plan, [place / entry["file"] for entry in entries])
    largest = max(range(len(entries)), key=lambda k: int(entries[k]["rows"]))
    centre, axes = _axes_of(shards.rows(largest)[:_AXES_FROM])
    keys = np.concatenate([((shards.rows(k) - centre) @ axes).numpy() for k in range(len(entries))])
    starts = np.cumsum([0, *(entry["rows"] for entry in entries)])
    near = rule.distance * math.sqrt(math.prod(plan.event_shape)) * (1 + _SLACK) + _SLACK * float(np.abs(keys).max())
    tree = cKDTree(keys[:, :_LOOKED_UP])
    gone = np.zeros(len(keys), dtype=bool)
    for k in range(max(1, fixed), len(entries)):
        pairs = [np.zeros((2, 0), np.int64)]
        for first in range(int(starts[k]), int(starts[k + 1]), _AT_ONCE):
            some = np.arange(first, min(first + _AT_ONCE, int(starts[k + 1])))
            found = tree.query_ball_point(keys[some, :_LOOKED_UP], near, workers=-1)
            row, other = np.repeat(some, list(map(len, found))), np.concatenate(found).astype(np.int64)
            earlier = (other < starts[k]) & ~gone[other]
            row, other = row[earlier], other[earlier]
            pairs.append(np.stack([row, other])[:, np.square(keys[row] - keys[other]).sum(1) < near**2])
            rule.on_rows(int(some[-1]) + 1)
        row, other = np.concatenate(pairs, axis=1)
        gone[row[_closer(shards, starts, k, row, other, rule.distance)]] = True
    return {
        entry["block"]: np.flatnonzero(gone[a:b]).tolist()
        for entry, a, b in zip(entries, starts[:-1], starts[1:], strict=True)
        if gone[a:b].any()
    }


def _closer(
    shards: "_Shards", starts: Numbers, k: int, row: Numbers, other: Numbers, distance: float
) -> NDArray[np.bool_]:
    """Whether each pair, a row of shard k and one of an earlier shard, numbers in the archive, is closer than this."""
    close = np.zeros(len(row), dtype=bool)
    of = np.searchsorted(starts, other, "right") - 1
    for one in np.unique(of):
        for here in np.array_split(np.flatnonzero(of == one), 1 + len(row) // _PAIRS):
            x, y = shards.rows(k, row[here] - starts[k]), shards.rows(int(one), other[here] - starts[one])
            close[here] = ((x - y).square().mean(1).sqrt() < distance).numpy()
    return close


def _axes_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and leading principal axes of rows, (n,) and (n, axes); orthonormal, so that nothing moves apart."""
    centre = x.mean(0)
    return centre, torch.linalg.svd(x - centre, full_matrices=False).Vh[:_AXES].T


class _Shards:
    """The samples of shards; those that were asked for last are kept."""

    def __init__(self, plan: Plan, paths: Sequence[Path]) -> None:
        self.plan, self.paths = plan, paths
        self.known: dict[int, Tensor] = {}

    def rows(self, number: int, some: Numbers | slice = slice(None)) -> Tensor:
        """Some rows of one shard, data units, (B, n), float32."""
        if number in self.known:
            self.known[number] = self.known.pop(number)  # the latest
        else:
            with arrow_file(self.paths[number]) as file:
                self.known[number] = values_of(pq.read_table(file).column(0), self.plan.event_shape)
        while len(self.known) > 2 and sum(kept.nbytes for kept in self.known.values()) > _HELD:
            self.known.pop(next(iter(self.known)))
        return self.plan.storage.load(self.known[number][some]).flatten(1)
