"""Judge table rows against their real table; write numbers and a page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reinject.archive.request import asked_for, contents, earlier, manifest_hash, note
from reinject.base.files import place_of, write_json
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress
from reinject.base.staging import begin, check_free, partial_of, publish
from reinject.report.table_html import write_table_page
from reinject.table_evaluation.compare_rows import compare_rows
from reinject.table_evaluation.evaluate_table import ComparedTable, compare
from reinject.table_evaluation.judge_table import EvaluateTableSpec

METRICS = "metrics.json"


def evaluate_table(
    folder: Path | str,
    against: Any,
    spec: EvaluateTableSpec | None = None,
    *,
    test: Any = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Judge an archive of table rows: learners, columns and pairs, recall, closest records, attacks.

    The real table is split as for training, and the fingerprint of the split is compared: rows that the models have
    seen are no held-out rows.

    Arguments:
        folder: the archive.
        against: the real table, as for ``reinject train``: a file, a folder, or a data frame.
        spec: what to judge; default: ``EvaluateTableSpec()``. Its ``split_seed`` is that of the models.
        test: held-out rows, if they were given for training.
        out: folder for metrics.json and report.html; default: no folder. A repeated call on files returns the earlier
            result.
        overwrite: replace an earlier evaluation at ``out``.
        progress: progress reporter.

    Returns:
        Verdict, judgements beside real rows and controls, notes.

    Raises:
        ArchiveError: the folder is no archive of table rows.
        DataError: the table cannot be read, or the models have seen its held-out rows.
    """
    spec = spec or EvaluateTableSpec()
    given = {"against": str(against) if isinstance(against, (str, Path)) else "", **vars(spec)}
    more = {"archive": manifest_hash(place_of(folder))}

    def make() -> ComparedTable:
        return compare(folder, against, spec, test=test, progress=progress)

    return _evaluated(out, overwrite, [against, test], {**given, **more}, make)


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
        out: folder for metrics.json and report.html; default: no folder. A repeated call on files returns the earlier
            result.
        overwrite: replace an earlier evaluation at ``out``.
        progress: progress reporter.

    Returns:
        Verdict, judgements beside real rows and controls, notes.

    Raises:
        DataError: a table cannot be read, or columns differ in type.
        ArgumentError: no such target.
    """
    spec = spec or EvaluateTableSpec()
    named = (("against", against), ("rows", synthetic))
    given = {name: str(one) for name, one in named if isinstance(one, (str, Path))}

    def make() -> ComparedTable:
        return compare_rows(synthetic, against, target, spec, test=test, progress=progress)

    asked = {**given, "target": target, **vars(spec)}
    return _evaluated(out, overwrite, [synthetic, against, test], asked, make)


def _evaluated(
    out: Path | None, overwrite: bool, tables: list[Any], given: dict[str, Any], make: Callable[[], ComparedTable]
) -> Outcome:
    """Compare, and write the folder; return the earlier result of the same files."""
    tables = [one for one in tables if one is not None]
    files = [contents(one) for one in tables if isinstance(one, (str, Path))]
    asked = asked_for(given, files=files)
    if out is not None:
        made = None if overwrite or len(files) < len(tables) else earlier(out, asked)
        if made is not None:
            return made
        check_free(out, METRICS, overwrite)
    found = make()
    outcome = Outcome(found.metrics, found.lines)
    if out is not None:
        partial = partial_of(out)
        begin(partial, asked)
        write_json(partial / METRICS, found.metrics)
        write_table_page(partial / "report.html", found)
        note(partial, asked, outcome)
        publish(partial, out)
    return outcome
