"""Plan a training: networks, data, recipes, objective."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from reinject import networks as models
from reinject.base.errors import ArgumentError, check_count
from reinject.training.fit import Recipe
from reinject.training.labelling import AUGMENT, SEES
from reinject.training.objective_options import Numbers, choose

AUTOENCODER_RECIPE = Recipe(epochs=15, batch=128, warm_up=200, least_steps=4000)
CLASSIFIER_RECIPE = Recipe(epochs=15, batch=128, least_steps=4000)
_SHOWN = 12  # most classes in a line


@dataclass(frozen=True)
class Remember:
    """Describe what a training remembers in place of old data.

    Attributes:
        models: folder of the old models; "": models in memory.
        rows: rehearsed rows of every old class, >= 1; None: as many as a new class has on average. Of a table,
            rehearsed rows in all; None: as many as the old models were trained on.
        buffer: data set of a few kept rows; "": none.
        found: facts for ``training.json``, which the training fills in: hashes of the old models, classes or columns,
            rows, seed, verdict, generation.

    Raises:
        ArgumentError: fewer than one row.
    """

    models: str = ""
    rows: int | None = None
    buffer: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rows is not None:
            check_count("--remember-rows", "rows", self.rows)

    @property
    def lines(self) -> list[str]:
        """Say what was remembered, how well, and whether to trust it."""
        found, verdict = self.found, self.found["verdict"]
        rows: dict[str, int] = found["rows"] if "classes" in found else {}
        names = ", ".join(found.get("classes", ())[:_SHOWN]) + (", ..." if len(rows) > _SHOWN else "")
        what = f"{sum(rows.values()):,} rows of {names}" if rows else f"{found['rows']:,} rows of the old table"
        reason = f": {verdict['reason']}" if verdict["reason"] else ""
        line = f"remembered: {what}; generation {found['generation']}; "
        lines = [f"{line}verdict on the walks: {verdict['level']}{reason}"]
        missing = [name for name, count in rows.items() if not count]
        if missing:
            lines.append(f"warning: no walk is of {', '.join(missing)}: the new models forget this")
        if verdict["level"] == "broken":
            lines.append(f"warning: the old models cannot be sampled{reason}; the new ones remember as little")
        return lines


@dataclass(frozen=True)
class TrainPlan:
    """Hold what determines the trained models.

    Attributes:
        dataset: name of the data set.
        seed: seed of all randomness.
        autoencoder: a key of :data:`reinject.networks.AUTOENCODERS`.
        classifier: a key of :data:`reinject.networks.CLASSIFIERS`.
        sees: inputs of the classifier in training, one of training.labelling.SEES.
        autoencoder_recipe, classifier_recipe: recipes of both trainings.
        objective: one of training.objective_options.OBJECTIVES.
        numbers: numbers of the objective.
        low, high: values of the darkest and the brightest pixel, data units.
        augment: augmentation of the classifier's images, one of training.labelling.AUGMENT.
        only: "autoencoder" or "classifier": train only this one; "": train both.
        reconstructed_by: folder of models whose autoencoder reconstructs the inputs of a classifier trained alone;
            "": none.
        split_seed: seed that splits a data set without a test part.
        remember: what to remember of old models; None: nothing.

    Raises:
        ArgumentError: an unknown name, or two names that do not fit together.
    """

    dataset: str
    seed: int = 0
    autoencoder: str = "mlp-denoiser"
    classifier: str = "mlp"
    autoencoder_recipe: Recipe = AUTOENCODER_RECIPE
    classifier_recipe: Recipe = CLASSIFIER_RECIPE
    objective: str = "denoising"
    numbers: Numbers = field(default_factory=Numbers)
    sees: str = SEES[0]
    low: float = 0.0
    high: float = 1.0
    augment: str = AUGMENT[0]
    only: str = ""
    reconstructed_by: str = ""
    split_seed: int = 0
    remember: Remember | None = None

    def __post_init__(self) -> None:
        choose(self.objective, self.autoencoder)
        self.numbers.refuse_strangers(self.objective)
        _check_name("--classifier", self.classifier, models.CLASSIFIERS)
        _check_name("--classifier-sees", self.sees, SEES)
        _check_name("--augment", self.augment, AUGMENT)
        sees_another = self.only == "classifier" and self.sees != "images"
        if sees_another and not self.reconstructed_by:
            problem = "a classifier of reconstructions needs an autoencoder"
            cure = "Give its folder with --reconstructed-by, or leave out --only"
            raise ArgumentError("--only", problem, cure)
        if self.reconstructed_by and not sees_another:
            problem = "needs --only classifier and --classifier-sees reconstructions"
            raise ArgumentError("--reconstructed-by", problem, "Give both, or leave it out")

    def as_json(self) -> dict[str, Any]:
        """Return JSON values; older plans lack a split seed, which then equals the run's seed.

        Old models count by their hashes, not by their folder, which may move.
        """
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.remember is None:
            del values["remember"]
        else:
            values["remember"] = dict(self.remember.found)
        if self.split_seed == self.seed:
            del values["split_seed"]
        return values


@dataclass(frozen=True)
class AutoencoderSpec:
    """Describe the autoencoder to train: network, objective, length.

    Attributes:
        network: a key of :data:`reinject.networks.AUTOENCODERS`; None: the objective's.
        objective: one of :data:`reinject.training.objective_options.OBJECTIVES`; None: the network's.
        numbers: numbers of the objective; default: from the data.
        epochs: exact number of passes over the data, >= 1; None: 15, and at least 4000 gradient steps.
        batch: rows in a gradient step, >= 1; None: 128.
        lr: highest learning rate, > 0; None: 0.001.

    Raises:
        ArgumentError: an unknown name, a network that does not fit the objective, or a number out of range.

    Example:
        >>> AutoencoderSpec("conv").names
        ('reconstruction', 'conv')
    """

    network: str | None = None
    objective: str | None = None
    numbers: Numbers = field(default_factory=Numbers)
    epochs: int | None = None
    batch: int | None = None
    lr: float | None = None

    def __post_init__(self) -> None:
        self.numbers.refuse_strangers(self.names[0])
        self.recipe()

    @property
    def names(self) -> tuple[str, str]:
        """Objective and network; a missing one follows from the other."""
        return choose(self.objective, self.network)

    def recipe(self) -> Recipe:
        """Recipe of the training."""
        return _recipe(AUTOENCODER_RECIPE, self.epochs, batch=self.batch, lr=self.lr)


@dataclass(frozen=True)
class ClassifierSpec:
    """Describe the classifier to train: network, inputs, length.

    Attributes:
        network: a key of :data:`reinject.networks.CLASSIFIERS`: mlp, conv or deep.
        epochs: exact number of passes over the data, >= 1; None: 15, and at least 4000 gradient steps.
        sees: images, or reconstructions: half of the inputs are reconstructions.
        augment: augmentation of images: none, shift (by up to 2 pixels) or mirror (and shift).
        reconstructed_by: folder of models whose autoencoder reconstructs the inputs of a classifier trained alone; "":
            the autoencoder trained with the classifier.

    Raises:
        ArgumentError: an unknown name, a number out of range.
    """

    network: str = "mlp"
    epochs: int | None = None
    sees: str = SEES[0]
    augment: str = AUGMENT[0]
    reconstructed_by: str = ""

    def __post_init__(self) -> None:
        _check_name("--classifier", self.network, models.CLASSIFIERS)
        _check_name("--classifier-sees", self.sees, SEES)
        _check_name("--augment", self.augment, AUGMENT)
        self.recipe()

    def recipe(self) -> Recipe:
        """Recipe of the training."""
        return _recipe(CLASSIFIER_RECIPE, self.epochs)


def _recipe(usual: Recipe, epochs: int | None, **given: float | None) -> Recipe:
    """Replace values of the default recipe; a given number of passes is exact."""
    changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(usual, **changed, **({} if epochs is None else {"epochs": epochs, "least_steps": 0}))


def plan_for(
    dataset: str,
    *,
    autoencoder: AutoencoderSpec | None = None,
    classifier: ClassifierSpec | None = None,
    only: str = "",
    value_range: tuple[float, float] = (0.0, 1.0),
    seed: int = 0,
    split_seed: int = 0,
    remember: Remember | None = None,
) -> TrainPlan:
    """Plan a training: the default one, with given values in place of its own.

    Arguments:
        dataset: name of the data set.
        autoencoder: network, objective and length; default: a denoiser.
        classifier: network, inputs and length; default: an MLP on images.
        only: "autoencoder" or "classifier": train only this one; "": train both.
        value_range: values of the darkest and the brightest pixel, LOW < HIGH.
        seed: seed of all randomness, >= 0.
        split_seed: seed that splits a data set without a test part, >= 0.
        remember: old models to remember; default: none.

    Raises:
        ArgumentError: an empty range, or specs that do not fit together.
        TypeError: a text in place of a spec.

    Example:
        >>> plan_for("digits", classifier=ClassifierSpec("conv", epochs=3)).classifier_recipe.epochs
        3
    """
    given = (
        ("autoencoder", autoencoder, AutoencoderSpec),
        ("classifier", classifier, ClassifierSpec),
        ("remember", remember, Remember),
    )
    for name, value, kind in given:
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} is {value!r}; give {kind.__name__}({value!r})")
    low, high = value_range
    if not low < high:
        raise ArgumentError("--value-range", f"{low},{high} is not a range", "Give LOW < HIGH")
    first, second = autoencoder or AutoencoderSpec(), classifier or ClassifierSpec()
    objective, network = first.names
    return TrainPlan(
        dataset,
        seed,
        network,
        second.network,
        first.recipe(),
        second.recipe(),
        objective,
        first.numbers,
        second.sees,
        low=low,
        high=high,
        augment=second.augment,
        only=only,
        reconstructed_by=second.reconstructed_by,
        split_seed=split_seed,
        remember=remember,
    )


def _check_name(option: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ArgumentError(option, f"{name!r} is not known", f"Use one of {', '.join(known)}")
