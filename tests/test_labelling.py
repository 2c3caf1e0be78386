"""The classifier that has seen what the autoencoder makes of images."""

import json
import math
from pathlib import Path

import pytest
import torch

from reinject.base.errors import ArgumentError
from reinject.models.bundle import load
from reinject.networks import Inputs
from reinject.training.labelling import SEES, loss_of
from reinject.training.plans import ClassifierSpec, plan_for
from reinject.training.train import _Job
from test_cli import run, sentence

INPUTS = Inputs((2,), low=0.0, high=1.0, std=0.5)


def seen(sees: str, r) -> torch.Tensor:  # type: ignore[no-untyped-def]
    got: list[torch.Tensor] = []

    def network(x: torch.Tensor) -> torch.Tensor:
        got.append(x)
        return x

    x, y = torch.full((1000, 2), 0.25), torch.zeros(1000, dtype=torch.int64)
    loss_of(sees, r, INPUTS)(network, x, y, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    return got[0]


def test_half_of_the_batch_is_given_back_from_noise_of_its_level_and_clipped() -> None:
    calls: list[tuple[torch.Tensor, torch.Tensor]] = []

    def r(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        calls.append((x, sigma))
        return x + 10

    x = seen("reconstructions", r)
    noisy, sigma = calls[0]
    assert torch.equal(x[:500], torch.ones(500, 2))  # clipped
    assert torch.equal(x[500:], torch.full((500, 2), 0.25))
    z = ((noisy - 0.25) / sigma[:, None]).flatten()
    assert abs(z.mean()) < 4.5 / math.sqrt(1000)
    assert abs(z.square().mean() - 1) < 4.5 * math.sqrt(2 / 1000)
    u = (sigma.log() - math.log(0.0017 * INPUTS.radius)) / math.log(0.25 / 0.0017)  # uniform
    assert 0 <= u.min() <= u.max() <= 1
    assert abs(u.mean() - 0.5) < 4.5 / math.sqrt(12 * 500)


def test_images_only_asks_nothing_of_the_autoencoder() -> None:
    assert torch.equal(seen("images", None), torch.full((1000, 2), 0.25))


def test_what_the_classifier_sees_is_an_option_and_changes_it_alone(tmp_path: Path) -> None:
    quick = ["--epochs", 1, "--classifier-epochs", 1, "--device", "cpu"]
    for sees in SEES:
        assert run("train", "digits", "--out", tmp_path / sees, "--classifier-sees", sees, *quick)[0] == 0
        training = json.loads((tmp_path / sees / "classifier" / "training.json").read_text())
        assert training["plan"]["sees"] == sees
    a, b = (load(tmp_path / sees / "autoencoder").sha256 for sees in SEES)
    assert a == b
    a, b = (load(tmp_path / sees / "classifier").sha256 for sees in SEES)
    assert a != b
    with pytest.raises(ArgumentError, match="--classifier-sees: 'noise' is not known"):
        ClassifierSpec(sees="noise")

    alone = ["--only", "classifier", "--classifier-sees", "reconstructions", *quick]
    for name, seed in (("same", 0), ("other", 1)):
        by = ["--reconstructed-by", tmp_path / "reconstructions", "--seed", seed]
        assert run("train", "digits", "--out", tmp_path / name, *alone, *by)[0] == 0
        assert not (tmp_path / name / "autoencoder").exists()
    same, other = (load(tmp_path / name / "classifier").sha256 for name in ("same", "other"))
    assert same == b  # as trained together
    assert other not in (a, b)
    for by, said in (
        ([], "Give its folder with --reconstructed-by"),
        (["--reconstructed-by", tmp_path / "none"], "no such model folder"),
        (["--reconstructed-by", tmp_path / "images", "--value-range=-1,1"], r"takes (1, 8, 8) in [0, 1], digits has"),
    ):
        assert said in sentence("train", "digits", "--out", tmp_path / "no", *alone, *by)
        assert not list(tmp_path.glob("no.*"))  # so that the right command can be given at once
    with pytest.raises(ArgumentError, match="--reconstructed-by: needs --only classifier"):
        plan_for("digits", classifier=ClassifierSpec(reconstructed_by="models"))


def test_a_cut_run_goes_on_with_the_same_weights_only_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_by = [tmp_path / name for name in ("first", "second")]
    for seed, folder in enumerate(seen_by):
        assert run("train", "digits", "--out", folder, "--only", "autoencoder", "--epochs", 1, "--seed", seed)[0] == 0
    options = ["--only", "classifier", "--classifier-epochs", 1, "--classifier-sees", "reconstructions"]
    alone = ["train", "digits", "--out", tmp_path / "c", *options, "--reconstructed-by"]

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_Job, "classifier", cut)
        assert run(*alone, seen_by[0])[0] == 130
    assert "holds an unfinished run that differs in reconstructed_by" in sentence(*alone, seen_by[1])
    moved = seen_by[0].rename(tmp_path / "moved")
    assert run(*alone, moved)[0] == 0
