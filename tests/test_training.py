"""Training: reaches the optimum that theory names, goes on from a checkpoint, keeps the best."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from reinject.base.devices import device_of, make_fabric
from reinject.base.errors import ArgumentError, ModelError
from reinject.training import fit as training
from reinject.training.fit import Recipe, Rows, fit
from reinject.training.objectives import Denoising, Value, reconstruction

FABRIC = make_fabric("cpu")


class Plain(nn.Linear):
    """A linear r."""


def rows(n: int = 256, seed: int = 0) -> Rows:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn((n, 2), generator=g) * torch.tensor([1.0, 0.3])
    return Rows(x, torch.zeros(n, dtype=torch.long), lambda x: x)


def net(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 2))


def denoise(network: nn.Module, x: Tensor, _: Tensor, g: torch.Generator) -> Value:
    return Denoising(0.5, 0.3, 0.7)(network, x, g)


RECIPE = Recipe(epochs=6, batch=32, lr=1e-2, average=0.9)


def test_a_linear_denoiser_learns_the_gaussian_optimum() -> None:
    """r(x) = S (S + sigma^2 I)^-1 x, the second row of THEORY's table; sigma fixed."""
    sigma, variance = 0.5, torch.tensor([1.0, 0.09])
    data = rows(20_000)
    network = Plain(2, 2)
    objective = Denoising(sigma, 0.0, 0.7)
    recipe = Recipe(epochs=30, batch=500, lr=3e-2)
    fit(network, lambda n, x, _, g: objective(n, x, g), data, recipe, seed=0, fabric=FABRIC)
    optimum = torch.diag(variance / (variance + sigma**2))
    assert (
        float((network.weight.detach() - optimum).abs().max()) < 0.03
    )  # about 4 standard errors of 600,000 noisy rows
    assert float(network.bias.detach().abs().max()) < 0.03


def test_denoising_loss_is_the_weighted_error_of_its_noise() -> None:
    """r = 0 has the error |x|^2 whatever the noise; the weight is min(5, 1 + std^2 / sigma^2) / std^2."""
    x = torch.full((4, 3), 2.0)
    zero = lambda y: torch.zeros_like(y)  # noqa: E731
    for sigma, std, weight in ((1.0, 1.0, 2.0), (0.1, 1.0, 5.0), (2.0, 4.0, 5 / 16), (4.0, 2.0, 1.25 / 4)):
        got = Denoising(sigma, 0.0, std)(zero, x, torch.Generator().manual_seed(0)).value  # type: ignore[arg-type]
        assert float(got) == pytest.approx(4.0 * weight)


def test_noise_levels_are_log_normal() -> None:
    seen = []

    def spy(y: Tensor, sigma: Tensor) -> Tensor:
        seen.append(sigma.log())
        return y

    spy.noise_conditioned = True  # type: ignore[attr-defined]
    Denoising(0.3, 0.8, 1.0)(spy, torch.zeros(100_000, 1), torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    log = seen[0].double()
    assert abs(float(log.mean()) - math.log(0.3)) < 4 * 0.8 / 100_000**0.5
    assert abs(float(log.std()) - 0.8) < 4 * 0.8 / 200_000**0.5


def test_a_run_that_goes_on_ends_where_the_uninterrupted_one_does(tmp_path: Path) -> None:
    data = replace(rows(), validation=rows(64, 1))
    whole, cut = net(), net()
    history = fit(whole, denoise, data, RECIPE, seed=3, fabric=FABRIC)
    checkpoint = tmp_path / "c"

    class Stop(Exception):  # noqa: N818
        pass

    def stop(step: int, _: float) -> None:
        if step > 25:
            raise Stop

    options = {"seed": 3, "fabric": FABRIC, "checkpoint": checkpoint}
    with pytest.raises(Stop):
        fit(cut, denoise, data, RECIPE, on_steps=stop, **options)
    fresh = net(seed=9)  # its weights come from the checkpoint
    assert fit(fresh, denoise, data, RECIPE, **options) == history
    for a, b in zip(whole.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    options = {"fabric": FABRIC, "checkpoint": tmp_path / "c"}
    fit(net(), denoise, rows(), RECIPE, seed=3, **options)
    with pytest.raises(ModelError, match="other settings"):
        fit(net(), denoise, rows(), RECIPE, seed=4, **options)
    with safe_open(tmp_path / "c", "pt") as file:
        tensors, meta = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    save_file(tensors, tmp_path / "c", meta | {"run": json.dumps([*json.loads(meta["run"]), "cuda"])})
    with pytest.raises(ModelError, match="another kind of device"):
        fit(net(), denoise, rows(), RECIPE, seed=3, **options)
    (tmp_path / "c").write_bytes(b"junk")
    with pytest.raises(ModelError, match="damaged"):
        fit(net(), denoise, rows(), RECIPE, seed=3, **options)
    save_file({"a": torch.zeros(1)}, tmp_path / "c")
    with pytest.raises(ModelError, match="damaged"):
        fit(net(), denoise, rows(), RECIPE, seed=3, **options)


def test_the_weights_that_validate_best_are_kept() -> None:
    """Train and validation pull apart, so that the best is met on the way."""
    target = {"train": 1.0, "validation": 0.5}

    def loss(network: nn.Module, x: Tensor, _: Tensor, __: torch.Generator) -> Value:
        aim = target["train"] if network.training else target["validation"]
        return Value((network(x).mean() - aim) ** 2, {})

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return self.c + 0 * x

    network = Constant()
    data = replace(rows(), validation=rows(64, 1))
    history = fit(network, loss, data, Recipe(epochs=20, batch=64, lr=0.05), seed=0, fabric=FABRIC)
    values = [entry["validation"] for entry in history]
    assert 0 < values.index(min(values)) < len(values) - 1
    assert float((network.c.detach() - 0.5).abs()) < 0.1


def test_steps_and_rates() -> None:
    recipe = Recipe(epochs=3, batch=10, lr=1.0, least_steps=7, warm_up=1)
    assert recipe.steps(25) == 7
    assert recipe.steps(45) == 12
    assert recipe.steps(5) == 7
    assert recipe.rate(0, 10) == pytest.approx(0.5)
    assert recipe.rate(5, 10) == pytest.approx(0.5)
    counted = []
    fit(net(), denoise, rows(25), recipe, seed=0, fabric=FABRIC, on_steps=lambda step, _: counted.append(step))
    assert counted[-1] == 7


def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    network = net()
    fit(network, denoise, rows(), RECIPE, seed=0, fabric=FABRIC)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not network.training


def test_counting_the_work_of_a_step_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def weights(threads: int) -> Tensor:
        network = net()
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
        fit(network, denoise, rows(), RECIPE, seed=0, fabric=FABRIC)
        return nn.utils.parameters_to_vector(network.parameters()).detach()

    assert torch.equal(weights(2), weights(1))


@pytest.mark.parametrize(("few", "during"), [(1e8, 1), (0, 2)], ids=["small network", "large network"])
def test_threads_are_chosen_by_the_work_of_a_step(few: float, during: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def loss(network: nn.Module, x: Tensor, y: Tensor, g: torch.Generator) -> Value:
        seen.append(torch.get_num_threads())
        return denoise(network, x, y, g)

    monkeypatch.setattr(training, "_FEW_OPERATIONS", few)
    torch.set_num_threads(2)
    try:
        fit(net(), loss, rows(), RECIPE, seed=0, fabric=FABRIC)
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(1)
    assert set(seen[1:]) == {during}  # the first one counts its operations
    assert after == 2


def test_the_weights_are_those_that_fabrics_wrappers_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, and by the dropout of torch.manual_seed."""

    def weights() -> Tensor:
        network = net()
        fit(network, denoise, rows(), RECIPE, seed=1, fabric=fabric)
        return nn.utils.parameters_to_vector(network.parameters()).detach()

    fabric = make_fabric("cpu")
    bare = weights()
    monkeypatch.setattr(fabric.strategy.precision, "precision", "another")
    monkeypatch.setattr(training, "_seed", lambda word, _: torch.manual_seed(word))
    assert torch.equal(weights(), bare)


def test_a_loss_that_diverges_is_an_error() -> None:
    def bad(network: nn.Module, x: Tensor, _: Tensor, __: torch.Generator) -> Value:
        return Value(network(x).mean() * float("nan"), {})

    with pytest.raises(ModelError, match="loss became nan"):
        fit(net(), bad, rows(), RECIPE, seed=0, fabric=FABRIC)


def test_reconstruction_is_the_mean_squared_error() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    got = reconstruction(lambda x: 2 * x, x, torch.Generator()).value  # type: ignore[arg-type]
    assert float(got) == pytest.approx((1 + 4 + 9 + 16) / 4)


@pytest.mark.parametrize(
    "bad", [{"epochs": 0}, {"epochs": 1, "batch": 0}, {"epochs": 1, "lr": 0}, {"epochs": 1, "average": 1.0}]
)
def test_bad_recipes_are_refused(bad: dict) -> None:
    with pytest.raises(ArgumentError):
        Recipe(**bad)


@pytest.mark.parametrize("name", ["cpu", "auto"])
def test_a_device_by_its_name_is_the_one_that_is_trained_on(name: str) -> None:
    assert device_of(name) == make_fabric(name).device


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"--device: 'toaster' is not known\. Use one of auto, cuda, mps, cpu"):
        make_fabric("toaster")
    with pytest.raises(ArgumentError, match="precision"):
        make_fabric("cpu", "3-bit")
