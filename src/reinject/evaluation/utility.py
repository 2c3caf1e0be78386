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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from reinject.data import LabelledImages
from reinject.errors import DataError
from reinject.models import Inputs, MLPClassifier, Network
from reinject.samples import Storage
from reinject.training import Recipe, Rows, fit

RECIPE = Recipe(epochs=10, batch=128, lr=1e-3, least_steps=1000)
HIDDEN = (256, 128)
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


@dataclass(frozen=True)
class Bench:
    """Trains and tests students: the real test set, and the one recipe that all of them share.

    Attributes:
        test: real test images.
        storage: what their uint8 levels mean; synthetic samples of the same classes are in the same units.
        class_names: of all sets.
        fabric: where students train.
        on_student: told of each finished student.
    """

    test: LabelledImages
    storage: Storage
    class_names: tuple[str, ...]
    fabric: Fabric
    on_student: Callable[[], None] = lambda: None

    def accuracy(self, rows: Rows, seed: int, recipe: Recipe = RECIPE) -> float:
        """Accuracy on the test set, in [0, 1], of a student trained on the rows."""
        student = self._student(rows, seed)
        fit(student, cross_entropy, rows, recipe, seed=seed, fabric=self.fabric)
        right = 0
        with torch.no_grad():
            for x, y in self._test_batches():
                right += int((student(x).argmax(1) == y).sum())
        self.on_student()
        return right / len(self.test)

    def curve(self, draw: Callable[[int], Rows], sizes: Sequence[int], seeds: Sequence[int]) -> Curve:
        """The learning curve; ``draw(seed)`` gives the rows of a seed, whose first n in a shuffled order are taken."""
        accuracy = []
        for seed in seeds:
            rows = draw(seed)
            order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
            accuracy.append(tuple(self.accuracy(_take(rows, order[:n]), seed) for n in sizes))
        return Curve(tuple(sizes), tuple(accuracy))

    def _student(self, rows: Rows, seed: int) -> Network:
        some = rows.load(rows.x[:10_000])
        inputs = Inputs(
            shape=tuple(self.test.x.shape[1:]),
            mean=float(some.mean()),
            std=max(float(some.std()), 1e-6),
            class_names=self.class_names,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return MLPClassifier(inputs, HIDDEN, dropout=0.0)

    def _test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        everything = Rows(self.test.x, self.test.y, self.storage.load)
        for index in torch.split(torch.arange(len(self.test)), 4096):
            yield everything.batch(index, self.fabric.device)


def cross_entropy(network: nn.Module, x: Tensor, y: Tensor, _: torch.Generator) -> Tensor:
    """Mean of -log softmax(C(x))_y over the batch."""
    return nn.functional.cross_entropy(network(x), y)


def _take(rows: Rows, index: Tensor) -> Rows:
    return Rows(rows.x[index], rows.y[index], rows.load)


@dataclass(frozen=True)
class Reference:
    """What does not depend on the synthetic set: real and noise curves, the real twin at the same epochs."""

    bench: Bench
    train: Rows
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    real: Curve
    noise: Curve
    twin_epochs: Figure


def students_needed(rows: int, sets: int, seeds: int) -> int:
    """How many students :func:`reference` and ``sets`` calls of :func:`utility` train, for a progress bar."""
    return seeds * (2 * len(sizes_for(rows)) + sets * (len(sizes_for(rows)) + 2))


def reference(
    bench: Bench, train: LabelledImages, label: Callable[[Tensor], Tensor], seeds: Sequence[int]
) -> Reference:
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
    rows = Rows(train.x, train.y, bench.storage.load)
    sizes = sizes_for(len(train))

    def noise(seed: int) -> Rows:
        generator = torch.Generator().manual_seed(seed)
        z = torch.randn((len(train), *train.x.shape[1:]), generator=generator)
        return Rows(z, label(z), Storage("float").load)

    real = bench.curve(lambda _: rows, sizes, seeds)
    last = Figure(tuple(row[-1] for row in real.accuracy))  # all real rows, by the recipe: the twin at the same epochs
    return Reference(bench, rows, sizes, tuple(seeds), real, bench.curve(noise, sizes, seeds), last)


def utility(against: Reference, synthetic: Rows) -> Utility:
    """Compare a synthetic set, of all its rows, with the real one.

    Arguments:
        against: from :func:`reference`.
        synthetic: as kept, with its labels.

    Raises:
        DataError: fewer synthetic samples than the largest size of the curves.
    """
    bench, seeds = against.bench, against.seeds
    if len(synthetic) < against.sizes[-1]:
        raise DataError(
            "utility",
            f"{len(synthetic)} synthetic samples, fewer than the {against.sizes[-1]} real ones",
            "Sample more walks",
        )
    curve = bench.curve(lambda _: synthetic, against.sizes, seeds)
    same_steps = Recipe(epochs=1, batch=RECIPE.batch, lr=RECIPE.lr, least_steps=RECIPE.steps(len(synthetic)))
    full = Figure(tuple(bench.accuracy(synthetic, seed) for seed in seeds))
    twin_steps = Figure(tuple(bench.accuracy(against.train, seed, same_steps) for seed in seeds))
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
