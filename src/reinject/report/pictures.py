"""The figures of an evaluation, and what they are drawn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reinject import data
from reinject.archive import Archive
from reinject.evaluation.evaluate import Examined
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.judgements import closest
from reinject.evaluation.utility import Utility
from reinject.report.sample_pictures import class_histogram, learning_curves, nearest_rows, samples_by_class
from reinject.report.sprites import drawable
from reinject.sampling.provenance import shares
from reinject.walks.diagnostics import class_shares
from reinject.walks.verdict import Verdict

_READ = 5000


@dataclass(frozen=True)
class Judged:
    """What was found of one archive before it is shown.

    Attributes:
        archive: the archive.
        utility: how a student learns from it, if that was judged.
        judgements: group -> what else was judged.
        nearest: samples near to training rows, and these rows, images in [0, 1].
        models: folders of the models that made it; default: where the manifest says.
        notes: what was left out, and why.
        findings: what the comparison with real data found wrong, the worst first.
    """

    archive: Archive
    utility: Utility | None = None
    judgements: Mapping[str, Sequence[Judgement]] = field(default_factory=dict)
    nearest: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    models: Sequence[Path] = ()
    notes: Sequence[str] = ()
    findings: Sequence[Verdict] = ()


def judged_of(one: Examined) -> Judged:
    """What an examination found, as a page shows it."""
    near = "memorisation" in one.judgements and drawable(one.archive.event_shape)
    nearest = closest(one.evidence) if near else None
    return Judged(one.archive, one.utility, one.judgements, nearest, one.models, one.metrics["notes"], one.findings)


def draw(figures: Path, found: Mapping[str, Judged], dataset: data.Dataset) -> None:
    """All figures as PNG, of those that there is something for.

    Arguments:
        figures: folder to make.
        found: name -> what was found of an archive.
        dataset: the real data.
    """
    archives = {name: one.archive for name, one in found.items()}
    names = next(iter(archives.values())).class_names
    if names and drawable(dataset.shape):
        samples_by_class(figures / "samples.png", pictured(dataset, archives), names, 0, 1)
    draw_classes(figures / "classes.png", found, dataset)
    draw_curves(figures / "curves.png", found)
    near = next((one.nearest for one in found.values() if one.nearest is not None), None)
    if near is not None:
        nearest_rows(figures / "nearest.png", *near)


def draw_curves(path: Path, found: Mapping[str, Judged]) -> Path | None:
    """The learning curves of all sets; None where none was judged."""
    judged = {name: one.utility for name, one in found.items() if one.utility is not None}
    if not judged:
        return None
    first = next(iter(judged.values()))
    both = {"real + n": first.both} if len(judged) == 1 and first.both is not None else {}
    curves = {name: one.synthetic for name, one in judged.items()}
    return learning_curves(path, {"real": first.real, **curves, **both, "noise": first.noise})


def draw_classes(path: Path, found: Mapping[str, Judged], dataset: data.Dataset | None) -> Path | None:
    """The share of each class in each set; None where samples have no labels."""
    bars = {name: shares(one.archive) for name, one in found.items() if one.archive.class_names}
    if not bars:
        return None
    names = next(iter(found.values())).archive.class_names
    real = {} if dataset is None else {"real": class_shares(dataset.train.y, len(names))}
    return class_histogram(path, {**real, **bars}, names)


def pictured(dataset: data.Dataset, archives: Mapping[str, Archive]) -> dict[str, Any]:
    """Images in [0, 1] and labels of the real and each synthetic set, some thousand of each, for the figures."""
    unit = dataset.levels()
    sets = {"real": (unit.load(dataset.train.x[:_READ]).numpy(), dataset.train.y[:_READ].numpy())}
    for name, archive in archives.items():
        x, y = archive.read(_READ, seed=0)
        storage = archive.storage
        values = (storage.load(x) - storage.low) / (storage.high - storage.low)
        mixed = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))  # neighbours share a walk
        sets[name] = (values[mixed].numpy(), y[mixed].numpy())
    return sets
