"""Train students: small classifiers, trained from scratch by one fixed recipe, on one thread each.

An accuracy is a pure function of (student, its rows, the test rows). Other load does not change it.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from reinject.base.devices import device_of, make_fabric
from reinject.base.errors import ArgumentError, worker_died
from reinject.base.processes import cores, exit_codes, pool
from reinject.data.sample_tables import MemmapTable, Table, open_table, to_memmap
from reinject.networks import ConvClassifier, Inputs, MLPClassifier
from reinject.training.fit import Parts, Recipe, Rows, fit
from reinject.training.learning_curves import Curve, Figure
from reinject.training.neighbours import nearest

RECIPE = Recipe(epochs=8, batch=128, lr=1e-3, least_steps=800)
HIDDEN = (256, 128)  # halved for inputs of at most SMALL values
SMALL = 256
NEIGHBOURS = 5
Kind = Literal["mlp", "cnn", "logistic", "knn", "boosting"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SOFT: tuple[Kind, ...] = ("mlp", "cnn", "logistic")  # kinds that learn from soft labels
Predict = Callable[[Tensor], Tensor]


def cross_entropy(network: nn.Module, x: Tensor, y: Tensor, _: torch.Generator) -> tuple[Tensor, Parts]:
    """Compute the mean of -log softmax(C(x))_y; for probabilities y, of -sum_k y_k log softmax(C(x))_k."""
    return nn.functional.cross_entropy(network(x), y), {}


@dataclass(frozen=True)
class Student:
    """Describe one student: seed, number n of rows in the seed's order, kind, recipe.

    ``logistic`` is the network of ``mlp`` without hidden layers. ``cnn`` is the network of ``reinject train
    --classifier conv``. ``knn`` votes among 5 neighbours. ``boosting`` is scikit-learn's histogram gradient boosting.
    The recipe applies to the first three.
    """

    seed: int
    n: int
    recipe: Recipe = RECIPE
    kind: Kind = "mlp"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ArgumentError("student", f"{self.kind!r} is not known", f"Use one of {', '.join(KINDS)}")

    def training_rows(self, table: Table) -> Table:
        """Choose the training rows."""
        return table.take(np.random.default_rng(self.seed).permutation(len(table))[: self.n])


@dataclass(frozen=True)
class Marks:
    """Hold a student's results on the real test set.

    Attributes:
        accuracy: share of right answers.
        per_class: accuracy on the test rows of each class; NaN without rows.
        brier: mean of sum_k (p_k - [k = y])^2, in 0..2; 0 for certain right answers.
    """

    accuracy: float
    per_class: tuple[float, ...]
    brier: float


def marks(student: Student, train: Table, test: Table, class_names: tuple[str, ...], device: str) -> Marks:
    """Train a student from scratch on all of its rows, and test it."""
    (p,) = probabilities(student, train, [test], class_names, device)
    return graded(p, torch.from_numpy(test.y))


def probabilities(
    student: Student, train: Table, asked: Sequence[Table], class_names: tuple[str, ...], device: str
) -> list[Tensor]:
    """Train a student from scratch on all of its rows; return its probabilities on other tables, (N, classes) each."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        predict = learn(student, train, class_names, device)
        return [predict_all(predict, table, device) for table in asked]


def graded(p: Tensor, y: Tensor) -> Marks:
    """Compute the marks of probabilities (N, classes) for the true classes (N,).

    Example:
        >>> graded(torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), torch.tensor([0, 0, 0]))
        Marks(accuracy=0.666..., per_class=(0.666..., nan), brier=0.833...)
    """
    right = (p.argmax(1) == y).double()
    truth = nn.functional.one_hot(y, p.shape[1]).double()
    counts = truth.sum(0)
    per_class = (truth * right[:, None]).sum(0) / counts
    brier = (p.double() - truth).square().sum(1).mean()
    return Marks(float(right.mean()), tuple(per_class.tolist()), float(brier))


def learn(student: Student, train: Table, class_names: tuple[str, ...], device: str) -> Predict:
    """Train a student on all rows: the function from x (B, *event), data units, to probabilities (B, classes)."""
    rows = Rows(torch.from_numpy(train.x), torch.from_numpy(train.y), train.storage.load)
    some = rows.load(rows.x[:10_000])
    shape = tuple(train.x.shape[1:])
    inputs = Inputs(shape, mean=float(some.mean()), std=max(float(some.std()), 1e-6), class_names=class_names)
    if student.kind == "knn":
        return _neighbours(rows, len(class_names))
    if student.kind == "boosting":
        return _boosted(rows, len(class_names), student.seed)
    return _network(student, rows, inputs, device)


def predict_all(predict: Predict, test: Table, device: str) -> Tensor:
    """Compute the probabilities of all rows of a table, (N, classes), on the CPU."""
    place = device_of(device)
    parts = torch.split(torch.from_numpy(test.x), 4096)
    return torch.cat([predict(test.storage.load(part.to(place))).cpu() for part in parts])


def _network(student: Student, rows: Rows, inputs: Inputs, device: str) -> Predict:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(student.seed)
        network: nn.Module
        if student.kind == "cnn":
            network = ConvClassifier(inputs, dropout=0.0)
        else:
            hidden = HIDDEN if inputs.n > SMALL else tuple(h // 2 for h in HIDDEN)
            network = MLPClassifier(inputs, hidden if student.kind == "mlp" else (), dropout=0.0)
    fit(network, cross_entropy, rows, student.recipe, seed=student.seed, fabric=make_fabric(device))

    def predict(x: Tensor) -> Tensor:
        with torch.no_grad():
            p: Tensor = network(x).cpu().double().softmax(1)  # attacks use the last digits of probabilities near 1
        return p

    return predict


def _neighbours(rows: Rows, classes: int) -> Predict:
    known = rows.load(rows.x).flatten(1)

    def predict(x: Tensor) -> Tensor:
        _, index = nearest(x.cpu().flatten(1), known, min(NEIGHBOURS, len(known)))
        return nn.functional.one_hot(rows.y[index], classes).float().mean(1)

    return predict


def _boosted(rows: Rows, classes: int, seed: int) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(early_stopping=False, random_state=seed)
    trees.fit(rows.load(rows.x).flatten(1).numpy(), rows.y.numpy())

    def predict(x: Tensor) -> Tensor:
        p = torch.zeros(len(x), classes)
        p[:, trees.classes_] = torch.from_numpy(trees.predict_proba(x.cpu().flatten(1).numpy())).float()
        return p

    return predict


_Task = tuple[Student, Table | MemmapTable, Table | MemmapTable, tuple[str, ...], str]


def _marks(task: _Task) -> Marks:
    student, known, test, class_names, device = task
    return marks(student, student.training_rows(open_table(known)), open_table(test), class_names, device)


def _said(task: tuple[_Task, Table | MemmapTable]) -> tuple[Marks, NDArray[Any]]:
    (student, known, test, class_names, device), probed = task
    tables = open_table(test), open_table(probed)
    on_test, p = probabilities(student, student.training_rows(open_table(known)), tables, class_names, device)
    return graded(on_test, torch.from_numpy(tables[0].y)), p.numpy()  # a tensor would use shared memory


@contextmanager
def _mapping(workers: int) -> Iterator[tuple[Callable[..., Iterator[Any]], Callable[[Table], Table | MemmapTable]]]:
    """Yield ``map``, here or over processes, and a function that gives them a table; an early exit ends them."""
    if workers == 1:
        threads = torch.get_num_threads()
        try:
            yield map, lambda table: table
        finally:
            torch.set_num_threads(threads)  # students in this process changed it
        return
    try:
        with tempfile.TemporaryDirectory(prefix="reinject-") as folder, pool(workers) as submit:
            yield (
                lambda work, tasks: (one.result() for one in submit(work, tasks)),
                lambda table: to_memmap(table, Path(folder)),
            )
    except BrokenProcessPool as error:
        raise worker_died("students", exit_codes(error)) from error


def workers_for(place: torch.device) -> int:
    """Choose the number of processes for students: the number of usable cores, or one for a shared device."""
    return cores() if place.type == "cpu" else 1


@dataclass(frozen=True)
class Bench:
    """Train and test students, several at once in separate processes.

    Attributes:
        test: real test set.
        class_names: class names of all sets.
        device: device of students: "cpu", "cuda", ...
        workers: processes; accuracies do not depend on it.
        on_student: function called after each finished student.
        known: cache of marks, by what determines them; cached students are not trained again.
    """

    test: Table
    class_names: tuple[str, ...]
    device: str = "cpu"
    workers: int = 1
    on_student: Callable[[], None] = lambda: None
    known: MutableMapping[str, Marks] = field(default_factory=dict)

    def run(self, jobs: Sequence[tuple[Student, Table]]) -> list[Marks]:
        """Compute the marks of each student on its table, in the order of jobs."""
        names = [self._determined_by(*job) for job in jobs]
        new = {name: job for name, job in zip(names, jobs, strict=True) if name not in self.known}
        for _ in range(len(jobs) - len(new)):
            self.on_student()
        if new:
            self._train(new)
        return [self.known[name] for name in names]

    def _determined_by(self, student: Student, table: Table) -> str:
        return f"{student} on {table.digest}, test {self.test.digest}, {self.device}"

    def _train(self, jobs: Mapping[str, tuple[Student, Table]]) -> None:
        longest_first = sorted(jobs, key=lambda name: -jobs[name][0].recipe.steps(jobs[name][0].n))
        with _mapping(self.workers) as (each, given):
            tasks = self._tasks([jobs[name] for name in longest_first], given)
            for name, one in zip(longest_first, each(_marks, tasks), strict=True):
                self.known[name] = one
                self.on_student()

    def probabilities(self, jobs: Sequence[tuple[Student, Table]], probed: Table) -> list[Tensor]:
        """Compute each student's probabilities on the rows of a table, (N, classes); cache its marks."""
        found = []
        with _mapping(self.workers) as (each, given):
            tasks = ((task, given(probed)) for task in self._tasks(jobs, given))
            for job, (one, p) in zip(jobs, each(_said, list(tasks)), strict=True):
                self.known[self._determined_by(*job)] = one
                found.append(torch.from_numpy(p))
                self.on_student()
        return found

    def _tasks(
        self, jobs: Sequence[tuple[Student, Table]], given: Callable[[Table], Table | MemmapTable]
    ) -> list[_Task]:
        return [(student, given(table), given(self.test), self.class_names, self.device) for student, table in jobs]

    def groups(self, jobs: Mapping[str, Sequence[tuple[Student, Table]]]) -> dict[str, list[Marks]]:
        """Train several groups of students together; return marks by the name of the group."""
        found = iter(self.run([job for group in jobs.values() for job in group]))
        return {name: [next(found) for _ in group] for name, group in jobs.items()}

    def whole(self, table: Table, seeds: Sequence[int], recipe: Recipe = RECIPE) -> Figure:
        """Train students on all rows of a table; return their accuracies."""
        return Figure(tuple(one.accuracy for one in self.run(whole_jobs(table, seeds, recipe))))


def whole_jobs(
    table: Table, seeds: Sequence[int], recipe: Recipe = RECIPE, kind: Kind = "mlp"
) -> list[tuple[Student, Table]]:
    """Make a student for each seed, on all rows of a table."""
    return [(Student(seed, len(table), recipe, kind), table) for seed in seeds]


def curve_jobs(
    tables: Sequence[Table], sizes: Sequence[int], seeds: Sequence[int], kind: Kind = "mlp"
) -> list[tuple[Student, Table]]:
    """Make a student for each seed (with its own table) and each size; sizes vary fastest."""
    return [(Student(seed, n, kind=kind), table) for seed, table in zip(seeds, tables, strict=True) for n in sizes]


def curve_of(found: Sequence[Marks], sizes: Sequence[int]) -> Curve:
    """Make the learning curve of students in the order of :func:`curve_jobs`."""
    values = np.reshape([one.accuracy for one in found], (-1, len(sizes)))
    return Curve(tuple(sizes), tuple(tuple(row) for row in values.tolist()))
