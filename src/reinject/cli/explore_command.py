"""``reinject explore``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.options import Device


def explore(
    models: Annotated[
        Path | None,
        typer.Argument(help="Folder that reinject train or import made.", show_default="small ones of digits"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of what you keep; nothing is written elsewhere.")] = Path(
        "explorer"
    ),
    port: Annotated[
        int | None, typer.Option(help="To listen at, on 127.0.0.1.", show_default="one that is free")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    device: Device = "cpu",
) -> None:
    """Watch and steer walks in the browser, live; keep what you see as a command line."""
    from reinject.explorer.explore import explore as run

    run(models, out, port=port, show=browser, device=device, progress=for_this_terminal())
