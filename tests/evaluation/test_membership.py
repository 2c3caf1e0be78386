"""Membership: attacks with known power, and none where there is nothing to find."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from conftest import TINY
from reinject import data
from reinject.base.errors import DataError, ModelError
from reinject.base.progress import Silent
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.evaluation.evidence import Evidence
from reinject.evaluation.judgements import judge_membership
from reinject.evaluation.membership import attack, likelihood_ratio, logit, part_of, scores, shadow_students
from reinject.evaluation.shadows import closeness, plan_of, shadow_autoencoders
from reinject.models.features import pixels
from reinject.models.loading import load_models
from reinject.training.fit import Recipe
from reinject.training.plans import TrainPlan
from reinject.training.students import Bench, Student, learn
from reinject.training.train import train_on


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_rates_of_two_normal_laws() -> None:
    """N(2, 1) against N(0, 1): the rate at 1% is 1 - Phi(z_.99 - 2), the area Phi(2 / sqrt(2))."""
    found = attack("model", "score", normal(0, 20_000) + 2, normal(1, 20_000))
    exact = stats.norm.sf(stats.norm.isf(0.01) - 2)
    assert found.value == pytest.approx(exact, abs=0.02)  # the threshold has a standard error of its own
    assert found.detail["auc"] == pytest.approx(stats.norm.cdf(math.sqrt(2)), abs=0.005)
    assert found.detail["tpr at 0.001"] == pytest.approx(stats.norm.sf(stats.norm.isf(0.001) - 2), abs=0.03)
    assert "tpr at 0.001" not in attack("model", "score", normal(0, 500), normal(1, 500)).detail


def test_nothing_is_found_where_there_is_nothing() -> None:
    """P(more than 8 of 200 below 1%) is below 1 in 2,000; p of a discrete test errs towards 1."""
    small = sum(attack("model", "score", normal(2 * i, 500), normal(2 * i + 1, 500)).p < 0.01 for i in range(200))
    assert small <= 8


def test_the_null_is_the_rate_of_members_that_are_as_the_others() -> None:
    """With 120 others the threshold is the second highest: 2 of 121 members are above it on average, not 1%."""
    found = [attack("model", "score", normal(2 * i, 120), normal(2 * i + 1, 120)) for i in range(400)]
    assert {one.null for one in found} == {2 / 121}
    values = np.array([one.value for one in found])
    assert abs(values.mean() - 2 / 121) < 3.3 * values.std() / 20  # false alarm 1 in 1,000
    assert values.mean() - 0.01 > 3.3 * values.std() / 20


def test_scores_by_hand() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.2, 0.2, 0.6]])
    found = scores(p, torch.tensor([0, 1]))
    wanted = [
        0.3 * math.log(0.7) + 0.2 * math.log(0.8) + 0.1 * math.log(0.9),
        0.8 * math.log(0.2) + 0.2 * math.log(0.8) + 0.6 * math.log(0.4),
    ]
    assert found["modified entropy"].tolist() == pytest.approx(wanted, rel=1e-6)
    assert found["loss"].tolist() == pytest.approx([math.log(0.7), math.log(0.2)], rel=1e-6)
    assert logit(p, torch.tensor([0, 1])).tolist() == pytest.approx([math.log(7 / 3), math.log(1 / 4)], rel=1e-6)


def test_the_likelihood_ratio_is_the_best_attack_on_normal_scores() -> None:
    """phi ~ N(m + d t, 1) with m known from many shadows: area Phi(d / sqrt(2)), and phi alone does worse."""
    n, d, k = 4000, 1.5, 64
    hard = 3 * normal(0, n)
    member = torch.arange(n) < n // 2
    inside = torch.rand(k, n, generator=torch.Generator().manual_seed(1)) < 0.5
    shadows = hard + d * inside + normal(2, k, n)
    target = hard + d * member + normal(3, n)
    score = likelihood_ratio(target, shadows, inside)
    area = attack("model", "ratio", score[member], score[~member]).detail["auc"]
    plain = attack("model", "phi", target[member], target[~member]).detail["auc"]
    assert area == pytest.approx(stats.norm.cdf(d / math.sqrt(2)), abs=0.03)
    assert plain < 0.7 < area


@pytest.mark.slow
def test_a_network_that_learned_by_heart_is_found_out_by_all() -> None:
    digits = data.load("digits")
    few, levels = 300, Storage()
    wrong = digits.train.y[:few].roll(1)  # labels that can only be learned by heart
    train = Table.of(digits.train.x[:few], wrong, levels)
    test = Table.of(digits.test.x[:few], digits.test.y[:few].roll(1), levels)
    predict = learn(Student(0, few, Recipe(epochs=1, least_steps=3000)), train, digits.class_names, "cpu")
    probed = Table(np.concatenate([train.x, test.x]), np.concatenate([train.y, test.y]), levels)
    with torch.no_grad():
        p = predict(levels.load(torch.from_numpy(probed.x)))
    y = torch.from_numpy(probed.y)
    bench = Bench(test, digits.class_names)
    students, inside = shadow_students(train, test, np.arange(2 * few))
    shadows = torch.stack([logit(asked, y) for asked in bench.probabilities(students, probed)])
    assert inside.sum(0).tolist() == [4] * (2 * few)
    attacks = {**scores(p, y), "likelihood ratio": likelihood_ratio(logit(p, y), shadows, inside)}
    for by, score in attacks.items():
        found = attack("classifier", by, score[:few], score[few:])
        assert found.detail["auc"] > (0.6 if by == "confidence" else 0.8), by
    assert attack("classifier", "loss", attacks["loss"][:few], attacks["loss"][few:]).p < 1e-3


@pytest.mark.slow
def test_the_student_that_is_attacked_is_that_of_the_samples() -> None:
    """Not one of the shadows beside which it is trained: half of their rows are members, half are not."""
    digits = data.load("digits")
    few, levels = 300, Storage()
    train, test = (Table.of(p.x[:few], p.y[:few].roll(1), levels) for p in (digits.train, digits.test))
    evidence = Evidence(
        train, test, train, np.arange(few), digits.class_names, pixels(), lambda x: torch.zeros(len(x), 10), None
    )
    found = {one.name: one.detail["auc"] for one in judge_membership(evidence)}
    assert found["loss on the classifier"] == 0.5
    assert found["loss on the student"] > 0.8
    assert found["likelihood ratio on the student"] > 0.8
    job = (Student(0, few), train)  # that of the utility, which need not be trained again
    assert evidence.known[evidence.bench._determined_by(*job)] == Bench(test, digits.class_names).run([job])[0]


@pytest.mark.slow
def test_an_autoencoder_that_learned_by_heart_is_found_out_by_its_shadows(tmp_path: Path) -> None:
    """And better than by its error alone: some digits are harder than others, and shadows know which."""
    digits = data.load("digits")
    few = 300
    small = data.Dataset("digits", digits.train.take(torch.arange(few)), digits.test, digits.class_names)
    recipe = Recipe(epochs=1, batch=32, least_steps=300)
    plan = TrainPlan(
        "digits", autoencoder="mlp", objective="reconstruction", autoencoder_recipe=recipe, only="autoencoder"
    )
    train_on(plan, small, tmp_path / "m", device="cpu", progress=Silent())
    models = load_models([tmp_path / "m"], labelled=False)
    train, test = (Table.of(part.x[:few], part.y[:few], Storage()) for part in (small.train, small.test))
    rows = np.arange(2 * few)
    probed = part_of(train, test, rows)
    shadows, inside = shadow_autoencoders(models, train, test, rows, probed)
    assert inside.sum(0).tolist() == [4] * (2 * few)
    assert (shadows * inside).sum() / inside.sum() > (shadows * ~inside).sum() / (~inside).sum() + 0.1
    phi = closeness(models, probed)
    ratio = likelihood_ratio(phi, shadows, inside)
    area, plain = (attack("autoencoder", "a", s[:few], s[few:]).detail["auc"] for s in (ratio, phi))
    assert area > plain + 0.1
    assert area > 0.85


def test_shadows_are_of_one_autoencoder_of_ours(models: Path, small_models: Path) -> None:
    assert plan_of(load_models([models])) == TINY
    with pytest.raises(ModelError, match="Leave out --shadows"):
        plan_of(load_models([small_models]))
    with pytest.raises(ModelError, match="Leave out --shadows"):
        plan_of(load_models([models, models]))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="Give at least 100 of each"):
        attack("model", "score", normal(0, 99), normal(1, 500))
