"""Define the command ``reinject tune``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import DataDir, Device, Json, Overwrite, Seed, SplitSeed


def tune(
    models: Annotated[list[Path], typer.Argument(help="Model folders of reinject train or import.")],
    out: Annotated[
        Path | None,
        typer.Option(help="JSON file for the best settings; use it with sample --preset FILE.", show_default="none"),
    ] = None,
    walks: Annotated[int, typer.Option(help="Walks for each candidate.", min=16)] = 128,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set of the models: rank the best six by a student's accuracy.",
            show_default="none",
        ),
    ] = None,
    data_dir: DataDir = None,
    device: Device = "cpu",
    seed: Seed = 0,
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Try kernels and noises. Rank them by verdict, then by merit, or with --data by utility."""
    from dataclasses import replace

    from reinject.data import load
    from reinject.evaluation.tune import check_tunable
    from reinject.evaluation.tune import tune as run
    from reinject.models.loading import load_models

    loaded, progress = load_models(models, device), for_this_terminal()
    check_tunable(loaded)
    dataset = None if data is None else replace(load(data, data_dir, split_seed, progress), name=data)
    outcome = run(
        loaded,
        dataset=dataset,
        walks=walks,
        seed=seed,
        out=out,
        overwrite=overwrite,
        data_dir=data_dir,
        progress=progress,
    )
    finish(outcome, as_json)
