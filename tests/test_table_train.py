"""Training on a table by the command: what it says, what it refuses, and a run that resumes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv as arrow_csv

from making_tables import mixed
from reinject.archive import Archive
from reinject.archive.export import _as_text
from reinject.base.errors import DataError
from reinject.base.progress import Silent
from reinject.data.splits import split_of
from reinject.data.table_parts import load_table
from reinject.models.loading import load_models
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.training import table_train
from reinject.training.table_fit import TableSpec
from reinject.training.table_train import TableSource, train_table
from test_cli import run, sentence

SMALL = TableSpec(width=8, depth=1, steps=3)


class Heard(Silent):
    """Keeps the lines that are said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people") / "people.csv"
    arrow_csv.write_csv(_as_text(mixed(300)), path)
    return path


def test_train_shows_the_columns_and_says_what_comes_next(people: Path, tmp_path: Path) -> None:
    heard = Heard()
    done = train_table(TableSource(people, "income"), tmp_path / "models", SMALL, progress=heard)
    assert "people.csv: UTF-8 text, values separated by commas" in heard.lines
    assert "column  kind      distinct  missing  range" in heard.lines
    assert any(line.split()[:3] == ["walk", "counter", "225"] for line in heard.lines)
    assert any(line.split()[:3] == ["none", "empty", "0"] for line in heard.lines)
    assert done.lines[0] == "trained on 225 rows of 14 columns; 75 rows are held out"
    assert done.lines[-1] == f"Next: reinject sample {tmp_path / 'models'} --out SYNTHETIC"
    known = split_of(tmp_path / "models" / "autoencoder")
    assert known == load_table(people, target="income").split
    assert load_models([tmp_path / "models"]).table.target == "income"
    again = train_table(TableSource(people, "income"), tmp_path / "models", SMALL)
    assert again.repeated


def test_kinds_are_changed_by_the_file_that_the_program_wrote(people: Path, tmp_path: Path) -> None:
    train_table(TableSource(people, drop=["price"], categorical=["label"]), tmp_path / "models", SMALL)
    file = tmp_path / "models" / "columns.json"
    found = json.loads(file.read_text())
    kinds = {one["name"]: one["kind"] for one in found["columns"]}
    assert "price" not in kinds
    assert kinds["label"] == "category"
    edited = [{**one, "kind": "category"} if one["name"] == "day" else one for one in found["columns"]]
    edited = [one for one in edited if one["name"] != "clock"]
    (tmp_path / "columns.json").write_text(json.dumps({"columns": edited}))
    done = train_table(TableSource(people, columns=tmp_path / "columns.json"), tmp_path / "again", SMALL)
    kinds = done.result["columns"]
    assert kinds["day"] == kinds["label"] == "category"
    assert not {"clock", "price"} & set(kinds)
    for change, said in (
        ({"name": "x", "kind": "number"}, "'x' is no column of the table"),
        ({"name": "model", "kind": "number"}, "column model holds string, which is no number"),
        ({"name": "model", "kind": "nominal"}, "kind 'nominal' is not known"),
    ):
        (tmp_path / "columns.json").write_text(json.dumps({"columns": [change]}))
        with pytest.raises(DataError, match=said):
            train_table(TableSource(people, columns=tmp_path / "columns.json"), tmp_path / "c", SMALL)
    (tmp_path / "columns.json").write_text("[]")
    with pytest.raises(DataError, match="is no list of columns"):
        train_table(TableSource(people, columns=tmp_path / "columns.json"), tmp_path / "c", SMALL)


def test_constraints_of_the_file_hold_in_every_row(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    first, city = rng.integers(0, 50, 300), rng.choice(["Rome", "Milan", "Paris"], 300)
    rows = pa.table(
        {
            "first": first,
            "last": first + rng.integers(0, 9, 300),
            "city": city,
            "country": np.where(city == "Paris", "France", "Italy"),
            "price": np.round(rng.random(300), 2),
        }
    ).append_column("total", pa.array(np.zeros(300)))
    rows = rows.set_column(5, "total", pc.multiply(rows["price"], 2.0))
    train_table(TableSource(rows), tmp_path / "models", SMALL)
    values = json.loads((tmp_path / "models" / "columns.json").read_text())
    holds = {"ordered": [["first", "last"]], "combined": [["city", "country"]], "computed": {"total": "2 * price"}}
    (tmp_path / "columns.json").write_text(json.dumps({**values, "constraints": holds}))
    train_table(TableSource(rows, columns=tmp_path / "columns.json"), tmp_path / "again", SMALL)
    settings = Settings("ancestral", {"sigma": "geometric:20:0.05"}, steps=6, burn_in=6, emit="reconstruction")
    asked = SampleSpec(settings=replace(settings, given="city=Paris"))
    sample_models(load_models([tmp_path / "again"]), tmp_path / "set", asked, walks=50)
    found = Archive.open(tmp_path / "set").to_arrow()
    assert found.schema.equals(rows.schema)
    assert set(found["country"].to_pylist()) == {"France"}
    for row in found.to_pylist():
        assert row["first"] <= row["last"]
        assert abs(row["total"] - 2 * row["price"]) < 1e-9
    holds = {**holds, "ordered": [["last", "first"]]}
    (tmp_path / "columns.json").write_text(json.dumps({**values, "constraints": holds}))
    with pytest.raises(DataError, match="row"):
        train_table(TableSource(rows, columns=tmp_path / "columns.json"), tmp_path / "no", SMALL)
    assert not (tmp_path / "no.partial").exists()


def test_a_run_that_was_killed_after_its_training_is_not_trained_again(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(table_train, "write_columns", die)
        with pytest.raises(Killed):
            train_table(TableSource(people), tmp_path / "models", SMALL)
    monkeypatch.setattr(table_train, "fit_table", die)
    done = train_table(TableSource(people), tmp_path / "models", SMALL)
    assert done.result["autoencoder"]["steps"] > 0
    assert not (tmp_path / "models.partial").exists()


def test_a_data_frame_and_a_test_file(people: Path, tmp_path: Path) -> None:
    whole = load_table(people, target="income")
    done = train_table(TableSource(whole.train, "income", test=whole.test), tmp_path / "models", SMALL)
    assert done.result["split"]["seed"] is None
    assert done.result["split"]["held_out"] == whole.split.held_out


FAULTS = {
    "no such target": (("--target", "incom"), "--target: 'incom' is no column of .*people.csv. Its columns are walk,"),
    "a target with one value": (("--target", "one"), "one: the target has one value"),
    "a target with gaps": (("--target", "ok"), "ok: the target is missing in"),
    "a column to drop that is none": (("--drop", "a"), "--drop: 'a' is no column of"),
    "a category that is none": (("--categorical", "a"), "--categorical: 'a' is no column of"),
    "no such file of kinds": (("--columns", "none.json"), "none.json: no such file"),
    "an option of images": (("--objective", "lossy"), "--objective: is for images and vectors, and .* is a table"),
    "no steps": (("--lr", "0"), "lr = 0.0 is not a positive number"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence(people: Path, tmp_path: Path, fault: str) -> None:
    import re

    options, said = FAULTS[fault]
    status, _, error = run("train", people, "--out", tmp_path / "m", *options)
    assert status == 1
    assert re.search(said, error.strip().splitlines()[-1]), error
    assert not (tmp_path / "m").exists()


def test_identifiers_are_named_after_the_table_of_columns(tmp_path: Path) -> None:
    rows = pa.table({"user_id": [7 * k for k in range(200)], "x": [k % 7 for k in range(200)]})
    arrow_csv.write_csv(rows, tmp_path / "t.csv")
    status, _, error = run("train", tmp_path / "t.csv", "--out", tmp_path / "m")
    lines = error.strip().splitlines()
    assert status == 1
    assert any(line.startswith("user_id  identifier") for line in lines)
    assert "--drop user_id" in lines[-1]


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "none.csv: no such file" in sentence("train", tmp_path / "none.csv", "--out", tmp_path / "m")
