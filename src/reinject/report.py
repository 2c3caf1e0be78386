"""One self-contained HTML page: verdict, figures, numbers, provenance; opens offline."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from reinject.evaluation.curves import Figure
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.utility import Utility

CAPTIONS = {
    "samples": "Real beside synthetic samples, a row a class. Look for classes that are missing, and for blur.",
    "walk": "The first steps of one walk from noise: the states above, what the autoencoder makes of them below, with "
    "the classifier's label and its confidence.",
    "plane": "The plane of the training data's first two principal components (coloured by class), and in black 1,000 "
    "points of N(0, I), then the end points of 1,000 walks. End points should lie where the data lies.",
    "classes": "Share of each class. The dotted line is an even share.",
    "curves": "Accuracy on real test data of the same student on n real, synthetic or noise samples; the band spans "
    "the seeds. Skill is how far the synthetic curve has climbed from the noise curve to the real one. Real + n has as "
    "many synthetic rows beside the real ones.",
    "nearest": "The samples that are nearest to training images, measured by the distance of these to their nearest "
    "other one, and these images below. Look for copies: equal strokes, equal dirt.",
}


def verdict(judged: Utility) -> str:
    """The result in a sentence."""
    return (
        f"A classifier trained on {judged.n:,} synthetic samples alone reaches {judged.full.mean:.1%} on real test "
        f"data, "
        f"{judged.ratio.mean:.3f} of its twin trained on the real data; at equal n the samples carry "
        f"{judged.skill.mean:.0%} of what real data would teach beyond labelled noise."
    )


def pm(figure: Figure) -> str:
    """A mean and its standard error, as text.

    Example:
        >>> pm(Figure((0.5, 0.7)))
        '0.600 ± 0.100'
    """
    error = figure.standard_error
    return f"{figure.mean:.3f}" if error is None else f"{figure.mean:.3f} ± {error:.3f}"


def table(judged: Mapping[str, Utility]) -> list[list[str]]:
    """The numbers, a header and a row a set: accuracy at each n, all samples, ratio, skill."""
    one = next(iter(judged.values()))
    header = ["student trained on", *(f"n = {n:,}" for n in one.real.sizes), "all", "ratio", "skill"]
    twin = max(one.twin_epochs, one.twin_steps, key=lambda figure: figure.mean)
    rows = [["real data", *(f"{a:.3f}" for a in one.real.mean), f"{twin.mean:.3f}", "1", "1"]]
    for name, result in judged.items():
        rows.append(
            [
                f"synthetic, {name} preset",
                *(f"{a:.3f}" for a in result.synthetic.mean),
                f"{result.full.mean:.3f}",
                pm(result.ratio),
                pm(result.skill),
            ]
        )
    rows.append(["noise, same labels' classifier", *(f"{a:.3f}" for a in one.noise.mean), "", "", "0"])
    rows += [[name, *[""] * len(one.real.sizes), "", pm(value), ""] for name, value in one.controls.items()]
    return [header, *rows]


def text(judged: Mapping[str, Utility]) -> list[str]:
    """The table for a terminal, one line a row, columns aligned."""
    return _aligned(table(judged), 1)


def _aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Rows of cells as lines, the first ``left`` columns to the left, the others to the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(w) if k < left else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def judgement_rows(found: Mapping[str, Sequence[Judgement]]) -> list[list[str]]:
    """A header and a row a judgement: group, name, value, null, interval, p."""
    header = ["", "judgement", "value", "if nothing were wrong", "95% interval", "p"]
    return [header] + [
        [
            group if k == 0 else "",
            one.name,
            f"{one.value:.4g}",
            f"{one.null:.4g}",
            f"{one.interval[0]:.4g} to {one.interval[1]:.4g}",
            "" if one.p is None else f"{one.p:.2g}",
        ]
        for group, judgements in found.items()
        for k, one in enumerate(judgements)
    ]


def judgement_lines(found: Mapping[str, Sequence[Judgement]]) -> list[str]:
    """The same for a terminal; nothing where there is nothing."""
    return _aligned(judgement_rows(found), 2) if found else []


def write(
    path: Path,
    *,
    title: str,
    judged: Mapping[str, Utility],
    figures: Path,
    walks: Mapping[str, Sequence[str]],
    provenance: Mapping[str, Any],
    command: str,
    judgements: Mapping[str, Sequence[Judgement]] | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Write the page; figures are those of CAPTIONS that the folder holds, and go into the page itself.

    Arguments:
        path: the HTML file.
        title: what was judged.
        judged: name of a set -> its utility; the first is the one that the verdict speaks of; may be empty.
        figures: folder of PNGs.
        walks: name of a set -> what the diagnostics say of its walks, line by line.
        provenance: parameters of the run.
        command: that makes it again.
        judgements: group -> what else was judged.
        notes: what was left out, and why.
    """
    pictures = [
        (caption, base64.b64encode((figures / f"{name}.png").read_bytes()).decode())
        for name, caption in CAPTIONS.items()
        if (figures / f"{name}.png").is_file()
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reinject"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    first = next(iter(judged.values()), None)
    html = environment.get_template("report.html.j2").render(
        title=title,
        verdict=verdict(first) if first else "",
        seeds=len(first.ratio.values) if first else 0,
        table=table(judged) if judged else [],
        judgements=judgement_rows(judgements) if judgements else [],
        questions=[one for group in (judgements or {}).values() for one in group],
        notes=notes,
        pictures=pictures,
        walks=walks,
        provenance=json.dumps(provenance, indent=1),
        command=command,
    )
    path.write_text(html, encoding="utf-8")
    return path
