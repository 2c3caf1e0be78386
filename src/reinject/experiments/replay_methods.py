"""Run the methods of continual learning: what each keeps of old tasks, and what a learner gets after a new one."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reinject.base.random_streams import stream
from reinject.continual.mixing import balanced, probabilities
from reinject.continual.remember import rehearse, walked
from reinject.data.rehearsed import Rehearsed
from reinject.experiments.replay_closed_form import fecam, nearest_mean, ranpac, streaming_lda
from reinject.experiments.replay_setting import Given, Setting
from reinject.experiments.replay_vae import vae_a_class, vae_replay
from reinject.models.bundle import load
from reinject.models.loading import load_models
from reinject.sampling.sample_spec import Writing
from reinject.training.labelling import alike
from reinject.training.plans import Remember
from reinject.training.train import train_on

_WALKS = 4  # for a real row of the new task, where the learner sees walks alone


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
    size, rows = _bytes_of(folder), part.train
    if isinstance(part, Rehearsed):
        network = load(folder / "autoencoder", setting.device).network
        rows = alike(part, network, part.levels(plan.low, plan.high), setting.seed)
    return Given(rows.x, rows.y, size)


def ours_by_task(setting: Setting, task: int) -> Given:
    """Keep an autoencoder and a classifier of each task, trained on its rows alone.

    The learner gets walks of all of them, of the new task too: rows of one kind, several for a real one. No model
    learns from samples, so nothing is lost from task to task. The bytes grow with the tasks.
    """
    protocol, total = setting.protocol, len(setting.protocol.classes_until(task))
    parts, size, first = [], 0, 0
    for one, classes in enumerate(protocol.tasks[: task + 1]):
        folder = setting.folder / (f"alone-{one}" if one else "task-0")
        if not folder.is_dir():
            plan, part = protocol.plan(setting.seed, None), protocol.part(setting.dataset, one)
            train_on(plan, part, folder, device=setting.device, progress=setting.progress)
        x, p = _remembered(setting, folder)
        wide = torch.zeros(len(p), total)
        wide[:, first : first + len(classes)] = p
        parts.append((x, wide))
        size, first = size + _bytes_of(folder), first + len(classes)
    return Given(*_joined(parts), size)


def _remembered(setting: Setting, folder: Path) -> tuple[Tensor, Tensor]:
    """Return walks of models and their labels, in equal numbers of each class; read those of an earlier task."""
    old = load_models([folder], setting.device)
    classes = len(old.inputs.class_names)
    each = _WALKS * len(setting.dataset.train) // len(setting.dataset.class_names)
    walks = folder.with_name(f"{folder.name}.rehearsal")
    archive = walked(old, walks, each, seed=setting.seed, writing=Writing(progress=setting.progress))
    x, label = archive.read()
    chosen, _ = balanced(label, classes, each, stream((setting.seed, classes)))
    return x[chosen], probabilities(archive)[chosen]


def _bytes_of(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.glob("*/model.safetensors"))


def buffer(setting: Setting, task: int) -> Given:
    """Keep real rows, as many bytes as our models take, in equal numbers of every class seen."""
    size = _bytes_of(setting.folder / "task-0")
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


METHODS: Mapping[str, Callable[[Setting, int], Given]] = {  # quick ones first; the buffer takes as many bytes as ours
    "nearest mean": nearest_mean,
    "streaming LDA": streaming_lda,
    "FeCAM": fecam,
    "RanPAC": ranpac,
    "Gaussian a class": gaussians,
    "no replay": nothing,
    "joint": everything,
    "VAE replay": vae_replay,
    "VAE a class": vae_a_class,
    "ours": ours,
    "ours by task": ours_by_task,
    "buffer of equal bytes": buffer,
}
