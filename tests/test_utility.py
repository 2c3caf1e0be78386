"""Ratio and skill: the formulas by hand, and sets whose answer is known."""

import tempfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import hurry
from reinject import data
from reinject.base.errors import ArgumentError, DataError
from reinject.base.files import json_text
from reinject.data.sample_tables import Table, open_table, to_memmap
from reinject.data.samples import Storage
from reinject.evaluation.utility import Reference, Utility, reference, students_needed, utilities
from reinject.evaluation.wording import headline, numbers, table
from reinject.training.fit import Recipe
from reinject.training.learning_curves import Figure, interval_of, sizes_for, skill
from reinject.training.students import KINDS, RECIPE, Bench, Student, graded, marks

DIGITS = data.load("digits")
TRAIN = Table.of(DIGITS.train.x, DIGITS.train.y, Storage())
TEST = Table.of(DIGITS.test.x, DIGITS.test.y, Storage())


UNITS = ((0.0, 1.0), (0.0, 0.1), (-4.0, 4.0))


def label(x: torch.Tensor) -> torch.Tensor:
    """Nearest class mean of the real data: a weak classifier that needs no training."""
    real = Storage().load(DIGITS.train.x).flatten(1)
    means = torch.stack([real[DIGITS.train.y == k].mean(0) for k in range(10)])
    return torch.cdist(x.flatten(1), means).argmin(1)


def utility(against: Reference, table: Table) -> Utility:
    return utilities(against, {"one": table})["one"]


@pytest.fixture(scope="module")
def against() -> Reference:
    return reference(Bench(TEST, DIGITS.class_names), TRAIN, label, (0, 1))


def test_skill_is_a_ratio_of_areas_in_log_n() -> None:
    """Two segments of log-width ln 10 and ln 2, by hand."""
    sizes = (100, 1000, 2000)
    real, noise, synthetic = (0.8, 0.9, 1.0), (0.2, 0.5, 0.6), (0.5, 0.8, 0.6)
    possible = (0.6 + 0.4) / 2 * np.log(10) + (0.4 + 0.4) / 2 * np.log(2)
    gained = (0.3 + 0.3) / 2 * np.log(10) + (0.3 + 0.0) / 2 * np.log(2)
    assert skill(synthetic, real, noise, sizes) == pytest.approx(gained / possible)
    assert skill(real, real, noise, sizes) == 1
    assert skill(noise, real, noise, sizes) == 0


@pytest.mark.parametrize("real", [(0.2, 0.5), (0.1, 0.4)])  # as the noise, and below it
def test_skill_is_not_defined_where_real_data_teaches_no_more_than_noise(real: tuple[float, ...]) -> None:
    assert skill((0.5, 0.8), real, (0.2, 0.5), (100, 1000)) is None


@pytest.fixture(scope="module")
def in_units() -> dict[tuple[float, float], Utility]:
    """The same digits and samples, a quarter of them wrong, in three units of pixels; students of few steps."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        patch.setattr("reinject.evaluation.utility.RECIPE", Recipe(epochs=1, batch=128, least_steps=40))
        for low, high in UNITS:
            train = Table(TRAIN.x[:300], TRAIN.y[:300], Storage("uint8", low, high))
            samples = Table(train.x, np.where(np.arange(300) % 4, train.y, (train.y + 1) % 10), train.storage)

            def pixels(x: torch.Tensor, low: float = low, high: float = high) -> torch.Tensor:
                return label((x - low) / (high - low))

            bench = Bench(Table(TEST.x, TEST.y, train.storage), DIGITS.class_names)
            found[low, high] = utility(reference(bench, train, pixels, (0, 1)), samples)
    return found


def test_skill_does_not_depend_on_the_unit_of_pixels(in_units: dict[tuple[float, float], Utility]) -> None:
    """One test row in 450 of one student at one size moves the skill by .002; rounding moves a few of them."""
    first, *others = in_units.values()
    assert first.skill.mean > 0.2
    for other in others:
        assert other.skill.values == pytest.approx(first.skill.values, abs=0.01)
        assert other.ratio.values == pytest.approx(first.ratio.values, abs=0.01)
    assert max(abs(one.standard_skill.mean - first.standard_skill.mean) for one in others) > 0.05  # N(0, I) does


def test_noise_has_the_moments_of_each_value() -> None:
    x = np.random.default_rng(0).normal(size=(5000, 3)) * [1, 100, 1e-3] + [0, 1e4, 0]
    mean, std = Table(x.astype(np.float32), np.zeros(5000), Storage("float")).moments()
    assert mean.tolist() == pytest.approx(x.mean(0), rel=1e-4, abs=1e-6)
    assert std.tolist() == pytest.approx(x.std(0), rel=1e-4)


def test_ratio_and_skill_are_paired_by_seed(in_units: dict[tuple[float, float], Utility]) -> None:
    got = in_units[0, 1]
    twin = max(got.twin_epochs, got.twin_steps, key=lambda one: one.mean)
    assert got.ratio.values == tuple(a / b for a, b in zip(got.full.values, twin.values, strict=True))
    rows = zip(got.synthetic.accuracy, got.real.accuracy, got.noise.accuracy, strict=True)
    assert got.skill.values == tuple(skill(*row, got.real.sizes) for row in rows)
    assert got.as_json()["skill"]["interval"] == pytest.approx(interval_of(got.skill.values))


def test_a_set_without_skill_says_so(in_units: dict[tuple[float, float], Utility]) -> None:
    none = replace(in_units[0, 1], skill=None, standard_skill=None)
    assert none.as_json()["skill"] is None
    json_text(none.as_json())
    assert "Skill is not defined" in headline(none)
    assert table({"one": none})[2][-1] == "not defined"
    assert numbers(none, {})[1].value == "not defined"


def test_sizes() -> None:
    assert sizes_for(60_000) == (100, 300, 1000, 3000, 10_000, 30_000, 60_000)
    assert sizes_for(3000) == (100, 300, 1000, 3000)


@pytest.mark.slow
def test_real_data_in_place_of_synthetic_has_ratio_and_skill_one(against: Reference) -> None:
    got = utility(against, TRAIN)
    assert got.skill.values == (1, 1)
    assert got.full.values == got.twin_epochs.values
    assert got.brier == got.twin_brier
    assert got.per_class == pytest.approx((1,) * 10)
    assert min(a - b for a, b in zip(got.both.mean, got.real.mean, strict=True)) > -0.02  # the same rows, twice
    assert 0.95 < got.ratio.mean <= 1


def test_labelled_noise_in_place_of_synthetic_has_no_skill(against: Reference) -> None:
    mean, std = TRAIN.moments()
    z = torch.randn((3000, 1, 8, 8), generator=torch.Generator().manual_seed(77))
    x = Storage().load(mean + std * z)
    got = utility(against, Table.of(x, label(x), Storage("float")))
    assert abs(got.skill.mean) < 0.15
    assert got.ratio.mean < 1


def test_too_few_samples_are_refused(against: Reference) -> None:
    with pytest.raises(DataError, match="Sample more walks"):
        utility(against, TRAIN.__class__(TRAIN.x[:500], TRAIN.y[:500], Storage()))
    with pytest.raises(DataError, match="at least"):
        reference(against.bench, TRAIN.__class__(TRAIN.x[:150], TRAIN.y[:150], Storage()), label, (0,))


def test_accuracies_do_not_depend_on_the_workers() -> None:
    jobs = [(Student(seed, 100), TRAIN) for seed in (0, 1)]
    alone, together = (Bench(TEST, DIGITS.class_names, workers=workers).run(jobs) for workers in (1, 2))
    assert alone == together
    assert alone[0] != alone[1]


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_student_that_was_asked_of_other_rows_is_not_trained_again(workers) -> None:
    jobs = [(Student(0, 200), TRAIN), (Student(1, 100), TEST)]
    told = []
    bench = Bench(TEST, DIGITS.class_names, workers=workers)
    said = bench.probabilities(jobs, TRAIN)
    assert [p.shape for p in said] == [(len(TRAIN), 10)] * 2
    expected = [marks(one, one.training_rows(table), TRAIN, DIGITS.class_names, "cpu") for one, table in jobs]
    assert [graded(p, torch.from_numpy(TRAIN.y)) for p in said] == expected
    again = Bench(TEST, DIGITS.class_names, on_student=lambda: told.append(len(again.known)), known=bench.known)
    assert again.run(jobs) == Bench(TEST, DIGITS.class_names).run(jobs)
    assert told == [2, 2]  # both were known


def test_a_table_is_lent_by_what_is_in_it(tmp_path, monkeypatch) -> None:
    lent = [to_memmap(table, tmp_path) for table in (TRAIN, Table(TRAIN.x.copy(), TRAIN.y, TRAIN.storage), TEST)]
    assert [open_table(one).digest for one in lent] == [TRAIN.digest, TRAIN.digest, TEST.digest]
    assert len(list(tmp_path.iterdir())) == 2
    open_table(lent[2]).x[:] = 0  # stays with who does so
    assert open_table(lent[2]).digest == TEST.digest

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ArgumentError, match=r"TMPDIR: no space for 72,000 bytes in .*Free space"):
        to_memmap(TRAIN.take(np.arange(1000)), tmp_path)


def test_files_are_gone_when_students_are_trained(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []
    bench = Bench(TEST, DIGITS.class_names, workers=2, on_student=lambda: seen.append(len(list(tmp_path.glob("*/*")))))
    bench.run([(Student(0, 100), TRAIN), (Student(1, 100), TRAIN)])
    assert seen == [2, 2]  # training rows once, test rows
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick_students")
def test_progress_is_told_of_every_student() -> None:
    told = []
    bench = Bench(TEST, DIGITS.class_names, on_student=lambda: told.append(1))
    result = reference(bench, TRAIN, label, (0,))
    utility(result, TRAIN)
    assert len(told) == students_needed(len(TRAIN), 1, 1)
    assert RECIPE.steps(len(TRAIN)) >= 500


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind == "cnn")) for kind in KINDS])
def test_every_kind_of_student_learns_digits(kind) -> None:
    student = Student(0, 600, kind=kind)
    rows = student.training_rows(TRAIN)
    got = marks(student, rows, TEST, DIGITS.class_names, "cpu")
    assert len(rows) == 600
    assert got.accuracy > 0.85
    assert got.accuracy == marks(student, rows, TEST, DIGITS.class_names, "cpu").accuracy
    shares = np.bincount(TEST.y, minlength=10) / len(TEST)
    assert np.dot(shares, got.per_class) == pytest.approx(got.accuracy)
    shuffled = Table(rows.x, np.random.default_rng(0).permutation(rows.y), rows.storage)
    assert marks(student, shuffled, TEST, DIGITS.class_names, "cpu").accuracy < 0.3


def test_marks_by_hand() -> None:
    p = torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.2, 0.8]])
    got = graded(p, torch.tensor([0, 1, 1]))
    assert got.accuracy == pytest.approx(2 / 3)
    assert got.per_class == pytest.approx((1, 0.5))
    assert got.brier == pytest.approx((2 * 0.3**2 + 2 * 0.6**2 + 2 * 0.2**2) / 3)


@pytest.mark.slow
def test_controls_are_ratios_to_the_twin() -> None:
    """Real inputs with soft labels that are certain and right: the twin itself."""
    hard = np.eye(10, dtype=np.float32)[TRAIN.y]
    controls = {"soft": Table(TRAIN.x, hard, TRAIN.storage), "wrong": Table(TRAIN.x, (TRAIN.y + 1) % 10, TRAIN.storage)}
    got = utility(reference(Bench(TEST, DIGITS.class_names), TRAIN, label, (0,), controls=controls), TRAIN)
    best = max(got.twin_epochs.mean, got.twin_steps.mean)
    assert got.controls["soft"].mean == pytest.approx(got.full.mean / best, abs=0.01)
    assert got.controls["wrong"].mean < 0.1


def test_rows_beside_others_come_in_turns() -> None:
    floats = Table(TRAIN.storage.load(DIGITS.train.x[:3]).numpy(), TRAIN.y[:3], Storage("float"))
    for other in (floats, Table(TRAIN.x[:3], TRAIN.y[:3], TRAIN.storage)):
        both = TRAIN.beside(other)
        x = both.storage.load(torch.from_numpy(both.x)).numpy()
        assert x[0::2] == pytest.approx(floats.x)
        assert x[1::2] == pytest.approx(floats.x)
        assert both.y.tolist() == np.repeat(TRAIN.y[:3], 2).tolist()
    soft = Table(TRAIN.x[:3], np.full((3, 10), 0.1, np.float32), TRAIN.storage)
    both = TRAIN.beside(soft)
    assert both.y[0::2].argmax(1).tolist() == TRAIN.y[:3].tolist()
    assert both.y[1::2].tolist() == soft.y.tolist()


def test_standard_error_of_a_figure() -> None:
    assert Figure((1.0, 2.0, 3.0)).standard_error == pytest.approx(1 / 3**0.5)
    assert Figure((1.0,)).standard_error is None
