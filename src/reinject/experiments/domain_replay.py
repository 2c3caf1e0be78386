"""Compare methods of continual learning on tables: ``reinject reproduce replay --only adult-occupations``."""

from pathlib import Path
from typing import Any

import numpy as np

from reinject.base.progress import Progress
from reinject.experiments.domain_methods import DOMAIN_METHODS, DomainSetting
from reinject.experiments.domain_protocols import DOMAINS
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.experiments.replay_table import Step, compare_methods
from reinject.table_evaluation.table_coding import Coded, Coding
from reinject.table_evaluation.table_learners import engine
from reinject.table_evaluation.table_utility import Target, predictions


def run_domains(
    name: str, out: Path, spec: ExperimentSpec, *, data_dir: str | None = None, progress: Progress
) -> dict[str, Any]:
    """Run all methods of a protocol on a table, for each seed. Resume from existing results.

    Arguments:
        name: a key of :data:`reinject.experiments.domain_protocols.DOMAINS`.
        out: folder of the results.
        spec: seeds.
        data_dir: folder to search for tables first.
        progress: progress reporter.

    Returns:
        For each method: final accuracy, forgetting, accuracy after each task, bytes, seconds; and the learner.
    """
    protocol = DOMAINS[name]
    train, test = protocol.load(data_dir)
    coding = Coding.of([train, test])

    def step(method: str, task: int, seed: int, folder: Path) -> Step:
        setting = DomainSetting(protocol, train, test, coding, folder, seed, progress)
        kept = DOMAIN_METHODS[method](setting, task)
        return Step(_accuracies(setting, task, kept.rows), kept.bytes)

    methods = compare_methods(tuple(DOMAIN_METHODS), len(protocol.tasks), out, spec, step, progress)
    return {
        "dataset": protocol.table,
        "tasks": [[value or "not stated" for value in one] for one in protocol.tasks],
        "seeds": list(spec.all_seeds),
        "learner": f"gradient boosting of {engine()}",
        "methods": methods,
    }


def _accuracies(setting: DomainSetting, task: int, rows: Coded) -> list[list[int]]:
    """Train the learner, and count right answers on the test rows of each task so far: [right, rows]."""
    target = Target(setting.coding, setting.protocol.target)
    tests = [setting.coding.code(setting.protocol.part(setting.test, one)) for one in range(task + 1)]
    answers = predictions(target, "boosting", rows, Coded.joined(tests), setting.seed).argmax(1)
    ends = np.cumsum([len(one) for one in tests])
    each = zip(np.split(answers, ends[:-1]), tests, strict=True)
    return [[int((guess == target.split(test)[1]).sum()), len(test)] for guess, test in each]
