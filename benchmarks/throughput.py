"""Speed of a Langevin walk beside bare passes, a plain PyTorch loop, torchebm and BlackJAX in one run, medians of five.

Every contestant makes the same number of steps of the same untrained network on one batch; each round times all of them
in turn, and ratios are taken within a round. BlackJAX walks the MLPs, with the same weights, as one compiled scan of
its SGLD kernel; it is compiled before the first round that counts. Needs the extra: pip install "reinject[bench]".
With --device cuda all run on a GPU, but for BlackJAX, which is left out; there a walk of few points waits for Python,
so give a --batch that fills it.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "passive"  # as the command line does

import torch
from torch import Tensor, nn
from torchebm.core import BaseModel
from torchebm.samplers import LangevinDynamics

from reinject.kernels import Langevin
from reinject.models import ConvAutoencoder, Inputs
from reinject.models.base import mlp
from reinject.reconstruction import wrap
from reinject.starts import Normal
from reinject.walks import walk

LAM = 0.1
BOUNDS = {
    "ours / bare": (0, 1.05),
    "torchebm, gradient": (1.10, 99),
    "torchebm, energy": (2, 99),
    "plain loop": (1.05, 99),
    "BlackJAX": (0, 99),  # no bound: another library's matrix products
}


class ByGradient(BaseModel):
    """The energy of r by its gradient: torchebm then makes the same step as ours."""

    def __init__(self, r: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.r = r

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return (self.r(x) - x).flatten(1).square().sum(1)

    def gradient(self, x: Tensor, model_kwargs: dict | None = None) -> Tensor:  # noqa: ARG002, D102
        return (x - self.r(x)) * (2 / LAM)


class ByEnergy(BaseModel):
    """E(x) = |r(x) - x|^2, its gradient by autograd."""

    def __init__(self, r: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.r = r

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return (self.r(x) - x).flatten(1).square().sum(1)


def contestants(
    network: nn.Module, shape: tuple[int, ...], steps: int, batch: int, device: str
) -> dict[str, Callable[[], object]]:
    x = torch.randn(batch, *shape, device=device)
    r = wrap(network, shape, device=device)
    kernel = Langevin(r, LAM)
    samplers = {
        "torchebm, gradient": LangevinDynamics(ByGradient(network), step_size=LAM / 2, device=device),
        "torchebm, energy": LangevinDynamics(ByEnergy(network), step_size=LAM / 2, device=device),
    }

    def bare() -> None:
        with torch.no_grad():
            for _ in range(steps):
                network(x)

    def ours() -> None:
        counts = {"walks": batch, "block_size": batch, "steps": steps, "burn_in": steps}
        for _ in walk(kernel, Normal(), shape, **counts, device=device):
            pass

    def plain() -> None:
        state = x
        with torch.no_grad():
            for _ in range(steps):
                state = network(state) + LAM**0.5 * torch.randn_like(state)

    def theirs(name: str) -> Callable[[], object]:
        return lambda: samplers[name].sample(x=x, n_steps=steps)

    found = {"bare": bare, "ours": ours, "plain loop": plain, **{name: theirs(name) for name in samplers}}
    if len(shape) == 1 and device == "cpu":
        found["BlackJAX"] = by_blackjax(network, x, steps)
    return found


def by_blackjax(network: nn.Module, x: Tensor, steps: int) -> Callable[[], object]:
    """The same step of the same MLP: x + (lam / 2) (2 / lam) (r(x) - x) + sqrt(lam) noise."""
    import blackjax
    import jax
    from jax import numpy as jnp

    layers = [
        (jnp.asarray(layer.weight.numpy().T), jnp.asarray(layer.bias.numpy()))
        for layer in network.modules()
        if isinstance(layer, nn.Linear)
    ]

    def r(x: Any) -> Any:
        for weight, bias in layers[:-1]:
            x = jax.nn.silu(x @ weight + bias)
        return x @ layers[-1][0] + layers[-1][1]

    sgld = blackjax.sgld(lambda x, _: (r(x) - x) * (2 / LAM))

    def step(x: Any, key: Any) -> tuple[Any, None]:
        return sgld.step(key, x, None, LAM / 2), None

    start = jnp.asarray(x.numpy())
    with torch.no_grad():
        far = abs(torch.from_numpy(jax.device_get(r(start)).copy()) - network(x)).max()
    if far > 1e-4:
        raise SystemExit(f"the network in JAX is another one: off by {far:.2g}")
    scan = jax.jit(lambda keys: jax.lax.scan(step, start, keys)[0])
    keys = jax.random.split(jax.random.key(0), steps)
    return lambda: scan(keys).block_until_ready()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=1024, help="points that are walked at once")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    image = Inputs((1, 28, 28), class_names=("a", "b"))
    networks: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {
        "MLP 784-1024-1024-784": (mlp([784, 1024, 1024, 784]).eval(), (784,), options.steps),
        "MLP 784-512-256-64-256-512-784": (mlp([784, 512, 256, 64, 256, 512, 784]).eval(), (784,), options.steps),
        "convolutional": (ConvAutoencoder(image).eval(), (1, 28, 28), max(1, options.steps // 3)),
    }
    found, missed = {}, []
    for name, (network, shape, steps) in networks.items():
        runs = contestants(network.requires_grad_(False), shape, steps, options.batch, options.device)
        seconds: dict[str, list[float]] = {key: [] for key in runs}
        for round_ in range(options.rounds + 1):
            for key, run in runs.items():
                began = time.perf_counter()
                run()
                if options.device == "cuda":
                    torch.cuda.synchronize()
                if round_:
                    seconds[key].append(time.perf_counter() - began)
        ratios = {
            "ours / bare": statistics.median(a / b for a, b in zip(seconds["ours"], seconds["bare"], strict=True))
        }
        for key in seconds.keys() - {"ours", "bare"}:
            ratios[key] = statistics.median(a / b for a, b in zip(seconds[key], seconds["ours"], strict=True))
        found[name] = {key: round(value, 3) for key, value in ratios.items()}
        missed += [f"{name}: {key}" for key, value in ratios.items() if not BOUNDS[key][0] <= value <= BOUNDS[key][1]]
    print(json.dumps({"ratios, over ours but for the first": found, "missed": missed}, indent=1))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
