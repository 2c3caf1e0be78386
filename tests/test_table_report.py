"""The page of a table: what it shows with and without the real table, and real rows on request only."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv

from making_tables import mixed, table_models
from reinject.archive.export import _as_text
from reinject.base.errors import ArgumentError, ReinjectError
from reinject.data.table_parts import load_table
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.models.loading import load_models
from reinject.report.report import report
from reinject.report.table_evaluated import evaluate_rows
from reinject.report.table_pictures import _counts, draw_marginals
from reinject.report.table_report import report_table
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.table_evaluation.judge_table import EvaluateTableSpec
from reinject.table_evaluation.table_nearest import nearest_pairs
from test_cli import run

SETTINGS = Settings("ancestral", {"sigma": "geometric:20:0.05"}, steps=20, burn_in=20, emit="reconstruction")
SHAPES = EvaluateTableSpec(["shapes"], controls=False)
WARNING = "This page shows real rows. Do not share it."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A CSV file, and an archive of independent columns."""
    folder = tmp_path_factory.mktemp("reported")
    people = folder / "people.csv"
    arrow_csv.write_csv(_as_text(mixed(300)), people)
    models = table_models(folder / "models", *_split(people))
    sample_models(load_models([models]), folder / "set", SampleSpec(settings=SETTINGS, block_size=128), walks=200)
    return people, folder / "set"


def _split(people: Path) -> tuple[pa.Table, str, object]:
    parts = load_table(people, target="income")
    return parts.train, "income", parts.split


def test_a_page_without_the_real_table_has_marginals_and_says_what_is_missing(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    done = report(made[1], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")  # it loads nothing
    for shown in ("<svg", "level", "200 synthetic rows.", "no judgements: they need the real table"):
        assert shown in page, shown
    for hidden in ("Judgements", "training rows,", "Pairs of columns", "Nearest training rows"):
        assert hidden not in page, hidden
    assert done.result["bytes"] == len(page.encode())
    assert report(made[1], tmp_path / "page.html").repeated


def test_a_page_against_the_real_table_shows_no_real_row(made: tuple[Path, Path], tmp_path: Path) -> None:
    people, archive = made
    report(archive, tmp_path / "page.html", against=str(people), spec=EvaluateSpec(["shapes", "privacy"]))
    page = (tmp_path / "page.html").read_text()
    shown = ("225 training rows", "Judgements", "copies", "Least alike", "Pairs of columns", "shows no real row")
    for text in (*shown, "no measure of privacy"):
        assert text in page, text
    assert WARNING not in page
    assert ">training</th>" not in page


def test_real_rows_are_shown_on_request_with_a_warning(made: tuple[Path, Path], tmp_path: Path) -> None:
    people, archive = made
    done = report_table(archive, tmp_path / "page.html", people, SHAPES, nearest=3)
    page = (tmp_path / "page.html").read_text()
    assert WARNING in page
    assert page.count(">training</th>") == 3
    assert done.lines[-1] == "The page shows 3 training rows beside synthetic rows. Do not share it"
    assert report_table(archive, tmp_path / "page.html", people, SHAPES, nearest=3).repeated
    with pytest.raises(ReinjectError, match="already exists"):  # another request
        report_table(archive, tmp_path / "page.html", people, SHAPES)


def test_frames_make_a_page_that_is_not_taken_for_an_earlier_one(made: tuple[Path, Path], tmp_path: Path) -> None:
    rows = mixed(200)
    for _ in range(2):
        report_table(made[1], tmp_path / "p.html", rows, SHAPES, test=mixed(50, seed=1), overwrite=True)
    with pytest.raises(ReinjectError, match="already exists"):
        report_table(made[1], tmp_path / "p.html", rows, SHAPES, test=mixed(50, seed=1))


def test_nearest_rows_by_hand() -> None:
    """Deviation of x is 5; row 2 of the training rows is near three synthetic rows, and shown with the nearest one."""
    train = pa.table({"x": [0.0, 10.0, 0.0, 10.0], "c": ["a", "a", "b", "b"], "own": [1, 2, 3, 4]})
    fake = pa.table({"x": [0.0, 1.0, 2.0, 12.0, 10.0], "c": ["b", "b", "b", "b", "c"]})
    unseen = pa.table({"x": [10.0, 6.0, 40.0, 11.0], "c": ["b", "b", "b", "b"]})
    found = nearest_pairs(train, unseen, fake, 9)
    assert found.train.to_pylist()[:2] == [{"x": 0.0, "c": "b"}, {"x": 10.0, "c": "b"}]
    assert found.synthetic.to_pylist()[:2] == [{"x": 0.0, "c": "b"}, {"x": 12.0, "c": "b"}]
    assert found.distance.tolist() == pytest.approx([0, 0.4, 1])
    assert found.as_near.tolist() == [0.25, 0.5, 0.75]
    assert np.isnan(nearest_pairs(train, None, fake, 1).as_near).all()
    assert len(nearest_pairs(train, None, fake, 9, most=2).train) <= 2


def test_rare_categories_of_real_rows_are_not_drawn(tmp_path: Path) -> None:
    real = pa.table({"name": [f"person{k}" for k in range(20)] + ["common"] * 5})
    fake = pa.table({"name": ["common", "person3", None]})
    drawn = draw_marginals(tmp_path / "m.svg", fake, real).read_text()
    assert "common" in drawn
    assert "others" in drawn
    assert "person" not in drawn
    assert _counts(fake["name"]) == {"common": 1, "person3": 1, "missing": 1}


def test_marginals_of_every_kind_of_column(tmp_path: Path) -> None:
    """Columns without a known value, with one value, with infinities, in one table only."""
    odd = {"nan": [float("nan")] * 3, "inf": [1.0, 2.0, float("inf")], "one": [7, 7, 7]}
    real = pa.table({**odd, "some": [1.0, 2.0, 3.0], "own": [1, 2, 3]})
    fake = pa.table({**odd, "some": pa.nulls(3, pa.float64()), "other": [1, 2, 3]})
    drawn = draw_marginals(tmp_path / "m.svg", fake, real).read_text()
    assert all(name in drawn for name in ("nan", "inf", "one", "some"))
    assert "own" not in drawn
    draw_marginals(tmp_path / "a.svg", mixed(50))


def test_rows_of_another_tool_have_the_same_page(tmp_path: Path) -> None:
    spec = EvaluateTableSpec(["shapes"], controls=False)
    evaluate_rows(mixed(60), mixed(60, seed=1), "income", spec, out=tmp_path / "e")
    page = (tmp_path / "e" / "report.html").read_text()
    for shown in ("60 training rows, 0 held-out rows", "Pairs of columns", "shows no real row"):
        assert shown in page, shown


def test_what_a_table_has_no_page_of(made: tuple[Path, Path], small_models: Path, tmp_path: Path) -> None:
    people, archive = made
    page = tmp_path / "p.html"
    for words, said in (
        (["report", archive, "--beside", archive], "--beside: is for images and vectors, not for table rows"),
        (["report", archive, "--nearest", 2], "--nearest: needs real rows. Give --against"),
        (["report", archive, "--test", people], "--test: needs the training rows. Give --against"),
        (["report", people, "--against", people], "is a file, not an archive. Use reinject evaluate"),
        (["report", archive, "--against", people, "--seeds", 9], "--seeds: is for images and vectors"),
        (["report", archive, "--against", people, "--judge", "none"], "'none' is not known. Use some of utility"),
        (["report", small_models, "--nearest", 2], "--nearest: is for one archive of table rows"),
        (["report", small_models], "It holds models: reinject sample"),
    ):
        status, _, error = run(*words, "--out", page)
        assert status == 1, words
        assert said in error, error
        assert not page.exists()
    with pytest.raises(ArgumentError, match="--beside"):
        report(small_models, page, beside=[archive])
    with pytest.raises(ReinjectError, match="is no archive of table rows"):
        report_table(small_models, page)


def test_walks_of_tables_are_neither_diagnosed_nor_tuned(made: tuple[Path, Path]) -> None:
    people, archive = made
    status, _, error = run("diagnose", archive)
    assert status == 1
    assert f"no chain to diagnose. Judge its rows by reinject evaluate {archive} --against TABLE" in error
    status, _, error = run("tune", archive.parent / "models", "--data", people)
    assert status == 1
    assert "not of table rows. Sample with several --passes N" in error
