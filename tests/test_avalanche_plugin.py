"""The plug-in of avalanche, by a strategy that calls the hooks as avalanche does; and by avalanche where it is."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from reinject import data
from reinject.base.errors import ArgumentError
from reinject.continual.avalanche_plugin import ReplayPlugin
from reinject.models.loading import load_models
from reinject.training.fit import Recipe
from reinject.training.plans import plan_for

DIGITS = data.load("digits")
PLAN = replace(
    plan_for("any"),
    autoencoder_recipe=Recipe(epochs=1, batch=64, lr=2e-3, least_steps=250, warm_up=20),
    classifier_recipe=Recipe(epochs=1, batch=64, least_steps=60),
)


@dataclass
class Experience:
    dataset: Any
    classes_in_this_experience: list[int]
    current_experience: int


def experience(number: int, classes: list[int], scale: float = 2.0) -> Experience:
    """Digits of some classes, normalised to -1..1, with task labels 0, as avalanche's benchmarks give them."""
    kept = torch.isin(DIGITS.train.y, torch.tensor(classes))
    x, y = DIGITS.train.x[kept] / 255 * scale - 1, DIGITS.train.y[kept]
    return Experience(TensorDataset(x, y, torch.zeros(len(y), dtype=torch.int64)), classes, number)


class Naive:
    """A strategy with avalanche's order of events."""

    def __init__(self, plugins: list[Any]) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
        self.plugins, self.sizes = plugins, []
        self.mbatch: list[torch.Tensor] = []

    def call(self, event: str) -> None:
        for plugin in self.plugins:
            if hasattr(plugin, event):
                getattr(plugin, event)(self)

    def train(self, one: Experience) -> None:
        self.experience, optimiser = one, torch.optim.Adam(self.model.parameters(), 5e-3)
        self.call("before_training_exp")
        for _ in range(6):
            for self.mbatch in DataLoader(one.dataset, 32, shuffle=True):
                self.call("before_training_iteration")
                x, y, t = self.mbatch
                self.sizes.append((len(x), len(y), len(t)))
                optimiser.zero_grad()
                nn.functional.cross_entropy(self.model(x), y).backward()
                optimiser.step()
        self.call("after_training_exp")


def accuracy(model: nn.Module, classes: list[int]) -> float:
    kept = torch.isin(DIGITS.test.y, torch.tensor(classes))
    with torch.no_grad():
        return float((model(DIGITS.test.x[kept] / 255 * 2 - 1).argmax(1) == DIGITS.test.y[kept]).float().mean())


@pytest.mark.slow
def test_a_strategy_with_the_plugin_does_not_forget(tmp_path: Path) -> None:
    plain, replayed = Naive([]), Naive([ReplayPlugin(tmp_path / "memory", PLAN)])
    for one in (experience(0, [0, 1]), experience(1, [2, 3])):
        plain.train(one)
        replayed.train(one)
    assert accuracy(plain.model, [0, 1]) < 0.2
    assert accuracy(replayed.model, [0, 1]) > 0.9
    assert accuracy(replayed.model, [2, 3]) > 0.9


FEW = replace(PLAN, autoencoder_recipe=Recipe(1, 64, least_steps=2), classifier_recipe=Recipe(1, 64, least_steps=2))


def test_the_plugin_fills_batches_and_trains_its_memory_itself(tmp_path: Path) -> None:
    plugin = ReplayPlugin(tmp_path / "memory", FEW)
    strategy = Naive([plugin])
    strategy.train(experience(0, [0, 1]))
    assert set(strategy.sizes[:5]) == {(32, 32, 32)}  # nothing to rehearse yet
    strategy.experience = experience(1, [3, 2])
    strategy.call("before_training_exp")
    x, y, t = next(iter(DataLoader(strategy.experience.dataset, 30)))
    strategy.mbatch = [x, y, t + 7]
    strategy.call("before_training_iteration")
    joined, labels, tasks = strategy.mbatch
    assert len(joined) == len(labels) == len(tasks) == 60  # two old classes beside two new ones
    assert torch.equal(joined[:30], x)
    assert float(joined.min()) >= -1
    assert set(labels[30:].tolist()) <= {0, 1}
    assert set(tasks.tolist()) == {7}
    strategy.call("after_training_exp")
    models = load_models([tmp_path / "memory" / "experience-1"])
    assert models.inputs.class_names == ("0", "1", "2", "3")
    assert (models.inputs.low, models.inputs.high) == (-1, 1)
    assert [path.name for path in (tmp_path / "memory").iterdir()] == ["experience-1"]


def test_an_experience_of_other_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"ReplayPlugin: share = 0\. Give a share"):
        ReplayPlugin(tmp_path / "memory", share=0)
    plugin = ReplayPlugin(tmp_path / "memory", FEW)
    strategy = Naive([plugin])
    strategy.experience = experience(0, [0, 1])
    plugin.after_training_exp(strategy)
    strategy.experience = experience(1, [2, 3], scale=9.0)
    with pytest.raises(ArgumentError, match=r"values -1..8, the first one -1..1. Give value_range"):
        plugin.after_training_exp(strategy)


@pytest.mark.slow
def test_avalanche_takes_the_plugin(tmp_path: Path) -> None:
    avalanche = pytest.importorskip("avalanche")
    benchmark = avalanche.benchmarks.tensors_benchmark(
        *[[tuple(experience(k, [2 * k, 2 * k + 1]).dataset.tensors[:2]) for k in range(2)]] * 2, task_labels=[0, 0]
    )
    model = Naive([]).model
    strategy = avalanche.training.supervised.Naive(
        model,
        torch.optim.Adam(model.parameters(), 5e-3),
        nn.CrossEntropyLoss(),
        train_mb_size=32,
        train_epochs=4,
        plugins=[ReplayPlugin(tmp_path / "memory", PLAN)],
    )
    for one in benchmark.train_stream:
        strategy.train(one)
    assert accuracy(model, [0, 1]) > 0.9
