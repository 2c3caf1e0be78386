"""Make one page about an archive of table rows: ``reinject report``."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from reinject.archive import MANIFEST, Archive, read_manifest
from reinject.archive.request import asked_for, contents, manifest_hash
from reinject.base.errors import ArchiveError, ArgumentError, check_count
from reinject.base.files import place_of
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress
from reinject.report.page_file import make_page
from reinject.report.table_html import write_marginals_page, write_table_page
from reinject.table_evaluation.evaluate_table import compare, some_rows
from reinject.table_evaluation.judge_table import EvaluateTableSpec

_SHOWS = "The page shows {} training rows beside synthetic rows. Do not share it"


def holds_table(folder: Path) -> bool:
    """Return whether a folder is an archive of table rows."""
    return (folder / MANIFEST).is_file() and read_manifest(folder).get("table") is not None


def report_table(
    folder: Path | str,
    out: Path,
    against: Any = None,
    spec: EvaluateTableSpec | None = None,
    *,
    test: Any = None,
    nearest: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Write a page about an archive of table rows: judgements, marginals, pairs of columns.

    Arguments:
        folder: the archive.
        out: HTML file to make.
        against: the real table, as for :func:`reinject.report.table_evaluated.evaluate_table`; None: the page has the
            marginals of the synthetic rows only.
        spec: what to judge; default: ``EvaluateTableSpec()``.
        test: held-out rows, if they were given for training.
        nearest: number of training rows to show beside the synthetic rows nearest to them, >= 0. Such a page holds
            real rows.
        overwrite: replace an earlier page.
        progress: progress reporter.

    Returns:
        The place and the size of the page.

    Raises:
        ArchiveError: the folder is no archive of table rows, or another file is at ``out``.
        ArgumentError: ``nearest`` without ``against``, or a number out of range.
        DataError: the table cannot be read, or the models have seen its held-out rows.

    Example:
        >>> report_table("set", Path("page.html"), nearest=5)
        Traceback (most recent call last):
        ...
        reinject.base.errors.ArgumentError: --nearest: needs real rows. Give --against with the table of the models.
    """
    spec = spec or EvaluateTableSpec()
    check_count("--nearest", "nearest", nearest, 0)
    if nearest and against is None:
        raise ArgumentError("--nearest", "needs real rows", "Give --against with the table of the models")
    if test is not None and against is None:
        raise ArgumentError("--test", "needs the training rows", "Give --against with the table of the models")
    place = place_of(folder)
    if not holds_table(place):
        cure = "Sample from models of reinject train TABLE, or use reinject evaluate for a file of rows"
        raise ArchiveError(str(folder), "is no archive of table rows", cure)
    real = [one for one in (against, test) if one is not None]
    files = [contents(one) for one in real if isinstance(one, (str, Path))]
    given = {"against": str(against) if files else "", **vars(spec), "nearest": nearest}
    asked = asked_for(given, archive=manifest_hash(place), files=files) if len(files) == len(real) else None

    def write() -> None:
        if against is None:
            archive = Archive.open(folder)
            write_marginals_page(out, archive.folder.name, some_rows(archive, spec.seed), archive.rows)
        else:
            found = compare(folder, against, spec, test=test, progress=progress)
            write_table_page(out, found, nearest, spec)

    outcome = make_page(out, asked, write, overwrite)
    return replace(outcome, lines=[*outcome.lines, *([_SHOWS.format(nearest)] if nearest else [])])
