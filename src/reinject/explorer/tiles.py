"""Lay out the wall: the place of each tile, and the frame and caption that show its class."""

import html
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

# Colours of classes 0, 1, ...: Okabe and Ito's, which colour-blind readers can distinguish, then four more.
PALETTE = (
    *("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#7b5cc4", "#8c564b", "#a6d854"),
)
UNSURE = "#8a8a8a"
SURE = 0.5  # least probability of a class whose colour a tile shows
_LETTER = 0.62  # width of a letter, relative to the font's size

STYLE = """
.wall svg { overflow: visible; }
.wall .gap { fill: #fff; } .body--dark .wall .gap { fill: #121212; }
.wall .chosen { fill: none; stroke: #000; } .body--dark .wall .chosen { stroke: #fff; }
.wall text { font-family: Roboto, "DejaVu Sans", sans-serif; font-weight: 600; text-anchor: middle; }
"""


def colour_of(label: int, confidence: float = 1.0) -> str:
    """Return the colour of a class; grey for no class, or for one less probable than 50 %.

    Example:
        >>> colour_of(0), colour_of(10), colour_of(0, confidence=0.3)
        ('#56b4e9', '#56b4e9', '#8a8a8a')
    """
    return PALETTE[label % len(PALETTE)] if label >= 0 and confidence >= SURE else UNSURE


def ink_on(colour: str) -> str:
    """Return black or white, whichever is easier to read on a colour.

    Example:
        >>> ink_on("#f0e442"), ink_on("#7b5cc4")
        ('#000', '#fff')
    """
    light = _luminance(colour)
    return "#000" if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else "#fff"


def _luminance(colour: str) -> float:
    """Compute the relative luminance as WCAG defines it, in [0, 1]."""
    shares = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@dataclass(frozen=True)
class Grid:
    """Place tiles side by side, about square, with a gap around each and space for a caption below.

    Attributes:
        count: number of tiles, >= 1.
        height, width: size of a tile, pixels of the wall's image.
        captioned: whether tiles have captions.
    """

    count: int
    height: int
    width: int
    captioned: bool = True

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return math.ceil(math.sqrt(self.count))

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return math.ceil(self.count / self.columns)

    @property
    def gap(self) -> int:
        """Pixels between neighbouring tiles."""
        return max(1, round(self.width / 8))

    @property
    def caption(self) -> int:
        """Height of a caption, pixels; larger for many tiles, to keep captions legible."""
        return max(math.ceil(self.width / 6), round(0.03 * self.columns * self.width)) if self.captioned else 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the wall, pixels."""
        across, down = self.width + self.gap, self.height + self.caption + self.gap
        return self.rows * down + self.gap, self.columns * across + self.gap

    def corner(self, k: int) -> tuple[int, int]:
        """Return the row and the column of tile k's upper left pixel.

        Example:
            >>> Grid(4, height=8, width=8).corner(3)
            (12, 10)
        """
        row, column = divmod(k, self.columns)
        return (
            self.gap + row * (self.height + self.caption + self.gap),
            self.gap + column * (self.width + self.gap),
        )

    def at(self, x: float, y: float) -> int:
        """Return the number of the tile nearest to a point of the wall, pixels."""
        row = min(self.rows - 1, max(0, int((y - self.gap / 2) // (self.height + self.caption + self.gap))))
        column = min(self.columns - 1, max(0, int((x - self.gap / 2) // (self.width + self.gap))))
        return min(row * self.columns + column, self.count - 1)

    def frames(self, label: Tensor, confidence: Tensor, names: Sequence[str], chosen: int) -> str:
        """Draw gaps, frames and captions as SVG over the wall's image.

        Arguments:
            label: class of each tile, int64, (count,); -1: none, no frame.
            confidence: its probability, (count,).
            names: names of the classes.
            chosen: number of the tile with an outline.
        """
        rim = 0.25 * self.gap
        height, width = self.size
        corners = [self.corner(k) for k in range(self.count)]
        holes = "".join(_box(left, top, self.width, self.height) for top, left in corners)
        parts = [f'<path class="gap" fill-rule="evenodd" d="{_box(-1, -1, width + 2, height + 2)}{holes}"/>']
        paths: dict[str, list[str]] = defaultdict(list)
        texts: dict[str, list[str]] = defaultdict(list)
        for (top, left), k, p in zip(corners, label.tolist(), confidence.tolist(), strict=True):
            if k < 0:
                continue
            colour = colour_of(k, p)
            outer = _box(left - rim, top - rim, self.width + 2 * rim, self.height + self.caption + rim)
            paths[colour].append(outer + _box(left, top, self.width, self.height))
            text = html.escape(self._fitting(names[k], "" if p >= SURE else "?"))
            below = top + self.height + 0.79 * self.caption
            texts[colour].append(f'<text x="{left + self.width / 2:g}" y="{below:g}">{text}</text>')
        for colour, found in paths.items():
            parts.append(f'<path fill="{colour}" fill-rule="evenodd" d="{"".join(found)}"/>')
            parts.append(f'<g fill="{ink_on(colour)}" font-size="{self._font:g}">{"".join(texts[colour])}</g>')
        top, left = corners[min(chosen, self.count - 1)]
        room = 0.25 * rim
        outline = _box(
            left - rim - room,
            top - rim - room,
            self.width + 2 * (rim + room),
            self.height + self.caption + rim + 2 * room,
        )
        parts.append(f'<path class="chosen" stroke-width="{rim:g}" d="{outline}"/>')
        return "".join(parts)

    @property
    def _font(self) -> float:
        return 0.8 * self.caption

    def _fitting(self, name: str, mark: str) -> str:
        """Write the name with a mark behind it, cut to the width of the caption."""
        most = max(1, int(self.width / (_LETTER * self._font)) - len(mark))
        return (name if len(name) <= most else name[: max(1, most - 1)] + "…") + mark


def _box(left: float, top: float, width: float, height: float) -> str:
    """Write a rectangle as part of an SVG path."""
    return f"M{left:g} {top:g}h{width:g}v{height:g}h{-width:g}z"
