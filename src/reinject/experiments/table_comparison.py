"""Compare methods on tables: for each set, method and seed make rows and judge them. Resume from existing results."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reinject.base.errors import ArgumentError, DataError, ModelError, reason
from reinject.base.files import read_json, write_json
from reinject.base.progress import Progress
from reinject.base.staging import PLAN, check_same
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.experiments.table_peers import METHODS, Method, TableTask
from reinject.experiments.table_sets import TABLE_SETS, TableSet, load_set
from reinject.table_evaluation.judge_table import EvaluateTableSpec, JudgedTable, judge_table
from reinject.table_evaluation.table_learners import engine
from reinject.training.learning_curves import Figure

REAL = "real"
_HALF = ("privacy", "attacks")  # judged on a model of one half of the rows, beside the other half


def compare_tables(
    name: str, out: Path, spec: ExperimentSpec, *, data_dir: str | None = None, progress: Progress
) -> dict[str, Any]:
    """Run all installed methods on one set, and return means over seeds.

    Every method makes as many rows as it learns from. Privacy is judged for the first seed, on rows of a method that
    learned from one random half of the training rows. The other half is held out, so both are equally many.

    Arguments:
        name: a key of :data:`reinject.experiments.table_sets.TABLE_SETS`.
        out: folder of the results; complete ones are kept.
        spec: seeds; the number of samples is that of the training rows.
        data_dir: folder of the sets.
        progress: progress reporter.

    Returns:
        Numbers of every method by name, each over seeds; methods that are left out, with the reason.

    Raises:
        DataError: a set is missing, or existing results are of another gradient boosting.
    """
    one = TABLE_SETS[name]
    train, test = load_set(name, data_dir)
    _check_plan(name, out)
    there = {method: how for method, how in METHODS.items() if how.installed}
    failed: dict[str, str] = {}
    with progress.task(f"comparing on {name}", len(there) * (len(spec.all_seeds) + 1), "tables") as advance:
        for method, how in there.items():
            try:
                for seed in spec.all_seeds:
                    _whole(one, how, train, test, out, method, seed)
                    advance(1)
                _half(one, how, train, out, method, spec.seed)
                advance(1)
            except ModelError as error:
                failed[method] = error.problem
    found = {method: _summary(out, method, spec.all_seeds) for method in there if method not in failed}
    return {
        "table": name,
        "rows": len(train),
        "seeds": list(spec.all_seeds),
        "engine": engine(),
        "score": "RMSE" if one.log else "AUC",
        "methods": found,
        "real": _over_seeds([_flat(read_json(out / REAL / f"seed-{seed}.json", DataError)) for seed in spec.all_seeds]),
        "left out": {**{method: "not installed" for method in METHODS if method not in there}, **failed},
    }


def _check_plan(name: str, out: Path) -> None:
    plan = {"table": name, "engine": engine()}
    if (out / PLAN).is_file():
        check_same(out, "made", read_json(out / PLAN, ArgumentError), plan)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / PLAN, plan)


def _whole(one: TableSet, how: Method, train: pa.Table, test: pa.Table, out: Path, method: str, seed: int) -> None:
    """Make rows from all training rows, and judge all but privacy."""
    place = _place(out, method) / f"seed-{seed}.json"
    if place.is_file():
        return
    rows, seconds = _made(one, how, train, place, seed)
    known = out / REAL / f"seed-{seed}.json"
    real = read_json(known, DataError) if known.is_file() else None
    asked = ("utility", "two-sample", "shapes", "recall")
    judged = judge_table(train, test, rows, one.target, _spec(one, asked, seed), real=real)
    if real is None:
        known.parent.mkdir(exist_ok=True)
        write_json(known, {group: dict(numbers) for group, numbers in judged.real.items()})
    _write(place, judged, seconds)


def _half(one: TableSet, how: Method, train: pa.Table, out: Path, method: str, seed: int) -> None:
    """Make rows from one half of the training rows, and judge privacy beside the other half."""
    place = _place(out, method) / f"half-{seed}.json"
    if place.is_file():
        return
    order = np.random.default_rng([seed, 12]).permutation(len(train))
    middle = len(order) // 2
    inside, outside = (train.take(pa.array(part)) for part in (order[:middle], order[middle : 2 * middle]))
    rows, seconds = _made(one, how, inside, place, seed)
    _write(place, judge_table(inside, outside, rows, one.target, _spec(one, _HALF, seed)), seconds)


def _spec(one: TableSet, asked: Sequence[str], seed: int) -> EvaluateTableSpec:
    return EvaluateTableSpec(asked, one.categorical, log=one.log, controls=False, seed=seed)


def _place(out: Path, method: str) -> Path:
    folder = out / method.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _made(one: TableSet, how: Method, train: pa.Table, place: Path, seed: int) -> tuple[pa.Table, float]:
    """Make rows, or read those that an interrupted run made; return them and the seconds that they took."""
    kept = place.with_suffix(".parquet")
    if kept.is_file():
        table = pq.read_table(str(kept))
        return table, float((table.schema.metadata or {}).get(b"seconds", b"nan"))
    began = time.monotonic()
    task = TableTask(train, one.target, one.categorical, len(train), seed)
    made = _asked(how, task)
    table = (made if isinstance(made, pa.Table) else pa.Table.from_pandas(made, preserve_index=False)).select(
        train.column_names
    )
    seconds = round(time.monotonic() - began, 1)
    temporary = kept.with_suffix(".tmp")
    pq.write_table(table.replace_schema_metadata({"seconds": str(seconds)}), temporary)
    temporary.rename(kept)
    return table, seconds


def _asked(how: Method, task: TableTask) -> Any:
    """Ask a method for rows; whatever the library of a peer raises becomes a reason to leave it out."""
    try:
        return how.make(task)
    except Exception as error:
        if not how.library:
            raise
        raise ModelError(how.library, f"fails: {reason(error)}", "Install another version") from error


def _write(place: Path, judged: JudgedTable, seconds: float) -> None:
    write_json(place, {**judged.as_json(), "seconds": seconds})
    place.with_suffix(".parquet").unlink(missing_ok=True)


def _flat(groups: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {name: value for group in groups.values() for name, value in group.items()}


def _summary(out: Path, method: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Collect the values of a method over seeds, and its privacy for the first seed."""
    folder = _place(out, method)
    each = [read_json(folder / f"seed-{seed}.json", DataError) for seed in seeds]
    numbers = [
        {"seconds": one["seconds"], **{j["name"]: j["value"] for group in one["judgements"].values() for j in group}}
        for one in each
    ]
    half = read_json(folder / f"half-{seeds[0]}.json", DataError)
    private = {j["name"]: j for group in half["judgements"].values() for j in group}
    return {"numbers": _over_seeds(numbers), "privacy": private, "findings": each[0]["findings"]}


def _over_seeds(values: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Compute mean, interval and values of each number that all seeds have."""
    names = [name for name in values[0] if all(one.get(name) is not None for one in values)]
    return {name: Figure(tuple(float(one[name]) for one in values)).as_json() for name in names}
