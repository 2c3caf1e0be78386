"""One self-contained HTML page: verdict, numbers, pictures that can be looked into, provenance; opens offline."""

from reinject.report.page import Film, Map, Page, Side, write
from reinject.report.sprites import Sprites
from reinject.report.tables import judgement_lines, pm, text, verdict

__all__ = ["Film", "Map", "Page", "Side", "Sprites", "judgement_lines", "pm", "text", "verdict", "write"]
