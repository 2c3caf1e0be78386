"""Measure utility: whether a classifier learns from the synthetic set as well as from the real one.

There are two figures. Both use students of one kind, trained from scratch by one fixed recipe:

- *ratio*: accuracy on the real test set of a student trained on all synthetic samples, divided by that of its real
  twin. The twin has the same seed, network and recipe on the real training set. It gets the better of two budgets by
  the mean over seeds: same epochs or same gradient steps. A classifier trained on real data makes the labels, so at
  large n much of the ratio is distillation.
- *skill*: at equal n, from 100 to the size of the real set, in log n. It is the area between the synthetic and the
  noise learning curve, divided by the area between the real and the noise curve. 0: no better than labelled noise;
  1: as good as real data. Skill can exceed 1, because the labelling classifier was trained on all the data.

The noise control is the same student on independent normal values. Each value has its mean and standard deviation over
the real rows, and the same classifier labels the rows. So skill depends neither on the unit of pixels, nor on shift and
scale of single features. A second control is the paper's N(0, I), in data units.

*Controls* measure the ratio of other routes: real inputs with the classifier's soft labels; reconstructions of real
inputs, labelled by the classifier; n real rows with n synthetic ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from reinject.base.errors import DataError
from reinject.base.files import finite
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.training.fit import Recipe
from reinject.training.learning_curves import LEAST, Curve, Figure, sizes_for, skill
from reinject.training.students import RECIPE, Bench, Kind, Marks, Student, curve_jobs, curve_of, whole_jobs


@dataclass(frozen=True)
class Utility:
    """Hold both figures, and their basis.

    Attributes:
        synthetic, real, noise, standard_noise, both: learning curves at equal n; ``standard_noise`` is the control
            N(0, I); ``both`` is n real rows and n synthetic ones, or None.
        full: accuracy of students on all ``n`` synthetic samples.
        twin_epochs, twin_steps: accuracy of the real twins, at the same epochs and the same gradient steps.
        n: number of synthetic samples for ``full``.
        ratio, skill: see the module; one value for each seed, so intervals are of paired differences. Skill is None if
            a real curve is not above its noise curve.
        brier, twin_brier: Brier scores of students on all synthetic and on all real samples.
        per_class: accuracy by class, synthetic over real, means over seeds.
        controls: name -> ratio of students on that control to the twin.
        kind: kind of the students.
        standard_skill: skill with N(0, I) as the noise control; it depends on the unit of the data.
    """

    synthetic: Curve
    real: Curve
    noise: Curve
    standard_noise: Curve
    both: Curve | None
    full: Figure
    twin_epochs: Figure
    twin_steps: Figure
    n: int
    ratio: Figure
    skill: Figure | None
    brier: Figure
    twin_brier: Figure
    per_class: tuple[float, ...]
    controls: Mapping[str, Figure]
    kind: Kind
    standard_skill: Figure | None

    def as_json(self) -> dict[str, object]:
        """Return JSON values."""
        curves = {"synthetic": self.synthetic, "real": self.real, "noise": self.noise}
        curves |= {"standard noise": self.standard_noise}
        curves |= {} if self.both is None else {"both": self.both}
        return {
            "student": self.kind,
            "ratio": self.ratio.as_json(),
            "skill": self.skill and self.skill.as_json(),
            "standard_skill": self.standard_skill and self.standard_skill.as_json(),
            "n": self.n,
            "accuracy": self.full.as_json(),
            "twin_same_epochs": self.twin_epochs.as_json(),
            "twin_same_steps": self.twin_steps.as_json(),
            "brier": self.brier.as_json(),
            "twin_brier": self.twin_brier.as_json(),
            "ratio_per_class": [finite(value) for value in self.per_class],
            "controls": {name: figure.as_json() for name, figure in self.controls.items()},
            "sizes": list(self.real.sizes),
            "curves": {name: [list(row) for row in curve.accuracy] for name, curve in curves.items()},
        }


@dataclass(frozen=True)
class Reference:
    """Hold what does not depend on the synthetic set: real and noise curves, real twins, controls on real inputs.

    ``twins`` is a cache: it grows by the twins at the gradient steps of every requested recipe.
    """

    bench: Bench
    train: Table
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    noise_seeds: tuple[int, ...]
    real: Curve
    noise: Curve
    standard_noise: Curve
    twin: Sequence[Marks]
    kind: Kind = "mlp"
    controls: Mapping[str, Figure] = field(default_factory=dict)
    twins: dict[Recipe, Figure] = field(default_factory=dict)

    @property
    def twin_epochs(self) -> Figure:
        """Accuracy of the real twin at the same epochs: the last point of the real curve."""
        return _accuracies(self.twin)


def students_needed(
    rows: int, sets: int, seeds: int, controls: int = 0, noises: int | None = None, beside: bool = True
) -> int:
    """Count the students that :func:`reference` and :func:`utilities` train for sets of one size."""
    noise = (seeds + (seeds if noises is None else noises)) * len(sizes_for(rows))
    return seeds * ((1 + (1 + beside) * sets) * len(sizes_for(rows)) + sets + 1 + controls) + noise


def reference(
    bench: Bench,
    train: Table,
    label: Callable[[Tensor], Tensor],
    seeds: Sequence[int],
    *,
    noise_seeds: Sequence[int] | None = None,
    kind: Kind = "mlp",
    controls: Mapping[str, Table] | None = None,
) -> Reference:
    """Train the students for comparison with every synthetic set of one data set.

    Arguments:
        bench: bench that tests students.
        train: real training set.
        label: labelling classifier: x (B, *event), data units -> classes (B,).
        seeds: seeds of the students.
        noise_seeds: seeds of the noise control's points and students; default: ``seeds``. The noise control varies
            more than other sets. The control N(0, I) uses ``seeds``.
        kind: kind of the students.
        controls: further sets, each as large as the real one.

    Raises:
        DataError: fewer than 200 real training rows.
    """
    if len(train) < 2 * LEAST:
        raise DataError("utility", f"{len(train)} real training rows are too few", f"Give at least {2 * LEAST}")

    mean, std = train.moments()

    def standard(seed: int) -> Table:
        z = torch.randn(train.x.shape, generator=torch.Generator().manual_seed(seed))
        return Table.of(z, label(z), Storage("float"))

    def noise(seed: int) -> Table:
        z = torch.randn(train.x.shape, generator=torch.Generator().manual_seed(seed))
        x = train.storage.load(z.mul_(std).add_(mean))
        return Table.of(x, label(x), Storage("float"))

    sizes = sizes_for(len(train))
    noises = seeds if noise_seeds is None else noise_seeds
    found = bench.groups(
        {
            "real": curve_jobs([train] * len(seeds), sizes, seeds, kind),
            "noise": curve_jobs([noise(seed) for seed in noises], sizes, noises, kind),
            "standard": curve_jobs([standard(seed) for seed in seeds], sizes, seeds, kind),
            **{f"control {name}": whole_jobs(table, seeds, kind=kind) for name, table in (controls or {}).items()},
        }
    )
    return Reference(
        bench,
        train,
        sizes,
        tuple(seeds),
        tuple(noises),
        curve_of(found["real"], sizes),
        curve_of(found["noise"], sizes),
        curve_of(found["standard"], sizes),
        found["real"][len(sizes) - 1 :: len(sizes)],
        kind,
        {name: _accuracies(found[f"control {name}"]) for name in controls or {}},
    )


def utilities(against: Reference, sets: Mapping[str, Table], *, beside: bool = True) -> dict[str, Utility]:
    """Compare synthetic sets, with all their rows, with the real one; train all students together.

    Arguments:
        against: results of :func:`reference`.
        sets: name -> labelled samples.
        beside: whether to train students also on n real rows with n synthetic ones.

    Raises:
        DataError: a set has fewer samples than the real one, the largest size of the curves.
    """
    for table in sets.values():
        if len(table) < against.sizes[-1]:
            raise DataError(
                "utility",
                f"{len(table)} synthetic samples are fewer than the {against.sizes[-1]} real rows",
                "Sample more walks",
            )
    recipes = {name: replace(RECIPE, epochs=1, least_steps=RECIPE.steps(len(table))) for name, table in sets.items()}
    jobs = {
        f"{name}: {part}": students
        for name, table in sets.items()
        for part, students in _students_of(against, table, beside).items()
    }
    twins = {recipe: f"real: {recipe.least_steps} steps" for recipe in recipes.values() if recipe not in against.twins}
    whole = {twin: whole_jobs(against.train, against.seeds, recipe, against.kind) for recipe, twin in twins.items()}
    found = against.bench.groups({**jobs, **whole})
    against.twins.update({recipe: _accuracies(found[twin]) for recipe, twin in twins.items()})
    return {
        name: _compared(
            against,
            len(table),
            against.twins[recipes[name]],
            *(found.get(f"{name}: {part}", []) for part in ("synthetic", "all", "both")),
        )
        for name, table in sets.items()
    }


def _students_of(against: Reference, synthetic: Table, beside: bool) -> dict[str, list[tuple[Student, Table]]]:
    """List the students of one set: on n samples, on all samples, on n samples with n real rows."""
    seeds, sizes, kind = against.seeds, against.sizes, against.kind
    found = {
        "synthetic": curve_jobs([synthetic] * len(seeds), sizes, seeds, kind),
        "all": whole_jobs(synthetic, seeds, kind=kind),
    }
    if beside:
        shuffled = synthetic.take(np.random.default_rng(seeds[0]).permutation(len(synthetic)))
        joined = against.train.beside(shuffled)
        found["both"] = curve_jobs([joined] * len(seeds), tuple(2 * n for n in sizes), seeds, kind)
    return found


def _accuracies(found: Sequence[Marks]) -> Figure:
    return Figure(tuple(one.accuracy for one in found))


def _compared(
    against: Reference,
    n: int,
    twin_steps: Figure,
    on_some: Sequence[Marks],
    on_all: Sequence[Marks],
    on_both: Sequence[Marks],
) -> Utility:
    sizes = against.sizes
    full, curve = _accuracies(on_all), curve_of(on_some, sizes)
    twin = max(against.twin_epochs, twin_steps, key=lambda figure: figure.mean)
    by_class = (np.mean([one.per_class for one in group], axis=0) for group in (on_all, against.twin))
    with np.errstate(divide="ignore", invalid="ignore"):
        per_class = np.divide(*by_class)
    return Utility(
        synthetic=curve,
        real=against.real,
        noise=against.noise,
        standard_noise=against.standard_noise,
        both=curve_of(on_both, sizes) if on_both else None,
        full=full,
        twin_epochs=against.twin_epochs,
        twin_steps=twin_steps,
        n=n,
        ratio=_ratio(full, twin),
        skill=_skill(against, curve, against.noise, against.noise_seeds),
        brier=Figure(tuple(one.brier for one in on_all)),
        twin_brier=Figure(tuple(one.brier for one in against.twin)),
        per_class=tuple(per_class.tolist()),
        controls={name: _ratio(one, twin) for name, one in against.controls.items()},
        kind=against.kind,
        standard_skill=_skill(against, curve, against.standard_noise, against.seeds),
    )


def _ratio(one: Figure, twin: Figure) -> Figure:
    """Compute the ratio of each seed's student to the twin of the same seed."""
    return Figure(tuple(a / b for a, b in zip(one.values, twin.values, strict=True)))


def _skill(against: Reference, synthetic: Curve, noise: Curve, noise_seeds: tuple[int, ...]) -> Figure | None:
    """Compute the skill of each seed's curve between its noise and real curves; None if one is not defined.

    If noise has other seeds, the mean noise curve is used.
    """
    noises = noise.accuracy if noise_seeds == against.seeds else [noise.mean] * len(against.seeds)
    pairs = zip(synthetic.accuracy, against.real.accuracy, noises, strict=True)
    found = [skill(*curves, against.sizes) for curves in pairs]
    known = tuple(value for value in found if value is not None)
    return Figure(known) if len(known) == len(found) else None
