"""Every command that the program proposes can be run, for every kind of model; and few rows cost no judgement made."""

import re
import shlex
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reinject import Archive, evaluate
from reinject.base.errors import worker_died
from reinject.evaluation.evaluate_spec import EvaluateSpec
from test_cli import run

OWN = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(64, 10))

    def forward(self, x):
        return x.flatten(1) @ self.w
"""


def follow(text: str, folder: Path, *more: object) -> str:
    """Run the command behind "Next:", with names for what is in capitals; what it printed."""
    (line,) = re.findall(r"Next: (reinject [^\n]*?)(?:, or .*)?$", text, re.MULTILINE)
    names = {"SYNTHETIC": folder / "s", "DATASET": "digits", "MODELS": folder / "m", "FEATURES": folder / "f"}
    words = [str(names.get(word, word)) for word in shlex.split(line)[1:]]
    status, said, error = run(*words, *more)
    assert status == 0, error
    return said


@pytest.mark.usefixtures("quick_students")
def test_what_is_proposed_for_our_own_models(tmp_path: Path) -> None:
    short = ("--epochs", 1, "--classifier-epochs", 1)
    status, said, _ = run("train", "digits", "--out", tmp_path / "m", *short)
    assert status == 0
    said = follow(said, tmp_path, "--walks", 160)
    follow(said, tmp_path, "--seeds", 1)


@pytest.mark.usefixtures("quick_students")
def test_what_is_proposed_for_features_and_without_a_classifier(tmp_path: Path) -> None:
    short = ("--epochs", 1, "--classifier-epochs", 1)
    status, said, _ = run("train", "digits", "--only", "classifier", "--out", tmp_path / "c", "--classifier-epochs", 1)
    assert status == 0
    said = follow(said, tmp_path)
    said = follow(said, tmp_path, *short)
    said = follow(said, tmp_path, "--walks", 8)
    assert "--against DATASET" in said
    status, _, error = run("evaluate", tmp_path / "s", "--against", tmp_path / "f", "--seeds", 1)
    assert status == 0, error
    alone = tmp_path / "alone"
    alone.mkdir()
    status, said, _ = run("train", "digits", "--only", "autoencoder", "--out", alone / "m", "--epochs", 1)
    assert status == 0
    assert "Next" not in follow(said, alone, "--walks", 8)


@pytest.mark.usefixtures("quick_students")
def test_what_is_proposed_for_a_foreign_classifier(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    (tmp_path / "net.py").write_text(OWN)
    save_file({"w": torch.randn(64, 10, generator=torch.Generator().manual_seed(0))}, tmp_path / "w.safetensors")
    given = ("--weights", tmp_path / "w.safetensors", "--shape", "1,8,8", "--range", "0,1", "--trust")
    names = ",".join(map(str, range(10)))
    words = ("import", f"{tmp_path}/net.py:Net", "--as", "classifier", "--class-names", names, *given)
    status, _, error = run(*words, "--out", tmp_path / "c")
    assert status == 0, error
    status, said, _ = run("sample", models, "--classifier", tmp_path / "c", "--out", tmp_path / "s", "--walks", 160)
    assert status == 0
    assert "coverage" in follow(said, tmp_path, "--judge", "coverage")
    page = ("report", tmp_path / "s", "--against", "digits", "--judge", "coverage", "--out", tmp_path / "r.html")
    status, _, error = run(*page)
    assert status == 0, error
    status, _, error = run("evaluate", tmp_path / "s", "--against", "digits", "--features", "penultimate")
    assert (status, "--features outputs" in error) == (1, True)


@pytest.mark.usefixtures("quick_students")
def test_a_process_that_died_is_no_judgement_that_few_rows_do_not_allow(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise worker_died("students", [-9])

    assert run("sample", models, "--out", tmp_path / "s", "--rows", 1400)[0] == 0
    monkeypatch.setattr("reinject.evaluation.evaluate.judge", dies)
    status, _, error = run("evaluate", tmp_path / "s", "--against", "digits", "--seeds", 1, "--out", tmp_path / "e")
    assert status == 1
    assert "killed by SIGKILL" in error
    assert not (tmp_path / "e").exists()


@pytest.mark.usefixtures("quick_students")
@pytest.mark.parametrize("walks", [1, 3])
def test_few_rows_leave_out_what_cannot_be_judged_and_keep_the_rest(models: Path, tmp_path: Path, walks: int) -> None:
    assert run("sample", models, "--out", tmp_path / "s", "--walks", walks, "--preset", "paper")[0] == 0
    metrics = evaluate(tmp_path / "s", "digits", out=tmp_path / "e", spec=EvaluateSpec(seeds=1)).result
    left = [note for note in metrics["notes"] if "is left out" in note]
    assert any("labelled samples are fewer than the 1347 real rows" in note for note in left)
    assert metrics["judgements"]
    assert "utility" not in metrics
    assert len(left) + len(metrics["judgements"]) == 6
    assert (tmp_path / "e" / "report.html").is_file()
    assert run("evaluate", tmp_path / "s", "--against", "digits", "--judge", "utility")[0] == 1
    assert Archive.open(tmp_path / "s").rows == 9 * walks
