"""The same command on what it has made already says so and ends well; any other one is refused as before."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

import reinject
from conftest import TINY
from flat import flat
from reinject.archive.request import asked_for
from reinject.base.errors import ArchiveError
from reinject.cli import app
from reinject.sampling.presets import DEFAULT
from reinject.training.train import train

WHOLE = "is complete already, made by the same command"
BEFORE = {  # requests as 0.1.0 noted them: the module that asks, the words, the request
    "train": (
        "reinject.training.train",
        "train digits --epochs 1 --classifier-epochs 1 --device cpu",
        '{"plan": {"dataset": "digits", "seed": 0, "autoencoder": "mlp-denoiser", "classifier": "mlp", '
        '"autoencoder_recipe": {"epochs": 1, "batch": 128, "lr": 0.001, "least_steps": 0, "warm_up": 200, '
        '"average": 0.0}, "classifier_recipe": {"epochs": 1, "batch": 128, "lr": 0.001, "least_steps": 0, '
        '"warm_up": 0, "average": 0.0}, "objective": "denoising", "numbers": {"sigma": null, "spread": null, '
        '"lam": null, "log_det": null}, "sees": "images", "low": 0.0, "high": 1.0, "augment": "none", "only": "", '
        '"reconstructed_by": "", "split_seed": 0}, "device": "cpu", "precision": "32-true", "devices": 1, '
        '"moments": true, "dataset": "", "seen": ""}',
    ),
    "evaluate": (
        "reinject.report.evaluated",
        "evaluate SET --against digits --judge memorisation --judge coverage --features pixels --seeds 1",
        '{"against": "digits", "judgements": ["memorisation", "coverage"], "features": "pixels", "student": "mlp", '
        '"classifier": null, "seeds": 1, "most": 300000, "seed": 0, "split_seed": 0, "shadows": false, '
        '"device": "cpu", "archive": "", "data": "", "extractor": ""}',
    ),
    "report": (
        "reinject.report.report",
        "report SET --against digits --judge none --seed 3",
        '{"against": "digits", "judgements": ["none"], "seeds": 3, "seed": 3, "split_seed": 0, "hashes": [""], '
        '"data": ""}',
    ),
}


def run(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [*map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Names, bytes and times of all files: what is not touched has all of them."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def check_repeated(out: Path, *words: object, other: tuple[object, ...], status: int = 0) -> str:
    """Run a command twice, and then another one, into one folder; what the second said."""
    first = run(*words)
    assert first[0] == status, first[2]
    before = files(out.parent)
    again = run(*words)
    assert again[0] == status, again[2]
    assert again[1].startswith(f"{out}")
    assert WHOLE in again[1].splitlines()[0]
    code, _, said = run(*words, *other)
    assert (code, "already" in said) == (1, True)
    assert files(out.parent) == before
    return again[1]


@pytest.fixture
def no_pilots(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of choices by pilot walks, as they are made."""
    from reinject.sampling import choosing

    made: list[str] = []
    choose = choosing.choose_settings
    monkeypatch.setattr(choosing, "choose_settings", lambda *a, **k: made.append("pilots") or choose(*a, **k))
    return made


def test_a_set_is_sampled_once_and_its_verdict_is_said_again(
    small_models: Path, tmp_path: Path, no_pilots: list[str]
) -> None:
    out = tmp_path / "s"
    words = ("sample", small_models, "--out", out, "--walks", 64)
    said = check_repeated(out, *words, other=("--seed", 1), status=3)
    assert len(no_pilots) == 2  # of the first command, and of the other one
    assert "broken" in said
    assert run(*words, "--workers", 2, "--force")[0] == 0
    assert run(*words, "--dry-run", "--force")[0] == 0
    result = json.loads(run(*words, "--json")[1])
    assert result["rows"] == reinject.Archive.open(out).rows
    assert result["samples_per_second"] is None
    assert run(*words, "--append")[0] == 3  # which is another request, and makes more walks
    assert run(*words)[0] == 1


@pytest.mark.parametrize("command", BEFORE)
def test_requests_are_noted_as_before(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else a folder that was made before is not recognised."""
    module, words, request = BEFORE[command]
    noted: list[dict[str, Any]] = []

    def caught(*given: Any, **more: Any) -> None:
        noted.append(asked_for(*given, **more))
        raise ArchiveError("request", "is noted", "Stop")

    monkeypatch.setattr(f"{module}.asked_for", caught)
    run(*words.replace("SET", str(tmp_path / "none")).split(), "--out", tmp_path / "out")
    if command == "report":  # the page has a hash of its text
        assert json.dumps(noted[0]) == request
    assert noted == [json.loads(request)]


def test_a_set_that_lost_a_shard_is_not_whole(small_models: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    words = ("sample", small_models, "--out", out, "--walks", 64, "--force")
    run(*words)
    next(out.glob("data/*.parquet")).unlink()
    code, _, said = run(*words)
    assert (code, "--repair" in said) == (1, True)


@pytest.mark.parametrize(
    ("borders", "student", "status"), [(1.0, "None", 0), (0.4, "None", 1), (1.0, "m/classifier", 1)]
)
def test_a_set_of_an_older_version_is_whole_if_the_options_that_are_gone_asked_for_nothing(
    small_models: Path, tmp_path: Path, borders: float, student: str, status: int
) -> None:
    words = ("sample", small_models, "--out", tmp_path / "s", "--preset", "paper", "--walks", 20, "--force")
    assert run(*words)[0] == 0
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    manifest["asked"] |= {"borders": borders, "student": student}
    (tmp_path / "s" / "manifest.json").write_text(json.dumps(manifest))
    code, out, _ = run(*words)
    assert code == status
    assert (WHOLE in out) == (status == 0)


def test_other_models_or_files_of_the_same_names_are_another_request(small_models: Path, tmp_path: Path) -> None:
    import shutil

    from reinject.archive.request import contents

    models, out = tmp_path / "m", tmp_path / "s"
    shutil.copytree(small_models, models)
    words = ("sample", models, "--out", out, "--walks", 64, "--force")
    assert run(*words)[0] == 0
    network = reinject.sampling.recipe.load(models / "autoencoder").network  # type: ignore[attr-defined]
    with torch.no_grad():
        next(network.parameters()).mul_(1.5)
    network.save_pretrained(models / "autoencoder")
    assert "already holds something" in run(*words)[2]
    (tmp_path / "p.npy").write_bytes(b"1")
    before = contents(f"points:{tmp_path}/p.npy")
    (tmp_path / "p.npy").write_bytes(b"2")
    assert before != contents(f"points:{tmp_path}/p.npy") != contents("points:nowhere.npy") == ""


def test_in_python_networks_are_known_by_what_they_answer(tmp_path: Path) -> None:
    def sampled(scale: float, **options: Any) -> Any:
        r = reinject.wrap(lambda x: scale * x, (4,))
        asked = flat(**{"walks": 32, "class_names": ("a", "b"), **options})
        return reinject.sample(r, lambda x: x[:, :2], tmp_path / "s", **asked)

    assert not sampled(0.5).repeated
    again = sampled(0.5)
    assert again.repeated
    assert WHOLE in again.lines[0]
    for other in ({"scale": 0.6}, {"scale": 0.5, "seed": 1}, {"scale": 0.5, "preset": "paper"}):
        with pytest.raises(ArchiveError, match="already holds something"):
            sampled(**other)  # type: ignore[arg-type]
    assert not sampled(0.5, overwrite=True).repeated


def test_models_are_trained_once(tmp_path: Path) -> None:
    words = ("train", "digits", "--out", tmp_path / "m", "--epochs", 1, "--classifier-epochs", 1)
    said = check_repeated(tmp_path / "m", *words, other=("--seed", 1))
    assert "test accuracy" in said


def test_training_by_a_call(tmp_path: Path) -> None:
    first, again = (train(TINY, tmp_path / "m", device="cpu") for _ in range(2))
    assert again.repeated
    assert again.result == first.result


@pytest.mark.usefixtures("quick_students")
def test_what_is_judged_tuned_exported_and_shown_once(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    assert run("sample", models, "--out", out, "--walks", 160, "--force")[0] == 0
    judging = ("evaluate", out, "--against", "digits", "--seeds", 1, "--out", tmp_path / "e", "--judge", "coverage")
    assert "coverage" in check_repeated(tmp_path / "e", *judging, other=("--seed", 1))
    assert json.loads(run(*judging, "--json")[1]) == json.loads((tmp_path / "e" / "metrics.json").read_text())
    page = ("report", out, "--out", tmp_path / "r.html")
    check_repeated(tmp_path / "r.html", *page, other=("--beside", tmp_path / "s"))
    check_repeated(tmp_path / "x", "export", out, "--to", "webdataset", "--out", tmp_path / "x", other=("--to", "zarr"))
    assert run("sample", models, "--out", out, "--walks", 32, "--append", "--force")[0] == 0
    for words in (judging, page):  # of another set now
        assert "already" in run(*words)[2]


def test_a_search_and_features_are_made_once(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = tmp_path / "best.json"
    monkeypatch.setattr("reinject.evaluation.tune.candidates", lambda *_: [DEFAULT])
    said = check_repeated(best, "tune", models, "--walks", 16, "--out", best, other=("--seed", 1))
    assert "Next: reinject sample" in said
    features = ("extract", "digits", "--with", models, "--out", tmp_path / "f")
    check_repeated(tmp_path / "f", *features, other=("--layer", "output"))


def test_a_model_is_imported_once_and_a_claim_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    source = tmp_path / "net.py"
    source.write_text(
        "import torch\n\n\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        torch.manual_seed(0)\n        self.a, self.b = torch.nn.Linear(6, 2), torch.nn.Linear(2, 6)\n\n"
        "    def forward(self, x):\n        return torch.sigmoid(self.b(self.a(x)))\n"
    )
    torch.manual_seed(1)
    weights = {"a.weight": torch.randn(2, 6), "a.bias": torch.zeros(2)}
    save_file({**weights, "b.weight": torch.randn(6, 2), "b.bias": torch.zeros(6)}, tmp_path / "w.safetensors")
    words = ("import", f"{source}:Net", "--weights", tmp_path / "w.safetensors", "--shape", "6", "--range", "0,1")
    words = (*words, "--trust", "--out", tmp_path / "m" / "models")
    check_repeated(tmp_path / "m" / "models" / "autoencoder", *words, other=("--units", "-1,1"))
    check_repeated(tmp_path / "t", "theory", "--only", "energy", "--out", tmp_path / "t", other=("--only", "lam"))
