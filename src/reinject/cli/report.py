"""``reinject report``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.cli.app import finish
from reinject.cli.options import DATASET, DataDir, Json, Overwrite, Seed, Synthetic
from reinject.files import place_of
from reinject.progress import for_this_terminal


def report(
    synthetic: Synthetic,
    out: Annotated[Path, typer.Option(help="The HTML file to make.")],
    against: Annotated[
        str | None, typer.Option(help=f"Real data to compare with: {DATASET}", show_default="none; nothing is judged")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            parser=place_of, metavar="SYNTHETIC", help="Another archive, to be shown side by side; again and again."
        ),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(
            help="utility, coverage, two-sample, spurious, memorisation, membership, or none; again and again.",
            show_default="all that can be judged",
        ),
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option(help="Folder with the models that made the samples.", show_default="as the manifest says"),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Students a size.", min=1)] = 3,
    data_dir: DataDir = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Make one page to look at: samples, walks, a map, how good they are; opens offline."""
    from reinject.jobs.report import report as run

    outcome = run(
        synthetic,
        out,
        against=against,
        beside=beside or (),
        judgements=[name for name in judge or () if name != "none"],
        judged=judge != ["none"],
        models=models or (),
        seeds=seeds,
        seed=seed,
        data_dir=data_dir,
        overwrite=overwrite,
        progress=for_this_terminal(),
    )
    finish(outcome, as_json)
