"""``reinject tune``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.cli.app import finish
from reinject.cli.options import Device, Json, Overwrite, Seed
from reinject.progress import for_this_terminal


def tune(
    models: Annotated[list[Path], typer.Argument(help="Folders that reinject train made.")],
    out: Annotated[
        Path | None,
        typer.Option(help="JSON file for the best settings, for sample --preset FILE.", show_default="none"),
    ] = None,
    walks: Annotated[int, typer.Option(help="Walks a candidate.", min=16)] = 256,
    device: Device = "cpu",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Try kernels and noises, rank them by a criterion that needs no real data: certain, even, forgetful, in place."""
    from reinject.jobs.sample import load_models
    from reinject.jobs.tune import tune as run

    loaded = load_models(models, device)
    finish(run(loaded, walks=walks, seed=seed, out=out, overwrite=overwrite, progress=for_this_terminal()), as_json)
