"""List the protocols of continual learning: splits, learner and budgets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from reinject import data
from reinject.foreign.efficientnet import EFFICIENTNET
from reinject.training.fit import Recipe
from reinject.training.plans import Remember, TrainPlan, plan_for

_PAIRS = tuple((k, k + 1) for k in range(0, 10, 2))
_TENS = tuple(tuple(range(k, k + 10)) for k in range(0, 100, 10))


@dataclass(frozen=True)
class Protocol:
    """Describe a protocol: a data set whose classes arrive in tasks, a learner, and what our models may take.

    After each task, a fresh learner is trained on what a method gives: new rows, and rows in place of the old data. No
    task is named in the test.

    Attributes:
        dataset: name of the data set.
        tasks: classes of each task, in order.
        extractor: training data of the extractor of features, or a network that is ready; "": pixels.
        hidden: widths of the learner's hidden layers.
        learner: recipe of the learner, the same for all methods.
        autoencoder, classifier: recipes of our models after each task.
    """

    dataset: str
    tasks: tuple[tuple[int, ...], ...] = _PAIRS
    extractor: str = ""
    hidden: tuple[int, ...] = (400, 400)
    learner: Recipe = field(default_factory=lambda: Recipe(epochs=1, batch=256, least_steps=2000))
    autoencoder: Recipe = field(
        default_factory=lambda: Recipe(epochs=1, batch=128, lr=2e-3, least_steps=2000, warm_up=200)
    )
    classifier: Recipe = field(default_factory=lambda: Recipe(epochs=1, batch=128, least_steps=2000))

    def plan(self, seed: int, remember: Remember | None) -> TrainPlan:
        """Plan the training of our models after a task."""
        usual = plan_for(self.dataset, seed=seed, remember=remember)
        return replace(usual, autoencoder_recipe=self.autoencoder, classifier_recipe=self.classifier)

    def part(self, dataset: data.Dataset, task: int) -> data.Dataset:
        """Return the rows of a task, with its classes numbered from 0."""
        classes = self.tasks[task]

        def of(whole: data.LabelledImages) -> data.LabelledImages:
            rows = whole.take(torch.isin(whole.y, torch.tensor(classes)).nonzero().flatten())
            return replace(rows, y=sum(((rows.y == k) * n for n, k in enumerate(classes)), torch.zeros_like(rows.y)))

        names = tuple(dataset.class_names[k] for k in classes)
        name = f"{dataset.name}, task {task + 1}"
        return data.Dataset(name, of(dataset.train), of(dataset.test), names, dataset.space)

    def classes_until(self, task: int) -> tuple[int, ...]:
        """Return the classes of the tasks 0 to ``task``, in order of arrival."""
        return tuple(k for classes in self.tasks[: task + 1] for k in classes)


_FEW = Recipe(epochs=1, batch=64, least_steps=300)
PROTOCOLS: Mapping[str, Protocol] = {
    "split-digits": Protocol("digits", hidden=(100, 100), learner=_FEW, autoencoder=_FEW, classifier=_FEW),
    "split-mnist": Protocol("mnist"),
    "split-fashion_mnist": Protocol("fashion_mnist"),
    "split-cifar10-features": Protocol("cifar10", extractor="cifar100"),
    "split-cifar100-features": Protocol("cifar100", _TENS, "cifar10"),
    "split-cifar100-efficientnet": Protocol("cifar100", _TENS, f"{EFFICIENTNET}:112"),
}
