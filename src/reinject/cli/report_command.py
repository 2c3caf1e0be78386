"""Define the command ``reinject report``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.base.files import place_of
from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import DATASET, DataDir, Json, Judge, MadeBy, Overwrite, Seed, SplitSeed, Students, Synthetic


def report(
    synthetic: Synthetic,
    out: Annotated[Path, typer.Option(help="HTML file to make.")],
    against: Annotated[
        str | None, typer.Option(help=f"Real data to compare with: {DATASET}", show_default="none: no evaluation")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(parser=place_of, metavar="SYNTHETIC", help="Another archive to show side by side. Repeatable."),
    ] = None,
    judge: Judge = None,
    models: MadeBy = None,
    seeds: Students = 3,
    data_dir: DataDir = None,
    seed: Seed = 0,
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Make one HTML page with samples, walks, a map and judgements. Opens offline."""
    from reinject.evaluation.evaluate_spec import EvaluateSpec
    from reinject.report.report import report as run

    spec = EvaluateSpec(judge or (), seeds=seeds, seed=seed, split_seed=split_seed, data_dir=data_dir)
    outcome = run(
        synthetic,
        out,
        against=against,
        beside=beside or (),
        spec=spec,
        models=models or (),
        overwrite=overwrite,
        progress=for_this_terminal(),
    )
    finish(outcome, as_json)
