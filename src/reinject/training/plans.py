"""What determines trained models: which networks, on which data, how, by which objective."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from reinject import networks as models
from reinject.base.errors import ArgumentError
from reinject.training.fit import Recipe
from reinject.training.labelling import AUGMENT, SEES
from reinject.training.objective_options import Numbers, choose

AUTOENCODER_RECIPE = Recipe(epochs=15, batch=128, warm_up=200, least_steps=4000)
CLASSIFIER_RECIPE = Recipe(epochs=15, batch=128, least_steps=4000)


@dataclass(frozen=True)
class TrainPlan:
    """What determines the trained models.

    Attributes:
        dataset: its name.
        seed: of all randomness.
        autoencoder: a key of models.AUTOENCODERS.
        classifier: a key of models.CLASSIFIERS.
        sees: what the classifier is trained on, one of training.labelling.SEES.
        autoencoder_recipe, classifier_recipe: how they are trained.
        objective: one of training.objective_options.OBJECTIVES.
        numbers: of the objective.
        low, high: values of the darkest and the brightest pixel, data units.
        augment: how the classifier's images are varied, one of training.labelling.AUGMENT.
        only: "autoencoder" or "classifier": the other is not trained; "": both are.
        reconstructed_by: folder of models whose autoencoder gives back what the classifier sees, where it alone is
            trained; "": there is none.
        split_seed: of the split of a data set that has no test part.

    Raises:
        ArgumentError: an unknown name, or two that do not go together.
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

    def __post_init__(self) -> None:
        choose(self.objective, self.autoencoder)
        self.numbers.refuse_strangers(self.objective)
        _check_name("--classifier", self.classifier, models.CLASSIFIERS)
        _check_name("--classifier-sees", self.sees, SEES)
        _check_name("--augment", self.augment, AUGMENT)
        sees_another = self.only == "classifier" and self.sees != "images"
        if sees_another and not self.reconstructed_by:
            problem = "no autoencoder is trained whose reconstructions it sees"
            raise ArgumentError("--only", problem, "Name the folder of one with --reconstructed-by, or leave one out")
        if self.reconstructed_by and not sees_another:
            problem = "is for --only classifier with --classifier-sees reconstructions"
            raise ArgumentError("--reconstructed-by", problem, "Give both, or leave it out")

    def as_json(self) -> dict[str, Any]:
        """JSON values; a split by the run's own seed stands for itself, as in plans from before it had another."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.split_seed == self.seed:
            del values["split_seed"]
        return values


@dataclass(frozen=True)
class AutoencoderSpec:
    """Which autoencoder is trained, by which objective, for how long.

    Attributes:
        network: a key of :data:`reinject.networks.AUTOENCODERS`; None: the one that the objective needs.
        objective: one of :data:`reinject.training.objective_options.OBJECTIVES`; None: what the network is for.
        numbers: of the objective; default: those that suit the data.
        epochs: passes over the data, exactly, >= 1; None: 15, and 4000 gradient steps at least.
        batch: rows a gradient step, >= 1; None: 128.
        lr: highest learning rate, > 0; None: 0.001.

    Raises:
        ArgumentError: an unknown name, a network and an objective that do not go together, a number out of range.

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
        """Objective and network; the one that is not given follows from the other."""
        return choose(self.objective, self.network)

    def recipe(self) -> Recipe:
        """How it is trained."""
        return _recipe(AUTOENCODER_RECIPE, self.epochs, batch=self.batch, lr=self.lr)


@dataclass(frozen=True)
class ClassifierSpec:
    """Which classifier is trained, on what, for how long.

    Attributes:
        network: a key of :data:`reinject.networks.CLASSIFIERS`: mlp, conv or deep.
        epochs: passes over the data, exactly, >= 1; None: 15, and 4000 gradient steps at least.
        sees: images, or reconstructions: half of the images as the autoencoder gives them back.
        augment: how its images are varied: none, shift (by up to 2 pixels) or mirror (and shift).
        reconstructed_by: folder of models whose autoencoder gives back what it sees, where it alone is trained; "":
            the autoencoder that is trained.

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
        """How it is trained."""
        return _recipe(CLASSIFIER_RECIPE, self.epochs)


def _recipe(usual: Recipe, epochs: int | None, **given: float | None) -> Recipe:
    """The usual recipe with what is given; passes that are given are exact."""
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
) -> TrainPlan:
    """Plan a training: the default one, with what is given in place of its values.

    Arguments:
        dataset: its name.
        autoencoder: which, by which objective, for how long; default: a denoiser.
        classifier: which, on what, for how long; default: an MLP on the images.
        only: "autoencoder" or "classifier": the other is not trained; "": both are.
        value_range: values of the darkest and the brightest pixel, LOW < HIGH.
        seed: of all randomness, >= 0.
        split_seed: of the split of a data set that has no test part, >= 0.

    Raises:
        ArgumentError: an empty range, specs that do not go together.
        TypeError: a text in place of a spec.

    Example:
        >>> plan_for("digits", classifier=ClassifierSpec("conv", epochs=3)).classifier_recipe.epochs
        3
    """
    given = (("autoencoder", autoencoder, AutoencoderSpec), ("classifier", classifier, ClassifierSpec))
    for name, value, kind in given:
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} is {value!r}; give {kind.__name__}({value!r})")
    low, high = value_range
    if not low < high:
        raise ArgumentError("--value-range", f"{low},{high}", "Give LOW < HIGH")
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
    )


def _check_name(option: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ArgumentError(option, f"{name!r} is not known", f"Use one of {', '.join(known)}")
