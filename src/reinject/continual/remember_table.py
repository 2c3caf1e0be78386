"""Train models of a table that remember the rows of old models: ``reinject train NEW.csv --remember OLD_MODELS``."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reinject.archive import Archive
from reinject.archive.request import contents
from reinject.base.errors import ArgumentError, DataError, ModelError
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent
from reinject.base.staging import check_free
from reinject.continual.remember import REHEARSAL, generation_of, splits_behind
from reinject.data.column_files import shown
from reinject.data.rehearsed import RehearsedTable
from reinject.data.splits import joined
from reinject.data.table_columns import Column, columns_of
from reinject.data.table_files import read_table
from reinject.data.table_parts import TableParts, row_hashes
from reinject.data.table_union import check_holds, united, united_constraints, united_kinds, with_columns, with_kinds
from reinject.models.loading import Models, load_models
from reinject.models.table_model import TableModel
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec, Writing
from reinject.sampling.table_sampling import TABLE_BLOCK
from reinject.training.plans import Remember
from reinject.training.table_fit import TableSpec
from reinject.training.table_train import (
    MARKER,
    PreparedTable,
    TableSource,
    columns_in,
    earlier_of,
    request_of,
    train_table_on,
)
from reinject.walks.verdict import Verdict


def train_table_remembering(
    source: TableSource,
    out: Path,
    spec: TableSpec | None = None,
    *,
    seed: int = 0,
    split_seed: int = 0,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Train on a table and on the rows that the old models of ``source.remember`` remember. Resume as ``train_table``.

    The old models are sampled for as many rows as they were trained on, or ``source.remember.rows``. These rows, the
    new ones and those of the buffer are one table, to which encoder and autoencoder are fitted. Columns must agree by
    name and kind; categories and constraints of all tables unite. No old data is read.

    Arguments:
        source: the new table, and what to remember; its target is the old one unless it states another.
        out, spec, seed, split_seed, device, overwrite, progress: see
            :func:`reinject.training.table_train.train_table`.

    Returns:
        What ``train_table`` returns, and what was remembered.

    Raises:
        ArgumentError: a source without old models.
        ModelError: the old models are not of a table.
        DataError: a column is missing or of another kind, or rows contradict a constraint.
        ReinjectError: as for ``train_table``.
    """
    if source.remember is None:
        cure = "Give TableSource(..., remember=...)"
        raise ArgumentError("train_table_remembering", "the source remembers nothing", cure)
    progress, spec = progress or Silent(), spec or TableSpec()
    old = OldTable.load(source.remember.models, device, source.name)
    kept = contents(source.remember.buffer or None)
    asked = request_of(source, spec, seed=seed, split_seed=split_seed, old=old.hashes, buffer=kept)
    rehearsal = out.with_name(out.name + REHEARSAL)
    made = None if overwrite else earlier_of(source, out, asked)
    if made is not None:
        shutil.rmtree(rehearsal, ignore_errors=True)  # of a run that was killed after its last step
        return made
    check_free(out, MARKER, overwrite)
    source = replace(source, target=source.target or old.table.target)
    parts = source.load(split_seed)
    for line in parts.notes:
        progress.say(line)
    try:
        prepared = rehearsed(source, parts, old, rehearsal, seed, Writing(overwrite=overwrite, progress=progress))
    except DataError:  # the user will change the request
        shutil.rmtree(rehearsal, ignore_errors=True)
        raise
    for line in shown(prepared.columns):
        progress.say(line)
    outcome = train_table_on(prepared, out, spec, seed=seed, device=device, asked=asked, progress=progress)
    shutil.rmtree(rehearsal)
    return outcome


@dataclass(frozen=True)
class OldTable:
    """Hold the old models of a table.

    Attributes:
        name: of the models, for messages.
        models: the autoencoder.
        table: its encoder and its target.
    """

    name: str
    models: Models
    table: TableModel

    @classmethod
    def load(cls, folder: str, device: str, new: str) -> "OldTable":
        """Load the models in a folder; raise ModelError, which names the new table, for models of no table."""
        models = load_models([Path(folder)], device, labelled=False)
        if models.table is None:
            problem = f"samples images or vectors, and {new} is a table"
            raise ModelError(folder, problem, "Give models of a table, or data of their kind")
        return cls(f"the models in {folder}", models, models.table)

    @property
    def hashes(self) -> dict[str, str]:
        """Return the hashes of the network and the encoder."""
        return {"autoencoder": self.models.autoencoders[0].sha256, "encoder": self.table.sha256}


def rehearsed(
    source: TableSource, parts: TableParts, old: OldTable, folder: Path, seed: int, writing: Writing
) -> PreparedTable:
    """Sample the old models into an archive, and mix its rows with those of a table and of the buffer.

    Arguments:
        source: where the table comes from, and what to remember.
        parts: the new table.
        old: the old models.
        folder: where the archive is; a complete one of the same request is read.
        seed: seed of the sampled rows.
        writing: how to treat an earlier archive; progress reporter.
    """
    remember, encoder = source.remember, old.table.encoder
    assert remember is not None
    found, stated = columns_in(source, parts)
    new = with_columns(parts.train.select([one.name for one in found]), encoder.decoded.names, parts.name, old.name)
    empty = encoder.decoded.empty_table()
    buffer = _buffer(source, remember, encoder.decoded.names, old.name)
    given = {old.name: empty, parts.name: new} | ({} if buffer is None else {remember.buffer: buffer})
    sure = {*source.categorical, *(one.name for one in found if source.columns is not None)}
    united(given)  # refuse columns of other types before the walks
    constraints = united_constraints(encoder.constraints, stated)
    kinds = united_kinds(encoder.described, found, sure, (parts.name, old.name))
    for owner, table in list(given.items())[1:]:
        check_holds(constraints, table, owner)
    archive = _sampled(old, folder, remember.rows or old.table.training_rows or len(new), seed, writing)
    tables = united({**given, old.name: archive.to_arrow()})
    if constraints != encoder.constraints:
        check_holds(constraints, tables[0], old.name)
    both = _counted(pa.concat_tables(tables), encoder.described)
    columns = with_kinds(both, kinds)
    columns_of(both, target=source.target, categorical=both.column_names)  # refuses an unusable target
    facts = _facts(old, archive, seed)
    if buffer is not None:
        facts["buffer"] = {"rows": len(buffer), "fingerprint": joined(row_hashes(buffer))}
    source = replace(source, remember=replace(remember, found=facts))
    whole = RehearsedTable(parts.name, both, parts.test, parts.split_seed, real=parts.split)
    return PreparedTable(source, whole, columns, constraints)


def _buffer(source: TableSource, remember: Remember, names: Sequence[str], old: str) -> pa.Table | None:
    """Read all rows of the buffer, which has no test part of its own."""
    if not remember.buffer:
        return None
    there = read_table(remember.buffer)
    left = [name for name in there.train.column_names if name not in source.drop]
    rows = [there.train, *([] if there.test is None else [there.test])]
    return with_columns(pa.concat_tables(rows).select(left), names, remember.buffer, old)


def _sampled(old: OldTable, folder: Path, rows: int, seed: int, writing: Writing) -> Archive:
    spec = SampleSpec(rows=rows, block_size=TABLE_BLOCK)
    sample_models(old.models, folder, spec, seed=seed, writing=writing)
    archive = Archive.open(folder)
    verdict = Verdict(**archive.manifest["verdict"])
    if verdict.level == "broken":
        writing.progress.say(f"warning: what {old.name} remember is broken: {verdict.reason}")
    return archive


def _facts(old: OldTable, archive: Archive, seed: int) -> dict[str, Any]:
    """Return facts for ``training.json``."""
    return {
        "models": old.hashes,
        "columns": list(old.table.encoder.decoded.names),
        "rows": archive.rows,
        "seed": seed,
        "generation": 1 + generation_of(old.models),
        "verdict": archive.manifest["verdict"],
        "splits": splits_behind(old.models),
        "settings": archive.manifest["parameters"]["settings"],
    }


def _counted(table: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Return a table whose counters count all of its rows, because the tables count theirs each."""
    for one in columns:
        if one.kind == "counter":
            at, item = table.column_names.index(one.name), table.schema.field(one.name)
            first = table.column(at)[0].as_py()
            table = table.set_column(at, item, pa.array(np.arange(first, first + len(table))).cast(item.type))
    return table
