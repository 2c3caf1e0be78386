"""Define the command ``reinject theory``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import Json, Overwrite


def theory(
    out: Annotated[
        Path | None, typer.Option(help="Folder to make: theory.json and figures.", show_default="none")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="gaussian, proposition2, ring, mixture, energy, estimators, lam or kernels. Repeatable.",
            show_default="all",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Check the paper's propositions numerically. Exit with status 1 if a check fails."""
    from reinject.experiments.theory import theory as run

    finish(run(only or (), out, overwrite=overwrite, progress=for_this_terminal()), as_json)
