"""Check kernels on two modes against quadrature of their transitions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject.densities import Mixture, ring, two_modes
from reinject.experiments.claims import Row
from reinject.walks import kernels
from reinject.walks.kernels import Kernel
from reinject.walks.loop import walk
from reinject.walks.reconstruction import Reconstruction, wrap
from reinject.walks.schedules import Geometric
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Normal

Map = Callable[[Tensor], Tensor]
_WALKS, _STEPS = 100_000, 150
_GRID = torch.linspace(-4, 4, 1601, dtype=torch.float64)[:, None]


@dataclass(frozen=True)
class Case:
    """Describe a kernel on two modes as a chain y' ~ N(mean(y), std^2) that keeps seen(y).

    Without a mean, the walk must have the density's own variance.
    """

    name: str
    lam: float
    kernel: Kernel
    mean: Map | None = None
    std: float = 0.0
    seen: Map = lambda y: y


def cases() -> Iterator[Case]:
    """List every kernel with a single noise level, with exact scores or optimal denoisers."""
    p = two_modes()
    for lam in (0.05, 0.1):
        tau, full, half = lam**0.5, _denoiser(p, lam**0.5), _denoiser(p, (lam / 2) ** 0.5)
        exact = _by_score(p, lam)
        yield Case("langevin, exact score", lam, kernels.Langevin(exact, lam), exact, tau)
        yield Case("langevin on a denoiser, sigma^2 = lambda/2", lam, kernels.Langevin(half, lam), half, tau)
        yield Case(
            "half-denoising, sigma^2 = lambda", lam, kernels.HalfDenoising(full, tau), _middle(full), tau, _middle(full)
        )
        yield Case("walkback without spread, sigma^2 = lambda", lam, kernels.Walkback(full, tau, 0.0), full, tau, full)
        underdamped = kernels.Underdamped(exact, lam, step_size=2**0.5, friction=1.0)
        yield Case("underdamped, h^2 = lambda", lam, underdamped)
    for lam in (0.1, 0.2, 0.4):
        adjusted = kernels.Metropolis(_by_score(p, lam), lam, order=8, probes=0)
        yield Case("metropolis, exact score", lam, adjusted)


def row(case: Case) -> Row:
    """Check that E[x^2] - 1 of the walk is that of the kernel's stationary law."""
    exact = 0.09 if case.mean is None else stationary(case)
    parts = walk(
        case.kernel, Normal(), (1,), WalkSpec(steps=_STEPS, burn_in=_STEPS), RunSpec(walks=_WALKS, block_size=50_000)
    )
    square = torch.cat([part.x for part in parts]).double().square()
    measured, error = float(square.mean() - 1), float(square.std()) / _WALKS**0.5
    return Row(
        f"{case.name}, lambda = {case.lam:g}: E[x^2] - 1 on two modes",
        exact,
        measured,
        abs(measured - exact) / error,
        4.0,
        "error in Monte Carlo standard errors; the density itself has .0900"
        + ("" if case.mean is not None else ", which this kernel has to have"),
    )


def stationary(case: Case) -> float:
    """Compute E[seen(y)^2] - 1 under the chain's stationary law, by quadrature of its transition density on a grid."""
    assert case.mean is not None
    mean, grid = case.mean(_GRID)[:, 0].numpy(), _GRID[:, 0].numpy()
    move = np.exp(-((grid[:, None] - mean[None]) ** 2) / (2 * case.std**2))
    p = np.linalg.matrix_power(move / move.sum(0), 2**12) @ np.full(len(grid), 1 / len(grid))
    return float((p * case.seen(_GRID)[:, 0].numpy() ** 2).sum() / p.sum() - 1)


def walks_on_ring(steps: int = 60, walks: int = 400) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """Walk with every kernel on the ring of 8 modes: one walk, and the ends of many, (steps + 1 + walks, 2) each.

    Returns:
        Kernel -> the states of walk 0, then the last states of all walks; and samples of the density.
    """
    p, sigma, wide = ring(std=0.15), 0.3, Geometric(6.0, 0.05)
    told = wrap(lambda x, s: p.denoiser(x, float(s[0])), (2,), noise_conditioned=True, sigma=sigma, name="ring")
    blind = wrap(lambda x: p.denoiser(x, sigma), (2,), name="ring")
    coded = wrap((torch.nn.Identity(), _Module(blind.function)), (2,), name="ring")
    lam = 2 * sigma**2
    made: dict[str, Kernel] = {
        "reinjection": kernels.Reinjection(blind),
        "langevin": kernels.Langevin(told, lam),
        "half-denoising": kernels.HalfDenoising(told, sigma),
        "walkback": kernels.Walkback(told, sigma, 0.15),
        "tangent": kernels.Tangent(coded, sigma),
        "metropolis": kernels.Metropolis(told, lam, probes=0),
        "underdamped": kernels.Underdamped(told, lam),
        "walk-jump": kernels.WalkJump(told, sigma, 1.0),
        "self-tuning": kernels.SelfTuning(wrap(_universal(p), (2,), name="ring"), sigma_stop=0.1),
        "annealed": kernels.Annealed(told, Geometric(6.0, 0.05, hold=5)),
        "ancestral": kernels.Ancestral(told, wide),
        "multistep": kernels.Multistep(told, wide),
    }
    paths = {}
    for name, kernel in made.items():
        std = 6.0 if name in ("annealed", "ancestral", "multistep", "self-tuning") else 1.0
        parts = list(walk(kernel, Normal(std), (2,), WalkSpec(steps=steps), RunSpec(walks=walks, seed=2)))
        first = torch.cat([part.x[part.walk == 0] for part in parts])
        ends: dict[int, Tensor] = {}
        for part in parts:
            ends.update(zip(part.walk.tolist(), part.x, strict=True))
        first = torch.cat([first, first[-1:].expand(steps + 1 - len(first), -1)])
        paths[name] = torch.cat([first, torch.stack(list(ends.values()))]).double().numpy()
    return paths, p.sample(1000, torch.Generator().manual_seed(4)).double().numpy()


class _Module(torch.nn.Module):
    def __init__(self, function: Map) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def _by_score(p: Mixture, lam: float) -> Reconstruction:
    return wrap(lambda x: x + lam / 2 * p.score(x), (1,), name="two modes")


def _denoiser(p: Mixture, sigma: float) -> Reconstruction:
    return wrap(lambda x: p.denoiser(x, sigma), (1,), name="two modes")


def _middle(r: Map) -> Map:
    return lambda y: (y + r(y)) / 2


def _universal(p: Mixture) -> Map:
    """Make a denoiser that infers the noise level from the distance to the ring, as in many dimensions."""

    def r(x: Tensor) -> Tensor:
        near = p.denoiser(x, 0.3)
        sigma = (x - near).norm(dim=1).clamp(0.05, 6.0)
        return torch.stack([p.denoiser(x[k : k + 1], float(sigma[k]))[0] for k in range(len(x))])

    return r
