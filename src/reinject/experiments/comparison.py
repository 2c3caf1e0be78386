"""Check the paper's claim on several data sets: networks, walks and peers side by side, over seeds."""

import functools
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from reinject import data
from reinject.base.errors import ArgumentError, DataError
from reinject.base.files import read_json, write_json
from reinject.base.progress import Progress
from reinject.base.staging import check_same
from reinject.data.sample_tables import Table
from reinject.evaluation.learning import Students, judge
from reinject.evaluation.utility import Utility
from reinject.experiments.catalogue import EXPERIMENTS, Experiment
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.experiments.feature_source import source_of
from reinject.experiments.notes import Clock, MarksOnDisk, kept
from reinject.experiments.peers import LABELLED, PEERS, WALKED, Task, softened
from reinject.models.loading import Models, levels_of, load_models
from reinject.sampling.presets import Settings
from reinject.sampling.recipe import samples_per_walk
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Parallel, SampleSpec, Writing
from reinject.sampling.selection import Selection
from reinject.sampling.taught import FIRST, check_walked, taught
from reinject.training.fabric_spec import FabricSpec
from reinject.training.learning_curves import Figure
from reinject.training.plans import TrainPlan
from reinject.training.train import train
from reinject.walks.execution import Execution

NOISES = 5  # seeds of the noise control, which varies more
RESULT, SECONDS, TRAINING, MARKS, TABLES = "result.json", "seconds.json", "training.json", "marks.json", "peers"
_ELSEWHERE = {"dataset", "reconstructed_by"}  # folders, which may move


def run(
    name: str,
    out: Path,
    spec: ExperimentSpec,
    *,
    data_dir: str | None = None,
    progress: Progress,
) -> dict[str, Any]:
    """Run one experiment: for each seed train, walk, run the peers, judge all. Resume from existing results.

    Arguments:
        name: a key of :data:`EXPERIMENTS`.
        out: folder of models and archives.
        spec: number of seeds, size and device.
        data_dir: folder to search for data sets first.
        progress: progress reporter.

    Returns:
        Ratio, skill, accuracy and seconds of every set: means, intervals over seeds, values.

    Raises:
        ArgumentError: fewer samples than real rows; curves at equal n need as many.
    """
    experiment = EXPERIMENTS[name]
    source = source_of(experiment.dataset, experiment.extractor, out, spec, data_dir, progress)
    dataset = data.load(source, data_dir, progress=progress)
    if spec.samples < len(dataset.train):
        raise ArgumentError(
            "--samples", f"{spec.samples} are fewer than the {len(dataset.train)} real rows", "Give at least as many"
        )
    found = []
    for seed in spec.all_seeds:
        folder = out / f"seed-{seed}"
        _check_trained(experiment.plans(source, seed, folder), folder)
        if not (folder / RESULT).is_file():
            result = _once(experiment, dataset, source, folder, seed, spec, data_dir, progress)
            write_json(folder / RESULT, result)
            shutil.rmtree(folder / TABLES, ignore_errors=True)  # large, and no longer necessary
        found.append(read_json(folder / RESULT, DataError))
    sets = {one: _over_seeds([result["sets"][one] for result in found]) for one in found[0]["sets"]}
    return {
        "dataset": dataset.name if experiment.extractor else experiment.dataset,
        "rows": len(dataset.train),
        "samples": spec.samples,
        "seeds": list(spec.all_seeds),
        "goal": experiment.goal,
        "twin": float(np.mean([result["twin"] for result in found])),
        "noise": float(np.mean([result["noise"] for result in found])),
        "sets": sets,
        "sizes": found[0]["sizes"],
        "curves": {one: [result["curves"][one] for result in found] for one in found[0]["curves"]},
        "seconds": _seconds([result["seconds"] for result in found]),
    }


def _seconds(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Compute the mean seconds of each task, over the seeds that did it without interruption."""
    names = dict.fromkeys(name for one in each for name in one)
    return {name: float(np.mean([one[name] for one in each if name in one])) for name in names}


def _once(
    experiment: Experiment,
    dataset: data.Dataset,
    source: str,
    folder: Path,
    seed: int,
    spec: ExperimentSpec,
    data_dir: str | None,
    progress: Progress,
) -> dict[str, Any]:
    plans = experiment.plans(source, seed, folder)
    for name, plan in plans.items():
        if not (folder / name).is_dir():
            fabric = FabricSpec(spec.precision)
            train(plan, folder / name, device=spec.device, fabric=fabric, data_dir=data_dir, progress=progress)
    models, trained = _trained(plans, folder, spec.device)
    models.check_unseen(dataset)
    clock = Clock(folder / SECONDS)
    levels = levels_of(models.inputs)
    real = Table.of(dataset.train.x, dataset.train.y, levels)
    task = Task(real, models, plans["models"].autoencoder_recipe, len(dataset.class_names), spec.samples, seed)
    tables = {}
    walked = functools.partial(_walked, models, execution=spec.execution, progress=progress)
    for name, settings in experiment.walks.items():
        share = experiment.unlearned if name == "best" else 1.0
        walk = functools.partial(walked, folder / name, name, settings, task, share)
        tables[f"ours, {name}"] = clock.time(name, walk)
    ours = f"ours, {name}"  # the last one: the best known settings
    tables[f"{ours}, soft labels"] = softened(task, tables[ours])
    with progress.task("running the peers", len(experiment.peers), "peers") as advance:
        for name in experiment.peers:
            ask = functools.partial(PEERS[name], task)
            tables[name] = clock.time(name, functools.partial(kept, folder / TABLES / f"{name}.npz", levels, ask))
            advance(1)
    place = spec.device if spec.student == "cnn" else "cpu"
    students = Students([seed], range(seed, seed + NOISES), spec.student, beside=False, device=place)
    judged = judge(
        tables,
        dataset,
        levels,
        models.labelling(),
        students,
        r=models,
        known=MarksOnDisk(folder / MARKS),
        progress=progress,
    )
    one = next(iter(judged.values()))
    sets = {name: _numbers(utility) for name, utility in judged.items()}
    sets |= {name: {"ratio": ratio.mean, "skill": None, "accuracy": None} for name, ratio in one.controls.items()}
    for name, numbers in sets.items():
        numbers["seconds"] = _from_nothing(name, clock.seconds, trained)
    curves = {"real": one.real.mean, "noise": one.noise.mean, **{name: u.synthetic.mean for name, u in judged.items()}}
    return {
        "sets": sets,
        "twin": max(one.twin_epochs.mean, one.twin_steps.mean),
        "noise": one.noise.mean[-1],
        "sizes": one.real.sizes,
        "curves": curves,
        "seconds": {"training": sum(trained.values()), **clock.seconds},
    }


def _check_trained(plans: Mapping[str, TrainPlan], folder: Path) -> None:
    """Raise DataError if existing networks have another plan, for example from an earlier version."""
    for name, plan in plans.items():
        here = json.loads(json.dumps(asdict(plan)))
        for path in sorted((folder / name).glob(f"*/{TRAINING}")):
            there = read_json(path, DataError)["plan"]
            check_same(folder / name, "trained", there, {key: here[key] for key in here.keys() - _ELSEWHERE})


def _trained(plans: Mapping[str, TrainPlan], folder: Path, device: str) -> tuple[Models, dict[str, float]]:
    """Collect all trained networks, and the total seconds of each kind."""
    models = load_models([folder / "models"], device, classifiers=[folder / name for name in plans])
    kinds = {"autoencoder": models.autoencoders, "classifier": models.classifiers}
    return models, {kind: sum(_trained_in(one.folder) for one in bundles) for kind, bundles in kinds.items()}


def _trained_in(folder: Path) -> float:
    """Sum the seconds of a network's training over all its runs."""
    return float(read_json(folder / TRAINING, DataError)["result"]["seconds"])


def _from_nothing(name: str, seconds: Mapping[str, float], trained: Mapping[str, float]) -> float | None:
    """Sum the seconds from the data to a set, with the training of its networks; None for a control."""
    ours = name.startswith("ours, ")
    own = name.removeprefix("ours, ").removesuffix(", soft labels")
    if own not in seconds:
        return None
    needs = {"autoencoder": ours or name in WALKED, "classifier": ours or name in LABELLED}
    return seconds[own] + sum(trained[network] for network, needed in needs.items() if needed)


def _numbers(one: Utility) -> dict[str, float | None]:
    return {"ratio": one.ratio.mean, "skill": None if one.skill is None else one.skill.mean, "accuracy": one.full.mean}


def _walked(
    models: Models,
    out: Path,
    name: str,
    settings: Settings,
    task: Task,
    unlearned: float = 1.0,
    *,
    execution: Execution,
    progress: Progress,
) -> Table:
    """Make samples of these walks; for a share below 1, prefer samples that a student labels otherwise."""
    walks, selection = math.ceil(task.samples / unlearned / samples_per_walk(settings)), Selection(unlearned=unlearned)
    spec = SampleSpec(preset=name, settings=settings, selection=selection)
    parallel, seed = Parallel(execution), task.seed
    if not out.is_dir():
        if unlearned != 1:
            models = taught(models, out, spec, samples=FIRST, seed=seed, parallel=parallel, progress=progress)
        sample_models(models, out, spec, walks=walks, seed=seed, parallel=parallel, writing=Writing(progress=progress))
    archive = check_walked(out, models, settings, walks, task.seed, selection)
    x, y = archive.read(task.samples, task.seed)
    return Table.of(x, y, archive.storage)


def _over_seeds(values: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    """Compute mean, interval and values of each number; None if it is missing or undefined for some seed."""
    found: dict[str, Any] = {}
    for name in values[0]:
        each = [one[name] for one in values]
        known = [value for value in each if value is not None]
        found[name] = Figure(tuple(known)).as_json() if len(known) == len(each) else None
    return found
