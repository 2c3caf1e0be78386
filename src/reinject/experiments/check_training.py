"""Train networks of the checks on samples of a known density, with a fresh batch for every step."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reinject.networks import Inputs, MLPResidual
from reinject.training.objectives import Objective


@dataclass(frozen=True)
class Course:
    """Describe a training: Adam with a cosine, and an exponential moving average of the weights.

    Attributes:
        steps: gradient steps, >= 1.
        batch: points in a step, >= 1.
        lr: highest learning rate, > 0.
        average: decay of the moving average, in [0, 1).
    """

    steps: int
    batch: int = 1024
    lr: float = 5e-3
    average: float = 0.995


def residual(n: int, lam: float, std: float, seed: int = 0, width: int = 128, depth: int = 2) -> MLPResidual:
    """Make a full-rank autoencoder in n dimensions whose F has unit size at this lambda."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MLPResidual(Inputs((n,), mean=0.0, std=std), scale=lam / std, width=width, depth=depth)


def learn(
    network: nn.Module,
    objective: Objective,
    draw: Callable[[int, torch.Generator], Tensor],
    course: Course,
    seed: int = 0,
    on_step: Callable[[int], None] = lambda _: None,
) -> None:
    """Train ``network`` in place on points from ``draw(count, generator)``."""
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(network.parameters(), lr=course.lr, betas=(0.9, 0.99), fused=True)
    averaged = {name: value.clone() for name, value in network.state_dict().items()}
    for step in range(course.steps):
        rate = course.lr * min(1, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / course.steps))
        for group in adam.param_groups:
            group["lr"] = rate
        value, _ = objective(network, draw(course.batch, generator), generator)
        adam.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        adam.step()
        decay = min(course.average, step / (step + 10))
        for name, present in network.state_dict().items():
            averaged[name].lerp_(present, 1 - decay)
        on_step(1)
    network.load_state_dict(averaged)
    network.eval()


def descend(network: nn.Module, objective: Objective, x: Tensor, lr: float, steps: int = 800) -> None:
    """Train ``network`` in place on the points ``x`` alone, by Nesterov's gradient descent, without sampling noise.

    There is no line search: it would jump over the barrier beyond which a direction collapses. ``lr`` is one over the
    largest curvature. The momentum is small enough not to overshoot at a hundredth of this curvature.
    """
    generator = torch.Generator().manual_seed(0)
    descent = torch.optim.SGD(network.parameters(), lr=lr, momentum=0.7, nesterov=True)
    for _ in range(steps):
        value, _ = objective(network, x, generator)
        descent.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        descent.step()


def relative_error(s: Callable[[Tensor], Tensor], exact: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Compute sqrt(E |s(x) - exact(x)|^2 / E |exact(x)|^2) over the points x, shape (N, n)."""
    with torch.no_grad():
        truth = exact(x)
        return float(((s(x) - truth).square().sum() / truth.square().sum()).sqrt())
