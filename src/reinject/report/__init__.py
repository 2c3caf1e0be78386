"""One self-contained HTML page: verdict, numbers, pictures that can be looked into, provenance; opens offline."""

from reinject.report.page import Film, Map, Page, Side, write
from reinject.report.sprites import Sprites
from reinject.report.standing import Chosen, Classes, figure_rows, findings, standing_lines, unchecked, worst_first
from reinject.report.tables import headline, judgement_lines, pm, text

__all__ = [
    "Chosen",
    "Classes",
    "Film",
    "Map",
    "Page",
    "Side",
    "Sprites",
    "figure_rows",
    "findings",
    "headline",
    "judgement_lines",
    "pm",
    "standing_lines",
    "text",
    "unchecked",
    "worst_first",
    "write",
]
