"""Speed of a Langevin walk beside bare passes, a plain PyTorch loop, torchebm and BlackJAX in one run, medians of five.

Every contestant makes the same number of steps of the same untrained network on one batch; each round times all of them
in turn, another first each time, and ratios are taken within a round. Each is in a process of its own, as a user would
run it, and in a new one every round: which memory malloc gives back to the system is a matter of luck that a process
keeps, and in one that they shared, the derivatives of one contestant would decide it for all. Ours keeps free memory as
the command line does (reinject.base.processes.keep_memory); "ours, memory given back" does not. BlackJAX walks the
MLPs, with the same weights, as one compiled scan of its SGLD kernel. Needs the extra: pip install "reinject[bench]".
With --device cuda all run on a GPU, but for BlackJAX, which is left out; there a walk of few points waits for Python,
so give a --batch that fills it.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

os.environ |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}  # as the command line does

import torch
from torch import Tensor, nn
from torchebm.core import BaseModel
from torchebm.samplers import LangevinDynamics

from reinject.base.processes import keep_memory
from reinject.networks import ConvAutoencoder, Inputs
from reinject.networks.network import mlp
from reinject.walks.kernels import Langevin
from reinject.walks.loop import walk
from reinject.walks.reconstruction import wrap
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Normal

LAM = 0.1
BOUNDS = {
    "ours / bare": (0, 1.05),
    "torchebm, gradient": (1.10, 99),
    "torchebm, energy": (2, 99),
    "plain loop": (1.05, 99),
    "ours, memory given back": (0, 99),  # no bound: what the setting is worth
    "BlackJAX": (0, 99),  # no bound: another library's matrix products
}


class ByGradient(BaseModel):
    """The energy of r by its gradient: torchebm then makes the same step as ours."""

    def __init__(self, r: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.r = r

    def forward(self, x: Tensor) -> Tensor:
        return (self.r(x) - x).flatten(1).square().sum(1)

    def gradient(self, x: Tensor, model_kwargs: dict | None = None) -> Tensor:  # noqa: ARG002
        return (x - self.r(x)) * (2 / LAM)


class ByEnergy(BaseModel):
    """E(x) = |r(x) - x|^2, its gradient by autograd."""

    def __init__(self, r: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.r = r

    def forward(self, x: Tensor) -> Tensor:
        return (self.r(x) - x).flatten(1).square().sum(1)


CONVOLUTIONAL = "convolutional"
IMAGE = (1, 28, 28)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "MLP 784-1024-1024-784": (lambda: mlp([784, 1024, 1024, 784]), (784,)),
    "MLP 784-512-256-64-256-512-784": (lambda: mlp([784, 512, 256, 64, 256, 512, 784]), (784,)),
    CONVOLUTIONAL: (lambda: ConvAutoencoder(Inputs(IMAGE, class_names=("a", "b"))), IMAGE),
}


@dataclass(frozen=True)
class Setting:
    """What all contestants are given: the network's name, steps a round, points walked at once, device."""

    name: str
    steps: int
    batch: int
    device: str


def bare(network: nn.Module, x: Tensor, steps: int) -> Callable[[], object]:
    def run() -> None:
        with torch.no_grad():
            for _ in range(steps):
                network(x)

    return run


def ours(network: nn.Module, x: Tensor, steps: int) -> Callable[[], object]:
    shape = tuple(x.shape[1:])
    kernel = Langevin(wrap(network, shape, device=x.device), LAM)
    spec, run_of = WalkSpec(steps=steps, burn_in=steps), RunSpec(walks=len(x), block_size=len(x))

    def run() -> None:
        for _ in walk(kernel, Normal(), shape, spec, run_of, device=x.device):
            pass

    return run


def plain(network: nn.Module, x: Tensor, steps: int) -> Callable[[], object]:
    def run() -> None:
        state = x
        with torch.no_grad():
            for _ in range(steps):
                state = network(state) + LAM**0.5 * torch.randn_like(state)

    return run


def by_torchebm(energy: type[BaseModel], network: nn.Module, x: Tensor, steps: int) -> Callable[[], object]:
    sampler = LangevinDynamics(energy(network), step_size=LAM / 2, device=x.device)
    return lambda: sampler.sample(x=x, n_steps=steps)


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


CONTESTANTS: dict[str, Callable[[nn.Module, Tensor, int], Callable[[], object]]] = {
    "bare": bare,
    "ours": ours,
    "ours, memory given back": ours,
    "plain loop": plain,
    "torchebm, gradient": partial(by_torchebm, ByGradient),
    "torchebm, energy": partial(by_torchebm, ByEnergy),
    "BlackJAX": by_blackjax,
}


def compete(contestant: str, setting: Setting, orders: Connection) -> None:
    """A process: makes its steps once to warm up, and at an order again; answers with the seconds that they took."""
    if contestant == "ours":
        keep_memory()
    torch.manual_seed(0)
    make, shape = NETWORKS[setting.name]
    network = make().eval().requires_grad_(False).to(setting.device)
    run = CONTESTANTS[contestant](network, torch.randn(setting.batch, *shape, device=setting.device), setting.steps)
    for _ in range(2):
        orders.send(None)  # ready
        orders.recv()
        began = time.perf_counter()
        run()
        if setting.device == "cuda":
            torch.cuda.synchronize()
        orders.send(time.perf_counter() - began)


def one_round(setting: Setting, names: list[str]) -> dict[str, float]:
    """The seconds of every contestant, one after the other, when all have begun."""
    spawn = multiprocessing.get_context("spawn")
    pipes = {name: spawn.Pipe() for name in names}
    processes = [spawn.Process(target=compete, args=(name, setting, pipes[name][1]), daemon=True) for name in names]
    for process in processes:
        process.start()
    for _, theirs in pipes.values():
        theirs.close()  # so that one who dies ends the run, and is not waited for
    for order, _ in pipes.values():
        order.recv()
    found = {}
    for name, (order, _) in pipes.items():
        order.send(True)
        order.recv()
        order.recv()
        order.send(True)
        found[name] = order.recv()
    for process in processes:
        process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=1024, help="points that are walked at once")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    found, missed = {}, []
    for name in NETWORKS:
        steps = max(1, options.steps // 3) if name == CONVOLUTIONAL else options.steps
        names = [one for one in CONTESTANTS if one != "BlackJAX" or (name != CONVOLUTIONAL and options.device == "cpu")]
        setting = Setting(name, steps, options.batch, options.device)
        rounds = [one_round(setting, names[k % len(names) :] + names[: k % len(names)]) for k in range(options.rounds)]
        seconds = {key: [one[key] for one in rounds] for key in names}
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
