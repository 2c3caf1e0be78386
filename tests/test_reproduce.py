"""`reinject reproduce`: the plane's share, peers by their laws, runs that go on, the page."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import hurry
from reinject import data, wrap
from reinject.archive import Archive
from reinject.base.errors import ArgumentError, DataError
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.evaluation.plane import inside
from reinject.experiments import catalogue as experiments
from reinject.experiments import comparison, feature_source
from reinject.experiments import reproduce as module
from reinject.experiments.catalogue import Experiment
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.experiments.notes import Clock, MarksOnDisk, kept
from reinject.experiments.peers import PEERS, Task
from reinject.experiments.reproduce import reproduce
from reinject.models.loading import load_models
from reinject.networks import AUTOENCODERS, Inputs
from reinject.report.plane_picture import projected
from reinject.sampling.presets import PRESETS
from reinject.training import plans
from reinject.training.fit import Recipe
from reinject.training.plans import AutoencoderSpec, ClassifierSpec
from reinject.training.students import Bench, Student
from reinject.walks.reconstruction import Ensemble

DIGITS = data.load("digits")
QUICK = Recipe(epochs=1, batch=256)
FEW: Any = {"autoencoder": AutoencoderSpec(epochs=2), "classifier": ClassifierSpec(epochs=2)}


@pytest.mark.slow
def test_the_share_inside_of_a_shifted_normal() -> None:
    """The 75% region of N(0, I_2) is a disc of radius sqrt(-2 log .25); by quadrature of a shifted law over it."""
    from scipy import stats

    rng = np.random.default_rng(0)
    train, held_out, points = (rng.standard_normal((n, 2)) for n in (20_000, 20_000, 20_000))
    shift = np.array([1.0, 0.5])
    exact = stats.ncx2.cdf(-2 * np.log(0.25), 2, float(shift @ shift))
    assert inside(train, held_out, points + shift).share == pytest.approx(exact, abs=0.02)
    assert inside(train, held_out, 0.01 * points).share == 1
    low, high = inside(train, held_out[:500], points + shift).interval
    assert low < exact < high
    assert high - low > 2 * 1.96 * (exact * (1 - exact) / 20_000) ** 0.5  # few held-out rows say less than points do
    by_class = [np.concatenate([rows, rows + 9]) for rows in (train, held_out)]  # as folders of images come
    assert inside(*by_class, points).share == pytest.approx(inside(*by_class, points + 9).share, abs=0.05)
    with pytest.raises(DataError, match="99 held-out rows"):
        inside(train, held_out[:99], points)


def test_the_plane_is_that_of_the_training_rows() -> None:
    rng = np.random.default_rng(0)
    train = rng.standard_normal((500, 4)) * [1, 5, 0.1, 3]
    here, other = projected(train.reshape(500, 2, 2), train[:7].reshape(7, 2, 2) + 1)
    assert np.allclose(np.abs(np.corrcoef(here[:, 0], train[:, 1])[0, 1]), 1, atol=1e-2)
    assert here.mean(0) == pytest.approx([0, 0], abs=1e-9)
    assert other == pytest.approx(here[:7] + (other - here[:7])[0])


@pytest.fixture(scope="module")
def task(models: Path) -> Task:
    levels = Storage()
    train = Table.of(DIGITS.train.x, DIGITS.train.y, levels)
    return Task(train, load_models([models]), QUICK, 10, 800, 0)


@pytest.mark.parametrize("name", PEERS)
def test_peers_give_labelled_samples_of_the_same_kind_and_the_same_again(task: Task, name: str) -> None:
    found = PEERS[name](task)
    assert abs(len(found) - 800) <= 10
    assert found.x.shape[1:] == (1, 8, 8)
    assert found.storage == task.train.storage
    assert found.x.dtype == np.uint8
    again = PEERS[name](task)
    assert np.array_equal(found.x, again.x)
    assert np.array_equal(found.y, again.y)
    if name.endswith("a class"):
        shares = np.bincount(task.train.y, minlength=10) / len(task.train)
        assert np.bincount(found.y, minlength=10) / len(found) == pytest.approx(shares, abs=0.01)
    elif found.y.ndim == 1:
        with torch.no_grad():
            x = found.storage.load(torch.from_numpy(found.x))
            assert np.array_equal(task.models.labelling()(x).argmax(1).numpy(), found.y)
    else:
        assert found.y.sum(1) == pytest.approx(1, abs=1e-5)


def test_gaussians_have_the_moments_of_their_data(task: Task) -> None:
    """In a space without an edge, where nothing is clipped; tolerances of 5 standard errors."""
    from reinject.experiments.peers import _gaussian

    rng = np.random.default_rng(0)
    x = (rng.standard_normal((3000, 3)) @ rng.standard_normal((3, 3)) + [1, 2, 3]).astype(np.float32)
    drawn = _gaussian(x, 100_000, np.random.default_rng(1)).numpy()
    cov = np.cov(x.T)
    assert np.abs(drawn.mean(0) - x.mean(0)).max() < 5 * np.sqrt(cov.diagonal().max() / 100_000)
    assert np.cov(drawn.T) == pytest.approx(cov, abs=5 * cov.max() * np.sqrt(2 / 100_000))
    assert len(PEERS["one Gaussian"](task)) == 800


def test_reinjection_gives_five_samples_a_walk_without_noise(task: Task) -> None:
    found = PEERS["reinjection without noise"](task)
    r = task.models.ensemble()
    x = torch.randn((160, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for k in range(5):
            x = r(x)
            assert np.array_equal(found.storage.store(x)[0].numpy(), found.x[160 * k : 160 * (k + 1)])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> dict[str, Experiment]:
    """Experiments of seconds: in pixels, and in features of an extractor that hardly learned."""
    known = {
        "digits": Experiment("digits"),
        "digits-features": Experiment("digits", "digits", **FEW, goal=(0.9, 0.8), peers=("Gaussian a class",)),
        "digits-votes": Experiment(
            "digits",
            **FEW,
            votes=("conv",),
            presets=(),
            best=PRESETS["default"],
            unlearned=1 / 3,
            peers=("one Gaussian",),
        ),
    }
    monkeypatch.setattr(comparison, "EXPERIMENTS", known)
    monkeypatch.setattr(module, "EXPERIMENTS", known)
    monkeypatch.setattr(feature_source, "EXTRACTOR_EPOCHS", 2)
    monkeypatch.setattr(comparison, "NOISES", 2)
    monkeypatch.setattr(comparison, "FIRST", 900)
    monkeypatch.setattr(plans, "CLASSIFIER_RECIPE", QUICK)
    hurry(monkeypatch)
    return known


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_every_experiment_walks_what_it_trains(name: str) -> None:
    experiment = experiments.EXPERIMENTS[name]
    inputs = Inputs((16,) if experiment.extractor else (3, 8, 8))
    first, *votes = experiment.plans(experiment.dataset, 0, Path("models")).values()
    assert [plan.classifier for plan in votes] == list(experiment.votes)
    network = AUTOENCODERS[first.autoencoder](inputs)
    knows = network.noise_conditioned
    r = Ensemble((wrap(network, inputs.shape, noise_conditioned=knows, sigma=0.2 if knows else None),))
    for settings in experiment.walks.values():
        assert settings.build(r, inputs.radius).event_shape == inputs.shape


def seconds_of(training: Path) -> float:
    return float(json.loads(training.read_text())["result"]["seconds"])


@pytest.mark.slow
def test_classifiers_vote_and_a_student_says_what_is_kept(quick: dict[str, Experiment], tmp_path: Path) -> None:
    assert quick
    spec = ExperimentSpec(seeds=1, samples=1500)
    one = reproduce(["table"], tmp_path, only=["digits-votes"], spec=spec).result["digits-votes"]
    there = tmp_path / "digits-votes" / "seed-0"
    archive = Archive.open(there / "best")
    voted = [Path(one["folder"]).parent.name for one in archive.manifest["models"]["classifiers"]]
    assert voted == ["models", "conv"]
    assert [one["folder"] for one in archive.manifest["models"]["students"]] == ["../best-student/classifier"]
    dropped = archive.manifest["counts"]["dropped"]["known to the student"]
    assert dropped / (dropped + archive.rows) == pytest.approx(2 / 3, abs=0.01)
    assert archive.rows >= 1500
    clock = json.loads((there / "result.json").read_text())["seconds"]
    judges = [seconds_of(there / name / "classifier" / "training.json") for name in voted]
    trained = [*judges, seconds_of(there / "models" / "autoencoder" / "training.json")]
    assert clock["training"] == pytest.approx(sum(trained))
    assert one["sets"]["ours, best"]["seconds"]["mean"] == pytest.approx(clock["best"] + sum(trained))
    peer = one["sets"]["one Gaussian"]["seconds"]["mean"]
    assert peer == pytest.approx(clock["one Gaussian"] + sum(judges))


def test_the_extractor_is_trained_in_the_precision_that_is_asked_for(
    quick: dict[str, Experiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quick
    asked: list[str] = []
    monkeypatch.setattr(comparison, "train", lambda *_, fabric, **__: asked.append(fabric.precision) or _interrupt())
    for precision in ("32-true", "bf16-mixed"):
        spec = ExperimentSpec(samples=1500, precision=precision)
        with pytest.raises(KeyboardInterrupt):
            reproduce(["table"], tmp_path / precision, only=["digits-features"], spec=spec)
    assert asked == ["32-true", "bf16-mixed"]


def test_what_a_cut_run_has_done_keeps_its_time(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "seconds.json")
    assert clock.time("walk", lambda: (time.sleep(0.2), 3)[1]) == 3
    first = clock.seconds["walk"]
    assert first >= 0.2
    with pytest.raises(KeyboardInterrupt):
        clock.time("students", _interrupt)
    again = Clock(tmp_path / "seconds.json")
    again.time("walk", lambda: None)
    again.time("students", lambda: None)
    assert again.seconds["walk"] == first
    assert again.seconds["students"] < 0.2


def test_tables_are_kept_and_read_again(tmp_path: Path) -> None:
    storage, path = Storage(), tmp_path / "peers" / "one.npz"
    table = Table(DIGITS.train.x[:9].numpy(), np.eye(10, dtype=np.float32)[:9], storage)
    assert kept(path, storage, lambda: table) is table
    again = kept(path, storage, _interrupt)
    assert again.x.dtype == np.uint8
    assert np.array_equal(again.x, table.x)
    assert np.array_equal(again.y, table.y)
    assert [one.name for one in path.parent.iterdir()] == ["one.npz"]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"one.npz: is damaged"):
        kept(path, storage, _interrupt)


@pytest.mark.usefixtures("quick_students")
def test_students_of_a_run_that_was_cut_are_not_trained_again(tmp_path: Path) -> None:
    train, test = (Table.of(part.x, part.y, Storage()) for part in (DIGITS.train, DIGITS.test))

    def bench(stop: int) -> tuple[Bench, list[int]]:
        told: list[int] = []

        def on_student() -> None:
            told.append(1)
            if len(told) == stop:
                raise KeyboardInterrupt

        return Bench(test, DIGITS.class_names, on_student=on_student, known=MarksOnDisk(tmp_path / "marks.json")), told

    jobs = {"a": [(Student(0, 100), train), (Student(0, 900), train)], "b": [(Student(1, 100), train)]}
    with pytest.raises(KeyboardInterrupt):
        bench(2)[0].groups(jobs)
    there = MarksOnDisk(tmp_path / "marks.json")
    assert len(there) == 2
    again, told = bench(0)
    found = again.groups(jobs)
    assert len(told) == 3  # also of those that were known
    assert found == Bench(test, DIGITS.class_names).groups(jobs)
    silent = replace(again, workers=0)  # nobody can be trained
    assert silent.groups(jobs) == found
    other = Table(train.x, (train.y + 1) % 10, train.storage)
    for job in ((Student(0, 100), other), (Student(0, 101), train)):
        with pytest.raises(ValueError, match="max_workers"):
            silent.run([job])
    assert MarksOnDisk(tmp_path / "marks.json") == again.known


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_an_experiment_is_gone_on_with_and_not_made_again(
    quick: dict[str, Experiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quick
    out = tmp_path / "r"
    only, once, twice = ["digits-features"], ExperimentSpec(1, 1500), ExperimentSpec(2, 1500)
    first = reproduce(["table"], out, only=only, spec=once).result
    times = {path: path.stat().st_mtime_ns for path in out.rglob("result.json")}
    result = reproduce(["table", "curves"], out, only=only, spec=twice).result
    assert all(path.stat().st_mtime_ns == at for path, at in times.items())
    for name in only:
        sets = result[name]["sets"]
        assert len(sets["ours, paper"]["ratio"]["values"]) == 2
        assert sets["ours, paper"]["ratio"]["values"][:1] == first[name]["sets"]["ours, paper"]["ratio"]["values"]
        assert sets["real inputs, soft labels"]["skill"] is None
        assert sets["real inputs, soft labels"]["seconds"] is None
        seconds = result[name]["seconds"]
        ours, peer = (sets[one]["seconds"]["mean"] for one in ("ours, default", "Gaussian a class"))
        assert peer == pytest.approx(seconds["Gaussian a class"])
        assert ours == pytest.approx(seconds["default"] + seconds["training"])
        assert sets["ours, default, soft labels"]["skill"]["mean"] != sets["ours, default"]["skill"]["mean"]
        assert (out / name / "curves.png").is_file()
        assert len(result[name]["curves"]["real"]) == 2
    page = (out / "results.md").read_text()
    assert "| ours, default | 0." in page
    assert "Goal: ratio 0.9, skill 0.8." in page
    assert "`reinject reproduce table --only digits-features --seeds 2 --samples 1500`" in page
    with pytest.raises(ArgumentError, match=r"1600 differs from 1500 in "):
        reproduce(["table"], out, only=only, spec=ExperimentSpec(samples=1600))
    paper = out / "digits-features" / "seed-0" / "paper"
    (out / "digits-features" / "seed-0" / "result.json").unlink()
    manifest = paper / "manifest.json"
    walked = manifest.read_text()
    manifest.write_text(walked.replace(json.loads(walked)["models"]["classifiers"][0]["sha256"], "0" * 64))
    with pytest.raises(DataError, match=r"paper: was walked otherwise: classifiers"):
        reproduce(["table"], out, only=only, spec=once)
    shutil.rmtree(paper)
    shutil.copytree(paper.with_name("default"), paper)
    with pytest.raises(DataError, match=r"paper: was walked otherwise: .*settings.steps \(93 there, 10 here\)"):
        reproduce(["table"], out, only=only, spec=once)
    quick["digits-features"] = replace(quick["digits-features"], autoencoder=AutoencoderSpec(epochs=3))
    with pytest.raises(DataError, match=r"was trained otherwise: autoencoder_recipe.epochs \(2 there, 3 here\)"):
        reproduce(["table"], out, only=only, spec=once)
    with pytest.raises(ArgumentError, match="1346 are fewer than the 1347 real rows"):
        reproduce(["table"], tmp_path / "few", only=["digits"], spec=ExperimentSpec(samples=1346))
    assert not list((tmp_path / "few" / "digits").glob("seed-*"))
    monkeypatch.setattr(module, "run", lambda *_, **__: pytest.fail("made again"))
    reproduce([], out)


def test_results_of_earlier_versions_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = {"mean": 0.5, "interval": [0.5, 0.5], "values": [0.5]}
    sets = {"ours, default": {"ratio": number, "skill": number, "accuracy": number}}  # they had no seconds each
    rest = {
        "rows": 9,
        "samples": 10,
        "seeds": [0],
        "goal": None,
        "twin": 0.5,
        "noise": 0.1,
        "sets": sets,
        "seconds": {},
    }
    asked = []
    monkeypatch.setattr(module, "run", lambda _, __, spec, **___: asked.append(spec.precision) or rest)
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "plan.json").write_text(json.dumps({"experiment": "digits", "samples": 10}))
    with pytest.raises(ArgumentError, match=r"--precision: bf16-mixed differs from 32-true in "):
        reproduce(["table"], tmp_path, only=["digits"], spec=ExperimentSpec(samples=10, precision="bf16-mixed"))
    made = reproduce(["table"], tmp_path, only=["digits"], spec=ExperimentSpec(1, 10)).result["digits"]
    assert made["command"] == "reinject reproduce table --only digits --seeds 1 --samples 10"
    assert "| ours, default | 0.5000 |  | 0.5000 |  |  |" in (tmp_path / "results.md").read_text()
    other = reproduce(["table"], tmp_path / "b", only=["digits"], spec=ExperimentSpec(1, 10, "bf16-mixed")).result
    assert other["digits"]["command"].endswith("--samples 10 --precision bf16-mixed")
    assert asked == ["32-true", "bf16-mixed"]
    with pytest.raises(ArgumentError, match="'8-true' is not known"):
        ExperimentSpec(precision="8-true")
    plan = tmp_path / "digits" / "plan.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "device": "cuda"}))
    with pytest.raises(ArgumentError, match=r"--device: cpu differs from cuda in "):
        reproduce(["table"], tmp_path, only=["digits"], spec=ExperimentSpec(samples=10))


@pytest.mark.slow
def test_the_kind_of_the_students_is_that_of_the_spec(
    quick: dict[str, Experiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class JudgedError(Exception):
        pass

    asked = []

    def judge(*given: object, **_: object) -> None:
        asked.append(given[4])
        raise JudgedError

    monkeypatch.setattr(comparison, "judge", judge)
    quick["digits"] = replace(quick["digits-features"], extractor="", presets=("paper",), peers=())
    spec = ExperimentSpec(seeds=1, samples=1500, student="cnn")
    with pytest.raises(JudgedError):
        reproduce(["table"], tmp_path, only=["digits"], spec=spec)
    assert [(one.kind, one.device) for one in asked] == [("cnn", "cpu")]
    with pytest.raises(ArgumentError, match=r"--student: mlp differs from cnn in "):
        reproduce(["table"], tmp_path, only=["digits"], spec=replace(spec, student="mlp"))
    with pytest.raises(ArgumentError, match="'large' is not known"):
        replace(spec, student="large")  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="device 'cuda'"):
        reproduce(["table"], tmp_path / "out", only=["digits"], spec=ExperimentSpec(samples=1500, device="cuda"))
    assert not (tmp_path / "out").exists()


def test_figures_are_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIGURES", {"figure1": ("digits", "any")})
    result = reproduce(["figure1"], tmp_path / "r").result["figure1"]
    assert 0 <= result["pixels in [-1, 1]"]["share"] <= 1
    assert (tmp_path / "r" / "figure1" / "figure1.png").is_file()
    before = (tmp_path / "r" / "figure1" / "metrics.json").read_bytes()
    reproduce(["figure1"], tmp_path / "r")
    assert (tmp_path / "r" / "figure1" / "metrics.json").read_bytes() == before
    assert json.loads(before)["command"] == "reinject reproduce figure1"
    shares = [result[f"pixels in [{low}, 1]"]["share"] for low in (-1, 0)]
    assert shares[0] != shares[1]


def test_mistyped_targets(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="'figure4' is not known"):
        reproduce(["figure4"], tmp_path / "r")
    with pytest.raises(ArgumentError, match="'cifar' is not known"):
        reproduce(["table"], tmp_path / "r", only=["cifar"])
    assert not (tmp_path / "r").exists()


def test_the_help_names_every_experiment() -> None:
    from typer.testing import CliRunner

    from reinject.cli import app

    shown = CliRunner().invoke(app, ["reproduce", "--help"], env={"COLUMNS": "400"}).output
    for name in experiments.EXPERIMENTS:
        assert name in shown.replace("\n", " ")
