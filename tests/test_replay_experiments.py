"""Protocols of continual learning and the telephone game: splits, figures, resuming, pages."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reinject import data
from reinject.base.errors import ArgumentError
from reinject.base.progress import Silent
from reinject.experiments import generations, replay_closed_form, replay_protocols, replay_setting, replay_table
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.experiments.replay_closed_form import nearest_mean, streaming_lda
from reinject.experiments.replay_methods import METHODS, buffer, gaussians, ours_by_task
from reinject.experiments.replay_protocols import PROTOCOLS, Protocol
from reinject.experiments.replay_setting import Setting
from reinject.experiments.replay_table import task_accuracies
from reinject.experiments.reproduce import reproduce
from reinject.training.fit import Recipe

DIGITS = data.load("digits")
FEW = Recipe(epochs=1, batch=32, least_steps=5)
TINY = Protocol("digits", ((0, 1), (2, 3)), "", (8,), FEW, FEW, FEW)


def setting(folder: Path, protocol: Protocol = TINY) -> Setting:
    return Setting(protocol, DIGITS, folder, 0, "cpu", Silent())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_tasks_hold_all_classes_once_and_the_budget_is_exact(name: str) -> None:
    protocol = PROTOCOLS[name]
    classes = 100 if protocol.dataset == "cifar100" else 10
    assert protocol.classes_until(len(protocol.tasks) - 1) == tuple(range(classes))
    assert {len(classes) for classes in protocol.tasks} == {10 if classes == 100 else 2}
    if name != "split-digits":
        assert protocol.hidden == (400, 400)
        assert {protocol.learner.steps(rows) for rows in (12_000, 60_000)} == {2000}


def test_the_part_of_a_task() -> None:
    part = PROTOCOLS["split-digits"].part(DIGITS, 3)
    assert part.class_names == ("6", "7")
    for own, whole in ((part.train, DIGITS.train), (part.test, DIGITS.test)):
        assert len(own) == int(((whole.y == 6) | (whole.y == 7)).sum())
        assert torch.equal(own.x[own.y == 1], whole.x[whole.y == 7])


def test_accuracies_by_task_and_forgetting() -> None:
    def predict(x: torch.Tensor) -> torch.Tensor:  # always the class that came second
        return torch.nn.functional.one_hot(torch.ones(len(x), dtype=torch.int64), 4)

    found = task_accuracies(TINY, DIGITS, 1, predict)
    count = DIGITS.test.y.bincount().tolist()
    assert found == [[count[1], count[0] + count[1]], [0, count[2] + count[3]]]
    tasks = [{"accuracies": [[9, 10]], "bytes": 3, "seconds": 1.0}]
    tasks += [{"accuracies": [[6, 10], [30, 30]], "bytes": 7, "seconds": 2.0}]
    assert replay_table._said(tasks[1]) == "accuracy 0.900, by task 0.600 1.000; 7 bytes kept"
    assert replay_table._summary(tasks) == {
        "final": 0.9,
        "forgetting": pytest.approx(0.3),
        "after": [0.9, 0.9],
        "bytes": 7,
        "seconds": 3.0,
    }


def test_nearest_mean_and_lda_are_those_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.neighbors import NearestCentroid

    one = setting(tmp_path, PROTOCOLS["split-digits"])
    x, test = (part.x.flatten(1).numpy() / 255 for part in (DIGITS.train, DIGITS.test))
    y = DIGITS.train.y.numpy()
    given = DIGITS.levels().load(DIGITS.test.x)
    expected = NearestCentroid().fit(x, y).predict(test)
    found = nearest_mean(one, 4)
    assert found.predict is not None
    assert np.array_equal(found.predict(given).argmax(1).numpy(), expected)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-4, priors=[0.1] * 10).fit(x, y)
    slda = streaming_lda(one, 4)
    assert slda.predict is not None
    assert (slda.predict(given).argmax(1).numpy() == lda.predict(test)).mean() > 0.99
    assert slda.bytes == 4 * (640 + 65 * 32)


def test_gaussians_have_the_moments_of_their_class(tmp_path: Path) -> None:
    wide = replace(DIGITS, train=replace(DIGITS.train, x=DIGITS.train.x // 4 + 96))  # far from the clipped ends
    given = gaussians(replace(setting(tmp_path), dataset=wide), 1)
    assert given.x is not None
    assert given.y is not None
    real = wide.train.x[wide.train.y == 1].flatten(1).float()
    drawn = given.x[given.y == 1].flatten(1).float()
    assert len(drawn) == len(real)
    error = real.std(0) * (2 / len(real)) ** 0.5 + 0.5  # and rounding to levels
    assert ((drawn.mean(0) - real.mean(0)).abs() < 5 * error).all()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"split-digits": TINY}
    for module in (replay_protocols, replay_table):
        monkeypatch.setattr(module, "PROTOCOLS", known)
    monkeypatch.setattr(replay_closed_form, "WIDTH", 50)
    monkeypatch.setattr(generations, "CHAINS", {"ten kept rows a class": generations.Chain(kept=10)})
    monkeypatch.setattr(generations, "GENERATIONS", 1)
    for name in ("_AUTOENCODER", "_CLASSIFIER"):
        monkeypatch.setattr(generations, name, FEW)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_a_protocol_has_all_methods_resumes_and_writes_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reinject.experiments.experiment_spec import ExperimentSpec

    spec = ExperimentSpec(seeds=1)
    done = reproduce(["replay"], tmp_path, only=["split-digits"], spec=spec)
    methods = done.result["split-digits"]["methods"]
    assert set(methods) == set(METHODS)
    assert len(methods["ours"]["after"]) == 2
    assert methods["buffer of equal bytes"]["bytes"] <= methods["ours"]["bytes"]
    assert methods["no replay"]["bytes"] == 0
    assert not list(tmp_path.rglob("*.rehearsal"))
    page = (tmp_path / "results.md").read_text()
    assert "| ours |" in page
    assert "`reinject reproduce replay --only split-digits --seeds 1`" in page
    monkeypatch.setattr(replay_setting, "fit", None)  # nothing is trained again
    again = reproduce(["replay"], tmp_path, only=["split-digits"], spec=spec)
    assert again.result == done.result


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_the_telephone_game_resumes_and_writes_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = reproduce(["generations"], tmp_path, spec=ExperimentSpec(seeds=1))
    chain: list[Any] = done.result["generations"]["chains"]["ten kept rows a class"]
    assert len(chain) == 2
    assert all(0 <= one["recall"]["mean"] <= 1 for one in chain)
    assert "| ten kept rows a class | ratio |" in (tmp_path / "results.md").read_text()
    monkeypatch.setattr(generations, "train_on", None)
    assert reproduce(["generations"], tmp_path, spec=ExperimentSpec(seeds=1)).result == done.result


def test_a_buffer_keeps_as_many_rows_as_fit(tmp_path: Path) -> None:
    folder = tmp_path / "task-0" / "autoencoder"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(65 * 21))
    given = buffer(setting(tmp_path), 1)
    assert given.bytes == 65 * 20
    assert given.y is not None
    assert given.y.bincount()[:2].tolist() == [10, 10]


@pytest.mark.slow
def test_models_of_each_task_know_their_task_alone(tmp_path: Path) -> None:
    """Walks of a task have probabilities of its classes alone; no row of an earlier task is read."""
    found = []
    blank = DIGITS.train.x * (DIGITS.train.y > 1)[:, None, None, None]
    later = replace(DIGITS, train=replace(DIGITS.train, x=blank))
    for folder, dataset in ((tmp_path / "a", DIGITS), (tmp_path / "b", later)):
        first = ours_by_task(setting(folder), 0)
        assert first.x is not None
        assert len(first.x) <= 2 * (4 * len(DIGITS.train) // 10)  # a rare class has fewer
        given = ours_by_task(replace(setting(folder), dataset=dataset), 1)
        assert given.bytes > 1.9 * first.bytes
        assert given.x is not None
        assert given.y is not None
        found.append((given.x, given.y))
    (x, y), again = found
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    torch.testing.assert_close(y.sum(1), torch.ones(len(y)))
    old = len(first.x)
    assert torch.equal(x[:old], first.x)
    assert not y[:old, 2:].any()
    assert not y[old:, :2].any()


@pytest.mark.parametrize(
    ("targets", "only", "said"),
    [
        (["replays"], [], "'replays' is not known"),
        (["replay"], ["mnist"], "'mnist' is not known. Use some of split-digits, split-mnist"),
        (["generations"], ["mnist"], "'mnist' was given, and no target has parts. Leave it out"),
        (["table"], ["split-mnist"], "'split-mnist' is not known. Use some of digits"),
    ],
)
def test_unknown_targets_are_refused(targets: list[str], only: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=said):
        reproduce(targets, tmp_path, only=only)
