"""Define the command ``reinject explore``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.options import Device


def explore(
    models: Annotated[
        Path | None,
        typer.Argument(help="Model folder of reinject train or import.", show_default="small models of digits"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for what you keep. Nothing is written elsewhere.")] = Path(
        "explorer"
    ),
    port: Annotated[int | None, typer.Option(help="Port on 127.0.0.1.", show_default="a free one")] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    device: Device = "cpu",
) -> None:
    """Watch and steer walks live in the browser. Keep them as a command line."""
    from reinject.explorer.explore import explore as run

    run(models, out, port=port, show=browser, device=device, progress=for_this_terminal())
