"""The demo, small: the tree it leaves, and that it goes on after a cut."""

import json
import re
from pathlib import Path

import pytest

from conftest import TINY, hurry
from reinject import Archive
from reinject.base.errors import ArchiveError
from reinject.experiments import demo as module
from reinject.experiments.demo import DemoPlan, demo

PLAN = DemoPlan(TINY, walks=200, seeds=1)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        demo(PLAN, out)
    return out


def test_the_tree_is_whole(tree: Path) -> None:
    assert {path.name for path in tree.iterdir()} == {
        "models", "synthetic", "synthetic-paper", "figures", "metrics.json", "outcome.json", "report.html",
    }  # fmt: skip
    assert {path.name for path in (tree / "models").iterdir()} == {"autoencoder", "classifier", "outcome.json"}
    figures = {path.name: path.read_bytes() for path in (tree / "figures").iterdir()}
    assert set(figures) == {"samples.png", "walk.png", "plane.png", "classes.png", "curves.png", "nearest.png"}
    assert all(data.startswith(b"\x89PNG") and len(data) > 5000 for data in figures.values())
    assert Archive.open(tree / "synthetic").manifest["parameters"]["preset"] == "default"
    assert Archive.open(tree / "synthetic-paper").rows == 200 * 9


def test_metrics_have_the_agreed_names(tree: Path) -> None:
    metrics = json.loads((tree / "metrics.json").read_text())
    for name in ("ratio", "skill"):
        assert isinstance(metrics["utility"][name]["mean"], float)
        assert isinstance(metrics["utility_paper"][name]["mean"], float)
    # 10 steps at lam = .1 leave a share of the start that no walk from drowned data keeps
    assert abs(metrics["start_remembered"]["default"]) < 0.1


def test_the_report_opens_offline(tree: Path) -> None:
    html = (tree / "report.html").read_text()
    assert html.count("<img ") == 10 * 3 + 2 * 2  # real and two sets by class; frames without a script, nearest rows
    assert html.count("<svg") == 2
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", html)
    assert "of its twin trained on the real data" in html
    assert len(html) < 5_000_000


def test_the_tree_can_be_moved(tree: Path, tmp_path: Path) -> None:
    from reinject.sampling.provenance import find_classifiers

    moved = tmp_path / "elsewhere"
    tree.rename(moved)
    try:
        assert find_classifiers(Archive.open(moved / "synthetic"))[0].sha256
    finally:
        moved.rename(tree)


@pytest.mark.usefixtures("quick_students")
@pytest.mark.slow
def test_a_demo_that_was_cut_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class CutError(Exception):
        pass

    def cut(*_: object, **__: object) -> None:
        raise CutError

    out = tmp_path / "demo"
    with monkeypatch.context() as patch:
        patch.setattr(module, "judge", cut)
        with pytest.raises(CutError):
            demo(PLAN, out)
    assert not out.exists()
    weights = tmp_path / "demo.partial/models/autoencoder/model.safetensors"
    before = weights.read_bytes()
    monkeypatch.setattr(module, "train", cut)  # must not be called again
    demo(PLAN, out)
    assert (out / "models/autoencoder/model.safetensors").read_bytes() == before


def test_a_folder_that_is_no_demo_is_kept(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "notes").write_text("mine")
    with pytest.raises(ArchiveError, match="reinject did not make it"):
        demo(PLAN, tmp_path / "demo", overwrite=True)
