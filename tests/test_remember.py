"""Training that remembers old models: rows, labels, classes, what is written down, resuming, bad input."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reinject import Archive, data
from reinject.base.errors import ArgumentError, DataError, ReinjectError
from reinject.base.progress import Silent
from reinject.base.random_streams import stream
from reinject.continual import Remember, Replay, train_remembering
from reinject.continual.mixing import Memory, balanced, mixed
from reinject.continual.remember import rehearse
from reinject.data import datasets
from reinject.data.rehearsed import Rehearsed
from reinject.data.samples import Storage
from reinject.models.bundle import load
from reinject.models.loading import load_models
from reinject.networks import Inputs, MLPAutoencoder, MLPClassifier, MLPDenoiser, Network
from reinject.sampling.auto import PASSES
from reinject.sampling.presets import Settings, falls
from reinject.sampling.provenance import check_split
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.sampling.selection import Selection
from reinject.sampling.stream import Stream
from reinject.training.fit import Recipe, Rows, fit
from reinject.training.labelling import alike
from reinject.training.plans import TrainPlan, plan_for
from reinject.training.train import train
from test_cli import run

QUICK = Recipe(epochs=1, batch=32, least_steps=20)
PLAIN = Settings("langevin", {"lam": "0.01"}, 2, 1)
SETTINGS = falls(10, 16)


def saved(folder: Path, inputs: Inputs, *, conditioned: bool = True) -> Path:
    """Small untrained models; their classes are even by a classifier that is a fixed random projection."""
    torch.manual_seed(0)
    r = MLPDenoiser(inputs, width=16, depth=2) if conditioned else MLPAutoencoder(inputs, hidden=(16,), latent=3)
    C = MLPClassifier(inputs, hidden=())
    r.save_pretrained(folder / "autoencoder")
    with torch.no_grad():
        next(C.parameters()).mul_(20)
        if conditioned:  # a threshold between the walks, so that both classes exist
            walks = Stream(folder, SampleSpec(selection=Selection(labels="none")), walks=200)
            list(C.parameters())[-1].sub_(C(torch.stack([x for x, _ in walks])).median(0).values)
    C.save_pretrained(folder / "classifier")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with old models of cats and dogs, and with new data of dogs and cars."""
    saved(tmp_path / "old", Inputs((1, 4, 4), class_names=("cat", "dog")))
    rng = np.random.default_rng(0)
    names = np.array(["dog", "car"])
    y = np.arange(60) % 2
    x = rng.integers(0, 256, (60, 4, 4)).astype(np.uint8)
    np.savez(tmp_path / "new.npz", x_train=x, y_train=names[y], x_test=x[:8, ::-1], y_test=names[y[:8]])
    np.savez(tmp_path / "kept.npz", x=x[:3, :, ::-1], y=np.array(["cat", "bus", "cat"]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of(dataset: str = "new.npz", **remember: Any) -> TrainPlan:
    values = {"models": "old", "rows": 12, **remember}
    plan = plan_for(dataset, remember=Remember(**values))
    return replace(
        plan, autoencoder="mlp", autoencoder_recipe=QUICK, classifier_recipe=QUICK, objective="reconstruction"
    )


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(folder.glob("*/model.safetensors"))}


def test_models_remember_both_and_say_what(place: Path) -> None:
    done = train_remembering(plan_of(), place / "out", device="cpu")
    models = load_models([place / "out"])
    assert models.inputs.class_names == ("cat", "dog", "car")
    told = json.loads((place / "out/classifier/training.json").read_text())["plan"]["remember"]["found"]
    old = load_models([place / "old"])
    assert told["models"] == {"autoencoder": old.autoencoders[0].sha256, "classifier": old.classifiers[0].sha256}
    assert told["rows"] == {"cat": 12, "dog": 12}
    assert (told["seed"], told["generation"]) == (0, 1)
    assert done.result["remembered"] == told
    assert models.autoencoders[0].split == data.load("new.npz").split  # walks are nobody's held-out rows
    assert not list(place.glob("out.*"))
    again = train_remembering(plan_of(), place / "out", device="cpu")
    assert again.repeated
    train_remembering(plan_of(models="out"), place / "third", device="cpu")  # a folder like any other
    told = json.loads((place / "third/classifier/training.json").read_text())["plan"]["remember"]["found"]
    assert told["generation"] == 2
    assert load_models([place / "third"]).inputs.class_names == ("cat", "dog", "car")


def test_rehearsed_features_are_states_and_rehearsed_images_are_reconstructions(tmp_path: Path) -> None:
    plan = plan_for("any", remember=Remember(rows=5))
    for space, emit in (("features of X", "state"), ("", "reconstruction")):
        old = load_models([saved(tmp_path / emit, Inputs((6,), class_names=("cat", "dog"), space=space))])
        rows = data.LabelledImages(torch.randn(8, 6, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2)
        dataset = data.Dataset("new", rows, rows, ("car", "bus"), space)
        both, found = rehearse(plan, dataset, old, tmp_path / f"{emit}.rehearsal")
        settings = found["settings"]
        assert (settings["emit"], settings["kernel"]) == (emit, "multistep")
        assert settings["steps"] + (emit == "reconstruction") == PASSES  # as many calls of r
        assert both.new is not None
        assert torch.equal(both.train.x[both.new].sort(0).values, rows.x.sort(0).values)


def test_the_classifier_sees_new_rows_as_the_new_autoencoder_gives_them_back(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def spy(dataset: Rehearsed, network: Network, levels: Storage, seed: int) -> data.LabelledImages:
        assert dataset.new is not None
        assert int(dataset.new.sum()) == 60
        assert len(dataset.train) == 60 + 2 * 12
        own = load(place / "out.partial" / "autoencoder").network
        assert all(torch.equal(a, b) for a, b in zip(own.parameters(), network.parameters(), strict=True))
        found = alike(dataset, network, levels, seed)
        changed = (found.x != dataset.train.x).flatten(1).any(1)
        assert torch.equal(changed, dataset.new)
        seen.append(found.x)
        return found

    monkeypatch.setattr("reinject.training.train.alike", spy)
    rows: list[torch.Tensor] = []
    usual = fit

    def noted(network: Network, loss: Any, given: Rows, *rest: Any, **named: Any) -> Any:
        assert given.validation is not None
        rows.append(torch.cat([given.x, given.validation.x]))
        return usual(network, loss, given, *rest, **named)

    monkeypatch.setattr("reinject.training.train.fit", noted)
    train_remembering(plan_of(), place / "out", device="cpu")
    assert torch.equal(rows[1].sort(0).values, seen[0].sort(0).values)  # the classifier's, in another order
    assert not torch.equal(rows[0].sort(0).values, seen[0].sort(0).values)  # the autoencoder's are as they came


def test_held_out_rows_of_remembered_models_are_judged_by_their_split_alone(place: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (40, 4, 4)).astype(np.uint8)
    np.savez("old.npz", x=x, y=np.array(["cat", "dog"] * 20))
    for part in ("autoencoder", "classifier"):
        data.load("old.npz", split_seed=3).split.save(place / "old" / part)
    train_remembering(plan_of(), place / "out", device="cpu")
    train_remembering(plan_of(models="out"), place / "third", device="cpu")
    for name in ("out", "third"):
        models = load_models([place / name])
        sample_models(models, place / f"{name}-set", SampleSpec(settings=PLAIN), walks=8)
        archive = Archive.open(place / f"{name}-set")
        other = data.load("old.npz", split_seed=0)
        for check in (lambda: check_split(archive, other), lambda: models.check_unseen(other)):  # noqa: B023
            with pytest.raises(DataError, match=r"held out here \(its split seed is 3, not 0\)"):
                check()
        assert check_split(archive, data.load("old.npz", split_seed=3))
    known = models.autoencoders[0].split
    assert known is not None
    assert [one.name for one in known.behind] == ["new.npz", "new.npz", "old.npz"]


def test_old_models_without_a_split_are_said(place: Path) -> None:
    train_remembering(plan_of(), place / "out", device="cpu")
    sample_models(load_models([place / "out"]), place / "set", SampleSpec(settings=PLAIN), walks=8)
    said = check_split(Archive.open(place / "set"), data.load("new.npz"))
    assert any("remembers does not say which rows it was trained on" in line for line in said)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(place: Path) -> None:
    for name in ("a", "b"):
        train_remembering(plan_of(), place / name, device="cpu")
    train_remembering(replace(plan_of(), seed=1), place / "c", device="cpu")
    assert bytes_of(place / "a") == bytes_of(place / "b") != bytes_of(place / "c")


def test_no_old_data_is_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, original = [], datasets.load
    monkeypatch.setattr(data, "load", lambda name, *rest: read.append(name) or original(name, *rest))
    train_remembering(plan_of(), place / "out", device="cpu")
    assert read == ["new.npz"]


def test_rows_are_balanced_chosen_once_and_labelled_by_the_old_classifier(place: Path) -> None:
    models = load_models([place / "old"])
    sample_models(models, place / "walks", SampleSpec(settings=SETTINGS), walks=60)
    archive = Archive.open(place / "walks")
    new = data.load("new.npz")
    both, counts = mixed(new, Memory(archive, 10), ("cat", "dog", "car"), None, 0)
    assert counts == {"cat": 10, "dog": 10}
    assert len(both.train) == 80
    assert isinstance(both, Rehearsed)
    x, y = both.train.x, both.train.y
    stored, label = archive.read()
    where = {row.numpy().tobytes(): k for k, row in enumerate(stored)}
    C, found = models.labelling(), []
    for row, p in zip(x, y, strict=True):
        if (k := where.get(row.numpy().tobytes())) is not None:
            with torch.no_grad():
                expected = C(archive.storage.load(row[None])).softmax(1)[0]
            assert p[:2] == pytest.approx(expected.tolist(), abs=1e-5)
            assert p[2] == 0
            found.append(k)
    assert len(set(found)) == len(found) == 20
    assert label[found].bincount().tolist() == [10, 10]
    real = y[[row.numpy().tobytes() not in where for row in x]]
    assert sorted(real.argmax(1).tolist()) == [1] * 30 + [2] * 30
    assert torch.equal(nn.functional.one_hot(real.argmax(1), 3).float(), real)
    assert both.test.y.tolist() == [1, 2] * 4  # the test part is the new one, by the new numbers
    assert both.walks is not None
    held = {row.numpy().tobytes() for row in both.walks.x}
    assert held.isdisjoint({stored[k].numpy().tobytes() for k in found})


def test_a_rare_class_repeats_its_rows_and_a_missing_one_has_none() -> None:
    label = torch.tensor([0] * 50 + [1] * 3)
    chosen, left = balanced(label, 3, 10, stream((0,)))
    assert label[chosen].bincount(minlength=3).tolist() == [10, 10, 0]
    assert len(set(chosen[10:].tolist())) == 3
    assert len(left) == 40
    assert len(balanced(label, 2, 20, stream((0,)))[0]) == 20 + 12  # four times at most


def test_a_missing_class_is_said(place: Path) -> None:
    with torch.no_grad():
        inputs = Inputs((1, 4, 4), class_names=("cat", "dog"))
        C = MLPClassifier(inputs, hidden=())
        list(C.parameters())[1].copy_(torch.tensor([0.0, 99.0]))
        C.save_pretrained(place / "old/classifier")
    done = train_remembering(plan_of(), place / "out", device="cpu")
    assert any("no walk is of cat: the new models forget this" in line for line in done.lines)
    assert any("warning: the old models cannot be sampled" in line for line in done.lines)


@pytest.mark.slow
@pytest.mark.parametrize("conditioned", [True, False])
def test_a_buffer_adds_its_rows_and_walks_may_begin_there(place: Path, conditioned: bool) -> None:
    saved(place / "old", Inputs((1, 4, 4), class_names=("cat", "dog")), conditioned=conditioned)
    seen: list[Any] = []

    class Kept(Silent):
        def say(self, text: str) -> None:
            seen.append(text)

    done = train_remembering(plan_of(buffer="kept.npz"), place / "out", device="cpu", progress=Kept())
    found = done.result["remembered"]
    assert found["buffer"]["rows"] == 3
    assert load_models([place / "out"]).inputs.class_names == ("cat", "dog", "car", "bus")
    assert ("Points" in found["start"]) is not conditioned


def kill_at(moment: float, words: list[str], place: Path) -> None:
    program = [sys.executable, "-c", "from reinject.cli import main; main()", *words]
    with subprocess.Popen(program, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)


SELDOM = [pytest.param(one, marks=pytest.mark.slow) for one in ("walks", "mixing", "classifier", "published")]


class Stop(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("moment", ["autoencoder", *SELDOM])
def test_a_run_that_is_killed_resumes_to_the_same_models(
    place: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reinject.continual import remember as module
    from reinject.training import train as training

    train_remembering(plan_of(), place / "whole", device="cpu")

    def stop(*_: Any, **__: Any) -> None:
        raise Stop

    run_one = training._Job.run
    with monkeypatch.context() as patch:
        if moment == "walks":
            patch.setattr(module.Archive, "open", stop)
        elif moment == "mixing":
            patch.setattr(module, "mixed", stop)
        elif moment == "published":
            patch.setattr(module.shutil, "rmtree", stop)
        else:
            patch.setattr(
                training._Job, "run", lambda job, name, *rest: stop() if name == moment else run_one(job, name, *rest)
            )
        with pytest.raises(Stop):
            train_remembering(plan_of(), place / "out", device="cpu")
    train_remembering(plan_of(), place / "out", device="cpu")
    assert bytes_of(place / "out") == bytes_of(place / "whole")
    assert not list(place.glob("out.*"))


@pytest.mark.slow
def test_a_command_killed_at_many_moments_resumes_to_the_same_models(place: Path) -> None:
    words = ["train", "new.npz", "--remember", "old", "--epochs", "300", "--classifier-epochs", "100", "--batch", "32"]
    words += ["--device", "cpu", "--out"]
    assert run(*words, "whole")[0] == 0
    for k in range(12):
        kill_at(2.0 + 0.4 * k, [*words, "out"], place)
    assert run(*words, "out")[0] == 0
    assert bytes_of(place / "out") == bytes_of(place / "whole")


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_the_command() -> None:
    few = ["--epochs", "1", "--classifier-epochs", "1", "--device", "cpu"]
    status, out, said = run("train", "new.npz", "--remember", "old", "--remember-rows", "9", "--out", "both", *few)
    assert status == 0, said
    assert "remembered: 18 rows of cat, dog; generation 1; verdict on the walks:" in out
    replay = Replay("both", SpecOf, class_names=("car", "cat", "dog"))
    assert replay.draw(5)[1].shape == (5, 3)
    for words in (["--buffer", "kept.npz"], ["--remember-rows", "3"]):
        status, _, said = run("train", "new.npz", "--out", "x", *words, *few)
        assert status == 1
        assert f"{words[0]}: needs old models. Give --remember MODELS" in said.replace("\n", " ")


SpecOf = SampleSpec(settings=SETTINGS, block_size=8)


def of_numbers(place: Path) -> None:
    saved(place / "old", Inputs((1, 4, 4), class_names=("0", "1")))


def of_another_shape(place: Path) -> None:
    saved(place / "old", Inputs((1, 8, 8), class_names=("cat", "dog")))


def of_another_range(place: Path) -> None:
    saved(place / "old", Inputs((1, 4, 4), -1, 1, class_names=("cat", "dog")))


def of_another_space(place: Path) -> None:
    saved(place / "old", Inputs((1, 4, 4), class_names=("cat", "dog"), space="features of X"))


def without_a_classifier(place: Path) -> None:
    (place / "old/classifier").rename(place / "old/other")


@pytest.mark.parametrize(
    ("change", "given", "said"),
    [
        (of_numbers, {}, "old: it has classes 0, 1 without names, the new data has .*: equal numbers may be equal"),
        (of_another_shape, {}, r"takes inputs of shape \(1, 8, 8\), new.npz has \(1, 4, 4\). Give models and data of"),
        (of_another_range, {}, "takes pixels in -1..1, the new models in 0..1. Give --value-range -1,1"),
        (of_another_space, {}, "lives in features of X, new.npz in pixels. Give models and data of one space"),
        (without_a_classifier, {}, "old: has no classifier to label what its autoencoder remembers"),
        (lambda _: None, {"models": "none"}, "none: no such folder of models"),
        (
            lambda _: None,
            {"dataset": "adult.csv"},
            "adult.csv is a table. Call reinject.continual",
        ),
        (lambda _: None, {"buffer": "wide.npz"}, r"--buffer: wide.npz has rows of shape \(1, 5, 5\), the new data"),
    ],
)
def test_old_models_that_do_not_fit_are_refused(place: Path, change: Any, given: dict[str, Any], said: str) -> None:
    np.savez(place / "wide.npz", x=np.full((4, 5, 5), 9, np.uint8), y=np.array(["cat"] * 4))
    change(place)
    with pytest.raises(ReinjectError, match=said):
        train_remembering(plan_of(**given), place / "out", device="cpu")
    assert not list(place.glob("out*"))


def test_a_task_of_one_class_needs_old_models_and_a_plan_its_own_function(place: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 4)).astype(np.uint8)
    np.savez(place / "one.npz", x=x, y=np.array(["car"] * 20))
    with pytest.raises(DataError, match="has one class, car: nothing to tell apart"):
        train(replace(plan_of("one.npz"), remember=None), place / "out", device="cpu")
    assert not list(place.glob("out*"))
    train_remembering(plan_of("one.npz"), place / "out", device="cpu")
    assert load(place / "out/classifier").network.inputs.class_names == ("cat", "dog", "car")
    with pytest.raises(ArgumentError, match=r"Call reinject\.continual\.train_remembering"):
        train(plan_of(), place / "x", device="cpu")
    with pytest.raises(ArgumentError, match="remembers nothing"):
        train_remembering(replace(plan_of(), remember=None), place / "x", device="cpu")
    with pytest.raises(ArgumentError, match="rows = 0 is below 1"):
        Remember(rows=0)
