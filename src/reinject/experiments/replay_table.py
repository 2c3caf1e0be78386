"""Compare methods of continual learning over seeds: ``reinject reproduce replay``."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from reinject import data
from reinject.base.errors import DataError
from reinject.base.files import read_json, write_json
from reinject.base.progress import Progress
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.experiments.feature_source import source_of
from reinject.experiments.replay_methods import METHODS
from reinject.experiments.replay_protocols import PROTOCOLS, Protocol
from reinject.experiments.replay_setting import Predict, Setting, learned
from reinject.training.learning_curves import Figure


def run_protocol(
    name: str, out: Path, spec: ExperimentSpec, *, data_dir: str | None = None, progress: Progress
) -> dict[str, Any]:
    """Run all methods of a protocol, for each seed. Resume from existing results.

    Arguments:
        name: a key of :data:`reinject.experiments.replay_protocols.PROTOCOLS`.
        out: folder of the results.
        spec: seeds and device.
        data_dir: folder to search for data sets first.
        progress: progress reporter.

    Returns:
        For each method: final accuracy, forgetting, accuracy after each task, bytes, seconds.
    """
    protocol = PROTOCOLS[name]
    source = source_of(protocol.dataset, protocol.extractor, out, spec, data_dir, progress)
    dataset = data.load(source, data_dir, progress=progress)

    def step(method: str, task: int, seed: int, folder: Path) -> Step:
        setting = Setting(protocol, dataset, folder, seed, spec.device, progress)
        given = METHODS[method](setting, task)
        predict = learned(setting, given, len(protocol.classes_until(task)))
        return Step(task_accuracies(protocol, dataset, task, predict), given.bytes)

    return {
        "dataset": protocol.dataset,
        "tasks": [[dataset.class_names[k] for k in classes] for classes in protocol.tasks],
        "seeds": list(spec.all_seeds),
        "methods": compare_methods(tuple(METHODS), len(protocol.tasks), out, spec, step, progress),
    }


class Step(NamedTuple):
    """Hold a method's result after a task: [right answers, rows] for each task so far, and the bytes kept."""

    accuracies: list[list[int]]
    bytes: int


def compare_methods(
    methods: Sequence[str],
    tasks: int,
    out: Path,
    spec: ExperimentSpec,
    step: Callable[[str, int, int, Path], Step],
    progress: Progress,
) -> dict[str, Any]:
    """Run methods over tasks and seeds, but for steps that an earlier run did; return their figures.

    Arguments:
        methods: names of the methods.
        tasks: number of tasks.
        out: folder of the results.
        spec: seeds.
        step: (method, task, seed, folder of our models) -> its result.
        progress: progress reporter.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in spec.all_seeds:
        folder = out / f"seed-{seed}"
        models = folder / "models"
        models.mkdir(parents=True, exist_ok=True)
        for method in methods:
            done = []
            for task in range(tasks):
                path = folder / f"{method.replace(' ', '-')}-{task}.json"
                if not path.is_file():
                    began = time.monotonic()
                    result = step(method, task, seed, models)._asdict()
                    write_json(path, {**result, "seconds": round(time.monotonic() - began, 1)})
                done.append(dict(read_json(path, DataError)))
                progress.say(f"seed {seed}, {method}, after task {task + 1}: {_said(done[-1])}")
            found.setdefault(method, []).append(_summary(done))
        for walks in models.glob("*.rehearsal"):  # of finished tasks, which are large
            shutil.rmtree(walks)
    return {method: _over_seeds(each) for method, each in found.items()}


def task_accuracies(protocol: Protocol, dataset: data.Dataset, task: int, predict: Predict) -> list[list[int]]:
    """Count right answers on the test rows of each task so far: [right, rows] of tasks 0 to ``task``."""
    found, seen = [], torch.tensor(protocol.classes_until(task))
    load = dataset.levels().load
    for classes in protocol.tasks[: task + 1]:
        rows = dataset.test.take(torch.isin(dataset.test.y, torch.tensor(classes)).nonzero().flatten())
        answers = torch.cat([predict(load(part)).argmax(1) for part in torch.split(rows.x, 4096)])
        found.append([int((seen[answers] == rows.y).sum()), len(rows)])
    return found


def _said(result: Mapping[str, Any]) -> str:
    """Write the accuracy after a task, and that of each task, for runs that stop before their page."""
    each = " ".join(f"{right / rows:.3f}" for right, rows in result["accuracies"])
    return f"accuracy {_accuracy(result):.3f}, by task {each}; {result['bytes']:,} bytes kept"


def _accuracy(result: Mapping[str, Any]) -> float:
    """Compute the accuracy on the test rows of all tasks so far."""
    right, rows = np.sum(result["accuracies"], 0).tolist()
    return float(right / rows)


def _summary(tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise a seed: final accuracy, forgetting, accuracy on all classes so far after each task."""
    each = [[right / rows for right, rows in one["accuracies"]] for one in tasks]
    after = [_accuracy(one) for one in tasks]
    lost = [max(each[t][k] for t in range(k, len(each) - 1)) - each[-1][k] for k in range(len(each) - 1)]
    kept = max(one["bytes"] for one in tasks)
    seconds = sum(one["seconds"] for one in tasks)
    return {"final": after[-1], "forgetting": float(np.mean(lost)), "after": after, "bytes": kept, "seconds": seconds}


def _over_seeds(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    numbers = {name: Figure(tuple(float(one[name]) for one in each)).as_json() for name in ("final", "forgetting")}
    return {
        **numbers,
        "after": np.mean([one["after"] for one in each], axis=0).tolist(),
        "bytes": each[0]["bytes"],
        "seconds": float(np.mean([one["seconds"] for one in each])),
    }


def protocol_rows(one: Mapping[str, Any]) -> list[str]:
    """Write the table of a protocol as Markdown, line by line."""
    seeds = f"{len(one['seeds'])} seeds" if len(one["seeds"]) > 1 else "one seed"
    learner = f" ({one['learner']})" if "learner" in one else ""
    lines = [
        f"{len(one['tasks'])} tasks, {seeds}. A fresh learner{learner} after each task; no task is named in the test.",
        "",
        "| method | final | forgetting | after each task | bytes kept | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, numbers in one["methods"].items():
        after = " ".join(f"{value:.3f}" for value in numbers["after"])
        error = numbers["final"]["standard_error"]
        final = f"{numbers['final']['mean']:.4f}" + (f" ({error:.4f})" if error is not None else "")
        cells = [name, final, f"{numbers['forgetting']['mean']:.3f}", after]
        lines.append(f"| {' | '.join(cells)} | {numbers['bytes']:,} | {numbers['seconds']:.0f} |")
    return [*lines, "", f"`{one['command']}`; in brackets, the standard error of the mean."]
