"""`reinject train --objective`: each objective end to end on digits, and what goes together with what."""

import json
import math
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reinject.base.errors import ArgumentError, CollapseError
from reinject.base.progress import Silent
from reinject.models.bundle import load
from reinject.networks import AUTOENCODERS, CLASSIFIERS, Inputs
from reinject.training.fabric_spec import FabricSpec
from reinject.training.fit import Recipe
from reinject.training.objective_options import AUTOENCODER_OF, Numbers, build, choose
from reinject.training.objectives import Contractive, Denoising, PerfectLossy, reconstruction
from reinject.training.plans import AutoencoderSpec, ClassifierSpec, TrainPlan, plan_for
from reinject.training.train import train
from test_cli import run, sentence

QUICK = ("--epochs", 1, "--classifier-epochs", 1, "--device", "cpu")
INPUTS = Inputs((4,), std=0.5)
DATA = torch.rand(500, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("objective", AUTOENCODER_OF)
def test_train_then_sample(objective: str, tmp_path: Path) -> None:
    status, text, _ = run("train", "digits", "--out", tmp_path / "m", "--objective", objective, *QUICK, "--json")
    result = json.loads(text)
    assert status == 0
    assert result["objective"] == objective
    network = load(tmp_path / "m" / "autoencoder").network
    assert type(network).__name__.lower() == {
        "mlp-denoiser": "mlpdenoiser", "mlp-residual": "mlpresidual", "mlp": "mlpautoencoder",
    }[AUTOENCODER_OF[objective]]  # fmt: skip
    lam = result["lam"] or 0.1
    done = run("sample", tmp_path / "m", "--out", tmp_path / "s", "--kernel", "langevin", "--lam", lam, "--walks", 20)
    assert done[0] == 0


def test_next_command_is_the_one_for_this_autoencoder(tmp_path: Path) -> None:
    _, text, _ = run("train", "digits", "--out", tmp_path / "m", "--objective", "contractive", "--lam", 0.05, *QUICK)
    assert "--kernel langevin --lam 0.05" in text


def test_lossy_with_a_lambda_that_is_too_large_names_the_axes(tmp_path: Path) -> None:
    said = sentence("train", "digits", "--out", tmp_path / "m", "--objective", "lossy", "--lam", 1, *QUICK)
    assert "these directions of the data collapse: axis" in said
    assert "Take lam <=" in said
    assert not (tmp_path / "m").exists()


def test_lossy_on_flat_data_asks_for_noise(tmp_path: Path) -> None:
    said = sentence("train", "digits", "--out", tmp_path / "m", "--objective", "lossy", "--sigma", 0, *QUICK)
    assert "No lam is safe" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--objective", "lossless"), "'lossless' is not known. Use one of denoising, lossy"),
        (("--objective", "lossy", "--autoencoder", "mlp"), "mlp is not of full rank"),
        (("--objective", "contractive", "--autoencoder", "mlp-denoiser"), "is noise-conditioned"),
        (("--objective", "reconstruction", "--autoencoder", "mlp-residual"), "identity before training"),
        (("--objective", "reconstruction", "--lam", 0.1), "--lam: --objective reconstruction does not use it"),
        (("--objective", "contractive", "--sigma", 0.1), "--sigma"),
        (("--objective", "contractive", "--lam", 0), "lam = 0"),
        (("--objective", "lossy", "--lam", -1), "lam = -1"),
        (("--objective", "lossy", "--log-det", "guess"), "'guess'"),
        (("--objective", "lossy", "--sigma", -1), "sigma = -1"),
        (("--sigma", 0), "median = 0"),
        (("--spread", -1), "spread = -1"),
        (("--autoencoder", "transformer"), "'transformer' is not known"),
    ],
)
def test_mistakes_are_one_sentence(options: tuple, words: str, tmp_path: Path) -> None:
    assert words in sentence("train", "digits", "--out", tmp_path / "m", *options, *QUICK)
    assert not (tmp_path / "m").exists()


def test_defaults_follow_the_data() -> None:
    lossy = build("lossy", "mlp-residual", Numbers(), INPUTS, DATA)
    assert isinstance(lossy.objective, PerfectLossy)
    assert lossy.objective.smoothing == pytest.approx(0.12 * INPUTS.radius)
    assert 0 < lossy.objective.lam < 1 / 12 / 2
    assert lossy.options == {"scale": lossy.lam / INPUTS.std}
    assert build("lossy", "mlp-residual", Numbers(lam=0.01), INPUTS, DATA).lam == 0.01
    with pytest.raises(CollapseError):
        build("lossy", "mlp-residual", Numbers(lam=0.5), INPUTS, DATA)


def test_lambda_follows_the_objective() -> None:
    told = build("denoising", "mlp-denoiser", Numbers(sigma=0.3), INPUTS, DATA)
    assert told.objective == Denoising(0.3, 0.9, 0.5)
    assert told.lam is None
    blind = build("denoising", "mlp", Numbers(sigma=0.3), INPUTS, DATA)
    assert blind.objective == Denoising(0.3, 0.0, 0.5)
    assert blind.lam == pytest.approx(0.18)
    assert build("denoising", "mlp", Numbers(sigma=0.3, spread=0.4), INPUTS, DATA).lam is None
    contractive = build("contractive", "mlp", Numbers(lam=0.2), INPUTS, DATA)
    assert contractive.objective == Contractive(0.2, "exact")
    assert contractive.lam == 0.2
    assert build("reconstruction", "mlp", Numbers(), INPUTS, DATA).objective is reconstruction


def test_wide_data_takes_the_cheap_forms() -> None:
    inputs, data = Inputs((100,)), torch.rand(3000, 100, generator=torch.Generator().manual_seed(0))
    assert build("contractive", "mlp", Numbers(), inputs, data).objective.method == "hutchinson"
    assert build("lossy", "mlp-residual", Numbers(), inputs, data).objective.log_det == "first-order"


def test_choice_of_names() -> None:
    assert choose("denoising", "mlp-residual") == ("denoising", "mlp-residual")
    assert choose(None, "conv-residual") == ("lossy", "conv-residual")
    with pytest.raises(ArgumentError, match="conv-denoiser"):
        choose("contractive", "conv-denoiser")


def test_how_long_and_fast_can_be_said() -> None:
    usual, given = plan_for("digits"), plan_for("digits", autoencoder=AutoencoderSpec(batch=512, lr=2e-3))
    assert given.autoencoder_recipe == replace(usual.autoencoder_recipe, batch=512, lr=2e-3)
    assert given.classifier_recipe == usual.classifier_recipe
    exactly = plan_for("digits", autoencoder=AutoencoderSpec(epochs=60, batch=512)).autoencoder_recipe
    assert exactly.steps(1024) == 120  # no least number of steps where the passes are said
    for bad in ({"batch": 0}, {"lr": 0.0}, {"lr": math.inf}):
        with pytest.raises(ArgumentError, match=next(iter(bad))):
            AutoencoderSpec(**bad)  # type: ignore[arg-type]


def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    autoencoder = AutoencoderSpec("mlp", "reconstruction", epochs=2)
    plan = plan_for("digits", autoencoder=autoencoder, classifier=ClassifierSpec(epochs=1))
    for name, devices in (("one", 1), ("two", 2)):
        train(plan, tmp_path / name, device="cpu", fabric=FabricSpec(devices=devices))
    one, two = (load_file(tmp_path / name / "autoencoder" / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, weight in one.items():  # no noise and no dropout: gradients are averaged over the halves of each batch
        torch.testing.assert_close(two[name], weight, rtol=1e-3, atol=1e-5)
    curves = [
        json.loads((tmp_path / name / "autoencoder" / "training.json").read_text())["loss_curve"]
        for name in ("one", "two")
    ]
    assert [entry["step"] for entry in curves[0]] == [entry["step"] for entry in curves[1]]
    assert curves[0][-1]["train"] == pytest.approx(curves[1][-1]["train"], rel=1e-3)
    assert (tmp_path / "two" / "classifier" / "model.safetensors").is_file()


def test_no_process_at_all_is_refused() -> None:
    with pytest.raises(ArgumentError, match="devices = 0"):
        FabricSpec(devices=0)


def test_a_name_in_place_of_a_spec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"give ClassifierSpec\('conv'\)"):
        plan_for("digits", classifier="conv")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'epochs'"):
        plan_for("digits", epochs=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'precision'"):
        train(plan_for("digits"), tmp_path / "m", precision="bf16-mixed")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("part", "name"),
    [
        *(
            pytest.param("autoencoder", name, marks=[pytest.mark.slow] * (name == "unet"), id=f"autoencoder-{name}")
            for name in AUTOENCODERS
        ),
        *(("classifier", name) for name in CLASSIFIERS),
    ],
)
def test_every_network_trains_and_goes_on_from_its_checkpoint(part: str, name: str, tmp_path: Path) -> None:
    """Also those whose weights lie otherwise in memory than safetensors writes them."""
    recipe = Recipe(epochs=2, batch=256)
    plan = TrainPlan(
        "digits",
        **{part: name},
        only=part,
        objective="lossy"
        if "residual" in name
        else "reconstruction"
        if part == "autoencoder" and not AUTOENCODERS[name].noise_conditioned
        else "denoising",
        autoencoder_recipe=recipe,
        classifier_recipe=recipe,
    )
    train(plan, tmp_path / "whole", device="cpu")

    class CutError(Exception):
        pass

    class Cut(Silent):
        def task(self, _what: str, total: int, _unit: str):  # after the first epoch, whose checkpoint is there
            @contextmanager
            def cut():
                done = 0

                def advance(steps: int) -> None:
                    nonlocal done
                    done += steps
                    if done > total / 2:
                        raise CutError

                yield advance

            return cut()

    with pytest.raises(CutError):
        train(plan, tmp_path / "cut", device="cpu", progress=Cut())
    train(plan, tmp_path / "cut", device="cpu")
    ours, theirs = (load_file(tmp_path / folder / part / "model.safetensors") for folder in ("whole", "cut"))
    assert all(torch.allclose(ours[key], theirs[key], atol=1e-6) for key in ours)
