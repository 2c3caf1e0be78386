"""Judging an archive of table rows: its real table, the split of its models, and what is refused."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv

from making_tables import mixed, table_models
from reinject import EvaluateSpec, evaluate
from reinject.archive import MANIFEST, Archive
from reinject.archive.export import _as_text
from reinject.base.errors import ArgumentError, DataError, ReinjectError
from reinject.base.outcome import Outcome
from reinject.data.table_parts import load_table
from reinject.models.loading import load_models
from reinject.report.table_evaluated import evaluate_table
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.table_evaluation.evaluate_table import some_rows
from reinject.table_evaluation.judge_table import EvaluateTableSpec
from test_cli import run

SETTINGS = Settings("ancestral", {"sigma": "geometric:20:0.05"}, steps=20, burn_in=20, emit="reconstruction")
SHAPES = EvaluateSpec(["shapes"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A CSV file, and an archive of the exact sampler of its independent columns."""
    folder = tmp_path_factory.mktemp("judged")
    people = folder / "people.csv"
    arrow_csv.write_csv(_as_text(mixed(400)), people)
    parts = load_table(people, target="income", split_seed=3)
    models = load_models([table_models(folder / "models", parts.train, split=parts.split)])
    sample_models(models, folder / "set", SampleSpec(settings=SETTINGS, block_size=128), walks=400, seed=1)
    return people, folder / "set"


def test_marginals_of_independent_columns_are_right_and_their_dependence_is_not(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    people, archive = made
    spec = EvaluateSpec(["shapes", "two-sample"], split_seed=3)
    metrics = evaluate(archive, str(people), spec=spec, out=tmp_path / "e").result
    found = {one["name"]: one for group in metrics["judgements"].values() for one in group}
    assert abs(found["column shapes"]["value"] - metrics["controls"]["independent columns"]["column shapes"]) < 0.02
    assert metrics["target"] == "income"
    assert metrics["rows"] == {"train": 300, "test": 100, "synthetic": 400}
    assert json.loads((tmp_path / "e" / "metrics.json").read_text())["judgements"] == metrics["judgements"]
    assert evaluate(archive, str(people), spec=spec, out=tmp_path / "e").repeated
    page = (tmp_path / "e" / "report.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")  # it loads nothing
    for shown in ("column shapes", "independent columns", "level", "Least alike", "Pairs of columns", "<svg"):
        assert shown in page, shown


def test_counters_are_not_judged(tmp_path: Path) -> None:
    rows = mixed(200)
    models = load_models([table_models(tmp_path / "models", rows)])
    sample_models(models, tmp_path / "set", SampleSpec(settings=SETTINGS, block_size=128), walks=100)
    done = evaluate_table(tmp_path / "set", rows, EvaluateTableSpec(["shapes"], controls=False), test=mixed(50, seed=1))
    assert "counters are not judged: walk" in done.lines
    assert not any(line.startswith("hardest columns: walk") for line in done.lines)


def test_a_verdict_on_the_walks_is_a_finding_and_frames_are_judged_again(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(made[1], folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["verdict"] = {"level": "broken", "reason": "50% of the walks diverged"}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    arrow_csv.write_csv(_as_text(mixed(50, seed=1)), tmp_path / "unseen.csv")

    def judged() -> Outcome:
        spec = EvaluateTableSpec(["shapes"], controls=False)
        return evaluate_table(folder, mixed(200), spec, test=tmp_path / "unseen.csv", out=tmp_path / "e")

    done = judged()
    assert done.lines[0] == "verdict: broken: 50% of the walks diverged"
    assert done.result["findings"][0]["level"] == "broken"
    assert "verdict: broken: 50% of the walks diverged" in (tmp_path / "e" / "report.html").read_text()
    with pytest.raises(ReinjectError, match="overwrite"):
        judged()  # a data frame has no name to compare


def test_rows_that_the_models_have_seen_are_no_held_out_rows(made: tuple[Path, Path], tmp_path: Path) -> None:
    people, archive = made
    with pytest.raises(DataError, match=r"held out here \(its split seed is 3, not 0\)\. Give --split-seed 3\."):
        evaluate(archive, str(people), spec=SHAPES)
    other = tmp_path / "other.csv"
    arrow_csv.write_csv(_as_text(mixed(400, seed=2)), other)
    done = evaluate(archive, str(other), spec=SHAPES)
    assert any("was trained on other data" in line for line in done.lines)
    arrow_csv.write_csv(pa.table({"x": [1, 2, 3, 4]}), other)
    with pytest.raises(DataError, match=r"other.csv: has no column 'model'. Its columns are x."):
        evaluate(archive, str(other), spec=SHAPES)
    status, _, error = run("evaluate", tmp_path / "typo.csv", "--against", people)
    assert status == 1
    assert "typo.csv: no such file" in error


def test_options_of_images_are_refused(made: tuple[Path, Path]) -> None:
    people, archive = made
    for spec in (EvaluateSpec(features="pixels"), EvaluateSpec(student="knn"), EvaluateSpec(most=9)):
        with pytest.raises(ArgumentError, match="is for images and vectors, and the archive holds table rows"):
            evaluate(archive, str(people), spec=spec)
    for given in ({"models": [people]}, {"classifier": lambda x: x}):
        with pytest.raises(ArgumentError, match="is not needed for table rows"):
            evaluate(archive, str(people), spec=SHAPES, **given)  # type: ignore[arg-type]
    status, _, error = run("evaluate", archive, "--against", people, "--judge", "coverage")
    assert status == 1
    assert "'coverage' is not known. Use some of utility, two-sample" in error


def test_few_rows_are_drawn_from_all_shards(made: tuple[Path, Path]) -> None:
    archive = Archive.open(made[1])
    some = some_rows(archive, 0, 40)
    assert len(some) == 40
    assert set(some["pay"].to_pylist()) <= set(archive.to_arrow()["pay"].to_pylist())
    assert not some.equals(some_rows(archive, 1, 40))
