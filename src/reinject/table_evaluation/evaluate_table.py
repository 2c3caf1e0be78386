"""Evaluate an archive of table rows against the table that its models come from."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reinject.archive import Archive
from reinject.archive.reading import made_from
from reinject.archive.table_schema import TableSchema
from reinject.base.errors import ArchiveError
from reinject.base.progress import Progress, Silent
from reinject.data.splits import check_unseen, unknown
from reinject.data.table_parts import TableParts, load_table
from reinject.evaluation.findings import worst_first
from reinject.evaluation.standing import verdict_of
from reinject.table_evaluation.judge_table import EvaluateTableSpec, JudgedTable, judge_table

MOST = 300_000  # synthetic rows that are read


@dataclass(frozen=True)
class ComparedTable:
    """Hold the comparison of synthetic rows with the real table.

    Attributes:
        name: of the synthetic rows.
        against: name of the real table.
        train: real rows that the tool learned from.
        held_out: other real rows; None: there are none.
        synthetic: the judged rows.
        judged: the judgements; the verdict on an archive's walks is among the findings.
        metrics: all results as JSON values.
        lines: of text.
    """

    name: str
    against: str
    train: pa.Table
    held_out: pa.Table | None
    synthetic: pa.Table
    judged: JudgedTable
    metrics: dict[str, Any]
    lines: list[str]


def compare(
    folder: Path | str,
    against: Any,
    spec: EvaluateTableSpec | None = None,
    *,
    test: Any = None,
    progress: Progress | None = None,
) -> ComparedTable:
    """Judge an archive of table rows as :func:`reinject.report.table_evaluated.evaluate_table` does; write nothing."""
    spec, began = spec or EvaluateTableSpec(), time.monotonic()
    archive = Archive.open(folder)
    table = archive.table
    if table is None:
        raise ArchiveError(str(folder), "holds images or vectors", "Give an archive of the rows of a table")
    parts = real_parts(table, against, test, spec.split_seed)
    notes = check_parts(archive, parts)
    counters = [one["name"] for one in table.columns if one.get("kind") == "counter"]
    notes += [f"counters are not judged: {', '.join(counters)}"] if counters else []
    train, held_out, synthetic = (
        one.drop_columns(counters) for one in (parts.train, parts.test, some_rows(archive, spec.seed))
    )
    with (progress or Silent()).task("judging", 1, "tables") as advance:
        judged = judge_table(train, held_out, synthetic, table.target, spec)
        judged = replace(judged, findings=worst_first(verdict_of(archive), judged.findings))
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
    lines = [*judged.lines(), *notes, f"{metrics['seconds']} s"]
    return ComparedTable(archive.folder.name, parts.name, train, held_out, synthetic, judged, metrics, lines)


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
