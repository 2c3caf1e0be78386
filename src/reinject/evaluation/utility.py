"""Utility: does a classifier learn from the synthetic set what it would have learned from the real one.

A *student* is a small network trained from scratch by one fixed recipe. Two figures:

- *ratio*: accuracy on the real test set of a student trained on all synthetic samples, over that of its real twin (same
  network and recipe on the real training set; the better of two budgets: same epochs, same gradient steps). The labels
  come from a classifier that saw real data, so at large n much of the ratio is distillation.
- *skill*: at equal n, from 100 to the size of the real set, the area between the synthetic and the noise learning curve
  over the area between the real and the noise one, in log n. The noise control is the same student on N(0, I) points
  labelled by the same classifier. 0: no better than noise with labels; 1: as good as real data.
"""

import math
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reinject.errors import DataError
from reinject.models import Inputs, MLPClassifier
from reinject.samples import Storage
from reinject.training import Parts, Recipe, Rows, fit, make_fabric

RECIPE = Recipe(epochs=8, batch=128, lr=1e-3, least_steps=800)
HIDDEN = (256, 128)  # halved for inputs of at most SMALL values
SMALL = 256
LEAST = 100


@dataclass(frozen=True)
class Curve:
    """A learning curve: ``accuracy[s][k]`` of the student of seed s on ``sizes[k]`` samples, tested on real data."""

    sizes: tuple[int, ...]
    accuracy: tuple[tuple[float, ...], ...]

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean accuracy over the seeds, one a size."""
        return tuple(float(a) for a in np.mean(self.accuracy, axis=0))


@dataclass(frozen=True)
class Figure:
    """A number over seeds: its values, their mean, and the standard error of the mean (None for one seed)."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))

    @property
    def standard_error(self) -> float | None:
        """Sample standard deviation over sqrt(number of seeds)."""
        if len(self.values) < 2:
            return None
        return float(np.std(self.values, ddof=1) / math.sqrt(len(self.values)))

    def as_json(self) -> dict[str, object]:
        """As JSON values."""
        return {"mean": self.mean, "standard_error": self.standard_error, "values": list(self.values)}


@dataclass(frozen=True)
class Utility:
    """The answer: both figures, and what they were computed from.

    Attributes:
        synthetic, real, noise: learning curves at equal n.
        full: accuracy of students on all ``n`` synthetic samples.
        twin_epochs, twin_steps: accuracy of the real twins, at the same epochs and the same gradient steps.
        n: number of synthetic samples that ``full`` was trained on.
        ratio, skill: see the module.
    """

    synthetic: Curve
    real: Curve
    noise: Curve
    full: Figure
    twin_epochs: Figure
    twin_steps: Figure
    n: int
    ratio: Figure
    skill: Figure

    def as_json(self) -> dict[str, object]:
        """As JSON values."""
        curves = {"synthetic": self.synthetic, "real": self.real, "noise": self.noise}
        return {
            "ratio": self.ratio.as_json(),
            "skill": self.skill.as_json(),
            "n": self.n,
            "accuracy": self.full.as_json(),
            "twin_same_epochs": self.twin_epochs.as_json(),
            "twin_same_steps": self.twin_steps.as_json(),
            "sizes": list(self.real.sizes),
            "curves": {name: [list(row) for row in curve.accuracy] for name, curve in curves.items()},
        }


def sizes_for(rows: int) -> tuple[int, ...]:
    """100, 300, 1,000, 3,000, ... up to the number of real training rows, which closes the list.

    Example:
        >>> sizes_for(1347)
        (100, 300, 1000, 1347)
    """
    steps = (LEAST * (3 if k % 2 else 1) * 10 ** (k // 2) for k in range(20))
    return (*(n for n in steps if n < rows), rows)


def skill(synthetic: Sequence[float], real: Sequence[float], noise: Sequence[float], sizes: Sequence[int]) -> float:
    """Area between the synthetic and the noise curve over that between the real and the noise curve, in log n.

    int (synthetic - noise) d log n / int (real - noise) d log n, by the trapezoid rule.

    Arguments:
        synthetic, real, noise: accuracies at the sizes.
        sizes: n, rising, two at least.

    Example:
        >>> skill([0.5, 0.8], [0.6, 0.9], [0.1, 0.4], [100, 1000])
        0.8
    """
    at = np.log(np.asarray(sizes, float))
    gained = np.trapezoid(np.subtract(synthetic, noise), at)
    possible = np.trapezoid(np.subtract(real, noise), at)
    return float(round(gained / possible, 12))


def cross_entropy(network: nn.Module, x: Tensor, y: Tensor, _: torch.Generator) -> tuple[Tensor, Parts]:
    """Mean of -log softmax(C(x))_y over the batch."""
    return nn.functional.cross_entropy(network(x), y), {}


@dataclass(frozen=True)
class Table:
    """Samples that students are trained on: as kept, x (N, *event) and y (N,), and what the kept values mean."""

    x: NDArray[Any]
    y: NDArray[np.int64]
    storage: Storage

    @classmethod
    def of(cls, x: Tensor, y: Tensor, storage: Storage) -> "Table":
        """From tensors; shares their memory."""
        return cls(x.numpy(), y.numpy(), storage)

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, index: NDArray[np.int64] | slice = slice(None)) -> Rows:
        """Some rows, copied into tensors."""
        return Rows(torch.from_numpy(self.x[index].copy()), torch.from_numpy(self.y[index].copy()), self.storage.load)


@dataclass(frozen=True)
class Student:
    """One student to train: of which seed, on the first n rows of the seed's shuffled order, at which recipe."""

    seed: int
    n: int
    recipe: Recipe = RECIPE


def accuracy(student: Student, train: Table, test: Table, class_names: tuple[str, ...], device: str) -> float:
    """Train a student from scratch and test it: its accuracy in [0, 1].

    A pure function of its arguments, on one thread on the CPU, whatever else runs beside it.
    """
    torch.set_num_threads(1)
    order = np.random.default_rng(student.seed).permutation(len(train))
    rows = train.rows(order[: student.n])
    some = rows.load(rows.x[:10_000])
    shape = tuple(train.x.shape[1:])
    inputs = Inputs(shape, mean=float(some.mean()), std=max(float(some.std()), 1e-6), class_names=class_names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(student.seed)
        network = MLPClassifier(inputs, HIDDEN if inputs.n > SMALL else tuple(h // 2 for h in HIDDEN), dropout=0.0)
    fabric = make_fabric(device)
    fit(network, cross_entropy, rows, student.recipe, seed=student.seed, fabric=fabric)
    tested = test.rows()
    right = 0
    with torch.no_grad():
        for index in torch.split(torch.arange(len(test)), 4096):
            x, y = tested.batch(index, fabric.device)
            right += int((network(x).argmax(1) == y).sum())
    return right / len(test)


def _accuracy(task: tuple[Student, Table, Table, tuple[str, ...], str]) -> float:
    return accuracy(*task)


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterator[float]]]:
    """``map``, in this process or over some; leaving early ends the processes at once."""
    if workers == 1:
        yield map
        return
    ignore = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for this process, which then ends the others
    with multiprocessing.get_context("spawn").Pool(workers, signal.signal, ignore) as pool:
        yield pool.imap


@dataclass(frozen=True)
class Bench:
    """Trains and tests students, several at once in processes of their own.

    Attributes:
        test: the real test set.
        class_names: of all sets.
        device: where students train: "cpu", "cuda", ...
        workers: processes; accuracies do not depend on it.
        on_student: told of each finished student.
    """

    test: Table
    class_names: tuple[str, ...]
    device: str = "cpu"
    workers: int = 1
    on_student: Callable[[], None] = lambda: None

    def run(self, jobs: Sequence[tuple[Student, Table]]) -> list[float]:
        """The accuracy of each student on its table, in the order of the jobs."""
        longest_first = sorted(range(len(jobs)), key=lambda k: -jobs[k][0].recipe.steps(jobs[k][0].n))
        tasks = [(*jobs[k], self.test, self.class_names, self.device) for k in longest_first]
        accuracies = [0.0] * len(jobs)
        threads = torch.get_num_threads()
        try:
            with _mapping(self.workers) as each:
                for k, value in zip(longest_first, each(_accuracy, tasks), strict=True):
                    accuracies[k] = value
                    self.on_student()
        finally:
            torch.set_num_threads(threads)  # with one worker the students ran here
        return accuracies

    def curves(self, tables: Mapping[str, Sequence[Table]], sizes: Sequence[int], seeds: Sequence[int]) -> list[Curve]:
        """The learning curve of each named set, which gives one table a seed."""
        jobs = [
            (Student(seed, n), table)
            for one in tables.values()
            for seed, table in zip(seeds, one, strict=True)
            for n in sizes
        ]
        values = np.reshape(self.run(jobs), (len(tables), len(seeds), len(sizes)))
        return [Curve(tuple(sizes), tuple(tuple(row) for row in curve.tolist())) for curve in values]

    def whole(self, table: Table, seeds: Sequence[int], recipe: Recipe = RECIPE) -> Figure:
        """Accuracy of students on all rows of a table."""
        return Figure(tuple(self.run([(Student(seed, len(table), recipe), table) for seed in seeds])))


@dataclass(frozen=True)
class Reference:
    """What does not depend on the synthetic set: real and noise curves, the real twins."""

    bench: Bench
    train: Table
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    real: Curve
    noise: Curve
    twins: dict[int, Figure] = field(default_factory=dict)

    @property
    def twin_epochs(self) -> Figure:
        """The real twin at the same epochs: the last point of the real curve."""
        return Figure(tuple(row[-1] for row in self.real.accuracy))

    def twin_steps(self, steps: int) -> Figure:
        """The real twin at that many gradient steps; trained once for sets of one size."""
        if steps not in self.twins:
            recipe = replace(RECIPE, epochs=1, least_steps=steps)
            self.twins[steps] = self.bench.whole(self.train, self.seeds, recipe)
        return self.twins[steps]


def students_needed(rows: int, sets: int, seeds: int) -> int:
    """How many students :func:`reference` and ``sets`` calls of :func:`utility` train on archives of one size."""
    return seeds * ((2 + sets) * len(sizes_for(rows)) + sets + 1)


def reference(bench: Bench, train: Table, label: Callable[[Tensor], Tensor], seeds: Sequence[int]) -> Reference:
    """Train the students that every synthetic set of one data set is compared with.

    Arguments:
        bench: where students are tested.
        train: the real training set.
        label: the classifier that labelled the synthetic sets: x (B, *event), data units -> classes (B,).
        seeds: of the students, and of the noise control's points.

    Raises:
        DataError: fewer than 200 real training images.
    """
    if len(train) < 2 * LEAST:
        raise DataError("utility", f"{len(train)} real training images", f"Give {2 * LEAST} at least")

    def noise(seed: int) -> Table:
        z = torch.randn(train.x.shape, generator=torch.Generator().manual_seed(seed))
        return Table.of(z, label(z), Storage("float"))

    sizes = sizes_for(len(train))
    tables = {"real": [train] * len(seeds), "noise": [noise(seed) for seed in seeds]}
    real, controls = bench.curves(tables, sizes, seeds)
    return Reference(bench, train, sizes, tuple(seeds), real, controls)


def utility(against: Reference, synthetic: Table) -> Utility:
    """Compare a synthetic set, of all its rows, with the real one.

    Raises:
        DataError: fewer synthetic samples than real ones, the largest size of the curves.
    """
    bench, seeds = against.bench, against.seeds
    if len(synthetic) < against.sizes[-1]:
        raise DataError(
            "utility",
            f"{len(synthetic)} synthetic samples, fewer than the {against.sizes[-1]} real ones",
            "Sample more walks",
        )
    (curve,) = bench.curves({"synthetic": [synthetic] * len(seeds)}, against.sizes, seeds)
    full = bench.whole(synthetic, seeds)
    twin_steps = against.twin_steps(RECIPE.steps(len(synthetic)))
    best = max(against.twin_epochs.mean, twin_steps.mean)
    skills = (skill(row, against.real.mean, against.noise.mean, against.sizes) for row in curve.accuracy)
    return Utility(
        synthetic=curve,
        real=against.real,
        noise=against.noise,
        full=full,
        twin_epochs=against.twin_epochs,
        twin_steps=twin_steps,
        n=len(synthetic),
        ratio=Figure(tuple(value / best for value in full.values)),
        skill=Figure(tuple(skills)),
    )
