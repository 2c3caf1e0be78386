"""The split of a data set: a property of the data, carried by models and archives; a mismatch is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from reinject import Archive, Stream, data
from reinject.base.errors import DataError, ModelError
from reinject.cli import app
from reinject.data.splits import SPLIT, Split, check_unseen, split_of
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.evaluation.tune import tune
from reinject.experiments.catalogue import EXPERIMENTS
from reinject.models.bundle import load
from reinject.models.extract import extract
from reinject.models.inspect import inspect
from reinject.models.loading import load_models
from reinject.networks import Inputs, MLPAutoencoder
from reinject.report.evaluated import evaluate
from reinject.report.pages import command_of
from reinject.report.report import report
from reinject.sampling.presets import settings_of
from reinject.sampling.provenance import check_split
from reinject.sampling.trace import trace
from reinject.training.fit import Recipe
from reinject.training.plans import TrainPlan
from reinject.training.train import train

HURRIED = Recipe(epochs=1, batch=256)
WALK = ("--kernel", "langevin", "--lam", "1e-9", "--steps", 2, "--burn-in", 2, "--walks", 120)


def run(*words: object) -> str:
    """What a command prints."""
    forced = ("--force",) if words[0] == "sample" else ()
    done = CliRunner().invoke(app, [*map(str, words), *forced])
    assert done.exit_code == 0, done.output
    return done.stdout


def sentence(*words: object) -> str:
    """What a command says that fails: one line."""
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 1, done.output
    (line,) = done.stderr.strip().splitlines()
    return line


def next_of(said: str) -> list[str]:
    """The command that ``sample`` proposes, for the digits."""
    (line,) = [line for line in said.splitlines() if line.startswith("Next: reinject evaluate")]
    return line.removeprefix("Next: reinject ").replace("DATASET", "digits").split()


def trained(out: Path, **plan: Any) -> Path:
    train(TrainPlan("digits", autoencoder_recipe=HURRIED, classifier_recipe=HURRIED, **plan), out, device="cpu")
    return out


@pytest.fixture(scope="module")
def third(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of the split by seed 3, hardly trained."""
    return trained(tmp_path_factory.mktemp("third") / "models", seed=1, split_seed=3)


@pytest.fixture(scope="module")
def archive(third: Path) -> Path:
    """Samples of these models."""
    run("sample", third, "--out", third.parent / "s", *WALK)
    return third.parent / "s"


def older(folder: Path, out: Path) -> Path:
    """The same models as versions wrote them that kept no splits."""
    shutil.copytree(folder, out)
    for part in ("autoencoder", "classifier"):
        (out / part / SPLIT).unlink()
        kept = json.loads((out / part / "training.json").read_text())
        kept["plan"]["seed"] = kept["plan"].pop("split_seed")
        (out / part / "training.json").write_text(json.dumps(kept))
    return out


def test_no_judged_row_was_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ``train --seed 3``, and the line that ``sample`` prints: 77% of the judged rows were trained on once."""
    read: list[data.Dataset] = []
    load_data = data.load

    def noted(*words: Any, **options: Any) -> data.Dataset:
        read.append(load_data(*words, **options))
        return read[-1]

    monkeypatch.setattr(data, "load", noted)
    few = ("--epochs", 1, "--classifier-epochs", 1)
    run("train", "digits", "--out", tmp_path / "m", "--seed", 3, *few)
    words = next_of(run("sample", tmp_path / "m", "--out", tmp_path / "s", *WALK))
    run(*words, "--judge", "spurious", "--features", "pixels")
    seen, judged = ({row.numpy().tobytes() for row in part.x} for part in (read[0].train, read[-1].test))
    assert len(read) == 2
    assert len(judged) > 400
    assert not seen & judged


def test_the_command_that_is_proposed_names_the_split(third: Path, tmp_path: Path) -> None:
    words = next_of(run("sample", third, "--out", tmp_path / "s", *WALK))
    assert words[-2:] == ["--split-seed", "3"]
    run(*words, "--judge", "spurious", "--features", "pixels")


def test_rows_behind_remembered_models_count_as_seen() -> None:
    old, new = Split("old", 0, "a", "b"), Split("new", 0, "n", "m")
    known = replace(new, remembered=(old, Split("older", 5, "c", "d")))
    assert Split.of(json.loads(json.dumps(known.as_json())), "x", ModelError).behind == known.behind
    with pytest.raises(DataError, match=r"an old model that m remembers: .* \(its split seed is 0, not 3\)"):
        check_unseen("m", known, replace(old, seed=3, held_out="x"))
    with pytest.raises(DataError, match="Give --split-seed 5"):
        check_unseen("m", known, Split("older", 0, "c", "x"))
    said = check_unseen("m", known, old)
    assert "m was trained on other data (new)" in said
    assert "remembers was trained on other data (older)" in said
    assert "(old)" not in said
    for damaged in ({**new.as_json(), "remembered": 3}, {**new.as_json(), "remembered": [{}]}):
        with pytest.raises(ModelError, match="is damaged"):
            Split.of(damaged, "x", ModelError)


def test_a_common_name_is_no_common_data_where_one_split_fits() -> None:
    """Of last month's file under this month's name, which a model remembers."""
    last, this = Split("monthly.csv", 0, "a", "b"), Split("monthly.csv", 0, "n", "m")
    known = replace(this, remembered=(last,))
    for one in (last, this):
        assert "was trained on other data (monthly.csv)" in check_unseen("m", known, one)
    with pytest.raises(DataError, match=r"is of monthly\.csv with other rows"):
        check_unseen("m", known, Split("monthly.csv", 0, "p", "q"))


def test_a_split_is_of_its_rows_alone() -> None:
    digits, third = data.load("digits"), data.load("digits", split_seed=3)
    assert digits.split.rows == third.split.rows
    assert digits.split.held_out != third.split.held_out
    order = torch.randperm(len(digits.test))
    moved = replace(digits, test=digits.test.take(order))
    assert moved.split == digits.split
    fewer = replace(digits, test=digits.test.take(order[1:]))
    assert fewer.split.rows != digits.split.rows
    assert split_of(Path("no/such/folder")) is None


def test_models_and_archives_carry_it(third: Path, archive: Path) -> None:
    there = data.load("digits", split_seed=3).split
    assert load(third / "autoencoder").split == load(third / "classifier").split == there
    noted = Archive.open(archive).manifest["models"]
    assert [one["split"] for kind in ("autoencoders", "classifiers") for one in noted[kind]] == [there.as_json()] * 2
    spec = EvaluateSpec(["spurious"], features="pixels", split_seed=3)
    result = evaluate(archive, "digits", spec=spec).result
    assert (result["split"], result["notes"]) == (there.as_json(), [])


CURE = r"has seen rows of digits that are held out here \(its split seed is 3, not 0\)\. Give --split-seed 3\."
FROM_DATA = replace(settings_of("langevin"), start="data:digits")
SHOWN = EvaluateSpec(["none"])
READERS: dict[str, Callable[[Path, Path, Path], object]] = {
    "evaluate": lambda _, archive, __: evaluate(archive, "digits"),
    "report": lambda _, archive, out: report(archive, out / "r.html", against="digits"),
    "a page alone": lambda _, archive, out: report(archive, out / "r.html", against="digits", spec=SHOWN),
    "tune": lambda third, _, __: tune(load_models([third]), dataset=data.load("digits")),
    "inspect": lambda third, _, __: inspect(third, against="digits"),
    "extract": lambda third, _, out: extract("digits", third, out / "f"),
    "train": lambda third, _, out: trained(
        out / "m", only="classifier", sees="reconstructions", reconstructed_by=str(third)
    ),
    "Stream": lambda third, _, __: Stream([third], FROM_DATA, walks=10),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_another_split_is_refused(third: Path, archive: Path, tmp_path: Path, read: Callable[..., object]) -> None:
    with pytest.raises(DataError, match=CURE):
        read(third, archive, tmp_path)
    assert not [path for path in tmp_path.iterdir() if not path.name.endswith(".partial")]


@pytest.mark.parametrize(
    "option", ["--start data:digits", "--private digits --apart .1", "--known digits --mask 0:4,:"]
)
def test_what_walks_are_told_is_of_the_split_of_their_models(third: Path, tmp_path: Path, option: str) -> None:
    words = ("sample", third, "--out", tmp_path / "s", *WALK, *option.split())
    assert sentence(*words).endswith(
        "the model: has seen rows of digits that are held out here (its split seed is 3, not 0). Give --split-seed 3."
    )
    assert not (tmp_path / "s").exists()
    run(*words, "--split-seed", 3)
    parameters = Archive.open(tmp_path / "s").manifest["parameters"]
    assert parameters["splits"] == {"digits": data.load("digits", split_seed=3).split.as_json()}
    assert trace(tmp_path / "s", [0]).result["same"] == 1
    assert "--split-seed 3" in command_of(Archive.open(tmp_path / "s"))
    notes = check_split(Archive.open(tmp_path / "s"), data.load("digits", split_seed=3))
    assert [("--known digits" in note) for note in notes] == [True] * ("--known" in option)


def test_starts_among_data_are_training_rows_of_the_split(third: Path, tmp_path: Path) -> None:
    still = ("--kernel", "langevin", "--lam", "1e-9", "--noise", "1e-9", "--steps", 0, "--burn-in", 0, "--walks", 99)
    words = ("sample", third, "--out", tmp_path / "s", *still, "--start", "data:digits", "--seed", 7)
    run(*words, "--split-seed", 3)
    real = {row.numpy().tobytes() for row in data.load("digits", split_seed=3).train.x}
    assert {row.numpy().tobytes() for row in Archive.open(tmp_path / "s").read()[0]} <= real


def test_walks_go_on_from_an_archive_of_their_split_only(models: Path, archive: Path, tmp_path: Path) -> None:
    start = ("--start", f"archive:{archive}")
    assert "was made from another split of digits than the models" in sentence(
        "sample", models, "--out", tmp_path / "s", *WALK, *start
    )
    MLPAutoencoder(Inputs((1, 8, 8)), hidden=(16,), latent=3).save_pretrained(tmp_path / "m" / "autoencoder")
    run("sample", tmp_path / "m", "--out", tmp_path / "s", *WALK, *start, "--labels", "none")
    with pytest.raises(DataError, match=CURE):
        check_split(Archive.open(tmp_path / "s"), data.load("digits"))


def test_an_extractor_of_another_split_is_refused(models: Path, third: Path, tmp_path: Path) -> None:
    run("sample", models, "--out", tmp_path / "s", *WALK)
    with pytest.raises(DataError, match=CURE):
        evaluate(tmp_path / "s", "digits", spec=EvaluateSpec(features=third))


def test_models_of_two_splits_leave_no_row_to_judge_on(models: Path, third: Path) -> None:
    with pytest.raises(ModelError, match=r"another split of digits than .* Train it with --split-seed 0, or give"):
        load_models([models, third])


def test_the_walk_of_an_imported_model_is_of_one_split(tmp_path: Path) -> None:
    """A model without a word on its rows: an archive that read data says itself which split that was."""
    torch.manual_seed(0)
    MLPAutoencoder(Inputs((1, 8, 8)), hidden=(16,), latent=3).save_pretrained(tmp_path / "m" / "autoencoder")
    words = (*WALK, "--labels", "none", "--start", "data:digits", "--split-seed", 3)
    run("sample", tmp_path / "m", "--out", tmp_path / "s", *words)
    with pytest.raises(DataError, match=CURE):
        evaluate(tmp_path / "s", "digits")
    spec = EvaluateSpec(["memorisation"], split_seed=3)
    (note, *_) = evaluate(tmp_path / "s", "digits", spec=spec).result["notes"]
    assert note.startswith(f"the autoencoder of {tmp_path / 's'} does not say which rows it was trained on")


def test_older_folders_get_a_remark_or_are_known_by_their_seed(third: Path, tmp_path: Path) -> None:
    old = older(third, tmp_path / "m")
    assert load(old / "autoencoder").split == Split("digits", 3)
    said = run("sample", old, "--out", tmp_path / "s", *WALK)
    assert "split" not in json.dumps(Archive.open(tmp_path / "s").manifest["models"])
    assert f"reinject evaluate {tmp_path / 's'} --against DATASET\n" in said
    with pytest.raises(DataError, match=CURE):
        evaluate(tmp_path / "s", "digits")
    with pytest.raises(DataError, match=CURE):
        inspect(old, against="digits")
    spec = EvaluateSpec(["spurious"], features="pixels", split_seed=3)
    notes = evaluate(tmp_path / "s", "digits", spec=spec).result["notes"]
    assert [note.partition(" does not say which rows it was trained on")[0] for note in notes] == [
        f"the {kind} of {tmp_path / 's'}" for kind in ("autoencoder", "classifier")
    ]
    for part in ("autoencoder", "classifier"):
        (old / part / "training.json").unlink()
    assert (
        sum("does not say which rows it was trained on" in line for line in inspect(old, against="digits").lines) == 2
    )
    shutil.rmtree(old)
    with pytest.raises(ModelError, match="is not there"):
        evaluate(tmp_path / "s", "digits", spec=EvaluateSpec(["spurious"]))


def test_an_older_archive_walks_again_from_the_split_by_its_seed(third: Path, tmp_path: Path) -> None:
    words = ("--start", "data:digits", "--split-seed", 3, "--seed", 3)
    run("sample", third, "--out", tmp_path / "s", *WALK, *words)
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    del manifest["parameters"]["splits"]
    (tmp_path / "s" / "manifest.json").write_text(json.dumps(manifest))
    assert trace(tmp_path / "s", [0]).result["same"] == 1


def test_seeds_of_an_experiment_share_the_split_that_it_is_judged_on(tmp_path: Path) -> None:
    plans = [EXPERIMENTS["digits"].plans("digits", seed, tmp_path) for seed in (0, 1)]
    assert {plan.split_seed for one in plans for plan in one.values()} == {data.load("digits").split.seed}


def test_an_unfinished_run_goes_on_with_its_own_split_only() -> None:
    plan = TrainPlan("digits", seed=3, split_seed=3)
    assert "split_seed" not in plan.as_json()  # as before there was another seed than the run's
    assert replace(plan, split_seed=0).as_json()["split_seed"] == 0


HERE = Split("set", 0, "rows", "part")
KNOWN = {
    "the same": (HERE, ""),
    "its own test part, moved": (Split("set", None, "rows", "other"), "Give the data set with its earlier test part"),
    "the same seed, in another order": (
        Split("set", 0, "rows", "other"),
        "have another order now. Give the earlier version of the data set",
    ),
    "other rows, split here": (Split("set", 0, "fewer", "part"), "is of set with other rows"),
    "another set": (Split("first", 0, "others", "part"), "trained on other data (first)"),
    "older, another set": (Split("first", 3), "does not say which rows it was trained on"),
    "older, another seed": (Split("set", 3), "its split seed is 3, not 0"),
}


@pytest.mark.parametrize(("known", "said"), KNOWN.values(), ids=KNOWN.keys())
def test_what_is_said_of_a_split(known: Split, said: str) -> None:
    try:
        remark = check_unseen("m", known, HERE)
    except DataError as error:
        remark = str(error)
    assert said in remark
    assert bool(said) == bool(remark)


def test_a_damaged_split_is_refused(third: Path, tmp_path: Path) -> None:
    shutil.copytree(third, tmp_path / "m")
    (tmp_path / "m" / "autoencoder" / SPLIT).write_text('{"name": 3}')
    with pytest.raises(ModelError, match=r"split\.json: is damaged"):
        load(tmp_path / "m" / "autoencoder")
