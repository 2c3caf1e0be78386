"""Evaluate the rows of any tool, in a file or a data frame, against the real table that the tool learned from."""

import time
from pathlib import Path
from typing import Any

from reinject.archive.request import asked_for, contents, earlier, note
from reinject.base.files import write_json
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent
from reinject.base.staging import begin, check_free, partial_of, publish
from reinject.data.table_files import read_table
from reinject.table_evaluation.judge_table import EvaluateTableSpec, judge_table

METRICS = "metrics.json"
_UNSEEN = "Give --test with rows that the tool did not see: they judge learners, closest records and attacks"


def evaluate_rows(
    synthetic: Any,
    against: Any,
    target: str | None = None,
    spec: EvaluateTableSpec | None = None,
    *,
    test: Any = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Judge the rows of any tool: learners, columns and pairs, recall, closest records, attacks.

    The real table is what the tool learned from, and it is not split: a part of it is no held-out part. Without
    held-out rows, judgements that need them are left out, and a note says so.

    Arguments:
        synthetic: synthetic rows: a CSV or Parquet file, a data frame, or an Arrow table.
        against: real rows that the tool learned from, in the same forms, or a folder with train and test files.
        target: column that learners predict; None: utility is left out.
        spec: what to judge; default: ``EvaluateTableSpec()``.
        test: real rows that the tool did not see; default: the test file of the folder.
        out: folder for metrics.json; default: no folder. A repeated call on files returns the earlier result.
        overwrite: replace an earlier evaluation at ``out``.
        progress: progress reporter.

    Returns:
        Verdict, judgements beside real rows and controls, notes.

    Raises:
        DataError: a table cannot be read, or columns differ in type.
        ArgumentError: no such target.
    """
    spec, progress = spec or EvaluateTableSpec(), progress or Silent()
    given = {
        name: str(one) for name, one in (("against", against), ("rows", synthetic)) if isinstance(one, (str, Path))
    }
    tables = [one for one in (synthetic, against, test) if one is not None]
    files = [contents(one) for one in tables if isinstance(one, (str, Path))]
    asked = asked_for({**given, "target": target, **vars(spec)}, files=files)
    if out is not None:
        made = None if overwrite or len(files) < len(tables) else earlier(out, asked)
        if made is not None:
            return made
        check_free(out, METRICS, overwrite)
    began = time.monotonic()
    real = read_table(against, test=test, categorical=spec.categorical)
    rows = read_table(synthetic, categorical=spec.categorical)
    with progress.task("judging", 1, "tables") as advance:
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
    outcome = Outcome(metrics, [*judged.lines(), *notes, f"{metrics['seconds']} s"])
    if out is not None:
        partial = partial_of(out)
        begin(partial, asked)
        write_json(partial / METRICS, metrics)
        note(partial, asked, outcome)
        publish(partial, out)
    return outcome
