"""Lay out the page of one visitor: controls on the left, walks in the middle, charts on the right."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nicegui import app, events, run, ui

from reinject.base.errors import ReinjectError
from reinject.explorer import wall_pictures as pictures
from reinject.explorer.charts import Charts
from reinject.explorer.commands import Start
from reinject.explorer.controls import REGIONS, Controls, rows_and_columns
from reinject.explorer.keeping import Keeping
from reinject.explorer.legend import Legend
from reinject.explorer.score_plane import Plane
from reinject.explorer.session import Choice, Frame, Live, World
from reinject.explorer.tiles import STYLE, Grid, colour_of
from reinject.report.sprites import drawable
from reinject.sampling.presets import Settings

_SPEEDS = {4: "4 steps a second", 15: "15 steps a second", 60: "as fast as possible"}  # most steps a second -> text
_FASTEST = max(_SPEEDS)
_PAINT = 0.25  # most seconds to wait for a browser to show a frame
_SHORT = 60  # walks of at most this many steps play slowly
_CHART = 0.3  # seconds between drawings of the charts
_KEPT = "choice"
_STYLE = """
.wall img, .large img, .pad img { image-rendering: pixelated; width: 100%; }
.wall, .plane { width: min(34rem, 92vw); } .wall { cursor: pointer; } .plane { background: #fff; }
.legend { max-width: min(34rem, 92vw); }
.chip { padding: 0 .5em; border-radius: .2em; font-size: .8rem; font-weight: 600; line-height: 1.5; }
.large { width: 9rem; } .pad { width: 12rem; touch-action: none; }
.nicegui-content { padding: .8rem; overflow-x: hidden; }
"""


class Visitor:
    """Hold one page with its walks and controls; visitors share only the networks.

    Arguments:
        world: networks.
        initial: first settings of the page.
        out: folder for what the visitor keeps.
        start_run: function that makes an archive from the words of a command line.
    """

    def __init__(self, world: World, initial: Settings, out: Path, start_run: Start) -> None:
        self.world, self.initial, self.out, self.start_run = world, initial, out, start_run
        self.live: Live | None = None
        self.frame: Frame | None = None
        self.playing = False
        self.paused = False  # set by the visitor; else new walks play automatically
        self.turn = 0  # number of the current playing loop; a paused loop that still runs has an earlier number
        self.chosen = 0
        self.plane: Plane | None = None
        self.lock = asyncio.Lock()
        self.painted = asyncio.Event()  # the browser shows the wall of the last frame
        self.pad = pictures.Pad(world.inputs) if drawable(world.inputs.shape) else None
        self.given: Any = None  # an uploaded picture, (*event)
        self.names = world.inputs.class_names if world.C is not None else ()

    async def build(self) -> None:
        """Lay the page out and play the walks; a reloaded tab keeps its settings.

        For visitors who prefer reduced motion, show the last step instead.
        """
        ui.add_css(_STYLE + STYLE)
        self.client = ui.context.client  # read now: after the tab closes it raises an error
        try:
            await self.client.connected(timeout=10)  # before the connection there is no storage of a tab
        except TimeoutError:
            return
        still = self.paused = await _prefers_stillness()
        kept = app.storage.tab.get(_KEPT, {})
        with ui.row().classes("w-full items-start gap-6"):
            with ui.column().classes("w-full sm:w-72 gap-2 max-sm:order-2"):
                ui.label("reinject explorer").classes("text-xl").props("role=heading aria-level=1")
                self.controls = Controls(self.world, self.initial, kept, self.restart)
                if self.pad is not None:
                    self._start_controls()
            with ui.column().classes("gap-2 max-w-full"):
                self._player()
            with ui.column().classes("w-full sm:w-80 gap-2 max-sm:order-3"):
                self._right()
        ui.timer(_CHART, self._draw_charts)
        await self.restart()
        if still and self.live is not None:
            await self.go(self.live.choice.settings.steps)

    def _start_controls(self) -> None:
        names = {"noise": "noise", "drawn": "a drawing", "uploaded": "an image file"}
        self.start = ui.select(names, value="noise", label="start from", on_change=self.restart).classes("w-full")
        self.known = ui.select(REGIONS, value="", label="keep fixed (inpainting)", on_change=self.restart).classes(
            "w-full"
        )
        self.known.bind_visibility_from(self.start, "value", lambda kind: kind != "noise")
        assert self.pad is not None
        with ui.column().bind_visibility_from(self.start, "value", lambda kind: kind == "drawn"):
            self.canvas = ui.interactive_image(
                self._ink(), on_mouse=self._drawn, events=["pointerdown", "pointermove", "pointerup"], sanitize=False
            ).classes("pad")
            self.canvas.props('alt="drawing pad"')
            ui.button("clear", on_click=self._wipe).props("flat dense no-caps")
        upload = ui.upload(
            on_upload=self._uploaded, on_rejected=self._rejected, auto_upload=True, max_file_size=4_000_000
        )
        upload.props('accept="image/*" label="PNG or JPEG" flat bordered').classes("w-full")
        upload.bind_visibility_from(self.start, "value", lambda kind: kind == "uploaded")

    def _player(self) -> None:
        with ui.row().classes("items-center gap-2"):
            self.button = ui.button("play", icon="play_arrow", on_click=self.toggle).props("no-caps")
            ui.button("step", icon="skip_next", on_click=self.one).props("outline no-caps")
            ui.button("rewind", icon="replay", on_click=self.rewind).props("outline no-caps")
            speed = 4 if (self.controls.steps.value or 0) < _SHORT else 15
            self.speed = ui.select(_SPEEDS, value=speed).props('dense borderless aria-label="speed"')
        with ui.row().classes("w-full items-center gap-4"):
            self.said = ui.label().classes("tabular-nums min-w-60").props("role=status")
            self.time = ui.slider(min=0, max=1, value=0).classes("flex-1 min-w-32")
            self.time.props('label aria-label="step of the walks"')
        self.time.on("change", lambda event: self.go(int(event.args)))
        self.wall: ui.interactive_image | None = None
        self.legend = Legend(self.names, "dot" if self.world.inputs.shape == (2,) else "tile")
        if drawable(self.world.inputs.shape):
            self.legend.build()
            self.wall = ui.interactive_image("", on_mouse=self._clicked, events=["click"], sanitize=False).classes(
                "wall"
            )
            self.wall.props('alt="all walks, side by side"').on("loaded", self._painted, args=["width"])
        elif self.world.inputs.shape == (2,):
            self.legend.build()
            self.plane = Plane(self.world)
            field = pictures.uri(self.plane.field)
            self.wall = ui.interactive_image(field, sanitize=False).classes("plane")
            self.wall.props('alt="walks in the plane, and the score around them"')
        else:
            ui.label("These samples are not images. The charts show their classes and reconstruction errors.")

    def _right(self) -> None:
        ui.label("Selected walk").classes("text-lg").props("role=heading aria-level=2")
        self.large = ui.interactive_image("").classes("large").props('alt="the selected walk"')
        self.about = ui.label().props("role=status")
        if drawable(self.world.inputs.shape):
            ui.label("Click a tile to select its walk.").classes("text-sm opacity-80")
        self.charts = Charts(self.names)
        self.charts.build()
        self.keeping = Keeping(self.world, self.out, self.start_run, lambda: self.live.choice if self.live else None)
        self.keeping.build()

    def choice(self) -> Choice:
        """Return the choice of the controls.

        Raises:
            ReinjectError: a value does not parse.
        """
        choice = self.controls.choice()
        kind = self.start.value if self.pad is not None else "noise"
        picture = self.pad.point() if kind == "drawn" and self.pad is not None else self.given
        if kind == "noise" or picture is None:
            return choice
        mask = rows_and_columns(self.known.value, self.world.inputs.shape)
        return replace(choice, picture=picture, mask=mask)

    async def restart(self) -> None:
        """Begin at step 0 with the controls' choice, and play unless paused; report values that do not fit."""
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
            self.legend.show(choice.settings.emit)
            self._show(frame)
        if not self.paused:
            await self.play()

    async def toggle(self) -> None:
        """Play or pause."""
        self.paused = self.playing
        if self.paused:
            self._stop()
            return
        if self.live is not None and self.live.ended:
            await self.rewind()
        await self.play()

    async def play(self) -> None:
        """Step to the end at the chosen speed; return at once if a walk is playing."""
        if self.playing:
            return
        self.playing = True
        self.turn = turn = self.turn + 1
        self.button.props("icon=pause").set_text("pause")
        while self.playing and self.turn == turn and self.live is not None and not self.client.is_deleted:
            began = time.monotonic()
            await self.one()
            with contextlib.suppress(TimeoutError):  # else a slow browser mixes captions and tiles of different steps
                most = _PAINT if self.speed.value < _FASTEST else 1 / _FASTEST
                await asyncio.wait_for(self.painted.wait(), most)
            if self.live.ended:
                self._stop()
            await asyncio.sleep(max(0.001, 1 / self.speed.value - (time.monotonic() - began)))

    def _stop(self) -> None:
        self.playing = False
        self.button.props("icon=play_arrow").set_text("play")

    async def one(self) -> None:
        """Take one step of all walks."""
        await self._with(lambda live: live.advance())

    async def rewind(self) -> None:
        """Go back to the start."""
        await self.go(0)

    async def go(self, step: int) -> None:
        """Go to a step, remade from the seed."""
        await self._with(lambda live: live.goto(step))

    async def _with(self, move: Callable[[Live], Frame | None]) -> None:
        async with self.lock:
            if self.live is not None:
                self._show(await run.io_bound(move, self.live))

    def _show(self, frame: Frame | None) -> None:
        if frame is None or self.live is None:
            return
        self.frame = frame
        stopped = f", {frame.stopped} walks stopped" if frame.stopped else ""
        level = f", noise level {frame.level:.3g}" if frame.level is not None else ""
        self.said.set_text(f"step {frame.step} of {self.live.choice.settings.steps}{level}{stopped}")
        self.time.set_value(frame.step)
        self.painted.set()
        if self.wall is not None and self.plane is None:
            source = pictures.uri(pictures.wall(frame.x, self.world.inputs, self._grid(frame)))
            if source != self.wall.source:
                self.painted.clear()
                self.wall.set_source(source)
        if self.painted.is_set():
            self._overlay()
        self._one_walk()

    def _painted(self) -> None:
        self.painted.set()
        self._overlay()

    def _grid(self, frame: Frame) -> Grid:
        _, height, width = self.world.inputs.shape
        return Grid(len(frame.x), height, width, captioned=bool(self.names))

    def _overlay(self) -> None:
        """Draw over the wall's image: frames and captions, or the dots of a plane."""
        frame = self.frame
        if frame is None or self.wall is None:
            return
        k = min(self.chosen, len(frame.x) - 1)
        if self.plane is not None:
            seen = zip(frame.label.tolist(), frame.confidence.tolist(), strict=True)
            colours = [colour_of(label, p) for label, p in seen] if self.names else []
            self.wall.set_content(self.plane.points(frame.x, k, colours))
        else:
            self.wall.set_content(self._grid(frame).frames(frame.label, frame.confidence, self.names, k))

    def _one_walk(self) -> None:
        frame = self.frame
        if frame is None:
            return
        k = min(self.chosen, len(frame.x) - 1)
        if drawable(self.world.inputs.shape):
            self.large.set_source(pictures.uri(pictures.tile(frame.x[k], self.world.inputs)))
        label = f": class {self.names[int(frame.label[k])]}, {float(frame.confidence[k]):.0%}" if self.names else ""
        self.about.set_text(f"walk {k}{label}; reconstruction error {float(frame.energy[k]):.3g}")

    def _draw_charts(self) -> None:
        if self.live is not None and self.frame is not None and self.live.history:
            self.charts.draw(self.live, self.frame, min(self.chosen, len(self.frame.x) - 1))

    def _clicked(self, event: events.MouseEventArguments) -> None:
        if self.frame is not None:
            self.chosen = self._grid(self.frame).at(event.image_x, event.image_y)
            self._overlay()
            self._one_walk()

    def _ink(self) -> str:
        assert self.pad is not None
        return pictures.uri(pictures.tile(self.pad.point(), self.world.inputs))

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
        ui.notify("upload: not an image, or larger than 4 MB. Give a PNG or a JPEG.", type="negative", timeout=8000)


async def _prefers_stillness() -> bool:
    """Say whether the visitor prefers reduced motion."""
    try:
        return bool(await ui.run_javascript("matchMedia('(prefers-reduced-motion: reduce)').matches", timeout=5))
    except TimeoutError:
        return False


def _begun(world: World, choice: Choice) -> tuple[Live, Frame | None]:
    live = Live(world, choice)
    return live, live.advance()
