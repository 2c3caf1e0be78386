"""The linear denoiser by hand in NumPy: with and without modulation by the level."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reinject.models.bundle import load
from reinject.networks import Inputs, MLPDenoiser, StagedDenoiser
from reinject.training.objective_options import Numbers, build

INPUTS = Inputs((1, 2, 3), mean=0.4, std=0.3)
Values = NDArray[np.float64]


def silu(x: Values) -> Values:
    return x / (1 + np.exp(-x))


def layers_by_hand(network: torch.nn.Module, u: Values, seen: Values) -> Values:
    """The residual network of u and of the features of the level, three layers of 16."""
    w = {name: value.double().numpy() for name, value in network.state_dict().items()}

    def linear(name: str, h: Values) -> Values:
        found: Values = h @ w[f"{name}.weight"].T + w[f"{name}.bias"]
        return found

    def moved(h: Values, k: int) -> Values:
        if "level.weight" not in w:
            return h
        change = linear("level", seen).reshape(len(h), 2, 3, 16)  # scales, then shifts, of three layers
        normal = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-5)
        return normal * (1 + change[:, 0, k]) + change[:, 1, k]

    h = silu(linear("first", np.concatenate([u, seen], 1)))
    for k in range(2):
        h = h + silu(linear(f"hidden.{k}", moved(h, k)))
    return linear("last", moved(h, 2))


def by_hand(r: MLPDenoiser, x: Values, sigma: Values) -> Values:
    """r = m + std F((x - m)/sqrt(sigma^2 + std^2), log(sigma/radius))."""
    t = np.log(sigma / INPUTS.radius)[:, None]
    seen = np.concatenate([t / 4, np.sin(t * [0.5, 1, 2, 4]), np.cos(t * [0.5, 1, 2, 4])], 1)
    u = (x - INPUTS.mean) / np.sqrt(sigma**2 + INPUTS.std**2)[:, None]
    return INPUTS.mean + INPUTS.std * layers_by_hand(r, u, seen)


@pytest.mark.parametrize("modulated", [False, True])
def test_r_is_what_its_formula_gives(modulated: bool) -> None:
    r = MLPDenoiser(INPUTS, width=16, modulated=modulated)
    generator = torch.Generator().manual_seed(0)
    for weight in r.parameters():
        torch.nn.init.normal_(weight, std=0.3, generator=generator)
    x, sigma = torch.randn(5, 1, 2, 3, generator=generator), torch.tensor([0.01, 0.1, 0.5, 1.0, 3.0])
    with torch.no_grad():
        found = r(x, sigma).flatten(1).numpy()
    wanted = by_hand(r, x.flatten(1).double().numpy(), sigma.double().numpy())
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_training_makes_the_linear_layers_of_two_experts_modulated() -> None:
    for name, wanted in (("staged-denoiser", {"modulated": True}), ("mlp-denoiser", {})):
        assert build("denoising", name, Numbers(), INPUTS, torch.zeros(4, 1, 2, 3)).options == wanted


@pytest.mark.parametrize("make", [MLPDenoiser, StagedDenoiser])
def test_folders_of_older_versions_load_without_modulation(make: type[MLPDenoiser], tmp_path: Path) -> None:
    inputs = Inputs((1, 8, 8), mean=0.4, std=0.3)
    network = make(inputs, width=8, depth=2).eval()
    network.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["modulated"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    x, sigma = torch.randn(4, 1, 8, 8), inputs.radius * torch.tensor([0.01, 0.03, 0.1, 1.0])
    with torch.no_grad():
        assert torch.equal(load(tmp_path).network(x, sigma), network(x, sigma))
