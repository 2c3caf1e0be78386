"""Judge an archive of table rows against its real table; write numbers, figures and a page."""

from pathlib import Path
from typing import Any

from reinject.archive.request import asked_for, contents, earlier, manifest_hash, note
from reinject.base.files import place_of, write_json
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress
from reinject.base.staging import begin, check_free, partial_of, publish
from reinject.report.table_html import write_table_page
from reinject.table_evaluation.evaluate_table import compare
from reinject.table_evaluation.judge_table import EvaluateTableSpec

METRICS = "metrics.json"


def evaluate_table(
    folder: Path | str,
    against: Any,
    spec: EvaluateTableSpec | None = None,
    *,
    test: Any = None,
    split_seed: int = 0,
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
        spec: what to judge; default: ``EvaluateTableSpec()``.
        test: held-out rows, if they were given for training.
        split_seed: seed of the split of a table without a test part; that of the models.
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
    tables = [one for one in (against, test) if one is not None]
    files = [contents(one) for one in tables if isinstance(one, (str, Path))]
    named = str(against) if isinstance(against, (str, Path)) else ""
    given = {"against": named, **vars(spec), "split_seed": split_seed}
    asked = asked_for(given, archive=manifest_hash(place_of(folder)), files=files)
    if out is not None:
        made = None if overwrite or len(files) < len(tables) else earlier(out, asked)
        if made is not None:
            return made
        check_free(out, METRICS, overwrite)
    found = compare(folder, against, spec, test=test, split_seed=split_seed, progress=progress)
    outcome = Outcome(found.metrics, found.lines)
    if out is not None:
        partial = partial_of(out)
        begin(partial, asked)
        write_json(partial / METRICS, found.metrics)
        write_table_page(partial / "report.html", found)
        note(partial, asked, outcome)
        publish(partial, out)
    return outcome
