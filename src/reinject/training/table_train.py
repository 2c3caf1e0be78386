"""Train the autoencoder of a table into a folder of models: ``reinject train people.csv --target income``."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from reinject.archive.request import asked_for, contents, earlier, note
from reinject.base.devices import make_fabric
from reinject.base.errors import ArgumentError, ModelError, cure_of
from reinject.base.files import read_json, write_json
from reinject.base.outcome import Outcome, command_line
from reinject.base.progress import Progress, Silent
from reinject.base.staging import begin, check_free, partial_of, publish
from reinject.data.column_files import COLUMNS, edited, shown, write_columns
from reinject.data.table_columns import Column, columns_of, describe
from reinject.data.table_constraints import Constraints
from reinject.data.table_encoder import TableEncoder
from reinject.data.table_parts import TableParts, load_table
from reinject.models.table_model import TableModel
from reinject.training.plans import Remember
from reinject.training.table_fit import TableSpec, fit_table

MARKER = "autoencoder/config.json"  # of a folder that may be replaced


@dataclass(frozen=True)
class TableSource:
    """Say which table to train on, and what its columns hold.

    Attributes:
        table: a CSV or Parquet file, a folder with one or with a training and a test file, a pandas or polars data
            frame, or an Arrow table.
        target: name of the column to predict; None: no column.
        test: held-out rows; default: those of the folder, or a part of the rows.
        categorical: names of columns that are categories whatever they hold.
        drop: names of columns to leave out.
        columns: a columns.json of a model folder with edited kinds; default: the kinds that are found.
        remember: what to remember of old models; None: nothing.
    """

    table: Any
    target: str | None = None
    test: Any = None
    categorical: Sequence[str] = ()
    drop: Sequence[str] = ()
    columns: Path | None = None
    remember: Remember | None = None

    @property
    def name(self) -> str:
        """Return the text that names the table in a command."""
        return str(self.table) if isinstance(self.table, (str, Path)) else "a data frame"

    def load(self, split_seed: int) -> TableParts:
        """Read the table in two parts, see :func:`reinject.data.table_parts.load_table`."""
        return load_table(
            self.table,
            target=self.target,
            test=self.test,
            drop=self.drop,
            categorical=self.categorical,
            split_seed=split_seed,
        )


@dataclass(frozen=True)
class PreparedTable:
    """Hold a table that is ready for its training.

    Attributes:
        source: where it comes from, and its target.
        parts: training rows and held-out rows.
        columns: kinds of its columns.
        constraints: what holds between them.
    """

    source: TableSource
    parts: TableParts
    columns: tuple[Column, ...]
    constraints: Constraints


def train_table(
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
    """Train the autoencoder of a table into ``out/autoencoder``. Resume an interrupted run.

    The progress reporter shows how the file was read, and the kinds of all columns. ``out/columns.json`` holds the
    kinds, for changes.

    Arguments:
        source: the table, its target and its columns.
        out: folder to make.
        spec: size of the network, length of the training; default: ``TableSpec()``.
        seed: seed of all randomness, >= 0.
        split_seed: seed that splits a table without a test part, >= 0.
        device: cpu, cuda, mps, or auto.
        overwrite: replace an existing folder.
        progress: progress reporter.

    Returns:
        Loss, seconds, kinds of the columns, the split.

    Raises:
        ArgumentError: the source remembers old models.
        DataError: the table cannot be read, a column cannot be synthesised, or the target is unusable.
        ArchiveError: ``out`` is not empty.
        ModelError: the loss becomes non-finite.
    """
    if source.remember is not None:
        cure = "Call reinject.continual.train_table_remembering"
        raise ArgumentError("train_table", "its source remembers old models", cure)
    progress, spec = progress or Silent(), spec or TableSpec()
    asked = request_of(source, spec, seed=seed, split_seed=split_seed)
    made = None if overwrite else earlier_of(source, out, asked)
    if made is not None:
        return made
    check_free(out, MARKER, overwrite)
    parts = source.load(split_seed)
    for line in parts.notes:
        progress.say(line)
    columns, constraints = columns_in(source, parts)
    for line in shown(columns):
        progress.say(line)
    _check_columns(source, parts, columns)
    table = PreparedTable(source, parts, columns, constraints)
    return train_table_on(table, out, spec, seed=seed, device=device, asked=asked, progress=progress)


def request_of(source: TableSource, spec: TableSpec, **more: Any) -> dict[str, Any]:
    """Return the request of a training as JSON values: the source, contents of files, the spec, and further values."""
    files = [contents(one) for one in (source.table, source.test, source.columns) if isinstance(one, (str, Path))]
    given = {**vars(source), "table": source.name, "test": source.test is not None, "spec": asdict(spec)}
    remember = given.pop("remember")  # absent without old models, so that folders of older versions are recognised
    if remember is not None:
        given["remember"] = replace(remember, models="", found={})  # old models count by their hashes
    return asked_for(given, **more, files=files)


def earlier_of(source: TableSource, out: Path, asked: Mapping[str, Any]) -> Outcome | None:
    """Return the outcome of ``out`` if the same request made it; a data frame has no contents to compare."""
    return None if source.name == "a data frame" else earlier(out, asked)


def columns_in(source: TableSource, parts: TableParts) -> tuple[tuple[Column, ...], Constraints]:
    """Find the columns to synthesise, and what holds between them; refuse none for its kind."""
    table = parts.train
    categorical = [name for name in source.categorical if name not in source.drop]
    found = tuple(
        replace(one, kind="counter") if one.name in parts.counters else one
        for one in describe(table, categorical=categorical)
    )
    return (found, Constraints()) if source.columns is None else edited(source.columns, found, table.schema)


def _check_columns(source: TableSource, parts: TableParts, columns: Sequence[Column]) -> None:
    categorical = [name for name in source.categorical if name not in source.drop]
    plain = [*categorical, *parts.counters] if source.columns is None else [column.name for column in columns]
    left = parts.train.select([column.name for column in columns])  # the encoder refuses edited identifiers
    columns_of(left, target=source.target, categorical=plain)


def train_table_on(
    prepared: PreparedTable,
    out: Path,
    spec: TableSpec,
    *,
    seed: int,
    device: str,
    asked: Mapping[str, Any],
    progress: Progress,
) -> Outcome:
    """Train as :func:`train_table` does, on a prepared table; record the request."""
    source, parts, columns = prepared.source, prepared.parts, prepared.columns
    table = TableModel(TableEncoder.fit(parts.train, columns, prepared.constraints), source.target)
    partial = partial_of(out)
    begin(partial, {**asked, "split": parts.split.as_json()})
    report = _trained(partial, prepared, table, spec, seed, device, progress)
    write_columns(partial, columns, prepared.constraints)
    result = {
        "models": str(out),
        "dataset": source.name,
        "target": source.target,
        "seed": seed,
        "split": parts.split.as_json(),
        "columns": {column.name: column.kind for column in columns},
        "autoencoder": report,
    }
    loss = "" if report["validation_loss"] is None else f", validation loss {report['validation_loss']:.4f}"
    lines = [
        f"trained on {len(parts.train):,} rows of {len(columns)} columns; {len(parts.test):,} rows are held out",
        f"autoencoder: {report['steps']:,} steps, {report['seconds']} s{loss}",
    ]
    if source.remember is not None:
        lines += source.remember.lines
        result["remembered"] = dict(source.remember.found)
    lines += [
        f"Models are in {out}; {COLUMNS} there has the kinds of the columns, for --columns",
        "Next: " + command_line("sample", out, out="SYNTHETIC"),
    ]
    outcome = Outcome(result, lines)
    note(partial, asked, outcome)
    publish(partial, out)
    return outcome


def _trained(
    partial: Path,
    prepared: PreparedTable,
    table: TableModel,
    spec: TableSpec,
    seed: int,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Train the autoencoder into the unfinished folder; return its report."""
    parts, remember = prepared.parts, prepared.source.remember
    folder, temporary = partial / "autoencoder", partial / "autoencoder.writing"
    checkpoint = partial / "autoencoder.checkpoint"
    if folder.is_dir():  # an earlier run was killed after its training
        return dict(read_json(folder / "training.json", ModelError)["result"])
    steps = spec.recipe(len(parts.train)).steps(len(parts.train))
    began = time.monotonic()
    with progress.task("training the autoencoder", steps, "steps") as advance:
        done = 0

        def on_steps(step: int, _: float) -> None:
            nonlocal done
            advance(step - done)
            done = step

        fabric = make_fabric(device)
        network, curve = fit_table(
            table.encoder, parts.train, spec, seed=seed, fabric=fabric, checkpoint=checkpoint, on_steps=on_steps
        )
    best = min((entry["validation"] for entry in curve if "validation" in entry), default=None)
    report = {"steps": steps, "validation_loss": best, "seconds": round(time.monotonic() - began, 1)}
    if temporary.exists():
        shutil.rmtree(temporary)
    try:
        network.cpu().save_pretrained(temporary)
        table.save(temporary)
    except SafetensorError as error:  # safetensors' error for a full or faulty disk
        cure = f"{cure_of(error)}, then run the same command again"
        raise ModelError(str(temporary), f"cannot be written ({error})", cure) from error
    plan = asdict(spec) if remember is None else {**asdict(spec), "remember": asdict(remember)}
    write_json(temporary / "training.json", {"result": report, "plan": plan, "loss_curve": curve})
    parts.split.save(temporary)
    temporary.rename(folder)
    checkpoint.unlink(missing_ok=True)
    return report
