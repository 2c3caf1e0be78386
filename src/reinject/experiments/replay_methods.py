"""Run the methods of continual learning: what each keeps of old tasks, and what a learner gets after a new one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reinject import data
from reinject.base.devices import make_fabric
from reinject.base.progress import Progress
from reinject.base.random_streams import stream
from reinject.continual.remember import rehearse
from reinject.data.rehearsed import Rehearsed
from reinject.experiments.replay_protocols import Protocol
from reinject.models.bundle import load
from reinject.models.loading import load_models
from reinject.networks import Inputs, MLPClassifier
from reinject.sampling.sample_spec import Writing
from reinject.training.fit import Rows, fit
from reinject.training.labelling import alike
from reinject.training.plans import Remember
from reinject.training.students import cross_entropy
from reinject.training.train import train_on

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
    rows = Rows(given.x, given.y, setting.dataset.levels().load)
    some = rows.load(rows.x[torch.randperm(len(rows), generator=stream((setting.seed,)))[:10_000]])
    names = tuple(map(str, range(classes)))
    inputs = Inputs(setting.dataset.shape, mean=float(some.mean()), std=float(some.std()), class_names=names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.seed)
        network = MLPClassifier(inputs, setting.protocol.hidden, dropout=0.0)
    recipe, fabric = setting.protocol.learner, make_fabric(setting.device)
    fit(network, cross_entropy, rows, recipe, seed=setting.seed, fabric=fabric)

    def predict(x: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = network(x.to(fabric.device)).cpu()
        return scores

    return predict


def nothing(setting: Setting, task: int) -> Given:
    """Keep nothing: the learner sees the new task alone."""
    return Given(*setting.rows(setting.protocol.tasks[task]), 0)


def everything(setting: Setting, task: int) -> Given:
    """Keep all data: joint training, the upper bound."""
    x, y = setting.rows(setting.protocol.classes_until(task))
    return Given(x, y, x[0].numel() * x.element_size() * len(x))


def ours(setting: Setting, task: int) -> Given:
    """Keep an autoencoder and a classifier, trained after each task on new rows and on walks of the earlier ones.

    The learner gets the rows of our classifier: new ones as the autoencoder gives them back.
    """
    protocol, folder = setting.protocol, setting.folder / f"task-{task}"
    part = protocol.part(setting.dataset, task)
    plan = protocol.plan(setting.seed, Remember() if task else None)
    if task:
        old = load_models([setting.folder / f"task-{task - 1}"], setting.device)
        walks = folder.with_name(f"{folder.name}.rehearsal")
        part, found = rehearse(plan, part, old, walks, writing=Writing(progress=setting.progress))
        plan = protocol.plan(setting.seed, Remember(found=found))
    if not folder.is_dir():
        train_on(plan, part, folder, device=setting.device, progress=setting.progress)
    size, rows = sum(one.stat().st_size for one in folder.glob("*/model.safetensors")), part.train
    if isinstance(part, Rehearsed):
        network = load(folder / "autoencoder", setting.device).network
        rows = alike(part, network, part.levels(plan.low, plan.high), setting.seed)
    return Given(rows.x, rows.y, size)


def buffer(setting: Setting, task: int) -> Given:
    """Keep real rows, as many bytes as our models take, in equal numbers of every class seen."""
    models = setting.folder / "task-0"
    size = sum(one.stat().st_size for one in models.glob("*/model.safetensors"))
    each = size // (setting.dataset.train.x[0].numel() * setting.dataset.train.x.element_size() + 1)
    old = setting.protocol.classes_until(task - 1) if task else ()
    parts, kept = [setting.rows(setting.protocol.tasks[task])], 0
    for k in old:
        x, y = setting.rows((k,))
        order = torch.randperm(len(x), generator=stream((setting.seed, k)))[: each // len(old)]  # a shrinking prefix
        parts.append((x[order], y[order]))
        kept += len(order)
    row = setting.dataset.train.x[0].numel() * setting.dataset.train.x.element_size() + 1
    return Given(*_joined(parts), kept * row)


def gaussians(setting: Setting, task: int) -> Given:
    """Keep a Gaussian for each class, fitted to its real rows; replay as many rows as the class has."""
    load, store = setting.dataset.levels().load, setting.dataset.levels().store
    parts, n = [setting.rows(setting.protocol.tasks[task])], int(np.prod(setting.dataset.shape))
    old = setting.protocol.classes_until(task - 1) if task else ()
    for k in old:
        x, y = setting.rows((k,))
        flat = load(x).flatten(1).double()
        values, axes = torch.linalg.eigh(torch.cov(flat.T))
        root = (axes * values.clamp(min=0).sqrt()).float()
        z = torch.randn(len(x), n, generator=stream((setting.seed, k)))
        drawn = z @ root.T + flat.mean(0).float()
        parts.append((store(drawn.reshape(x.shape))[0], y))
    size = 4 * (n + n * (n + 1) // 2)  # a mean, and half of a symmetric covariance
    return Given(*_joined(parts), size * len(old))


def _joined(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


def nearest_mean(setting: Setting, task: int) -> Given:
    """Keep the mean of each class; the nearest mean is the class (NCM)."""
    means = _means(setting, task)
    return Given(None, None, 4 * means.numel(), lambda x: -torch.cdist(x.flatten(1), means))


def streaming_lda(setting: Setting, task: int) -> Given:
    """Keep the mean of each class and one covariance of all (streaming LDA, shrinkage 1e-4 of its mean variance).

    Source: Hayes and Kanan 2020, arXiv 1909.01520.
    """
    means, load = _means(setting, task), setting.dataset.levels().load
    n = means.shape[1]
    scatter, count = torch.zeros(n, n, dtype=torch.float64), 0
    for number, k in enumerate(setting.protocol.classes_until(task)):
        centred = (load(setting.rows((k,))[0]).flatten(1) - means[number]).double()
        scatter, count = scatter + centred.T @ centred, count + len(centred)
    cov = scatter / count
    cov = cov + 1e-4 * cov.diagonal().mean() * torch.eye(n, dtype=torch.float64)
    weights = torch.linalg.solve(cov, means.double().T).float()
    offset = -0.5 * (means * weights.T).sum(1)
    return Given(None, None, 4 * (means.numel() + n * (n + 1) // 2), lambda x: x.flatten(1) @ weights + offset)


def _means(setting: Setting, task: int) -> Tensor:
    load = setting.dataset.levels().load
    return torch.stack([load(setting.rows((k,))[0]).flatten(1).mean(0) for k in setting.protocol.classes_until(task)])


METHODS: Mapping[str, Callable[[Setting, int], Given]] = {  # quick ones first; the buffer takes as many bytes as ours
    "nearest mean": nearest_mean,
    "streaming LDA": streaming_lda,
    "Gaussian a class": gaussians,
    "no replay": nothing,
    "joint": everything,
    "ours": ours,
    "buffer of equal bytes": buffer,
}
