"""Compare the rows of any tool, in a file or a data frame, with the real table that the tool learned from."""

import time
from typing import Any

from reinject.base.progress import Progress, Silent
from reinject.data.table_files import read_table
from reinject.table_evaluation.evaluate_table import ComparedTable
from reinject.table_evaluation.judge_table import EvaluateTableSpec, judge_table

_UNSEEN = "Give --test with rows that the tool did not see: they judge learners, closest records and attacks"


def compare_rows(
    synthetic: Any,
    against: Any,
    target: str | None = None,
    spec: EvaluateTableSpec | None = None,
    *,
    test: Any = None,
    progress: Progress | None = None,
) -> ComparedTable:
    """Judge the rows of any tool as :func:`reinject.report.table_evaluated.evaluate_rows` does; write nothing."""
    spec, began = spec or EvaluateTableSpec(), time.monotonic()
    real = read_table(against, test=test, categorical=spec.categorical)
    rows = read_table(synthetic, categorical=spec.categorical)
    with (progress or Silent()).task("judging", 1, "tables") as advance:
        judged = judge_table(real.train, real.test, rows.train, target, spec)
        advance(1)
    notes = [*real.notes, *rows.notes, *([_UNSEEN] if real.test is None else [])]
    metrics = {
        "rows of": rows.name,
        "against": real.name,
        **judged.as_json(),
        "notes": [*judged.notes, *notes],
        "seconds": round(time.monotonic() - began, 1),
    }
    lines = [*judged.lines(), *notes, f"{metrics['seconds']} s"]
    return ComparedTable(rows.name, real.name, real.train, real.test, rows.train, judged, metrics, lines)
