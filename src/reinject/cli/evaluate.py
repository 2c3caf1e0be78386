"""``reinject evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.cli.app import finish
from reinject.cli.options import DATASET, DataDir, Device, Json, Overwrite, Seed, Synthetic
from reinject.progress import for_this_terminal


def evaluate(
    synthetic: Synthetic,
    against: Annotated[str, typer.Option(help=f"The real data: {DATASET}")],
    models: Annotated[
        Path | None, typer.Option(help="Folder with the classifier that labelled.", show_default="as the manifest says")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to make: metrics.json, figures, report.html.", show_default="none")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Students a size.", min=1)] = 3,
    most: Annotated[int, typer.Option(help="Synthetic samples read at most.", min=1)] = 300_000,
    device: Device = "cpu",
    data_dir: DataDir = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Say how far the samples can stand in for the real data: ratio and skill, with their controls."""
    from reinject.jobs.evaluate import evaluate as run

    outcome = run(
        synthetic,
        against,
        models=models,
        data_dir=data_dir,
        seeds=seeds,
        most=most,
        seed=seed,
        device=device,
        out=out,
        overwrite=overwrite,
        progress=for_this_terminal(),
    )
    finish(outcome, as_json)
