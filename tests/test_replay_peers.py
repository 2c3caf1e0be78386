"""Peers of replay: FeCAM, RanPAC and VAEs. Exact answers in NumPy, and what they may look at."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reinject import data
from reinject.base.progress import Silent
from reinject.base.random_streams import stream
from reinject.experiments import replay_closed_form as closed
from reinject.experiments.replay_protocols import Protocol
from reinject.experiments.replay_setting import Given, Setting
from reinject.experiments.replay_vae import Vae, trained_vae, vae_a_class, vae_replay
from reinject.training.fit import Recipe

DIGITS = data.load("digits")
FEW = Recipe(epochs=1, batch=32, least_steps=5)
ONE_BY_ONE, PAIRS, AT_ONCE = ((0,), (1,), (2,), (3,)), ((0, 1), (2, 3)), ((0, 1, 2, 3),)


def features() -> data.Dataset:
    """Digits as standardised vectors, as `reinject extract` writes them."""
    some = torch.randn(64, 20, generator=torch.Generator().manual_seed(1)) / 8
    train, test = (torch.sin(part.x.flatten(1) / 255 @ some) for part in (DIGITS.train, DIGITS.test))
    train, test = ((part - train.mean(0)) / train.std(0) for part in (train, test))
    parts = data.LabelledImages(train, DIGITS.train.y), data.LabelledImages(test, DIGITS.test.y)
    return data.Dataset("features", *parts, DIGITS.class_names, "sines")


def setting(folder: Path, tasks: tuple[tuple[int, ...], ...], dataset: data.Dataset = DIGITS, seed: int = 0) -> Setting:
    return Setting(Protocol("digits", tasks, "", (8,), FEW, FEW, FEW), dataset, folder, seed, "cpu", Silent())


def scores(method: Callable[[Setting, int], Given], one: Setting) -> NDArray[np.float32]:
    predict = method(one, len(one.protocol.tasks) - 1).predict
    assert predict is not None
    return predict(one.dataset.levels().load(one.dataset.test.x)).numpy()


def values(dataset: data.Dataset, part: str = "train") -> NDArray[np.float64]:
    x = dataset.levels().load(getattr(dataset, part).x)
    return x.flatten(1).numpy().astype(np.float64)


@pytest.mark.parametrize("dataset", [DIGITS, features()], ids=["pixels", "features"])
def test_fecam_by_hand(dataset: data.Dataset, tmp_path: Path) -> None:
    def unit(v: NDArray[np.float64]) -> NDArray[np.float64]:
        return v / np.linalg.norm(v, axis=-1, keepdims=True)

    root = np.sqrt if dataset is DIGITS else np.array
    expected, x, test = [], values(dataset), values(dataset, "test")
    for k in range(4):
        own = x[dataset.train.y.numpy() == k]
        cov = np.cov(root(own), rowvar=False)
        apart = ~np.eye(len(cov), dtype=bool)
        shrunk = cov + np.where(apart, cov[apart].mean(), np.diag(cov).mean())
        correlation = shrunk / np.sqrt(np.outer(np.diag(shrunk), np.diag(shrunk)))
        d = unit(root(unit(test))) - unit(root(own.mean(0)))
        expected.append(-np.einsum("bi,ij,bj->b", d, np.linalg.pinv(correlation), d))
    for tasks in (ONE_BY_ONE, PAIRS, AT_ONCE):
        one = setting(tmp_path, tasks, dataset)
        np.testing.assert_allclose(scores(closed.fecam, one), np.stack(expected, 1), rtol=1e-3, atol=1e-4)
    n = x.shape[1]
    assert closed.fecam(one, 0).bytes == 4 * 4 * (n + n * (n + 1) / 2)


@pytest.mark.parametrize("dataset", [DIGITS, features()], ids=["pixels", "features"])
def test_ranpac_by_hand_however_rows_are_split(
    dataset: data.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed, "WIDTH", 50)
    monkeypatch.setattr(closed, "RIDGES", (3.0,))
    x, test, y = values(dataset), values(dataset, "test"), dataset.train.y.numpy()
    W = torch.randn(x.shape[1], 50, generator=stream((5, closed._PROJECTION))).double().numpy()
    h, labels = np.maximum(x[y < 4] @ W, 0), np.eye(4)[y[y < 4]]
    expected = np.maximum(test @ W, 0) @ np.linalg.solve(h.T @ h + 3 * np.eye(50), h.T @ labels)
    for tasks in (ONE_BY_ONE, PAIRS, AT_ONCE):
        one = setting(tmp_path, tasks, dataset, seed=5)
        np.testing.assert_allclose(scores(closed.ranpac, one), expected, rtol=1e-3, atol=1e-4)
    assert closed.ranpac(one, 0).bytes == 4 * (50 * 51 / 2 + 50 * 4)


@pytest.mark.parametrize("width", [40, 300])  # fewer and more features than rows
def test_the_ridge_is_the_best_on_rows_of_the_task_that_are_held_out(width: int) -> None:
    generator = torch.Generator().manual_seed(2)
    h = torch.randn(200, width, generator=generator)
    y = h[:, :3] + 5 * torch.randn(200, 3, generator=generator)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(3)).numpy()
    a, b, held, wanted = h.numpy()[order[:160]], y.numpy()[order[:160]], h.numpy()[order[160:]], y.numpy()[order[160:]]

    def error(ridge: float) -> float:
        weights = np.linalg.solve(a.T.astype(np.float64) @ a + ridge * np.eye(width), a.T @ b)
        return float(np.square(held @ weights - wanted).mean())

    found = closed.best_ridge(h, y, torch.Generator().manual_seed(3))
    assert found == min((10.0**k for k in range(-4, 9)), key=error)
    assert 1e-4 < found < 1e8


def test_the_loss_of_a_vae_by_hand() -> None:
    vae, x = Vae(6, (5,)), torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for weight in vae.parameters():
            weight.zero_()
        vae.mean, vae.std = torch.tensor(0.5), torch.tensor(2.0)
        vae.encoder[-1].bias[0], vae.encoder[-1].bias[-1] = 3.0, np.log(4.0)  # one mean, and another one's variance
        vae.decoder[-1].bias[2] = 1.0
    given = (x.numpy() - 0.5) / 2
    error = np.square(given - np.eye(6)[2]).mean()
    expected = 3 * np.log(error) + 9 / 2 + (4 - 1 - np.log(4)) / 2
    loss, found = vae(x, torch.Generator().manual_seed(0))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert found.item() == pytest.approx(error, rel=1e-5)


@pytest.mark.slow
def test_a_vae_of_a_gaussian_draws_its_moments(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(10, 10, generator=generator))[0]
    x = torch.randn(5000, 10, generator=generator) * torch.tensor([3.0, 2.0, *[0.5] * 8]) @ axes.T + 1
    rows = data.LabelledImages(x, torch.zeros(5000, dtype=torch.int64))
    one = setting(tmp_path, AT_ONCE, data.Dataset("gaussian", rows, rows, ("a", "b"), "made"))
    one = replace(one, protocol=replace(one.protocol, hidden=(64,)))
    vae = trained_vae(one, x, Recipe(epochs=1, batch=128, lr=2e-3, least_steps=3000), seed=0)
    drawn, means = (vae.draw(20_000, torch.Generator().manual_seed(1), noise) for noise in (True, False))
    assert drawn.mean(0).sub(1).abs().max() < 0.2
    along = (drawn - drawn.mean(0)) @ axes
    torch.testing.assert_close(along.std(0), torch.tensor([3.0, 2.0, *[0.5] * 8]), atol=0.2, rtol=0.1)
    assert ((means @ axes).std(0)[2:] < 0.4).all()  # the noise makes the rest


@pytest.mark.parametrize("method", [vae_replay, vae_a_class])
def test_replay_of_vaes_looks_at_no_old_row(method: Callable[[Setting, int], Given], tmp_path: Path) -> None:
    def run(folder: Path, later: data.Dataset) -> Given:
        folder.mkdir()
        method(setting(folder, PAIRS), 0)
        return method(setting(folder, PAIRS, later), 1)

    new = DIGITS.train.take((DIGITS.train.y > 1).nonzero().flatten())
    with_old, without = run(tmp_path / "a", DIGITS), run(tmp_path / "b", replace(DIGITS, train=new))
    assert with_old.bytes == without.bytes > 0
    if with_old.predict is not None:
        assert without.predict is not None
        x = DIGITS.levels().load(DIGITS.test.x)
        assert torch.equal(with_old.predict(x), without.predict(x))
        assert with_old.predict(x).shape == (len(x), 4)
        return
    assert with_old.x is not None
    assert without.x is not None
    assert torch.equal(with_old.x, without.x)
    assert with_old.y is not None
    each = int(((DIGITS.train.y == 2) | (DIGITS.train.y == 3)).sum()) // 2
    assert with_old.y.bincount()[:2].tolist() == [each, each]


def test_features_are_extracted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reinject.experiments import feature_source
    from reinject.experiments.experiment_spec import ExperimentSpec
    from reinject.training import plans

    monkeypatch.setattr(feature_source, "EXTRACTOR_EPOCHS", 1)
    monkeypatch.setattr(plans, "CLASSIFIER_RECIPE", FEW)
    asked: Any = ("digits", "digits", tmp_path, ExperimentSpec(seeds=1), None, Silent())
    source = feature_source.source_of(*asked)
    assert data.load(source).shape == (256,)
    monkeypatch.setattr(feature_source, "train", None)
    monkeypatch.setattr(feature_source, "extract", None)
    assert feature_source.source_of(*asked) == source
    assert feature_source.source_of("digits", "", *asked[2:]) == "digits"
