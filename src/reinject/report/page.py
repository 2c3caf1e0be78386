"""Hold the contents of a page, and write it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from reinject.base.files import json_text
from reinject.evaluation.findings import Chosen, unchecked
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.utility import Utility
from reinject.evaluation.wording import headline, judgement_rows, numbers, table
from reinject.report.sprites import Sprites
from reinject.walks.verdict import Verdict

_THEMED = {
    **dict.fromkeys(("#222222", "#000000"), "currentColor"),
    **{"#0072b2": "var(--blue)", "#999999": "var(--grey)", "#ffffff": "var(--ground)"},
}


@dataclass(frozen=True)
class Film:
    """Hold some walks, state after state.

    Attributes:
        walks: numbers of the W walks.
        steps: number of steps before each of the F frames.
        captions: label and confidence of r(x) for each walk and frame, W rows of F.
        sprites: images in the order walk, frame, (state, reconstruction).
    """

    walks: Sequence[int]
    steps: Sequence[int]
    captions: Sequence[Sequence[str]]
    sprites: Sprites

    def as_json(self) -> dict[str, object]:
        """Return JSON values for the page's script."""
        return {
            "walks": list(self.walks),
            "steps": list(self.steps),
            "captions": [list(row) for row in self.captions],
            "sprites": self.sprites.as_json(),
        }


@dataclass(frozen=True)
class Map:
    """Hold points of several sets in a plane.

    Attributes:
        groups: name -> points, (N, 2), in the order of the images.
        texts: name -> description of each point.
        classes: name -> class of each point, -1: none.
        class_names: names of the classes.
        sprites: one image for each point, group by group; None: the samples are not images.
    """

    groups: Mapping[str, NDArray[np.float64]]
    texts: Mapping[str, Sequence[str]]
    classes: Mapping[str, Sequence[int]]
    class_names: Sequence[str]
    sprites: Sprites | None

    def as_json(self) -> dict[str, object]:
        """Return JSON values for the page's script."""
        first = np.cumsum([0, *(len(points) for points in self.groups.values())])
        return {
            "groups": [
                {
                    "name": name,
                    "xy": points.round(3).tolist(),
                    "texts": list(self.texts[name]),
                    "classes": [int(k) for k in self.classes[name]],
                    "first": int(first[k]),
                }
                for k, (name, points) in enumerate(self.groups.items())
            ],
            "classNames": list(self.class_names),
            "sprites": self.sprites and self.sprites.as_json(),
        }


@dataclass(frozen=True)
class Side:
    """Hold the results of one archive.

    Attributes:
        about: a sentence with the number and kind of samples.
        command: command that remakes the archive.
        provenance: parameters of the archive.
        walks: lines of the diagnostics of its walks.
        judged: utility, if judged.
        judgements: group -> other judgements.
        samples: a strip of images for each class; none if samples are not images.
        film: some walks; None if they cannot be remade.
        nearest: samples nearest to training rows, above these rows.
        notes: omissions and their reasons.
        worst: verdict and further faults, worst first; none if unknown.
        figures: name -> measured figure of the walk.
        chosen: reason for the chosen walk; None for given settings.
        next: command to try for a broken archive.
    """

    about: str
    command: str
    provenance: Mapping[str, Any]
    walks: Sequence[str] = ()
    judged: Utility | None = None
    judgements: Mapping[str, Sequence[Judgement]] = field(default_factory=dict)
    samples: Sequence[Sprites | None] = ()
    film: Film | None = None
    nearest: Sprites | None = None
    notes: Sequence[str] = ()
    worst: Sequence[Verdict] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    chosen: Chosen | None = None
    next: str = ""


@dataclass(frozen=True)
class Page:
    """Hold a report on one archive, or on several side by side.

    Attributes:
        title: title of the page.
        sides: name -> results of an archive; the headline is about the first one.
        command: command that remakes the page.
        class_names: class names of the samples; none without labels.
        real: a strip of real images for each class.
        curves, classes: charts as SVG; "": none.
        map: real, synthetic and start points in a plane.
    """

    title: str
    sides: Mapping[str, Side]
    command: str
    class_names: Sequence[str] = ()
    real: Sequence[Sprites | None] = ()
    curves: str = ""
    classes: str = ""
    map: Map | None = None


def write(path: Path, page: Page) -> Path:
    """Write the page as one file that loads nothing else."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reinject.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False}
    first = next(iter(page.sides.values()))
    judged = {name: side.judged for name, side in page.sides.items() if side.judged is not None}
    html = environment.get_template("report.html.j2").render(
        page=page,
        headline=headline(first.judged) if first.judged else first.about,
        unchecked=_unchecked(first),
        seeds=len(first.judged.ratio.values) if first.judged else 0,
        numbers={name: numbers(side.judged, side.judgements) for name, side in page.sides.items()},
        figures=_figures(page.sides),
        tested=any("memorisation" in side.judgements for side in page.sides.values()),
        table=table(judged) if judged else [],
        rows={name: judgement_rows(side.judgements) for name, side in page.sides.items() if side.judgements},
        questions={
            one.name: one.question for side in page.sides.values() for g in side.judgements.values() for one in g
        },
        films={name: side.film.as_json() for name, side in page.sides.items() if side.film},
        map=page.map and page.map.as_json(),
        provenance={name: json_text(side.provenance, name) for name, side in page.sides.items()},
        charts={"curves": themed(page.curves, "curves"), "classes": themed(page.classes, "classes")},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")  # an earlier page stays until this one is complete
    try:
        partial.write_text(html, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _unchecked(side: Side) -> str:
    """Name the missing comparisons with real data; "" if there are none."""
    if side.judged is None and not side.judgements:
        return "not checked: nothing was compared with real data"
    return unchecked(side.judged, side.judgements)


def _figures(sides: Mapping[str, Side]) -> list[list[str]]:
    """Make a header and a row for each figure, with a value for each side; no rows without figures."""
    names = dict.fromkeys(name for side in sides.values() for name in side.figures)
    rows = [[name, *(side.figures.get(name, "") for side in sides.values())] for name in names]
    return [["figure", *sides], *rows] if rows else []


def themed(svg: str, name: str) -> str:
    """Adapt a chart to the page: its colours, light or dark, and unique ids.

    Example:
        >>> themed('<?xml version="1.0"?><svg><path id="a" style="stroke: #000000"/><use href="#a"/></svg>', "c")
        '<svg><path id="c-a" style="stroke: currentColor"/><use href="#c-a"/></svg>'
    """
    start = svg.find("<svg")
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[max(start, 0) :], flags=re.DOTALL)
    for colour, stand_in in _THEMED.items():
        body = body.replace(colour, stand_in)
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", body)
