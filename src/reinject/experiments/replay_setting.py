"""Say what a method of continual learning may use, what it gives, and train the learner of all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from reinject import data
from reinject.base.devices import make_fabric
from reinject.base.progress import Progress
from reinject.base.random_streams import stream
from reinject.experiments.replay_protocols import Protocol
from reinject.networks import Inputs, MLPClassifier
from reinject.training.fit import Rows, fit
from reinject.training.students import cross_entropy

Predict = Callable[[Tensor], Tensor]  # samples in data units -> scores of the classes seen so far


@dataclass(frozen=True)
class Setting:
    """Hold what a method may use.

    Attributes:
        protocol: tasks, learner and budgets.
        dataset: all data; a method looks at one task at a time.
        folder: folder of our models.
        seed: seed of all randomness.
        device: device of networks.
        progress: progress reporter.
    """

    protocol: Protocol
    dataset: data.Dataset
    folder: Path
    seed: int
    device: str
    progress: Progress

    def rows(self, classes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Return training rows of some classes, numbered in order of arrival."""
        train, seen = self.dataset.train, self.protocol.classes_until(len(self.protocol.tasks) - 1)
        kept = torch.isin(train.y, torch.tensor(classes))
        number = torch.zeros(max(seen) + 1, dtype=torch.int64)
        number[list(seen)] = torch.arange(len(seen))
        return train.x[kept], number[train.y[kept]]


@dataclass(frozen=True)
class Given:
    """Hold what a method gives after a task: rows for the learner, or its own prediction; and the bytes kept."""

    x: Tensor | None
    y: Tensor | None
    bytes: int
    predict: Predict | None = None


def learned(setting: Setting, given: Given, classes: int) -> Predict:
    """Train the protocol's learner from scratch; or return the method's own prediction."""
    if given.predict is not None:
        return given.predict
    assert given.x is not None
    assert given.y is not None
    return prediction(train_learner(setting, given.x, given.y, classes))


def train_learner(setting: Setting, x: Tensor, y: Tensor, classes: int) -> MLPClassifier:
    """Train the protocol's learner from scratch on stored rows, with classes or their probabilities."""
    rows = Rows(x, y, setting.dataset.levels().load)
    some = rows.load(rows.x[torch.randperm(len(rows), generator=stream((setting.seed,)))[:10_000]])
    names = tuple(map(str, range(classes)))
    inputs = Inputs(setting.dataset.shape, mean=float(some.mean()), std=float(some.std()), class_names=names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.seed)
        network = MLPClassifier(inputs, setting.protocol.hidden, dropout=0.0)
    recipe, fabric = setting.protocol.learner, make_fabric(setting.device)
    fit(network, cross_entropy, rows, recipe, seed=setting.seed, fabric=fabric)
    return network


def prediction(network: nn.Module) -> Predict:
    """Return the scores of a classifier as a function of samples, on the CPU."""
    place = next(network.parameters()).device

    def predict(x: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = network(x.to(place)).cpu()
        return scores

    return predict
