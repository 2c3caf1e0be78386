"""Draw the charts beside the wall: reconstruction errors along the walks, and walks of each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from nicegui import ui

from reinject.explorer.session import Frame, Live
from reinject.explorer.tiles import colour_of

_GREY = "#888"  # readable on white and on black
_USUAL = {"grid": {"left": 60, "right": 30, "top": 25, "bottom": 25}, "animation": False}


class Charts:
    """Hold a line chart of reconstruction errors and a bar chart of classes.

    Arguments:
        names: names of the classes; empty: no classifier.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def build(self) -> None:
        """Lay the charts out."""
        ui.label("Reconstruction error |r(x) − x|²/n at each step").classes("text-sm")
        lines = [_line("mean", "#999"), _line("selected walk", "#5898d4")]
        axes = {"xAxis": _axis("value", name="step"), "yAxis": _axis("log")}
        legend = {"top": 0, "textStyle": {"color": _GREY}}
        self.errors = ui.echart({**_USUAL, **axes, "legend": legend, "series": lines}).classes("h-44 w-full")
        axes = {"xAxis": _axis("category", data=list(self.names)), "yAxis": _axis("value", minInterval=1)}
        bars: list[dict[str, Any]] = [{"type": "bar", "data": []}]
        with ui.column().classes("w-full gap-2") as box:
            ui.label("Walks of each class at this step").classes("text-sm")
            self.classes = ui.echart({**_USUAL, **axes, "series": bars}).classes("h-40 w-full")
        box.set_visibility(bool(self.names))

    def draw(self, live: Live, frame: Frame, chosen: int) -> None:
        """Draw the walks up to a frame.

        Arguments:
            live: the walks.
            frame: last frame to draw.
            chosen: number of the selected walk.
        """
        curves = ([float(e.mean()) for e in live.history], [float(e[chosen]) for e in live.history])
        for number, values in enumerate(curves):
            points = [[step, max(value, 1e-12)] for step, value in enumerate(values)]
            self.errors.options["series"][number]["data"] = points
        self.errors.options["xAxis"]["max"] = live.choice.settings.steps
        self.errors.update()
        counts = np.bincount(frame.label[frame.label >= 0].numpy(), minlength=len(self.names)).tolist()
        bars = [{"value": count, "itemStyle": {"color": colour_of(k)}} for k, count in enumerate(counts)]
        self.classes.options["series"][0]["data"] = bars
        self.classes.update()


def _line(name: str, colour: str) -> dict[str, Any]:
    return {"type": "line", "showSymbol": False, "name": name, "color": colour, "data": []}


def _axis(kind: str, **more: Any) -> dict[str, Any]:
    text = {"color": _GREY}
    grid = {"lineStyle": {"color": "#8885"}, "show": kind != "category"}
    return {"type": kind, "axisLabel": text, "nameTextStyle": text, "splitLine": grid, **more}
