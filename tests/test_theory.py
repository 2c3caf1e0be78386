"""`reinject theory`: rows that say what they found, folders that survive a cut, an exit status that tells."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from reinject.base.errors import ArchiveError, ArgumentError
from reinject.cli import app
from reinject.densities import mixture8, ring
from reinject.experiments import check_energy as energy
from reinject.experiments import check_estimators as estimators
from reinject.experiments import check_gaussian as gaussian
from reinject.experiments import check_kernels as kernels
from reinject.experiments import check_perfect as perfect
from reinject.experiments import theory as job
from reinject.experiments.check_training import Course, learn, relative_error, residual
from reinject.experiments.claims import Row
from reinject.report import theory_pictures
from reinject.score.stochastic import Estimate
from reinject.training.objectives import PerfectLossy
from reinject.walks.kernels import KERNELS

HOLDS = Row("two and two", 4.0, 4.0, 0.0, 0.1)


def test_verdicts() -> None:
    assert HOLDS.verdict == "holds"
    assert replace(HOLDS, error=0.1).verdict == "holds"
    assert replace(HOLDS, error=0.11).verdict == "fails"
    assert replace(HOLDS, error=math.nan).verdict == "fails"
    assert replace(HOLDS, error=math.inf).as_dict()["error"] is None
    json.dumps(replace(HOLDS, measured=math.nan).as_dict(), allow_nan=False)


@pytest.mark.parametrize("n", [2, 8])
def test_trained_linear_r_has_the_closed_forms_eigenvalues(n: int) -> None:
    found = gaussian.spectrum(n)
    assert gaussian.eigenvalues(found).verdict == "holds"
    wrong = replace(found, exact=found.exact * 1.002)
    assert gaussian.eigenvalues(wrong).verdict == "fails"


def test_collapsing_directions_are_counted_and_named() -> None:
    row = gaussian.collapse(gaussian.refusal(8))
    assert (row.exact, row.measured, row.verdict) == (2, 2, "holds")
    assert "axis 1 (variance 0.1), axis 2 (variance 0.19" in row.note


def test_a_large_lambda_is_refused_and_stopped() -> None:
    row = perfect.refusal(ring(), 0.5)
    assert (row.measured, row.verdict) == ("collapse, collapse", "holds")


def test_a_small_lambda_is_not_refused() -> None:
    row = perfect.refusal(ring(), 0.01, Course(3))
    assert (row.measured, row.verdict) == ("returned, returned", "fails")


def test_training_finds_the_score_from_nothing() -> None:
    """A small part of the whole check: from the identity (error 1) to half of the error and less."""
    density = ring()
    network = residual(2, perfect.LAM, std=1.5)
    x = density.sample(2000, torch.Generator().manual_seed(0))

    def error() -> float:
        return relative_error(lambda x: 2 * (network(x) - x) / perfect.LAM, density.score, x)

    assert error() == pytest.approx(1, abs=1e-6)
    learn(network, PerfectLossy(perfect.LAM), density.sample, Course(250, batch=256, average=0.95))
    assert error() < 0.5


def test_learning_is_a_function_of_its_seeds() -> None:
    def weights(seed: int) -> torch.Tensor:
        network = residual(2, 0.01, std=1.5, width=8)
        learn(network, PerfectLossy(0.01), ring().sample, Course(3, batch=32), seed=seed)
        return torch.cat([p.flatten() for p in network.parameters()]).detach()

    before = torch.get_rng_state()
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
def test_energy_and_estimator_rows_hold() -> None:
    rows = [energy.difference(mixture8(), 20), energy.path(mixture8(), 20), *estimators.all_rows()]
    assert [row.claim for row in rows if row.verdict == "fails"] == []
    assert len(rows) == 6


@pytest.mark.parametrize(("bias", "holds"), [(0.0, True), (3.5, False)])
def test_a_second_chance_forgives_chance_and_no_bias(bias: float, holds: bool) -> None:
    """The first draw lies 3.2 standard errors off; what the second shows depends on the bias, in the first's errors."""

    def estimate(times: int) -> Estimate:
        off = 3.2 if times == 1 else bias
        return Estimate(torch.tensor([1.0 + off, 1.0]), torch.tensor([1.0, 1.0]) / times**0.5, 10 * times)

    first, z = estimators.distances(estimate, torch.ones(2))
    assert first.tolist() == pytest.approx([3.2, 0.0])
    assert z.tolist() == pytest.approx([3 * bias, 0.0])
    assert bool(z.max() <= estimators.LIMIT) is holds


@pytest.fixture
def two_checks(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Checks that count their runs in place of the real ones, which take minutes."""
    runs = {"good": 0, "bad": 0}

    def draw(path: Path) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"png")
        return path

    def check(name: str, row: Row):
        def run(_):
            runs[name] += 1
            return job.Finding(
                [row],
                {f"{name}_picture": lambda path: (path.parent.mkdir(exist_ok=True), path.write_bytes(b"png"), path)[2]},
            )

        return run

    checks = {"good": check("good", HOLDS), "bad": check("bad", replace(HOLDS, claim="two and three", error=1.0))}
    monkeypatch.setattr(job, "CHECKS", checks)
    return runs


@pytest.mark.usefixtures("two_checks")
def test_folder_holds_rows_and_pictures(tmp_path: Path) -> None:
    outcome = job.theory(out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "theory.json").read_text()) == outcome.result
    assert [row["verdict"] for row in outcome.result] == ["holds", "fails"]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file()) == [
        "bad_picture.png",
        "good_picture.png",
        "outcome.json",
        "theory.json",
    ]
    assert outcome.failure == "1 of 2 claims do not hold: two and three"
    again = job.theory(out=tmp_path / "out")
    assert (again.repeated, again.failure, again.result) == (True, outcome.failure, outcome.result)
    with pytest.raises(ArchiveError, match="already holds something"):
        job.theory(["good"], tmp_path / "out")
    job.theory(["good"], tmp_path / "out", overwrite=True)
    assert len(json.loads((tmp_path / "out" / "theory.json").read_text())) == 1


def test_a_cut_run_goes_on(two_checks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(_):
        raise KeyboardInterrupt

    whole = job.CHECKS["bad"]
    monkeypatch.setitem(job.CHECKS, "bad", cut)
    with pytest.raises(KeyboardInterrupt):
        job.theory(out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setitem(job.CHECKS, "bad", whole)
    outcome = job.theory(out=tmp_path / "out")
    assert two_checks == {"good": 1, "bad": 1}
    assert [row["check"] for row in outcome.result] == ["good", "bad"]


@pytest.mark.usefixtures("two_checks")
def test_command_prints_a_table_or_json_and_exits_by_the_verdict() -> None:
    runner = CliRunner()
    good = runner.invoke(app, ["theory", "--only", "good"])
    assert good.exit_code == 0
    assert "two and two" in good.stdout
    assert "holds" in good.stdout
    both = runner.invoke(app, ["theory", "--json"])
    assert both.exit_code == 1
    assert [row["verdict"] for row in json.loads(both.stdout)] == ["holds", "fails"]
    assert "1 of 2 claims do not hold" in both.stderr
    wrong = runner.invoke(app, ["theory", "--only", "ugly"])
    assert wrong.exit_code == 1
    assert "'ugly' is not known. Use some of good, bad" in wrong.stderr


def test_an_unknown_check_is_named_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="'gauss' is not known"):
        job.theory(["gauss"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_quadrature_of_the_two_modes_is_the_table() -> None:
    """THEORY's figures, to the four digits that it prints."""
    found = {(case.name, case.lam): kernels.stationary(case) for case in kernels.cases() if case.mean is not None}
    table = {
        "langevin, exact score": (0.1034, 0.1214),
        "langevin on a denoiser, sigma^2 = lambda/2": (0.1265, 0.1619),
        "half-denoising, sigma^2 = lambda": (0.0997, 0.1057),
        "walkback without spread, sigma^2 = lambda": (0.0330, 0.0136),
    }
    for name, values in table.items():
        for lam, value in zip((0.05, 0.1), values, strict=True):
            assert abs(found[name, lam] - value) < 6e-5
    assert len(found) == 8


def test_every_kernel_walks_the_ring_and_is_drawn(tmp_path: Path) -> None:
    paths, samples = kernels.walks_on_ring(steps=20, walks=30)
    assert set(paths) == set(KERNELS)
    assert all(x.shape == (21 + 30, 2) and np.isfinite(x).all() for x in paths.values())
    assert theory_pictures.walks(tmp_path / "walks.png", paths, samples, ends=30).stat().st_size > 5000
