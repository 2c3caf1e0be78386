"""Reproduce the walks on the screen: command line, Python, and a run in the background."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from nicegui import run, ui

from reinject.explorer.commands import Bar, Start, arguments, command, folder_for, snippet
from reinject.explorer.session import Choice, World

_MOST = 100_000


class Keeping:
    """Hold the button and its dialog.

    Arguments:
        world: networks.
        out: folder of the runs.
        start_run: function that makes an archive from the words of a command line.
        shown: function that returns the walks on the screen; None: none yet.
    """

    def __init__(self, world: World, out: Path, start_run: Start, shown: Callable[[], Choice | None]) -> None:
        self.world, self.out, self.start_run, self.shown = world, out, start_run, shown

    def build(self) -> None:
        """Lay the button out."""
        ui.button("keep these walks", icon="bookmark", on_click=self.open).props("outline no-caps")
        self.runs = ui.column().classes("w-full gap-1")

    def open(self) -> None:
        """Show how to remake the walks on the screen, and offer to make more walks."""
        choice = self.shown()
        if choice is None:
            return
        folder = folder_for(self.out)
        picture = f"{folder}.npy" if choice.picture is not None else ""
        with ui.dialog() as dialog, ui.card().classes("w-full max-w-3xl"):
            ui.label("This command remakes the walks on the screen. The snippet below does the same in Python.")
            words = arguments(self.world, choice, str(folder), picture=picture)
            ui.code(command(words), language="bash").classes("w-full")
            ui.code(snippet(self.world, choice, picture=picture), language="python").classes("w-full")
            ui.label("Make more walks. The first ones are the walks on the screen.")
            walks = ui.number("walks", value=1000, min=1, max=_MOST, precision=0)

            async def begin() -> None:
                dialog.close()
                asked = max(1, min(_MOST, int(walks.value or 1)))
                found = arguments(self.world, choice, str(folder), picture=picture, walks=asked)
                await self.run(choice, folder, picture, found)

            with ui.row():
                ui.button(f"run in the background, into {folder.name}", on_click=begin).props("no-caps")
                ui.button("close", on_click=dialog.close).props("flat no-caps")
        dialog.open()

    async def run(self, choice: Choice, folder: Path, picture: str, words: list[str]) -> None:
        """Run ``reinject sample`` in the background, and show its progress."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        if choice.picture is not None:
            np.save(picture, choice.picture.numpy())
        bar = Bar()
        with self.runs:
            label = ui.label(f"{folder.name}: running")
            line = ui.linear_progress(0, show_value=False)
        timer = ui.timer(0.3, lambda: line.set_value(round(bar.share, 3)))
        said = await run.io_bound(self.start_run, words, bar)
        timer.cancel()
        line.set_value(1 if bar.share >= 1 else bar.share)
        label.set_text(f"{folder.name}: {said}")
