"""Run the methods of continual learning on a table: which rows a learner gets after a task, and the bytes kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from reinject.base.progress import Progress
from reinject.continual.remember_table import OldTable, rehearsed
from reinject.experiments.domain_protocols import DomainProtocol
from reinject.sampling.sample_spec import Writing
from reinject.table_evaluation.table_coding import Coded, Coding
from reinject.table_evaluation.table_controls import gaussian_a_class, independent_columns
from reinject.table_evaluation.table_utility import Target
from reinject.training.plans import Remember
from reinject.training.table_train import TableSource, train_table, train_table_on

_NUMBER, _CATEGORY = 4, 1  # bytes of a stored value


@dataclass(frozen=True)
class DomainSetting:
    """Hold what a method may use.

    Attributes:
        protocol: tasks, target and budget.
        train, test: all rows; a method looks at one task at a time.
        coding: kinds and categories of the columns.
        folder: folder of our models.
        seed: seed of all randomness.
        progress: progress reporter.
    """

    protocol: DomainProtocol
    train: pa.Table
    test: pa.Table
    coding: Coding
    folder: Path
    seed: int
    progress: Progress

    def rows(self, task: int) -> Coded:
        """Return the coded training rows of a task."""
        return self.coding.code(self.protocol.part(self.train, task))

    @property
    def row_bytes(self) -> int:
        """Return the bytes of one stored row."""
        return _NUMBER * len(self.coding.numeric) + _CATEGORY * len(self.coding.categories)

    @property
    def model_bytes(self) -> int:
        """Return the bytes of our models of the first task: the network, and the encoder of the columns."""
        names = ("model.safetensors", "encoder.json", "encoder.safetensors")
        return sum((self.folder / "task-0" / "autoencoder" / name).stat().st_size for name in names)


@dataclass(frozen=True)
class Kept:
    """Hold the rows that a learner gets after a task, and the bytes kept of old tasks."""

    rows: Coded
    bytes: int


def nothing(setting: DomainSetting, task: int) -> Kept:
    """Keep nothing: the learner sees the new task alone."""
    return Kept(setting.rows(task), 0)


def everything(setting: DomainSetting, task: int) -> Kept:
    """Keep all rows: joint training, the upper bound."""
    rows = Coded.joined([setting.rows(one) for one in range(task + 1)])
    return Kept(rows, setting.row_bytes * len(rows))


def ours(setting: DomainSetting, task: int) -> Kept:
    """Keep an autoencoder, trained after each task on new rows and on sampled rows of the earlier ones."""
    protocol, folder, seed = setting.protocol, setting.folder / f"task-{task}", setting.seed
    train, test = (protocol.part(table, task) for table in (setting.train, setting.test))
    last = task + 1 == len(protocol.tasks)
    if not task:
        if not folder.is_dir():
            train_table(TableSource(train, protocol.target, test), folder, protocol.spec, seed=seed)
        return Kept(setting.rows(0), setting.model_bytes)
    before = setting.folder / f"task-{task - 1}"
    source = TableSource(train, protocol.target, test, remember=Remember(str(before)))
    walks = folder.with_name(f"{folder.name}.rehearsal")
    old = OldTable.load(str(before), "cpu", source.name)
    prepared = rehearsed(source, source.load(0), old, walks, seed, Writing(progress=setting.progress))
    if not last and not folder.is_dir():
        asked = {"task": task, "seed": seed}
        train_table_on(prepared, folder, protocol.spec, seed=seed, device="cpu", asked=asked, progress=setting.progress)
    return Kept(setting.coding.code(prepared.parts.train), setting.model_bytes)


def buffer(setting: DomainSetting, task: int) -> Kept:
    """Keep real rows, as many bytes as our models take, in equal numbers of every old task."""
    parts, kept = [setting.rows(task)], 0
    for old in range(task):
        rows = setting.rows(old)
        order = np.random.default_rng([setting.seed, old]).permutation(len(rows))
        parts.append(rows.take(order[: setting.model_bytes // setting.row_bytes // task]))  # a shrinking prefix
        kept += len(parts[-1])
    return Kept(Coded.joined(parts), setting.row_bytes * kept)


def gaussians(setting: DomainSetting, task: int) -> Kept:
    """Keep a Gaussian for each class of each old task; replay as many rows as the task has."""
    coding, parts = setting.coding, [setting.rows(task)]
    target = Target(coding, setting.protocol.target)
    for old in range(task):
        rows = setting.rows(old)
        parts.append(gaussian_a_class(coding, rows, target.name, len(rows), setting.seed))
    d = len(coding.numeric) + sum(coding.sizes)
    return Kept(Coded.joined(parts), 4 * (d + d * (d + 1) // 2) * target.classes * task)


def independent(setting: DomainSetting, task: int) -> Kept:
    """Keep the columns of each class of each old task, without their dependence; replay as many rows as it has."""
    target = Target(setting.coding, setting.protocol.target)
    at, parts, size = list(setting.coding.categories).index(target.name), [setting.rows(task)], 0
    for old in range(task):
        rows = setting.rows(old)
        for k in range(target.classes):
            of_class = rows.take(np.flatnonzero(rows.codes[:, at] == k))
            if len(of_class):
                parts.append(independent_columns(of_class, len(of_class), setting.seed))
                distinct = sum(len(np.unique(column)) for column in of_class.numbers.T)
                size += 4 * (2 * distinct + sum(setting.coding.sizes))  # numbers with their counts; counts
    return Kept(Coded.joined(parts), size)


DOMAIN_METHODS: Mapping[str, Callable[[DomainSetting, int], Kept]] = {  # the buffer takes as many bytes as ours
    "no replay": nothing,
    "joint": everything,
    "independent columns a class": independent,
    "Gaussian a class": gaussians,
    "ours": ours,
    "buffer of equal bytes": buffer,
}
