"""Draw the figures of an evaluation."""

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
    """Hold the results of one archive for figures and pages.

    Attributes:
        archive: the archive.
        utility: utility, if judged.
        judgements: group -> other judgements.
        nearest: samples near training rows, and these rows, images in [0, 1].
        models: folders of the models that made it; default: the manifest's.
        notes: omissions and their reasons.
        findings: faults from the comparison with real data, worst first.
    """

    archive: Archive
    utility: Utility | None = None
    judgements: Mapping[str, Sequence[Judgement]] = field(default_factory=dict)
    nearest: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    models: Sequence[Path] = ()
    notes: Sequence[str] = ()
    findings: Sequence[Verdict] = ()


def judged_of(one: Examined) -> Judged:
    """Convert the results of an evaluation for figures and pages."""
    near = "memorisation" in one.judgements and drawable(one.archive.event_shape)
    nearest = closest(one.evidence) if near else None
    return Judged(one.archive, one.utility, one.judgements, nearest, one.models, one.metrics["notes"], one.findings)


def draw(figures: Path, found: Mapping[str, Judged], dataset: data.Dataset) -> None:
    """Draw all figures that the results allow, as PNG.

    Arguments:
        figures: folder to make.
        found: name -> results of an archive.
        dataset: real data.
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
    """Draw the learning curves of all sets; None without a utility."""
    judged = {name: one.utility for name, one in found.items() if one.utility is not None}
    if not judged:
        return None
    first = next(iter(judged.values()))
    both = {"real + n": first.both} if len(judged) == 1 and first.both is not None else {}
    curves = {name: one.synthetic for name, one in judged.items()}
    return learning_curves(path, {"real": first.real, **curves, **both, "noise": first.noise})


def draw_classes(path: Path, found: Mapping[str, Judged], dataset: data.Dataset | None) -> Path | None:
    """Draw the share of each class in each set; None without labels."""
    bars = {name: shares(one.archive) for name, one in found.items() if one.archive.class_names}
    if not bars:
        return None
    names = next(iter(found.values())).archive.class_names
    real = {} if dataset is None else {"real": class_shares(dataset.train.y, len(names))}
    return class_histogram(path, {**real, **bars}, names)


def pictured(dataset: data.Dataset, archives: Mapping[str, Archive]) -> dict[str, Any]:
    """Choose some thousand images in [0, 1], with labels, of the real and each synthetic set."""
    unit = dataset.levels()
    sets = {"real": (unit.load(dataset.train.x[:_READ]).numpy(), dataset.train.y[:_READ].numpy())}
    for name, archive in archives.items():
        x, y = archive.read(_READ, seed=0)
        storage = archive.storage
        values = (storage.load(x) - storage.low) / (storage.high - storage.low)
        mixed = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))  # neighbours share a walk
        sets[name] = (values[mixed].numpy(), y[mixed].numpy())
    return sets
