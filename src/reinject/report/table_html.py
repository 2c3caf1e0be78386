"""Write the page on a table: findings, judgements beside controls, marginals, pairs."""

import tempfile
from pathlib import Path

import jinja2

from reinject.report.page import themed
from reinject.report.table_pictures import draw_marginals, draw_pairs
from reinject.table_evaluation.evaluate_table import ComparedTable
from reinject.table_evaluation.table_distance import MEANING


def write_table_page(path: Path, found: ComparedTable) -> Path:
    """Write the page as one file that loads nothing else.

    Arguments:
        path: the HTML file.
        found: comparison of an archive with its real table.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reinject.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    judged = found.judged
    with tempfile.TemporaryDirectory() as folder:
        marginals = draw_marginals(Path(folder) / "marginals.svg", found.parts.train, found.synthetic)
        charts = {"marginals": themed(marginals.read_text(encoding="utf-8"), "marginals"), "pairs": ""}
        if judged.alike is not None:
            pairs = draw_pairs(Path(folder) / "pairs.svg", judged.alike)
            charts["pairs"] = themed(pairs.read_text(encoding="utf-8"), "pairs")
    html = environment.get_template("table.html.j2").render(
        title=f"{found.archive.folder.name} against {found.parts.name}",
        rows=found.metrics["rows"],
        findings=[one.line for one in judged.findings],
        header=judged.table()[0],
        table=judged.table()[1:],
        questions={one.name: one.question for group in judged.judgements.values() for one in group},
        hardest=judged.alike.hardest() if judged.alike is not None else [],
        notes=[*([MEANING] if "privacy" in judged.judgements else []), *found.metrics["notes"]],
        charts=charts,
    )
    path.write_text(html, encoding="utf-8")
    return path
