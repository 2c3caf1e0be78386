"""Define the command ``reinject demo``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import Json, Overwrite, Seed, SplitSeed


def demo(
    out: Annotated[Path, typer.Option(help="Folder to make: models, archives, figures, metrics.json, report.html.")],
    seed: Seed = 0,
    split_seed: SplitSeed = 0,
    seeds: Annotated[int, typer.Option(help="Students for each training set size.", min=1)] = 3,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Run everything on scikit-learn's digits: train, sample, evaluate, report."""
    from reinject.experiments.demo import DemoPlan
    from reinject.experiments.demo import demo as run
    from reinject.training.plans import TrainPlan

    plan = DemoPlan(TrainPlan("digits", seed=seed, split_seed=split_seed), seeds=seeds)
    outcome = run(plan, out, overwrite=overwrite, progress=for_this_terminal())
    finish(outcome, as_json)
