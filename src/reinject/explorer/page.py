"""The page of one visitor: controls on the left, walks in the middle, what is known of them on the right."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from nicegui import app, events, run, ui

from reinject.errors import ReinjectError
from reinject.explorer import pictures
from reinject.explorer.commands import Start
from reinject.explorer.controls import REGIONS, Controls, rows_and_columns
from reinject.explorer.keeping import Keeping
from reinject.explorer.plane import Plane
from reinject.explorer.session import Choice, Frame, Live, World
from reinject.report.sprites import drawable

_RATE = 60  # frames a second at most
_CHART = 0.3  # seconds from one drawing of the charts to the next
_KEPT = "choice"
_STYLE = """
.wall img, .large img, .pad img { image-rendering: pixelated; width: 100%; background: #000; }
.wall, .plane { width: min(36rem, 92vw); } .wall { cursor: pointer; } .plane { background: #fff; }
.large { width: 9rem; } .pad { width: 12rem; touch-action: none; }
.nicegui-content { padding: .8rem; overflow-x: hidden; }
"""


class Visitor:
    """One page, its walks and its controls; nothing here is shared with another visitor but the networks."""

    def __init__(self, world: World, out: Path, start_run: Start) -> None:
        self.world, self.out, self.start_run = world, out, start_run
        self.live: Live | None = None
        self.frame: Frame | None = None
        self.playing = False
        self.chosen = 0
        self.rate = 0.0
        self.plane: Plane | None = None
        self.lock = asyncio.Lock()
        self.pad = pictures.Pad(world.inputs) if drawable(world.inputs.shape) else None
        self.given: Any = None  # an uploaded picture, (*event)

    async def build(self) -> None:
        """Lay the page out, and begin; a tab that was reloaded goes on with what it had asked for."""
        ui.add_css(_STYLE)
        try:
            await ui.context.client.connected(timeout=10)  # before, there is no tab that could have kept anything
        except TimeoutError:
            return
        kept = app.storage.tab.get(_KEPT, {})
        with ui.row().classes("w-full items-start gap-6"):
            with ui.column().classes("w-full sm:w-72 gap-2 max-sm:order-2"):
                ui.label("reinject explorer").classes("text-xl").props("role=heading aria-level=1")
                self.controls = Controls(self.world, kept, self.restart)
                if self.pad is not None:
                    self._start_controls()
            with ui.column().classes("gap-2 max-w-full"):
                self._player()
            with ui.column().classes("w-full sm:w-80 gap-2 max-sm:order-3"):
                self._right()
        ui.timer(_CHART, self._charts)
        await self.restart()

    def _start_controls(self) -> None:
        names = {"noise": "noise", "drawn": "what you draw", "uploaded": "a picture of yours"}
        self.start = ui.select(names, value="noise", label="start", on_change=self.restart).classes("w-full")
        self.known = ui.select(REGIONS, value="", label="known of it, and held", on_change=self.restart).classes(
            "w-full"
        )
        self.known.bind_visibility_from(self.start, "value", lambda kind: kind != "noise")
        assert self.pad is not None
        with ui.column().bind_visibility_from(self.start, "value", lambda kind: kind == "drawn"):
            self.canvas = ui.interactive_image(
                self._ink(), on_mouse=self._drawn, events=["pointerdown", "pointermove", "pointerup"], sanitize=False
            ).classes("pad")
            self.canvas.props('alt="drawing pad"')
            ui.button("wipe", on_click=self._wipe).props("flat dense")
        upload = ui.upload(
            on_upload=self._uploaded, on_rejected=self._rejected, auto_upload=True, max_file_size=4_000_000
        )
        upload.props('accept="image/*" label="PNG or JPEG" flat bordered').classes("w-full")
        upload.bind_visibility_from(self.start, "value", lambda kind: kind == "uploaded")

    def _player(self) -> None:
        with ui.row().classes("items-center gap-2"):
            self.button = ui.button("play", icon="play_arrow", on_click=self.toggle)
            ui.button("step", icon="skip_next", on_click=self.one).props("outline")
            ui.button("rewind", icon="replay", on_click=self.rewind).props("outline")
            self.said = ui.label().classes("tabular-nums").props("role=status")
        self.time = ui.slider(min=0, max=1, value=0).classes("w-full").props('label aria-label="step of the walks"')
        self.time.on("change", lambda event: self.go(int(event.args)))
        self.wall: ui.interactive_image | None = None
        if drawable(self.world.inputs.shape):
            self.wall = ui.interactive_image("", on_mouse=self._clicked, events=["click"], sanitize=False).classes(
                "wall"
            )
            self.wall.props('alt="the walks, side by side"')
        elif self.world.inputs.shape == (2,):
            self.plane = Plane(self.world)
            field = pictures.uri(self.plane.field)
            self.wall = ui.interactive_image(field, sanitize=False).classes("plane")
            self.wall.props('alt="walks in the plane, and the score around them"')
        else:
            ui.label("These samples are no images: labels and energies are shown.")

    def _right(self) -> None:
        ui.label("One walk").classes("text-lg").props("role=heading aria-level=2")
        self.large = ui.interactive_image("").classes("large").props('alt="the chosen walk"')
        self.about = ui.label().props("role=status")
        ui.label("Energy proxy |r(x) - x|²/n along the walk").classes("text-sm")
        grid = {"left": 60, "right": 30, "top": 25, "bottom": 25}
        usual = {"grid": grid, "animation": False}
        lines = [_line(name) for name in ("mean", "chosen walk")]
        axes: dict[str, Any] = {"xAxis": {"type": "value", "name": "step"}, "yAxis": {"type": "log"}}
        self.energies = ui.echart({**usual, **axes, "legend": {"top": 0}, "series": lines}).classes("h-44 w-full")
        axes = {"xAxis": {"type": "category", "data": list(self.world.inputs.class_names)}, "yAxis": {"type": "value"}}
        bars: list[dict[str, Any]] = [{"type": "bar", "data": []}]
        with ui.column().classes("w-full gap-2") as box:
            ui.label("Labels of all walks").classes("text-sm")
            self.labels = ui.echart({**usual, **axes, "series": bars}).classes("h-40 w-full")
        box.set_visibility(self.world.C is not None)
        self.keeping = Keeping(self.world, self.out, self.start_run, lambda: self.live.choice if self.live else None)
        self.keeping.build()

    def choice(self) -> Choice:
        """What the controls ask for.

        Raises:
            ReinjectError: an option that is none.
        """
        choice = self.controls.choice()
        kind = self.start.value if self.pad is not None else "noise"
        picture = self.pad.point() if kind == "drawn" and self.pad is not None else self.given
        if kind == "noise" or picture is None:
            return choice
        mask = rows_and_columns(self.known.value, self.world.inputs.shape)
        return replace(choice, picture=picture, mask=mask)

    async def restart(self) -> None:
        """Begin anew, at step 0, with what the controls ask for; say what does not fit."""
        async with self.lock:
            try:
                choice = self.choice()
                begun = await run.io_bound(_begun, self.world, choice)
            except ReinjectError as error:
                self._stop()
                ui.notify(str(error), type="negative", multi_line=True, timeout=8000)
                return
            if begun is None:  # the server ends
                return
            self.live, frame = begun
            self.time.props(f"max={choice.settings.steps}")
            app.storage.tab[_KEPT] = self.controls.kept()
            self._show(frame)

    async def toggle(self) -> None:
        """Play or pause."""
        if self.playing:
            self._stop()
            return
        if self.live is not None and self.live.ended:
            await self.rewind()
        self.playing = True
        self.button.props("icon=pause").set_text("pause")
        shown, since = 0, time.monotonic()
        while self.playing and self.live is not None and not ui.context.client.is_deleted:
            began = time.monotonic()
            await self.one()
            shown += 1
            if time.monotonic() - since > 1:
                self.rate = shown / (time.monotonic() - since)
                shown, since = 0, time.monotonic()
            if self.live.ended:
                break
            await asyncio.sleep(max(0.001, 1 / _RATE - (time.monotonic() - began)))
        self._stop()

    def _stop(self) -> None:
        self.playing = False
        self.button.props("icon=play_arrow").set_text("play")

    async def one(self) -> None:
        """One step of all walks."""
        await self._with(lambda live: live.advance())

    async def rewind(self) -> None:
        """Back to the start."""
        await self.go(0)

    async def go(self, step: int) -> None:
        """To a step, by the seed."""
        await self._with(lambda live: live.goto(step))

    async def _with(self, move: Callable[[Live], Frame | None]) -> None:
        async with self.lock:
            if self.live is not None:
                self._show(await run.io_bound(move, self.live))

    def _show(self, frame: Frame | None) -> None:
        if frame is None or self.live is None:
            return
        self.frame = frame
        stopped = f", {frame.stopped} stopped" if frame.stopped else ""
        rate = f", {self.rate:.0f} a second" if self.playing and self.rate else ""
        self.said.set_text(f"step {frame.step} of {self.live.choice.settings.steps}{rate}{stopped}")
        self.time.set_value(frame.step)
        if self.plane is not None and self.wall is not None:
            self.wall.set_content(self.plane.points(frame.x, self.chosen))
        elif self.wall is not None:
            self.wall.set_source(pictures.uri(pictures.wall(frame.x, self.world.inputs)))
        self._one_walk()

    def _one_walk(self) -> None:
        frame = self.frame
        if frame is None:
            return
        k = min(self.chosen, len(frame.x) - 1)
        if drawable(self.world.inputs.shape):
            self.large.set_source(pictures.uri(pictures.wall(frame.x[k : k + 1], self.world.inputs)))
        names = self.world.inputs.class_names
        label = f": {names[int(frame.label[k])]}, {float(frame.confidence[k]):.0%}" if names else ""
        self.about.set_text(f"walk {k}{label}; energy {float(frame.energy[k]):.3g}")

    def _charts(self) -> None:
        live, frame = self.live, self.frame
        if live is None or frame is None or not live.history:
            return
        k = min(self.chosen, len(frame.x) - 1)
        curves = ([float(e.mean()) for e in live.history], [float(e[k]) for e in live.history])
        for number, values in enumerate(curves):
            points = [[step, max(value, 1e-12)] for step, value in enumerate(values)]
            self.energies.options["series"][number]["data"] = points
        self.energies.update()
        names = self.world.inputs.class_names
        counts = np.bincount(frame.label[frame.label >= 0].numpy(), minlength=len(names))
        self.labels.options["series"][0]["data"] = counts.tolist()
        self.labels.update()

    def _clicked(self, event: events.MouseEventArguments) -> None:
        if self.live is None:
            return
        _, height, width = self.world.inputs.shape
        columns = pictures.columns_of(self.live.choice.walks)
        row, column = int(event.image_y // (height + 1)), int(event.image_x // (width + 1))
        self.chosen = max(0, min(row * columns + column, self.live.choice.walks - 1))
        self._one_walk()

    def _ink(self) -> str:
        assert self.pad is not None
        return pictures.uri(pictures.wall(self.pad.point()[None], self.world.inputs))

    async def _drawn(self, event: events.MouseEventArguments) -> None:
        assert self.pad is not None
        if event.type == "pointerup":
            await self.restart()
        elif event.buttons & 1:
            self.pad.stroke(event.image_x / self.pad.width, event.image_y / self.pad.height)
            self.canvas.set_source(self._ink())

    async def _wipe(self) -> None:
        self.pad = pictures.Pad(self.world.inputs)
        self.canvas.set_source(self._ink())
        await self.restart()

    async def _uploaded(self, event: events.UploadEventArguments) -> None:
        try:
            self.given = await run.io_bound(pictures.picture, await event.file.read(), self.world.inputs)
        except ReinjectError as error:
            ui.notify(str(error), type="negative", multi_line=True, timeout=8000)
            return
        await self.restart()

    def _rejected(self) -> None:
        ui.notify("upload: is no image, or larger than 4 MB. Give a PNG or a JPEG.", type="negative", timeout=8000)


def _line(name: str) -> dict[str, Any]:
    return {"type": "line", "showSymbol": False, "name": name, "data": []}


def _begun(world: World, choice: Choice) -> tuple[Live, Frame | None]:
    live = Live(world, choice)
    return live, live.advance()
