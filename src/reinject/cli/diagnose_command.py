"""``reinject diagnose``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.cli.app import finish
from reinject.cli.options import Json, Synthetic


def diagnose(
    synthetic: Synthetic,
    models: Annotated[
        list[Path] | None,
        typer.Option(help="Folders of the models that made it, in their order.", show_default="as the manifest says"),
    ] = None,
    walks: Annotated[int, typer.Option(help="Walks followed at most.", min=2)] = 1000,
    as_json: Json = False,
) -> None:
    """Say whether the walks can be believed: ESS, R-hat, start remembered, label switches, Stein discrepancy."""
    from reinject.evaluation.diagnose import diagnose as run

    finish(run(synthetic, models=models or (), walks=walks), as_json)
