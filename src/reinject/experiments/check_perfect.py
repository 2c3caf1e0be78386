"""Check the objective of Prop. 1 on mixtures: accuracy of the score, and refusal of a large lambda."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from reinject.base.errors import CollapseError
from reinject.densities import Mixture
from reinject.experiments.check_training import Course, learn, relative_error, residual
from reinject.experiments.claims import Row
from reinject.score import score
from reinject.training.objectives import PerfectLossy, check_lam

LAM = 0.01
RING = Course(2000, batch=2048, lr=4e-3)
MIXTURE8 = Course(1600, lr=7e-3, average=0.998)
TEST = 20_000
UNCHECKED = Course(2000)


@dataclass(frozen=True)
class Trained:
    """Hold a trained network, and the seconds of its training."""

    network: nn.Module
    seconds: float


def train(density: Mixture, course: Course, depth: int = 2, on_step: Callable[[int], None] = lambda _: None) -> Trained:
    """Train the perfect lossy autoencoder of ``density`` at lambda = .01, with ``depth`` hidden layers."""
    x = density.sample(10_000, torch.Generator().manual_seed(1))
    check_lam(x, LAM)
    network = residual(density.n, LAM, std=float(x.std()), depth=depth)
    began = time.monotonic()
    learn(network, PerfectLossy(LAM), density.sample, course, on_step=on_step)
    return Trained(network, time.monotonic() - began)


def score_error(name: str, density: Mixture, trained: Trained, bound: float) -> Row:
    """Check that 2 (r - x)/lambda of the trained network is the score."""
    x = density.sample(TEST, torch.Generator().manual_seed(2))
    error = relative_error(lambda x: score(trained.network, x, LAM), density.score, x)
    return Row(
        f"{name}, trained perfect lossy network, lambda = {LAM}: relative error of the score",
        0.0,
        error,
        error,
        bound,
        f"trained in {trained.seconds:.0f} s",
    )


def refusal(density: Mixture, lam: float, course: Course = UNCHECKED) -> Row:
    """Check that a too large lambda is refused, and that training without the check stops with an error."""
    x = density.sample(10_000, torch.Generator().manual_seed(1))

    def unchecked() -> None:
        learn(residual(density.n, lam, std=float(x.std())), PerfectLossy(lam), density.sample, course)

    outcomes, note = [], ""
    for attempt in (partial(check_lam, x, lam), unchecked):
        try:
            attempt()
            outcomes.append("returned")
        except CollapseError as error:
            outcomes.append("collapse")
            note = str(error)
    return Row(
        f"ring of 8 modes, lambda = {lam}: checked beforehand, and trained without the check",
        "collapse, collapse",
        ", ".join(outcomes),
        float(outcomes.count("returned")),
        0,
        note,
    )
