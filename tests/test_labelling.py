"""The classifier that has seen what the autoencoder makes of images."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reinject import data
from reinject.base.errors import ArgumentError
from reinject.base.random_streams import stream
from reinject.data.rehearsed import Rehearsed
from reinject.models.bundle import load
from reinject.networks import Inputs, MLPAutoencoder, MLPDenoiser
from reinject.training.labelling import SEES, alike, loss_of
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

    def cut(job: _Job, *_: object) -> None:
        (job.folder / "begun").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_Job, "classifier", cut)
        assert run(*alone, seen_by[0])[0] == 130
    assert "holds an unfinished run that differs in reconstructed_by" in sentence(*alone, seen_by[1])
    moved = seen_by[0].rename(tmp_path / "moved")
    assert run(*alone, moved)[0] == 0


def test_new_rows_are_given_back_and_rehearsed_rows_stay() -> None:
    """A hand-written pass: r(x + sigma z, sigma), stored in levels, with the noise of the named stream."""
    network = MLPDenoiser(Inputs((1, 2, 2), mean=0.4, std=0.3), width=8, depth=1)
    x = torch.randint(0, 256, (7, 1, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    new = torch.tensor([True, False, True, True, False, False, True])
    rows = data.LabelledImages(x, torch.eye(7))
    dataset = Rehearsed("made up", rows, rows, tuple("abcdefg"), new=new)
    found = alike(dataset, network, dataset.levels(), seed=3)
    z = torch.randn(4, 1, 2, 2, generator=stream((3, 7)))
    with torch.no_grad():
        given = network(x[new] / 255 + 0.3 * z, torch.full((4,), 0.3))
    wanted = (given.clamp(0, 1) * 255).round()
    assert (found.x[new].float() - wanted).abs().max() <= 1
    assert torch.equal(found.x[~new], x[~new])
    assert torch.equal(found.y, rows.y)
    assert torch.equal(alike(replace(dataset, new=None), network, dataset.levels(), seed=3).x, x)
    assert torch.equal(alike(replace(dataset, space="features"), network, dataset.levels(), seed=3).x, x)


def test_an_unconditional_denoiser_gives_new_rows_back_without_noise() -> None:
    network = MLPAutoencoder(Inputs((4,)), hidden=(3,), latent=2)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    rows = data.LabelledImages(x, torch.zeros(5, 2))
    dataset = Rehearsed("made up", rows, rows, ("a", "b"), new=torch.tensor([True] * 4 + [False]))
    found = alike(dataset, network, dataset.levels(), seed=0)
    with torch.no_grad():
        assert torch.allclose(found.x[:4], network(x[:4]))
    assert torch.equal(found.x[4], x[4])
