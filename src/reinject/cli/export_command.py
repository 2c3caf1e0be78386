"""Define the command ``reinject export``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import Json, Overwrite, Synthetic


def export(
    synthetic: Synthetic,
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    to: Annotated[
        Literal["webdataset", "zarr", "csv"],
        typer.Option(help="Format: tar files of images and labels, arrays, or a CSV file of table rows."),
    ],
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write an archive as WebDataset tar files, as a Zarr group or as a CSV file."""
    from reinject.archive.export import export as run

    finish(run(synthetic, out, to, overwrite=overwrite, progress=for_this_terminal()), as_json)
