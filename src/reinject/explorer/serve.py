"""Serve the page."""

import os
from pathlib import Path

from reinject.explorer.commands import Start
from reinject.explorer.session import World
from reinject.sampling.presets import Settings


def serve(world: World, initial: Settings, out: Path, start_run: Start, *, port: int, show: bool) -> None:
    """Answer on 127.0.0.1 until interrupted.

    Arguments:
        world: networks.
        initial: first settings of the page.
        out: folder for what visitors keep; nothing is written elsewhere.
        start_run: function that makes an archive from the words of a command line.
        port: port on 127.0.0.1.
        show: whether to open a browser.
    """
    os.environ.setdefault("NICEGUI_STORAGE_PATH", str(out / ".storage"))
    from nicegui import app, ui

    from reinject.explorer.guard import Guard
    from reinject.explorer.visitor_page import Visitor

    @ui.page("/", title="reinject explorer")
    async def page() -> None:
        await Visitor(world, initial, out, start_run).build()

    app.add_middleware(Guard)
    ui.run(
        host="127.0.0.1",
        port=port,
        show=show,
        reload=False,
        dark=None,
        title="reinject explorer",
        show_welcome_message=False,
        uvicorn_logging_level="critical",  # else Ctrl-C prints a traceback
        favicon="🎲",
    )
