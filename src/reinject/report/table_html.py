"""Write the page on a table: findings, judgements beside controls, marginals, pairs, nearest training rows."""

import math
import tempfile
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa

from reinject.report.page import themed
from reinject.report.table_pictures import RARE, draw_marginals, draw_pairs
from reinject.table_evaluation.evaluate_table import ComparedTable
from reinject.table_evaluation.judge_table import EvaluateTableSpec
from reinject.table_evaluation.table_distance import MEANING
from reinject.table_evaluation.table_nearest import NearestPairs, nearest_pairs
from reinject.table_evaluation.table_shapes import Likeness

_ALONE = (
    "This page has no judgements: they need the real table that the models learned from. reinject report --against "
    "FILE adds them, with the marginals of the real rows and the pairs of columns."
)


def write_table_page(path: Path, found: ComparedTable, nearest: int = 0, spec: EvaluateTableSpec | None = None) -> None:
    """Write the page as one file that loads nothing else.

    Arguments:
        path: the HTML file.
        found: comparison of synthetic rows with their real table.
        nearest: number of training rows to show beside the synthetic rows nearest to them, >= 0.
        spec: what was judged; its ``most`` and ``seed`` hold for the nearest rows.
    """
    judged, spec = found.judged, spec or EvaluateTableSpec()
    pairs = None
    if nearest:
        rows = (found.train, found.held_out, found.synthetic)
        pairs = nearest_pairs(*rows, nearest, most=spec.most, seed=spec.seed)
    _write(
        path,
        title=f"{found.name} against {found.against}",
        rows=found.metrics["rows"],
        findings=[one.line for one in judged.findings],
        header=judged.table()[0],
        table=judged.table()[1:],
        questions={one.name: one.question for group in judged.judgements.values() for one in group},
        hardest=judged.alike.hardest() if judged.alike is not None else [],
        hardest_pairs=judged.alike.hardest_pairs() if judged.alike is not None else [],
        notes=[*([MEANING] if "privacy" in judged.judgements else []), *found.metrics["notes"]],
        charts=_charts(found.synthetic, found.train, judged.alike),
        nearest=None if pairs is None else _side_by_side(pairs),
    )


def write_marginals_page(path: Path, name: str, synthetic: pa.Table, rows: int) -> None:
    """Write the page of synthetic rows without a real table: the marginals.

    Arguments:
        path: the HTML file.
        name: of the rows.
        synthetic: rows to draw.
        rows: number of rows in all.
    """
    charts = _charts(synthetic, None, None)
    nothing: dict[str, Any] = dict.fromkeys(("table", "header", "questions", "hardest", "hardest_pairs", "notes"), ())
    _write(path, title=name, rows={"synthetic": rows}, findings=[_ALONE], charts=charts, nearest=None, **nothing)


def _write(path: Path, **values: Any) -> None:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reinject.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    path.write_text(environment.get_template("table.html.j2").render(rare=RARE, **values), encoding="utf-8")


def _charts(synthetic: pa.Table, real: pa.Table | None, alike: Likeness | None) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        drawn = {"marginals": draw_marginals(Path(folder) / "marginals.svg", synthetic, real)}
        if alike is not None and len(alike.shapes) > 1:
            drawn["pairs"] = draw_pairs(Path(folder) / "pairs.svg", alike)
        charts = {name: themed(path.read_text(encoding="utf-8"), name) for name, path in drawn.items()}
    return {"pairs": "", **charts}


def _side_by_side(pairs: NearestPairs) -> dict[str, Any]:
    """Return texts of the pairs; values that differ are marked."""
    each = []
    for k, (fake, real) in enumerate(zip(pairs.synthetic.to_pylist(), pairs.train.to_pylist(), strict=True)):
        share = pairs.as_near[k]
        cells = [(_text(fake[name]), _text(real[name]), fake[name] != real[name]) for name in fake]
        each.append((f"{pairs.distance[k]:.3g}", "" if math.isnan(share) else f"{share:.1%}", cells))
    return {"names": pairs.train.column_names, "pairs": each}


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
