"""Draw the legend of the wall: the colours of classes, and the contents of a tile."""

from collections.abc import Sequence

from nicegui import ui

from reinject.explorer.tiles import SURE, UNSURE, colour_of, ink_on

_MOST = 20  # listed classes
SHOWN = {
    "state": "Each tile shows the state x of one walk, with its noise",
    "reconstruction": "Each tile shows the reconstruction r(x) of one walk",
}


class Legend:
    """Hold the contents of tiles in words, and a chip for each class.

    Arguments:
        names: names of the classes; empty: no classifier.
        tile: shape of a walk: "tile" or "dot".
    """

    def __init__(self, names: Sequence[str], tile: str = "tile") -> None:
        self.names, self.tile = names, tile

    def build(self) -> None:
        """Lay the legend out."""
        with ui.column().classes("legend w-full gap-1").props('role=region aria-label="legend"'):
            self.what = ui.label().classes("text-sm")
            if not self.names:
                return
            with ui.row().classes("gap-1 items-center"):
                ui.label("class").classes("text-sm")
                for k, name in enumerate(self.names[:_MOST]):
                    _chip(name, colour_of(k))
                if len(self.names) > _MOST:
                    ui.label(f"and {len(self.names) - _MOST} more").classes("text-sm")
                _chip(f"? below {SURE:.0%}", UNSURE)

    def show(self, emit: str) -> None:
        """Say whether tiles show states or reconstructions."""
        labelled = " and its most probable class." if self.names else "."
        self.what.set_text(SHOWN[emit].replace("tile", self.tile) + labelled)


def _chip(text: str, colour: str) -> None:
    ui.label(text).classes("chip").style(f"background: {colour}; color: {ink_on(colour)}")
