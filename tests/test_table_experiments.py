"""``reinject reproduce tables``: sets, peers, what is published, and runs that resume."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from reinject.base.errors import ArgumentError, DataError
from reinject.experiments import reproduce as module
from reinject.experiments import table_comparison
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.experiments.reproduce import reproduce
from reinject.experiments.table_peers import METHODS, Method, TableTask
from reinject.experiments.table_sets import TABLE_SETS, Published, TableSet, load_set


def table(n: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n).round(2)
    sex = np.where(rng.random(n) < 0.5, "f", "m")
    rich = np.where(x + (sex == "f") + rng.standard_normal(n) > 0.5, ">50K", "<=50K")
    return pa.table({"x": x, "hours": rng.integers(20, 60, n), "sex": sex, "rich": rich})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data/tables/small").mkdir(parents=True)
    for seed, part in enumerate(("train", "test")):
        csv.write_csv(table(200, seed), tmp_path / f"data/tables/small/{part}.csv")
    return tmp_path


def broken(_: TableTask) -> pa.Table:
    raise AttributeError("module 'numpy' has no attribute 'in1d'")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> dict[str, Method]:
    """One small set, one control, a peer that nobody has, and one that fails."""
    sets = {"small": TableSet("rich", published={"TabSyn": Published(0.91, 0.79)})}
    methods = {
        "independent columns": METHODS["independent columns"],
        "absent": Method(lambda _: pytest.fail("is not installed"), "no_such_library"),
        "broken": Method(broken, "json"),
    }
    for place in (module, table_comparison):
        monkeypatch.setattr(place, "TABLE_SETS", sets)
    monkeypatch.setattr("reinject.experiments.table_page.TABLE_SETS", sets)
    monkeypatch.setattr(table_comparison, "METHODS", methods)
    return methods


@pytest.mark.parametrize(
    "name",
    [name for name, one in METHODS.items() if one.installed and one.library in ("", "imblearn") and name != "ours"],
)
def test_peers_keep_columns_and_repeat(name: str) -> None:
    task = TableTask(table(200, 0), "rich", (), 150, 3)
    found, again = (METHODS[name].make(task) for _ in range(2))
    assert found.schema.equals(task.train.schema)
    assert len(found) == 150
    assert found.equals(again)
    assert set(found["sex"].to_pylist()) == {"f", "m"}
    share = np.mean(np.array(found["rich"].to_pylist()) == ">50K")
    assert share == pytest.approx(np.mean(np.array(task.train["rich"].to_pylist()) == ">50K"), abs=0.2)


def test_a_comparison_resumes_and_says_what_is_published(
    folder: Path, quick: dict[str, Method], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, out, made = ExperimentSpec(seeds=2), folder / "out", quick["independent columns"]
    calls: list[int] = []

    def counted(task: TableTask) -> pa.Table:
        calls.append(task.rows)
        return made.make(task)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    quick["independent columns"] = Method(counted)
    judged = table_comparison.judge_table
    monkeypatch.setattr(table_comparison, "judge_table", killed)
    with pytest.raises(KeyboardInterrupt):
        reproduce(["tables"], out, spec=spec, data_dir=str(folder / "data"))
    monkeypatch.setattr(table_comparison, "judge_table", judged)
    done = reproduce(["tables"], out, spec=spec, data_dir=str(folder / "data"))
    assert calls == [200, 200, 100]  # the rows of the killed run are judged, not made again
    again = reproduce(["tables"], out, spec=spec, data_dir=str(folder / "data"))
    assert len(calls) == 3
    assert again.result == done.result
    found = done.result["small"]
    assert found["left out"]["absent"] == "not installed"
    assert "has no attribute 'in1d'" in found["left out"]["broken"]
    numbers = found["methods"]["independent columns"]["numbers"]
    assert len(numbers["AUC, boosting"]["values"]) == 2
    assert numbers["AUC, boosting"]["mean"] < 0.65 < found["real"]["AUC, boosting"]["mean"]
    page = (out / "results.md").read_text()
    assert "| TabSyn (published) | 0.910 | 0.79 | | |" in page
    assert "Left out: absent (not installed); broken (fails: AttributeError: module" in page
    assert {line.count("|") for line in page.splitlines() if line.startswith("|")} == {6}
    assert not list(out.rglob("*.parquet"))
    monkeypatch.setattr(table_comparison, "engine", lambda: "another")
    with pytest.raises(DataError, match="was made otherwise: engine"):
        reproduce(["tables"], out, spec=spec, data_dir=str(folder / "data"))


def test_sets_are_looked_for_where_they_are(folder: Path) -> None:
    with pytest.raises(DataError, match=r"adult: .*tables/adult have no train\.csv"):
        load_set("adult", str(folder / "data"))
    (folder / "data/tables/small/test.csv").write_text("x,hours\n1,2\n")
    with pytest.raises(DataError, match="small: cannot be read"):
        load_set("small", str(folder / "data"))
    with pytest.raises(ArgumentError, match="'mars' is not known"):
        reproduce(["tables"], folder / "out", only=["mars"])
    assert all(one.published for one in TABLE_SETS.values())
