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


def plan_for(
    dataset: str,
    *,
    seed: int = 0,
    split_seed: int = 0,
    autoencoder: str | None = None,
    classifier: str = "mlp",
    objective: str | None = None,
    numbers: Numbers | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
    classifier_epochs: int | None = None,
    sees: str = SEES[0],
    value_range: tuple[float, float] = (0.0, 1.0),
    augment: str = AUGMENT[0],
    only: str = "",
    reconstructed_by: str = "",
) -> TrainPlan:
    """The default way to train, with what was given in place of its values.

    Arguments:
        dataset, seed, split_seed, autoencoder, classifier, objective, numbers: as in :class:`TrainPlan`; of the
            objective and the autoencoder, the one that is not given follows from the other.
        epochs, classifier_epochs: passes over the data, exactly, in place of the recipe's.
        batch, lr: of the autoencoder: rows a gradient step, and highest learning rate.
        sees, augment, only, reconstructed_by: as in :class:`TrainPlan`.
        value_range: values of the darkest and the brightest pixel.

    Raises:
        ArgumentError: an unknown network, a number out of range.
    """

    def recipe(usual: Recipe, passes: int | None, **given: float | None) -> Recipe:
        changed: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return replace(usual, **changed, **({} if passes is None else {"epochs": passes, "least_steps": 0}))

    low, high = value_range
    if not low < high:
        raise ArgumentError("--value-range", f"{low},{high}", "Give LOW < HIGH")
    objective, autoencoder = choose(objective, autoencoder)
    return TrainPlan(
        dataset,
        seed,
        autoencoder,
        classifier,
        recipe(AUTOENCODER_RECIPE, epochs, batch=batch, lr=lr),
        recipe(CLASSIFIER_RECIPE, classifier_epochs),
        objective,
        numbers or Numbers(),
        sees,
        low=low,
        high=high,
        augment=augment,
        only=only,
        reconstructed_by=reconstructed_by,
        split_seed=split_seed,
    )


def _check_name(option: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ArgumentError(option, f"{name!r} is not known", f"Use one of {', '.join(known)}")
