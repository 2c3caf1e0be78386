"""Training on a table that remembers old models: rows, columns, what is written down, resuming, bad input."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import csv as arrow_csv

from making_tables import mixed, table_models
from reinject.archive import Archive
from reinject.base.errors import ArchiveError, DataError, ReinjectError
from reinject.continual import Remember, remember_table, train_table_remembering
from reinject.data import table_files
from reinject.data.splits import split_of
from reinject.data.table_constraints import Constraints
from reinject.models.bundle import load
from reinject.models.loading import Models, load_models
from reinject.networks import Inputs, MLPDenoiser
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.table_evaluation.evaluate_table import check_parts
from reinject.tables import TableSpec, fit
from reinject.training import table_train
from reinject.training.table_train import TableSource, train_table
from test_cli import run

SMALL = TableSpec(width=8, depth=1, steps=3)
LEARNS = TableSpec(width=64, depth=2, steps=900, batch=256, lr=5e-3, given=0.0)


def domain(site: str, x: float, rows: int, seed: int = 0) -> pa.Table:
    """Rows of one domain: its sites, one of which both have, and numbers near x."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "site": rng.choice([site, "both"], rows),
            "x": np.round(rng.normal(x, 1, rows), 3),
            "label": rng.choice(["no", "yes"], rows),
        }
    )


OLD, NEW = domain("old", 0, 900), domain("new", 10, 300, 1)


def source(table: Any = NEW, **more: Any) -> TableSource:
    values = {name: more.pop(name) for name in ("rows", "buffer") if name in more}
    return TableSource(table, remember=Remember("old", **values), **more)


def remembering(table: Any = NEW, out: str = "out", spec: TableSpec = SMALL, seed: int = 0, **more: Any) -> Any:
    return train_table_remembering(source(table, **more), Path(out), spec, seed=seed)


def told(folder: str) -> dict[str, Any]:
    return dict(json.loads((Path(folder) / "autoencoder/training.json").read_text())["plan"]["remember"]["found"])


def sampled(folder: str, rows: int) -> pa.Table:
    sample_models(load_models([Path(folder)]), Path(f"{folder}-set"), SampleSpec(rows=rows))
    return Archive.open(Path(f"{folder}-set")).to_arrow()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with old models, which are independent columns, and with new rows as CSV."""
    monkeypatch.chdir(tmp_path)
    table_models(Path("old"), OLD, "label")
    arrow_csv.write_csv(NEW, "new.csv")
    return tmp_path


def test_samples_hold_rows_of_both_domains_in_their_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The share of a domain lies within 4 standard errors of an exact sampler (false alarms: 1 in 16,000).

    Training for seconds may shift it by .04 more, and blend .07 of the rows. Independent columns would blend .19.
    """
    monkeypatch.chdir(tmp_path)
    train_table(TableSource(OLD, "label"), Path("old"), LEARNS)
    remembering(spec=LEARNS)
    found, rows = sampled("out", 4000), 4000
    x, site = found["x"].to_numpy(), found["site"].to_numpy(zero_copy_only=False)
    old, new = ((site != other) & (abs(x - at) < 5) for other, at in (("new", 0), ("old", 10)))
    share = 675 / (675 + 225)  # three quarters of both are training rows
    error = (share * (1 - share) / rows) ** 0.5
    assert abs(old.mean() - share) < 4 * error + 0.04
    assert old.mean() + new.mean() > 1 - 0.07
    assert set(site) == {"old", "new", "both"}


@pytest.mark.usefixtures("place")
def test_models_remember_both_and_say_what() -> None:
    done = remembering("new.csv")
    old = load_models([Path("old")])
    assert old.table is not None
    found = told("out")
    assert found["models"] == {"autoencoder": old.autoencoders[0].sha256, "encoder": old.table.sha256}
    assert (found["rows"], found["seed"], found["generation"]) == (900, 0, 1)  # as many as the old models had
    assert found["columns"] == OLD.column_names
    assert done.result["remembered"] == found
    assert done.lines[0] == "trained on 1,125 rows of 3 columns; 75 rows are held out"
    assert any(line.startswith("remembered: 900 rows of the old table; generation 1; verdict") for line in done.lines)
    models = load_models([Path("out")])
    assert models.table is not None
    assert models.table.target == "label"  # the old one
    assert models.table.training_rows == 1125
    assert set(models.table.encoder.categories["site"].values.to_pylist()) == {"old", "new", "both"}
    assert not list(Path().glob("out.*"))
    assert remembering("new.csv").repeated
    train_table_remembering(
        replace(source("new.csv"), remember=Remember("out", rows=50)), Path("third"), SMALL
    )  # a folder like any other
    assert (told("third")["generation"], told("third")["rows"]) == (2, 50)
    assert len(sampled("third", 20)) == 20


@pytest.mark.usefixtures("place")
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    weights = []
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        remembering(out=out, seed=seed, rows=40)
        weights.append((Path(out) / "autoencoder/model.safetensors").read_bytes())
        weights.append((Path(out) / "autoencoder/encoder.safetensors").read_bytes())
    assert weights[:2] == weights[2:4]
    assert weights[0] != weights[4]
    assert weights[1] != weights[5]


def test_no_old_data_is_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, original = [], table_files._files
    monkeypatch.setattr(table_files, "_files", lambda path: read.append(path) or original(path))
    arrow_csv.write_csv(OLD, place / "people.csv")  # the name that the old models state
    remembering("new.csv")
    assert read == [Path("new.csv")]


class Stop(BaseException):
    """Stands for a kill."""


MOMENTS = {
    "walks": (remember_table.Archive, "open"),
    "union": (remember_table, "with_kinds"),
    "training": (table_train, "fit_table"),
    "columns": (table_train, "write_columns"),
    "published": (remember_table.shutil, "rmtree"),
}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_killed_resumes_to_the_same_models(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remembering("new.csv", "whole")

    def stop(*_: Any, **__: Any) -> None:
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(*MOMENTS[moment], stop)
        with pytest.raises(Stop):
            remembering("new.csv")
    remembering("new.csv")
    names = ("model.safetensors", "encoder.safetensors", "encoder.json", "split.json")
    for name in names:
        assert (Path("out/autoencoder") / name).read_bytes() == (Path("whole/autoencoder") / name).read_bytes()
    assert not list(Path().glob("out.*"))


def test_columns_of_every_kind_come_back_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    old, new = mixed(200), mixed(120, seed=1)
    at = old.column_names.index("one")
    new = new.set_column(at, "one", pa.array(["y"] * 120))  # one value in each table, and not the same
    table_models(Path("old"), old)
    remembering(new)
    found = sampled("out", 300)
    assert found.schema.equals(old.schema)
    assert set(found["one"].to_pylist()) == {"x", "y"}
    assert set(found["level"].to_pylist()) == {"low", "middle", "high"}
    counter = found["walk"].to_numpy()
    assert np.array_equal(counter, counter[0] + np.arange(300))


@pytest.mark.usefixtures("place")
def test_types_widen_and_categories_of_pandas_unite(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"site": pd.Categorical(["a", "b"] * 50), "n": range(100, 200), "label": ["no", "yes"] * 50})
    fit(frame, "label", spec=SMALL).save(tmp_path / "old")
    later = pd.DataFrame({"site": pd.Categorical(["c"] * 100), "n": np.arange(100) / 4, "label": ["no"] * 100})
    done = remembering(later)
    assert done.result["columns"] == {"site": "category", "n": "number", "label": "category"}
    assert told("out")["rows"] == 100
    found = sampled("out", 200)
    assert found.schema.field("n").type == pa.float64()
    assert pa.types.is_dictionary(found.schema.field("site").type)
    assert set(found["site"].to_pylist()) == {"a", "b", "c"}
    assert set(found["label"].to_pylist()) == {"no", "yes"}  # the new table has one class alone


@pytest.mark.usefixtures("place")
def test_a_buffer_adds_its_rows() -> None:
    kept = domain("kept", 99, 5)
    arrow_csv.write_csv(kept.select(["x", "site", "label"]), "kept.csv")  # in another order
    done = remembering("new.csv", buffer="kept.csv", rows=10)
    assert done.lines[0].startswith(f"trained on {10 + 225 + 5} rows")
    assert done.result["remembered"]["buffer"]["rows"] == 5
    models = load_models([Path("out")])
    assert models.table is not None
    sites = models.table.encoder.categories["site"]
    count = dict(zip(sites.values.to_pylist(), sites.counts.tolist(), strict=True))
    assert count["kept"] == kept["site"].to_pylist().count("kept")
    with pytest.raises(ArchiveError, match="already holds something"):  # another request
        remembering("new.csv", buffer="kept.csv", rows=11)
    arrow_csv.write_csv(kept.slice(1), "kept.csv")
    with pytest.raises(ArchiveError, match="already holds something"):
        remembering("new.csv", buffer="kept.csv", rows=10)


def test_constraints_of_the_old_models_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    low = rng.integers(0, 50, 200)
    rows = pa.table({"low": low, "high": low + rng.integers(0, 9, 200), "twice": 2.0 * low})
    holds = Constraints(ordered=(("low", "high"),))
    fit(rows, spec=SMALL, constraints=holds).save("old")
    remembering(rows)
    found = sampled("out", 200)
    assert (found["low"].to_numpy() <= found["high"].to_numpy()).all()
    with pytest.raises(DataError, match="the data frame: low <= high does not hold in 150 rows"):
        remembering(rows.set_column(1, "high", pa.array(low - 1)), "no")
    columns = json.loads(Path("out/columns.json").read_text())
    columns["constraints"] = {"ordered": [], "combined": [], "computed": {"twice": "2 * low"}}
    Path("columns.json").write_text(json.dumps(columns))
    with pytest.raises(DataError, match=r"the models in old: twice = 2 [*] low does not hold in .* rows"):
        remembering(rows, "no", columns=Path("columns.json"))
    assert not list(Path().glob("no*"))


def test_the_split_behind_the_old_models_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arrow_csv.write_csv(OLD, "old.csv")
    arrow_csv.write_csv(NEW, "new.csv")
    train_table(TableSource("old.csv", "label"), Path("old"), SMALL, split_seed=3)
    remembering("new.csv", rows=50)
    assert [one.name for one in split_of(Path("out/autoencoder")).behind] == ["new.csv", "old.csv"]  # type: ignore[union-attr]
    sampled("out", 50)
    archive = Archive.open(Path("out-set"))
    for name, seed in (("old.csv", 3), ("new.csv", 0)):
        assert check_parts(archive, TableSource(name, "label").load(seed))
        wrong = TableSource(name, "label").load(seed + 1)
        with pytest.raises(DataError, match=f"its split seed is {seed}, not {seed + 1}"):
            check_parts(archive, wrong)
    status, _, said = run("evaluate", "out-set", "--against", "old.csv", "--judge", "shapes")
    assert status == 1
    assert "Give --split-seed 3" in said.replace("\n", " ")


def with_x(values: Any) -> pa.Table:
    return NEW.set_column(1, "x", pa.array(values))


IDS = [f"a{k}" for k in range(300)]
FAULTS: dict[str, tuple[Callable[[], pa.Table], dict[str, Any], str]] = {
    "a column is missing": (lambda: NEW.drop_columns(["x"]), {}, "has no column x, which the models in old have"),
    "a column is left out": (lambda: NEW, {"drop": ["x"]}, "has no column x, which the models in old have"),
    "a further column": (
        lambda: NEW.append_column("y", NEW["x"]),
        {},
        "has a column y, which the models in old lack. Leave it out with --drop y",
    ),
    "text for numbers": (lambda: with_x(IDS), {}, "column x holds string, and double in the models in old"),
    "categories for numbers": (
        lambda: NEW,
        {"categorical": ["x"]},
        "column x has the kind category, and the kind number in the models in old. Give it the kind number",
    ),
    "names for categories": (
        lambda: NEW.set_column(0, "site", pa.array(IDS)),
        {},
        "column site has the kind identifier, and the kind category in the models in old. Give --categorical site",
    ),
    "a target with gaps": (
        lambda: NEW.set_column(2, "label", pa.array([None] * 60 + ["no"] * 240)),
        {},
        "label: the target is missing in",
    ),
    "kept rows of other columns": (lambda: NEW, {"buffer": "kept.csv"}, "kept.csv: has no column label, which the"),
}


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("fault", FAULTS)
def test_tables_that_do_not_fit_are_refused(fault: str) -> None:
    make, more, said = FAULTS[fault]
    arrow_csv.write_csv(NEW.select(["site", "x"]), "kept.csv")
    with pytest.raises(ReinjectError, match=re.escape(said)):
        remembering(make(), **more)
    assert not list(Path().glob("out*"))


@pytest.mark.usefixtures("place")
def test_old_models_that_cannot_be_sampled_are_said() -> None:
    network = load("old/autoencoder").network
    with torch.no_grad():  # one site and one label in all rows: two of three columns
        network.prior.fill_(-50.0)  # type: ignore[operator, union-attr]
        network.prior[[0, 2]] = 0.0  # type: ignore[index, operator]
    network.save_pretrained("old/autoencoder")
    lines = remembering(rows=100).lines
    assert any(
        "verdict on the walks: broken: columns with one value in all rows: site, label" in line for line in lines
    )
    assert any(line.startswith("warning: the old models cannot be sampled") for line in lines)


@pytest.mark.usefixtures("place")
def test_few_numbers_take_the_kind_of_the_old_models() -> None:
    few = with_x([1.0, 2.0, 3.0] * 100)
    assert remembering(few, rows=9).result["columns"]["x"] == "number"


def test_old_models_of_another_kind_are_refused(place: Path) -> None:
    inputs = Inputs((1, 4, 4), class_names=("a", "b"))
    MLPDenoiser(inputs, width=8, depth=1).save_pretrained(place / "images/autoencoder")
    words = ["train", "new.csv", "--steps", "2", "--out", "out"]
    status, _, said = run(*words, "--remember", "images")
    assert status == 1
    assert "images: samples images or vectors, and new.csv is a table" in said.replace("\n", " ")
    np.savez("new.npz", x=np.full((9, 4, 4), 9, np.uint8), y=np.arange(9) % 2)
    status, _, said = run("train", "new.npz", "--remember", "old", "--out", "out")
    assert status == 1
    assert "old: samples rows of a table, and the new data is none" in said.replace("\n", " ")
    status, _, said = run(*words, "--remember-rows", "2")
    assert "--remember-rows: needs old models. Give --remember MODELS" in said.replace("\n", " ")
    with pytest.raises(ReinjectError, match=r"Call reinject\.continual\.train_table_remembering"):
        train_table(source(), Path("out"), SMALL)
    with pytest.raises(ReinjectError, match="the source remembers nothing"):
        train_table_remembering(TableSource(NEW), Path("out"), SMALL)


def test_the_command(place: Path) -> None:
    (place / "data").mkdir()
    arrow_csv.write_csv(OLD.slice(0, 3), place / "data/kept.csv")
    words = ["train", "new.csv", "--remember", "old", "--remember-rows", "30", "--buffer", "kept.csv"]
    words += ["--data-dir", "data", "--steps", "2", "--out", "both"]
    status, out, said = run(*words)
    assert status == 0, said
    assert "remembered: 30 rows of the old table; generation 1; verdict on the walks:" in out
    assert run(*words)[1].startswith("both is complete already")
    assert isinstance(load_models([Path("both")]), Models)
    status, _, _ = run("sample", "both", "--rows", "20", "--out", "set")
    assert status == 0
    assert run("trace", "set", "7")[0] == 0
