"""Define the command ``reinject diagnose``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.cli.app import finish
from reinject.cli.options import Json, Synthetic


def diagnose(
    synthetic: Synthetic,
    models: Annotated[
        list[Path] | None,
        typer.Option(help="Folders of the models that made the archive, in order.", show_default="the manifest's"),
    ] = None,
    walks: Annotated[int, typer.Option(help="Most walks to follow.", min=2)] = 1000,
    as_json: Json = False,
) -> None:
    """Diagnose the walks: ESS, R-hat, start remembered, label switches, Stein discrepancy."""
    from reinject.evaluation.diagnose import diagnose as run

    finish(run(synthetic, models=models or (), walks=walks), as_json)
