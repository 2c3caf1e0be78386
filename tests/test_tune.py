"""``reinject tune``: that walks which diverge are dropped and never first, in which units, and what it prints."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from reinject import data
from reinject.cli import app
from reinject.evaluation import tune as job
from reinject.evaluation.candidates import Bench, Candidate, candidates
from reinject.evaluation.tune import tune
from reinject.models.loading import load_models
from reinject.networks import Inputs, MLPAutoencoder, MLPClassifier
from reinject.sampling.auto import Trial
from reinject.sampling.presets import DEFAULT, Settings, settings_of
from reinject.walks.kernels import Langevin
from reinject.walks.verdict import Figures, Verdict

WILD = replace(settings_of("langevin"), options={"lam": "1e6"}, steps=30, burn_in=10)
FINE = Figures(0.0, 0.0, 0.2, 0.3, 0.2, 0.0, 0.0, remembered=0.126, shares=(0.061, 0.939), information=0.9)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every step of a Langevin walk."""
    taken: list[int] = []
    step = Langevin.step

    def counted(self: Langevin, *words: object) -> object:
        taken.append(1)
        return step(self, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(Langevin, "step", counted)
    return taken


def only(monkeypatch: pytest.MonkeyPatch, *grid: Settings) -> None:
    monkeypatch.setattr(job, "candidates", lambda *_: grid)


@pytest.mark.parametrize("name", [None, "digits"])
def test_a_diverging_walk_is_never_first(
    models: Path, name: str | None, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, WILD, DEFAULT, settings_of("half-denoising"))
    found = tune(load_models([models]), dataset=None if name is None else data.load(name))
    last = found.result["candidates"][-1]
    assert last["settings"] == WILD.as_json()
    assert last["verdict"]["level"] == "broken"
    assert last["verdict"]["reason"] == "more than half of the walks diverged within 1 of 30 steps"
    assert last["utility"] is None
    assert last["samples"] == 0
    assert found.result["diverged"] == 1
    assert found.lines[-1] == "1 candidate diverged"
    assert len(steps) == 1  # of 30
    assert not found.failure
    assert all(row["verdict"]["level"] != "broken" for row in found.result["candidates"][:-1])
    assert sum(row["utility"] is not None for row in found.result["candidates"]) == (0 if name is None else 2)


def test_where_no_walk_is_sane_that_is_said_and_nothing_written(
    small_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, WILD)
    monkeypatch.setattr(Bench, "automatic", lambda _: [])
    out = tmp_path / "best.json"
    done = CliRunner().invoke(app, ["tune", str(small_models), "--out", str(out)])
    assert done.exit_code == 3
    assert done.stdout.splitlines()[0].split() == [
        "walk",
        "steps",
        "merit",
        "classes",
        "%",
        "start",
        "kept",
        "%",
        "verdict",
    ]
    assert done.stdout.splitlines()[-1] == "1 candidate diverged"
    (sentence,) = done.stderr.strip().splitlines()
    assert "all 1 candidates are broken. The best one: more than half of the walks" in sentence
    assert not out.exists()


def test_noises_of_blind_networks_are_in_units_of_the_value_range(tmp_path: Path) -> None:
    inputs = Inputs((1, 4, 4), low=-100, high=155, std=3.0, class_names=("a", "b"))  # std is a guess
    MLPAutoencoder(inputs, hidden=(16,), latent=3).save_pretrained(tmp_path / "autoencoder")
    MLPClassifier(inputs, hidden=(16,)).save_pretrained(tmp_path / "classifier")
    grid = list(candidates(load_models([tmp_path])))
    sigmas = {one.options["sigma"] for one in grid if one.kernel == "half-denoising"}
    assert sigmas == {"38.25", "76.5", "153", "255"}
    assert {one.start for one in grid} == {"normal:255"}


def test_the_table_is_aligned_and_short() -> None:
    trials = [
        Trial(replace(DEFAULT, steps=10**k), FINE, Verdict("doubtful", "reasons are for the JSON"), 0.5)
        for k in range(12)
    ]
    some = [Candidate(one, utility=0.25 * k) for k, one in enumerate(trials[:4])]
    ranked = sorted([*some, *map(Candidate, trials[4:])], key=lambda one: one.rank)
    lines = job._lines(ranked, {"agreement": job.agreement(ranked), "diverged": 0})
    head, *rows = lines[:11]
    assert head.split("  ")[0] == "walk"
    assert len({row.index("doubtful") for row in rows} | {head.index("verdict")}) == 1
    assert rows[0].split() == ["ancestral", "1000", "0.750", "6-94", "13", "doubtful"]
    assert rows[-1].split()[2] == "-"
    assert lines[11:] == ["the best 10 of 12 candidates; --json lists all", "0 candidates diverged"]  # merits are ties


def test_the_json_holds_all_figures(small_models: Path) -> None:
    torch.manual_seed(0)
    found = tune(load_models([small_models]), walks=16).result
    json.dumps(found, allow_nan=False)
    assert {"settings", "figures", "verdict", "merit", "utility", "samples"} == set(found["candidates"][0])
    assert len(found["candidates"]) > 20
    assert found["candidates"][0]["figures"]["shares"]
