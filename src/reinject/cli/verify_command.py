"""``reinject verify`` and ``reinject trace``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import DataDir, Json, Seed, Synthetic

Models = Annotated[
    list[Path] | None,
    typer.Option(help="Folders of the models that made it, in their order.", show_default="as the manifest says"),
]


def verify(
    synthetic: Synthetic,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make shards that are missing or damaged again, from the models.")
    ] = False,
    models: Models = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Look at every byte and every row of an archive: hashes, counts, schema, ranges of rows, gaps."""
    from reinject.sampling.verify import verify as run

    progress = for_this_terminal()
    outcome = run(synthetic, repair=repair, models=models or (), data_dir=data_dir, progress=progress)
    finish(outcome, as_json)


def trace(
    synthetic: Synthetic,
    rows: Annotated[list[int] | None, typer.Argument(help="Numbers of rows, from 0.")] = None,
    random: Annotated[int, typer.Option(help="So many more, drawn with the seed.", min=0)] = 0,
    models: Models = None,
    data_dir: DataDir = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Make rows of an archive again, from its manifest and its models, and compare them to the last bit."""
    from reinject.sampling.trace import trace as run

    progress = for_this_terminal()
    outcome = run(
        synthetic, rows or (), random=random, seed=seed, models=models or (), data_dir=data_dir, progress=progress
    )
    finish(outcome, as_json)
