"""Fit a network on Lightning Fabric: device, precision, checkpoints, best weights by validation, loss curves."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from reinject.base.errors import ArgumentError, ModelError, check_count, check_positive, cure_of

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Parts = Mapping[str, Tensor]
Loss = Callable[[nn.Module, Tensor, Tensor, torch.Generator], tuple[Tensor, Parts]]
Batches = Callable[[Tensor], Tensor]
_FEW_OPERATIONS = 1e8  # a step this short takes a millisecond or two; starting threads takes as long


@dataclass(frozen=True)
class Recipe:
    """Describe a training: Adam, a learning rate that rises during a warm-up, then falls as a cosine to 0.

    Attributes:
        epochs: passes over the training rows, >= 1.
        batch: rows in a gradient step, >= 1; fewer if there are fewer rows.
        lr: highest learning rate, > 0.
        least_steps: least number of gradient steps; more epochs follow if necessary.
        warm_up: steps over which the learning rate rises, >= 0.
        average: decay of the kept exponential moving average of weights, in [0, 1); 0 keeps the last weights.
    """

    epochs: int
    batch: int = 128
    lr: float = 1e-3
    least_steps: int = 0
    warm_up: int = 0
    average: float = 0.0

    def __post_init__(self) -> None:
        check_count("recipe", "epochs", self.epochs)
        check_count("recipe", "batch", self.batch)
        check_positive("recipe", "lr", self.lr)
        if not 0 <= self.average < 1:
            raise ArgumentError("recipe", f"average = {self.average}", "Give a decay in [0, 1)")

    def steps(self, rows: int) -> int:
        """Count the gradient steps for a number of training rows."""
        return max(self.least_steps, self.epochs * self.steps_an_epoch(rows))

    def steps_an_epoch(self, rows: int) -> int:
        """Count the gradient steps in a pass; rows that do not fill a batch wait for another epoch."""
        return max(1, rows // self.batch)

    def rate(self, step: int, steps: int) -> float:
        """Compute the learning rate of gradient step ``step``, counted from 0, of ``steps``."""
        rise = min(1.0, (step + 1) / (self.warm_up + 1))
        return self.lr * rise * 0.5 * (1 + math.cos(math.pi * step / steps))


@dataclass(frozen=True)
class Rows:
    """Hold training rows: stored x (uint8 or float, (N, *event)), y (N,), and a function of x to data units.

    The loss of the ``validation`` rows chooses the weights to keep. None: keep the last weights.
    """

    x: Tensor
    y: Tensor
    load: Batches
    validation: "Rows | None" = None

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, index: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the rows with the given numbers, x in data units."""
        x, y = (kept.index_select(0, index).to(device) for kept in (self.x, self.y))  # whole rows, not value by value
        return self.load(x), y


def fit(
    network: nn.Module,
    loss: Loss,
    rows: Rows,
    recipe: Recipe,
    *,
    seed: int,
    fabric: "Fabric",
    checkpoint: Path | None = None,
    on_steps: Callable[[int, float], None] = lambda *_: None,
) -> list[dict[str, float]]:
    """Train ``network`` in place and return its loss curve.

    The order of rows and all noise are pure functions of (seed, epoch). So a resumed run ends with the weights of an
    uninterrupted one. A GPU draws its own noise, which differs from a CPU's. The global random generator does not
    change. With n processes, each takes every n-th row of a batch, with its own noise, and gradients are averaged.
    Without noise and with even batches, the weights equal those of one process up to rounding.

    Arguments:
        network: any module; it ends in evaluation mode.
        loss: (network, x, y, generator) -> (scalar to minimise, its parts by name for the log).
        rows: rows for training, with rows for validation.
        recipe: length and rate of the training.
        seed: seed of order and noise, >= 0.
        fabric: device and precision.
        checkpoint: file to resume from and to write after each evaluation; it is not removed here.
        on_steps: function (finished gradient steps, latest loss), called several times an epoch.

    Returns:
        One entry for each evaluation: {"step", "epoch", "train", "validation"}, losses as means over rows, and the
        mean of each part of the loss in training.

    Raises:
        ModelError: the loss becomes non-finite, or the checkpoint is damaged or belongs to another run.
    """
    with (
        torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []),
        _threads_kept(),
    ):
        return _Run(network, loss, rows, recipe, seed, fabric, checkpoint, on_steps).fit()


@dataclass
class _Run:
    """Run one call of :func:`fit`."""

    network: nn.Module
    loss: Loss
    rows: Rows
    recipe: Recipe
    seed: int
    fabric: "Fabric"
    checkpoint: Path | None
    on_steps: Callable[[int, float], None]
    step: int = 0
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = self.recipe.steps(len(self.rows))
        self.epochs = -(-self.steps // self.recipe.steps_an_epoch(len(self.rows)))
        self.every = max(1, self.epochs // 20)  # evaluations: about twenty

    def fit(self) -> list[dict[str, float]]:
        check_count("recipe", "batch", self.recipe.batch, self.fabric.world_size)
        self.network.to(self.fabric.device)
        self._choose_threads()
        self.averaged = _copy(self.network)
        self.best = _copy(self.network)
        adam = torch.optim.Adam(self.network.parameters(), lr=self.recipe.lr, fused=True)
        if self.checkpoint is not None and self.checkpoint.is_file():
            self._resume(adam)
        model, optimizer = self.fabric.setup(self.network, adam)
        if self.fabric.world_size == 1 and self.fabric.strategy.precision.precision == "32-true":
            model, optimizer = self.network, adam  # its wrappers would only take time
        means: list[dict[str, Tensor]] = []
        for epoch in range(self.epoch, self.epochs):
            self.network.train()
            means.append(self._train_epoch(model, optimizer, epoch))
            self.epoch = epoch + 1
            if self.epoch % self.every == 0 or self.epoch == self.epochs:
                self._evaluate({name: float(torch.stack([m[name] for m in means]).mean()) for name in means[0]})
                means = []
                if self.checkpoint is not None:
                    self._save(adam)
        self.network.load_state_dict(self.best)
        self.network.eval()
        return self.history

    def _choose_threads(self) -> None:
        """Use one thread for steps of few operations; weights must not depend on other load of the machine."""
        if self.fabric.device.type != "cpu" or torch.get_num_threads() == 1:
            return
        present = _copy(self.network)
        x, y = self.rows.batch(torch.arange(min(self.recipe.batch, len(self.rows))), self.fabric.device)
        with FlopCounterMode(display=False) as counter:
            self.fabric.backward(self.loss(self.network, x, y, _generator(self.seed, 0))[0])
        self.network.load_state_dict(present)
        self.network.zero_grad()
        if counter.get_total_flops() < _FEW_OPERATIONS:
            torch.set_num_threads(1)

    def _train_epoch(self, model: Any, optimizer: Any, epoch: int) -> dict[str, Tensor]:
        generator = _generator(self.seed, epoch)
        _seed(int(torch.randint(2**62, (1,), generator=generator)), self.fabric.device)  # the caller forked the state
        order = torch.randperm(len(self.rows), generator=generator)
        size = self.recipe.steps_an_epoch(len(self.rows))
        rank, ranks = self.fabric.global_rank, self.fabric.world_size
        generator = self._noise(generator, epoch, rank)
        totals: dict[str, Tensor] = {}
        for k in range(min(size, self.steps - self.step)):
            batch = order[k * self.recipe.batch : (k + 1) * self.recipe.batch]
            index = batch[: len(batch) // ranks * ranks][rank::ranks]  # as many rows for each of them
            x, y = self.rows.batch(index, self.fabric.device)
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.rate(self.step, self.steps)
            value, parts = self.loss(model, x, y, generator)
            optimizer.zero_grad()
            self.fabric.backward(value)
            optimizer.step()
            for name, part in {"train": value.detach(), **parts}.items():
                totals[name] = totals.get(name, 0) + part
            self.step += 1
            if self.recipe.average:
                self._average()
            if self.step % 50 == 0:
                self.on_steps(self.step, float(value.detach()))
        self.on_steps(self.step, float(value.detach()))
        means = {name: total / (k + 1) for name, total in totals.items()}
        if ranks > 1:
            means = {name: cast(Tensor, self.fabric.all_reduce(mean)) for name, mean in means.items()}
        return means

    def _noise(self, generator: torch.Generator, epoch: int, *rank: int) -> torch.Generator:
        """Choose the loss's generator: on a GPU its own, because a network there would wait for a CPU's."""
        on_gpu = self.fabric.device.type == "cuda"
        if not on_gpu and self.fabric.world_size == 1:
            return generator
        return _generator(self.seed, epoch, *rank, device=self.fabric.device if on_gpu else "cpu")

    def _average(self) -> None:
        decay = min(self.recipe.average, self.step / (self.step + 10))
        for name, value in self.network.state_dict().items():
            self.averaged[name].lerp_(value, 1 - decay)

    def _evaluate(self, means: dict[str, float]) -> None:
        train = means["train"]
        self._check(train, "training")
        kept = self.averaged if self.recipe.average else self.network.state_dict()
        entry = {"step": self.step, "epoch": self.epoch, **means}
        if self.rows.validation is not None:
            entry["validation"] = validation = self._validation_loss(kept, self.rows.validation)
            self._check(validation, "validation")
            earlier = [e["validation"] for e in self.history]
        self.history.append(entry)
        if self.rows.validation is None or not earlier or entry["validation"] <= min(earlier):
            self.best = {name: value.clone() for name, value in kept.items()}

    def _check(self, loss: float, what: str) -> None:
        if not math.isfinite(loss):
            raise ModelError(
                type(self.network).__name__,
                f"its {what} loss became {loss} at step {self.step}",
                "Lower the learning rate, or check the data for extreme values",
            )

    @torch.no_grad()
    def _validation_loss(self, weights: dict[str, Tensor], validation: Rows) -> float:
        present = _copy(self.network)
        self.network.load_state_dict(weights)
        self.network.eval()
        generator = self._noise(_generator(self.seed, 2**32), 2**32)  # always the same: losses are comparable
        total = 0.0
        for index in torch.split(torch.arange(len(validation)), 1024):
            x, y = validation.batch(index, self.fabric.device)
            total += float(self.loss(self.network, x, y, generator)[0]) * len(index)
        self.network.load_state_dict(present)
        return total / len(validation)

    def _signature(self) -> str:
        sizes = {name: list(value.shape) for name, value in self.network.state_dict().items()}
        elsewhere = [] if self.fabric.device.type == "cpu" else [self.fabric.device.type]  # draws other noise
        return json.dumps([repr(self.recipe), self.seed, len(self.rows), sizes, *elsewhere])

    def _save(self, adam: torch.optim.Optimizer) -> None:
        assert self.checkpoint is not None
        if self.fabric.global_rank > 0:  # their weights are the same
            return
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.items()}
        for index, state in adam.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{k}": v for k, v in state.items()}
        progress = {"step": self.step, "epoch": self.epoch, "history": self.history}
        temporary = self.checkpoint.with_suffix(".tmp")
        copies = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
        try:
            save_file(copies, temporary, {"progress": json.dumps(progress, allow_nan=False), "run": self._signature()})
        except SafetensorError as error:  # safetensors' error for a full or faulty disk
            cure = f"{cure_of(error)}, then run the same command again"
            raise ModelError(str(self.checkpoint), f"cannot be written ({error})", cure) from error
        temporary.rename(self.checkpoint)

    def _resume(self, adam: torch.optim.Optimizer) -> None:
        try:
            with safe_open(str(self.checkpoint), framework="pt", device=str(self.fabric.device)) as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                meta = file.metadata() or {}
            progress = json.loads(meta["progress"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise ModelError(str(self.checkpoint), f"is damaged ({error})", "Remove it and train again") from error
        if meta.get("run") != self._signature():
            raise ModelError(
                str(self.checkpoint),
                "belongs to a training with other settings or on another kind of device",
                "Remove it, or use its settings and its kind of device",
            )
        self.network.load_state_dict(dict(_under(tensors, "network.")))
        self.best = dict(_under(tensors, "best."))
        self.averaged = dict(_under(tensors, "averaged."))
        weights = [weight.detach() for group in adam.param_groups for weight in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "adam."):
            index, key = name.split(".", 1)
            like = weights[int(index)]
            fits = value.shape == like.shape  # laid out in memory as its weight, which fused Adam takes for granted
            state.setdefault(int(index), {})[key] = torch.empty_like(like).copy_(value) if fits else value
        adam.load_state_dict({**adam.state_dict(), "state": state})
        self.step, self.epoch, self.history = progress["step"], progress["epoch"], progress["history"]


@contextmanager
def _threads_kept() -> Iterator[None]:
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _under(tensors: dict[str, Tensor], prefix: str) -> Iterator[tuple[str, Tensor]]:
    return ((name.removeprefix(prefix), value) for name, value in tensors.items() if name.startswith(prefix))


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _seed(word: int, device: torch.device) -> None:
    """Seed dropout. torch.manual_seed is slow: it formats a stack at each call, for GPUs that are not in use."""
    torch.default_generator.manual_seed(word)
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).manual_seed(word)


def _generator(seed: int, epoch: int, *rank: int, device: str | torch.device = "cpu") -> torch.Generator:
    word = np.random.SeedSequence([seed, epoch, *rank]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(word) >> 1)
