"""Evaluate an archive of table rows against the table that its models come from."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reinject.archive import Archive
from reinject.archive.reading import made_from
from reinject.archive.request import asked_for, contents, earlier, manifest_hash, note
from reinject.archive.table_schema import TableSchema
from reinject.base.errors import ArchiveError
from reinject.base.files import place_of, write_json
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent
from reinject.base.staging import begin, check_free, partial_of, publish
from reinject.data.splits import check_unseen, unknown
from reinject.data.table_parts import TableParts, load_table
from reinject.table_evaluation.judge_table import JudgedTable, TableSpec, judge_table

METRICS = "metrics.json"
MOST = 300_000  # synthetic rows that are read


def evaluate_table(
    folder: Path | str,
    against: Any,
    spec: TableSpec | None = None,
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
        spec: what to judge; default: ``TableSpec()``.
        test: held-out rows, if they were given for training.
        split_seed: seed of the split of a table without a test part; that of the models.
        out: folder for metrics.json; default: no folder.
        overwrite: replace an earlier evaluation at ``out``.
        progress: progress reporter.

    Returns:
        Verdict, judgements beside real rows and controls, notes.

    Raises:
        ArchiveError: the folder is no archive of table rows.
        DataError: the table cannot be read, or the models have seen its held-out rows.
    """
    spec, progress = spec or TableSpec(), progress or Silent()
    texts = [one for one in (against, test) if isinstance(one, (str, Path))]
    given = {"against": str(against) if against in texts else "", **vars(spec), "split_seed": split_seed}
    asked = asked_for(given, archive=manifest_hash(place_of(folder)), files=[contents(one) for one in texts])
    if out is not None:
        made = None if overwrite else earlier(out, asked)
        if made is not None:
            return made
        check_free(out, METRICS, overwrite)
    began = time.monotonic()
    archive = Archive.open(folder)
    table = archive.table
    if table is None:
        raise ArchiveError(str(folder), "holds images or vectors", "Give an archive of the rows of a table")
    parts = real_parts(table, against, test, split_seed)
    notes = check_parts(archive, parts)
    counters = [one["name"] for one in table.columns if one.get("kind") == "counter"]
    notes += [f"counters are not judged: {', '.join(counters)}"] if counters else []
    train, held_out, synthetic = (
        one.drop_columns(counters) for one in (parts.train, parts.test, some_rows(archive, spec.seed))
    )
    with progress.task("judging", 1, "tables") as advance:
        judged = judge_table(train, held_out, synthetic, table.target, spec)
        advance(1)
    metrics = {
        "archive": str(folder),
        "against": parts.name,
        "split": parts.split.as_json(),
        "verdict": archive.manifest.get("verdict"),
        **judged.as_json(),
        "notes": [*judged.notes, *notes],
        "seconds": round(time.monotonic() - began, 1),
    }
    outcome = Outcome(metrics, [*_lines(judged, archive), *notes, f"{metrics['seconds']} s"])
    if out is not None:
        partial = partial_of(out)
        begin(partial, asked)
        write_json(partial / METRICS, metrics)
        note(partial, asked, outcome)
        publish(partial, out)
    return outcome


def real_parts(table: TableSchema, against: Any, test: Any, split_seed: int) -> TableParts:
    """Read the real table as it was read for training: the columns of the archive, split by the target."""
    names, categorical = table.schema.names, [one["name"] for one in table.columns if one.get("kind") == "category"]
    return load_table(
        against, target=table.target, test=test, keep=names, categorical=categorical, split_seed=split_seed
    )


def check_parts(archive: Archive, parts: TableParts) -> list[str]:
    """Raise DataError where held-out rows are rows that the archive's models have seen; return remarks.

    Raises:
        DataError: the archive was made from another split of the table.
    """
    owner, known = f"the autoencoder of {archive.folder}", made_from(archive.manifest)
    remarks = [check_unseen(owner, one, parts.split) for one in known] or [unknown(owner)]
    return list(dict.fromkeys(filter(None, remarks)))


def some_rows(archive: Archive, seed: int, most: int = MOST) -> pa.Table:
    """Return all rows of an archive, or ``most`` of them, drawn at random."""
    if archive.rows <= most:
        return archive.to_arrow()
    wanted = np.sort(np.random.default_rng(seed).permutation(archive.rows)[:most])
    kept, first = [], 0
    for number, shard in enumerate(archive.manifest["shards"]):
        here = wanted[(wanted >= first) & (wanted < first + shard["rows"])] - first
        kept.append(archive.shard(number).take(pa.array(here)))
        first += shard["rows"]
    return pa.concat_tables(kept)


def _lines(judged: JudgedTable, archive: Archive) -> list[str]:
    """Write the worst of both verdicts first: that of the walks, and that of the comparison."""
    found = archive.manifest.get("verdict")
    if found is None or found["level"] == "good":
        return judged.lines()
    return [f"the walks were {found['level']}: {found['reason']}", *judged.lines()]
