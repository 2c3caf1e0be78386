"""Define the commands ``reinject verify`` and ``reinject trace``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import DataDir, Json, Seed, Synthetic

Models = Annotated[
    list[Path] | None,
    typer.Option(help="Folders of the models that made the archive, in order.", show_default="the manifest's"),
]


def verify(
    synthetic: Synthetic,
    repair: Annotated[bool, typer.Option("--repair", help="Remake missing or damaged shards from the models.")] = False,
    models: Models = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Check every byte and row of an archive: hashes, counts, schema, ranges, gaps."""
    from reinject.sampling.verify import verify as run

    progress = for_this_terminal()
    outcome = run(synthetic, repair=repair, models=models or (), data_dir=data_dir, progress=progress)
    finish(outcome, as_json)


def trace(
    synthetic: Synthetic,
    rows: Annotated[list[int] | None, typer.Argument(help="Row numbers, from 0.")] = None,
    random: Annotated[int, typer.Option(help="Number of further rows, drawn with the seed.", min=0)] = 0,
    models: Models = None,
    data_dir: DataDir = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Remake rows of an archive from its manifest and models. Compare every bit."""
    from reinject.sampling.trace import trace as run

    progress = for_this_terminal()
    outcome = run(
        synthetic, rows or (), random=random, seed=seed, models=models or (), data_dir=data_dir, progress=progress
    )
    finish(outcome, as_json)
