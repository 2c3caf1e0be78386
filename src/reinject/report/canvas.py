"""Share what all pictures need: the sheet, the colours, one small image."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

Array = NDArray[np.float32]
COLOURS = {"real": "#222222", "default": "#0072b2", "paper": "#d55e00", "noise": "#999999"}
DPI = 110


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, NDArray[Any]]:
    """Make a figure and its axes without pyplot, which keeps global state."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def save(figure: Figure, path: Path) -> Path:
    """Make the folder of ``path``, write the figure there, and return the path.

    SVG is for pages: text stays text, the background is the page's, and equal figures give equal files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".svg":
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem}):
            figure.savefig(path, transparent=True, metadata={"Date": None})
    else:
        figure.savefig(path)
    return path


def show(ax: Axes, x: Array, low: float, high: float) -> None:
    """Draw one image (C, H, W), data units; values beyond the range are clipped."""
    picture = np.clip((x - low) / (high - low), 0, 1).transpose(1, 2, 0)
    ax.imshow(picture.squeeze(-1) if picture.shape[2] == 1 else picture, cmap="gray", vmin=0, vmax=1)
    bare(ax)


def bare(ax: Axes) -> None:
    """Take ticks and frame off an axis."""
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)
