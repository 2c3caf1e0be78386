"""JSON that is written says no NaN and no infinity."""

import json
import math
from pathlib import Path

import pytest

from reinject.base.errors import DataError, ReinjectError
from reinject.base.files import finite, json_text, read_json, write_json
from reinject.experiments.notes import MarksOnDisk
from reinject.training.students import Marks


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused_by_name(tmp_path: Path, number: float) -> None:
    with pytest.raises(ReinjectError, match=r"metrics.json: utility\.skill\[1\]\.mean is -?(nan|inf)"):
        write_json(tmp_path / "metrics.json", {"utility": {"skill": [0.0, {"mean": number}]}})
    assert not (tmp_path / "metrics.json").exists()
    assert json_text({"mean": finite(number)}, indent=None) == '{"mean": null}'


def test_what_earlier_versions_wrote_is_read_as_none(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text('{"asymmetry": NaN, "bound": -Infinity, "rows": 3}')
    assert read_json(tmp_path / "old.json", DataError) == {"asymmetry": None, "bound": None, "rows": 3}


def test_marks_of_a_class_without_test_rows_come_back(tmp_path: Path) -> None:
    MarksOnDisk(tmp_path / "marks.json")["one"] = Marks(0.5, (0.5, math.nan), 0.2)
    assert json.loads((tmp_path / "marks.json").read_text())["one"]["per_class"] == [0.5, None]
    accuracy, missing = MarksOnDisk(tmp_path / "marks.json")["one"].per_class
    assert accuracy == 0.5
    assert math.isnan(missing)
