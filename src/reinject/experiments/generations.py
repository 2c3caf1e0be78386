"""Play the telephone game: train, sample, train on the samples, and so on; quality by generation."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reinject import data
from reinject.archive import Archive
from reinject.base.errors import DataError
from reinject.base.files import read_json, write_json
from reinject.base.progress import Progress
from reinject.base.random_streams import stream
from reinject.continual.mixing import balanced, probabilities
from reinject.data.rehearsed import Rehearsed
from reinject.data.sample_tables import Table
from reinject.evaluation.coverage import prdc
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.models.loading import load_models
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.training.fit import Recipe
from reinject.training.learning_curves import Figure
from reinject.training.plans import plan_for
from reinject.training.students import Student, marks
from reinject.training.train import train_on

GENERATIONS = 10
_SPARE = 1.25  # rows of walks for a chosen row: classes are not visited evenly
_AUTOENCODER = Recipe(epochs=1, batch=128, lr=2e-3, least_steps=600, warm_up=100)
_CLASSIFIER = Recipe(epochs=1, batch=128, least_steps=300)
_NUMBERS = ("ratio", "precision", "recall", "least")


@dataclass(frozen=True)
class Chain:
    """Describe what a generation learns from the one before.

    Attributes:
        soft: labels are the classifier's probabilities; else its most probable class.
        more: samples of each generation, as a multiple of the real rows, >= 1.
        kept: real rows of each class that every generation learns from too, >= 0.
    """

    soft: bool = True
    more: int = 1
    kept: int = 0


CHAINS: Mapping[str, Chain] = {
    "hard labels": Chain(soft=False),
    "soft labels": Chain(),
    "four times the walks": Chain(more=4),
    "ten kept rows a class": Chain(kept=10),
}


def run_generations(
    out: Path, spec: ExperimentSpec, *, dataset: str = "digits", data_dir: str | None = None, progress: Progress
) -> dict[str, Any]:
    """Run every chain for each seed. Resume from existing results.

    Arguments:
        out: folder of the results.
        spec: seeds and device.
        dataset: name of the real data of generation 0.
        data_dir: folder to search for data sets first.
        progress: progress reporter.

    Returns:
        For each chain, numbers by generation. ratio: accuracy of a student of the samples over that of real rows.
        precision, recall: of the samples against test rows. least: smallest share of a class, times the classes.
    """
    real = data.load(dataset, data_dir, progress=progress)
    found: dict[str, list[list[dict[str, float]]]] = {}
    for seed in spec.all_seeds:
        for name, chain in CHAINS.items():
            folder = out / f"seed-{seed}" / name.replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            each = []
            for g in range(GENERATIONS + 1):
                each.append(_generation(real, chain, folder, g, seed, spec.device, progress))
                said = ", ".join(f"{number} {each[-1][number]:.3f}" for number in _NUMBERS)
                progress.say(f"seed {seed}, {name}, generation {g}: {said}")
            found.setdefault(name, []).append(each)
    chains = {name: _over_seeds(each) for name, each in found.items()}
    return {"dataset": real.name, "rows": len(real.train), "seeds": list(spec.all_seeds), "chains": chains}


def _generation(
    real: data.Dataset, chain: Chain, folder: Path, g: int, seed: int, device: str, progress: Progress
) -> dict[str, float]:
    """Train generation g, sample it and measure the samples, unless an earlier run did."""
    result, models, walks = (
        folder / f"{name}-{g}{end}" for name, end in (("result", ".json"), ("models", ""), ("walks", ""))
    )
    if result.is_file():
        return dict(read_json(result, DataError))
    if not models.is_dir():
        rows = real if g == 0 else _inherited(real, chain, folder / f"walks-{g - 1}", seed)
        plan = replace(plan_for(real.name, seed=seed), autoencoder_recipe=_AUTOENCODER, classifier_recipe=_CLASSIFIER)
        train_on(plan, rows, models, device=device, progress=progress)
    wanted = round(_SPARE * chain.more * len(real.train))
    sample_models(load_models([models], device), walks, SampleSpec(rows=wanted), seed=seed)
    numbers = measured(real, walks, chain, seed)
    write_json(result, numbers)
    for old in (folder / f"models-{g - 1}", folder / f"walks-{g - 1}"):
        shutil.rmtree(old, ignore_errors=True)
    return numbers


def _chosen(walks: Path, chain: Chain, rows: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Choose rows of an archive in equal numbers of every class: samples, labels, probabilities."""
    archive = Archive.open(walks)
    x, y = archive.read()
    classes = len(archive.class_names)
    index, _ = balanced(y, classes, chain.more * rows // classes, stream((seed, 1)))
    return x[index], y[index], probabilities(archive)[index]


def _inherited(real: data.Dataset, chain: Chain, walks: Path, seed: int) -> data.Dataset:
    """Make the training data of a generation from walks of the one before."""
    classes = len(real.class_names)
    x, y, p = _chosen(walks, chain, len(real.train), seed)
    parts = [(x, p if chain.soft else nn.functional.one_hot(y, classes).float())]
    if chain.kept:
        index, _ = balanced(real.train.y, classes, chain.kept, stream((seed, 2)))
        kept = real.train.take(index)
        parts.append((kept.x, nn.functional.one_hot(kept.y, classes).float()))
    order = torch.randperm(sum(len(part[0]) for part in parts), generator=stream((seed, 3)))
    rows = data.LabelledImages(torch.cat([one for one, _ in parts])[order], torch.cat([one for _, one in parts])[order])
    return Rehearsed(real.name, rows, real.test, real.class_names, real.space, real.split_seed, real.split)


def measured(real: data.Dataset, walks: Path, chain: Chain, seed: int) -> dict[str, float]:
    """Measure the samples of a generation against real test rows; see :func:`run_generations`."""
    levels, names = real.levels(), real.class_names
    x, y, p = _chosen(walks, chain, len(real.train), seed)
    test = Table.of(real.test.x, real.test.y, levels)
    tables = (Table.of(x, p if chain.soft else y, levels), Table.of(real.train.x, real.train.y, levels))
    accuracy, twin = (marks(Student(seed, len(one)), one, test, names, "cpu").accuracy for one in tables)
    some = torch.randperm(len(x), generator=stream((seed, 4)))[: len(real.test)]
    quality = prdc(levels.load(real.test.x).flatten(1), levels.load(x[some]).flatten(1))
    shares = np.array(Archive.open(walks).manifest["counts"]["per_class"], float)
    least = float(shares.min() / shares.sum() * len(names))
    return {"ratio": accuracy / twin, "precision": quality.precision, "recall": quality.recall, "least": least}


def _over_seeds(each: Sequence[Sequence[Mapping[str, float]]]) -> list[dict[str, Any]]:
    return [
        {name: Figure(tuple(seed[g][name] for seed in each)).as_json() for name in _NUMBERS}
        for g in range(GENERATIONS + 1)
    ]


def generation_rows(one: Mapping[str, Any]) -> list[str]:
    """Write the table of the chains as Markdown, line by line: ratio and recall of some generations."""
    seeds = f"{len(one['seeds'])} seeds" if len(one["seeds"]) > 1 else "one seed"
    shown = [g for g in (0, 1, 2, 3, 5, 10) if g <= GENERATIONS]
    lines = [
        f"{one['dataset']}, {one['rows']:,} real rows, {seeds}. Each generation learns from samples of the one before.",
        "",
        f"| chain | number | {' | '.join(f'generation {g}' for g in shown)} |",
        "| --- | --- |" + " --- |" * len(shown),
    ]
    for name, chain in one["chains"].items():
        for number in _NUMBERS:
            cells = " | ".join(f"{chain[g][number]['mean']:.3f}" for g in shown)
            lines.append(f"| {name} | {number} | {cells} |")
    return [*lines, "", f"`{one['command']}`"]
