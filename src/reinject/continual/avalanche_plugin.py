"""Replay as a plug-in of avalanche's strategies, which trains its own memory."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from reinject import data
from reinject.base.errors import ArgumentError
from reinject.base.progress import Progress, Silent
from reinject.continual.remember import rehearse
from reinject.continual.replay import Replay, check_share
from reinject.data.samples import Storage, usual_kind
from reinject.models.loading import load_models
from reinject.sampling.sample_spec import Writing
from reinject.training.plans import Remember, TrainPlan, plan_for
from reinject.training.train import train_on

_EVERY = 20  # one row of this number is held out, for the accuracy in training.json
_MARGIN = 0.1  # of the range: values beyond it do not fit into the range


class ReplayPlugin:
    """Rehearse earlier experiences in every batch, and train the memory of them after each experience.

    Any supervised strategy takes it: ``Naive(..., plugins=[ReplayPlugin("memory")])``. The first experience is learned
    as it is. Then an autoencoder and a classifier learn its rows, and later experiences get their samples. Memory and
    strategy see the same values, so a normalised benchmark needs nothing. Classes are named by their numbers.

    Arguments:
        folder: folder of the memory; one of an interrupted run is used again.
        plan: networks, recipes and seed of the memory; its data set is not read. Default: that of ``reinject train``.
        share: rehearsed share of a batch, in (0, 1). Default: every class of the benchmark so far has the same weight.
        value_range: values of the darkest and the brightest pixel; default: the range of the first experience.
        device: device of the memory.
        progress: progress reporter.

    Raises:
        ArgumentError: a share outside (0, 1), or an experience beyond the value range.

    Source: avalanche's plug-ins, https://github.com/ContinualAI/avalanche; Shin et al. 2017, arXiv 1705.08690.
    """

    supports_distributed = False

    def __init__(
        self,
        folder: Path | str,
        plan: TrainPlan | None = None,
        *,
        share: float | None = None,
        value_range: tuple[float, float] | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> None:
        if share is not None:
            check_share("ReplayPlugin", share)
        self.folder, self.plan, self.share = Path(folder), plan or plan_for("experience"), share
        self.value_range, self.device, self.progress = value_range, device, progress or Silent()
        self.models: Path | None = None
        self.replay: Replay | None = None

    def before_training_exp(self, strategy: Any, **_: Any) -> None:
        """Open the memory of earlier experiences; the first experience has none."""
        if self.models is None:
            return
        old = load_models([self.models]).inputs.class_names
        new = {str(int(k)) for k in strategy.experience.classes_in_this_experience}
        names = tuple(str(k) for k in range(1 + max(map(int, (*old, *new)))))
        share = self.share or len(old) / max(len({*old, *new}), len(old) + 1)
        seed = self.plan.seed
        self.replay = Replay(self.models, class_names=names, share=share, soft=False, seed=seed, device=self.device)

    def before_training_iteration(self, strategy: Any, **_: Any) -> None:
        """Add rehearsed rows to the batch: samples, classes, and the batch's own task label."""
        if self.replay is None:
            return
        x, y, *rest = strategy.mbatch
        strategy.mbatch[0], strategy.mbatch[1] = self.replay.join(x, y)
        added = len(strategy.mbatch[0]) - len(x)
        for k, value in enumerate(rest, 2):
            strategy.mbatch[k] = torch.cat([value, value[:1].expand(added, *value.shape[1:])])

    def after_training_exp(self, strategy: Any, **_: Any) -> None:
        """Train the memory on the experience and on what the memory before it remembers."""
        experience = strategy.experience
        number, out = experience.current_experience, self.folder / f"experience-{experience.current_experience}"
        part = self._part(experience)
        low, high = self.value_range or (0.0, 1.0)
        plan = replace(self.plan, dataset=part.name, low=low, high=high, remember=Remember() if self.models else None)
        if not out.is_dir():
            walks = self.folder / f"walks-{number}"
            if self.models is not None:
                old = load_models([self.models], self.device)
                part, found = rehearse(plan, part, old, walks, writing=Writing(progress=self.progress))
                plan = replace(plan, remember=Remember(found=found))
            train_on(plan, part, out, device=self.device, progress=self.progress)
            shutil.rmtree(walks, ignore_errors=True)
        if self.models is not None and self.models != out:
            shutil.rmtree(self.models)
        self.models, self.replay = out, None

    def _part(self, experience: Any) -> data.Dataset:
        """Make a data set of an experience's rows, without its augmentations."""
        rows = experience.dataset
        rows = rows.eval() if hasattr(rows, "eval") else rows
        batches = [batch[:2] for batch in DataLoader(rows, 1024)]
        x, label = (torch.cat([batch[k] for batch in batches]) for k in (0, 1))
        classes = label.unique(sorted=True)  # type: ignore[no-untyped-call]
        y = torch.searchsorted(classes, label)
        stored = self._storage(x).store(x)[0]
        test = torch.arange(len(y)) % _EVERY == 0
        parts = (data.LabelledImages(stored[kept], y[kept]) for kept in (~test, test))
        name = f"experience {experience.current_experience}"
        return data.Dataset(name, next(parts), next(parts), tuple(str(int(k)) for k in classes))

    def _storage(self, x: Tensor) -> Storage:
        if usual_kind(x.shape[1:]) == "float":
            return Storage("float")
        found = float(x.min()), float(x.max())
        low, high = self.value_range = self.value_range or found
        margin = _MARGIN * (high - low)
        if found[0] < low - margin or found[1] > high + margin:
            problem = f"an experience has values {found[0]:.3g}..{found[1]:.3g}, the first one {low:.3g}..{high:.3g}"
            raise ArgumentError("ReplayPlugin", problem, "Give value_range")
        return Storage("uint8", low, high)
