"""Check lambda of denoisers, trained with a known noise on real images, by Stein's identity."""

from collections.abc import Callable

import torch
from torch import Tensor

from reinject.experiments.check_training import Course, learn
from reinject.experiments.claims import Row
from reinject.networks import Inputs, MLPResidual
from reinject.score import estimate_lam, lam_of_sigma
from reinject.training.objectives import Denoising

SIGMAS = (0.1, 0.2, 0.4)
COURSE = Course(400, batch=256, lr=2e-3)  # by 600 steps it memorises the 1,347 images, and moves held-out ones more


def trained(train: Tensor, sigma: float, on_step: Callable[[int], None] = lambda _: None) -> MLPResidual:
    """Train a denoiser on ``train``, (N, *event), with the noise ``sigma``, data units."""
    inputs = Inputs(tuple(train.shape[1:]), mean=float(train.mean()), std=float(train.std()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = MLPResidual(inputs, width=256, depth=2)

    def draw(count: int, generator: torch.Generator) -> Tensor:
        return train[torch.randint(len(train), (count,), generator=generator)]

    learn(network, Denoising(sigma, 0.0, inputs.std), draw, COURSE, on_step=on_step)
    return network


def found_lambda(network: MLPResidual, held_out: Tensor, sigma: float) -> Row:
    """Check that clean held-out points give lambda = 2 sigma^2 without knowledge of sigma."""
    exact = lam_of_sigma(sigma)
    found, gaussian = (estimate_lam(network, held_out, method) for method in ("matched", "effective"))
    return Row(
        f"digits, denoiser trained at sigma = {sigma:g}: lambda from {len(held_out)} held-out images",
        exact,
        f"{found.value:.4f} +- {found.standard_error:.4f}",
        abs(found.value / exact - 1),
        0.1,
        f"relative error, matched noise; the Gaussian rule d = E tr J = {gaussian.dimension:.3g} gives "
        f"{gaussian.value:.4f}",
    )
