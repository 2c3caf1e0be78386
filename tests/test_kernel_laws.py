"""What kernels sample, against quadrature of their transitions and exact moments, on two modes and a skewed target."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reinject import wrap
from reinject.walks import kernels as K  # noqa: N812
from reinject.walks.code_space import latent
from reinject.walks.kernels import Kernel
from reinject.walks.loop import walk
from reinject.walks.reconstruction import Reconstruction
from reinject.walks.schedules import Geometric, PerStep
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Normal, Through


def final_states(kernel: Kernel, walks: int, steps: int, std: float = 1.0, emit: str = "state") -> np.ndarray:
    parts = walk(
        kernel,
        Normal(std),
        (1,),
        WalkSpec(steps=steps, burn_in=steps, emit=emit),
        RunSpec(walks=walks, block_size=50_000),
    )
    return torch.cat([part.x for part in parts]).double().numpy()[:, 0]


@dataclass(frozen=True)
class Mixture:
    """A 1-D mixture of Gaussians, and its optimal denoiser; written for these tests alone."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    std: float

    def score(self, x: torch.Tensor, sigma: float = 0.0) -> torch.Tensor:
        v = self.std**2 + sigma**2
        m = torch.tensor(self.means, dtype=x.dtype)
        log = torch.log(torch.tensor(self.weights, dtype=x.dtype)) - (x - m) ** 2 / (2 * v)
        return (log.softmax(-1) * (m - x)).sum(-1, keepdim=True) / v

    def denoise(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        return x + sigma**2 * self.score(x, sigma)

    def density(self, x: np.ndarray, sigma: float = 0.0) -> np.ndarray:
        v = self.std**2 + sigma**2
        return sum(w * np.exp(-((x - m) ** 2) / (2 * v)) for w, m in zip(self.weights, self.means, strict=True))


TWO_MODES = Mixture((0.5, 0.5), (-1.0, 1.0), 0.3)
SKEWED = Mixture((0.8, 0.2), (-0.5, 2.0), 0.4)
GRID = torch.linspace(-9, 9, 2401, dtype=torch.float64)


def blind(function: Callable[[torch.Tensor], torch.Tensor]) -> Reconstruction:
    return wrap(function, (1,))


def by_score(target: Mixture, lam: float) -> Reconstruction:
    return blind(lambda x: x + lam / 2 * target.score(x))


def denoiser(target: Mixture, sigma: float) -> Reconstruction:
    return blind(lambda x: target.denoise(x, sigma))


TABLE = {  # lambda -> E[x^2] - 1 on the two modes: THEORY's table, by quadrature
    "langevin": ({0.05: 0.1034, 0.1: 0.1214}, lambda lam: K.Langevin(by_score(TWO_MODES, lam), lam)),
    "denoiser then noise": (
        {0.05: 0.1265, 0.1: 0.1619},
        lambda lam: K.Langevin(denoiser(TWO_MODES, (lam / 2) ** 0.5), lam),
    ),
    "half-denoising": (
        {0.05: 0.0997, 0.1: 0.1057},
        lambda lam: K.HalfDenoising(denoiser(TWO_MODES, lam**0.5), lam**0.5),
    ),
    "noise then denoise": (
        {0.05: 0.0330, 0.1: 0.0136},
        lambda lam: K.Walkback(denoiser(TWO_MODES, lam**0.5), lam**0.5, 0.0),
    ),
    "metropolis": (
        {0.1: 0.09, 0.2: 0.09, 0.4: 0.09},
        lambda lam: K.Metropolis(by_score(TWO_MODES, lam), lam, order=8, probes=0),
    ),
}


def cases() -> list[Any]:
    """Every case of the table; those that take long but for one are slow."""
    found = [(name, lam) for name, (values, _) in TABLE.items() for lam in values]
    late = [one for one in found if one[0] == "metropolis"][1:]
    return [pytest.param(*one, marks=[pytest.mark.slow] if one in late else []) for one in found]


@pytest.mark.parametrize(("name", "lam"), cases())
def test_two_modes_have_the_tabled_variance(name: str, lam: float) -> None:
    """Within 4 standard errors: 11 cases, a false alarm in 1,400 runs."""
    values, make = TABLE[name]
    walks = 200_000 if name != "metropolis" else 50_000
    x = final_states(make(lam), walks, 150)
    value, error = np.mean(x**2) - 1, np.std(x**2) / np.sqrt(len(x))
    assert abs(value - values[lam]) < 4 * error + 5e-5  # the table is rounded to four digits


def test_without_noise_the_modes_are_all_there_is() -> None:
    x = final_states(K.Reinjection(by_score(TWO_MODES, 0.1)), 1000, 300)
    assert abs(np.mean(x**2) - 1) < 1e-4  # the modes lie at +-.99999


def test_printed_noise_is_colder_than_matched() -> None:
    r = by_score(TWO_MODES, 0.1)
    matched, printed = (final_states(K.Langevin(r, 0.1, noise), 20_000, 100) for noise in ("matched", "printed"))
    spread = [np.abs(np.abs(x) - 1).mean() for x in (matched, printed)]
    assert spread[1] < 0.5 * spread[0]


def moments(p: np.ndarray, x: np.ndarray) -> tuple[float, float, float]:
    """Mean, variance and third central moment of values x with weights p."""
    p = p / p.sum()
    mean = float(p @ x)
    return mean, float(p @ (x - mean) ** 2), float(p @ (x - mean) ** 3)


def check_moments(x: np.ndarray, exact: tuple[float, float, float], allowance: float = 0.0) -> None:
    c = x - x.mean()
    for power, value in ((1, exact[0]), (2, exact[1]), (3, exact[2])):
        sample = x if power == 1 else c**power
        assert abs(sample.mean() - value) < 4.5 * sample.std() / np.sqrt(len(x)) + allowance, power
    assert exact[2] > 0.1


@dataclass(frozen=True)
class Chain:
    """A kernel on the skewed target as a chain y' ~ N(mean(y), std^2) on a grid; what is emitted is seen(y)."""

    kernel: Kernel
    mean: Callable[[torch.Tensor], torch.Tensor]
    std: float
    seen: Callable[[torch.Tensor], torch.Tensor] = lambda y: y
    emit: str = "state"


def chains() -> dict[str, Chain]:
    r = {s: denoiser(SKEWED, s) for s in (0.3, 0.4)}
    half = lambda y: (y + r[0.4](y)) / 2  # noqa: E731
    lam = 0.05
    return {
        "langevin": Chain(K.Langevin(by_score(SKEWED, lam), lam), by_score(SKEWED, lam), lam**0.5),
        "half-denoising": Chain(K.HalfDenoising(r[0.4], 0.4), half, 0.4, half),
        "walkback": Chain(K.Walkback(r[0.4], 0.4, 0.3), r[0.4], 0.5, lambda y: y),  # y = r(y) + .3 z + .4 z'
        "walk-jump": Chain(
            K.WalkJump(r[0.3], 0.3, 1.0), lambda y: (y + r[0.3](y)) / 2, 0.3, r[0.3], emit="reconstruction"
        ),
        "tangent": Chain(K.Tangent(wrap((nn.Identity(), Whole(r[0.4])), (1,)), 0.4), r[0.4], 0.4, r[0.4]),
    }


class Whole(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "langevin")) for name in chains()],
)
def test_skewness_is_that_of_the_transitions(name: str) -> None:
    """Third central moment of a skewed target, sign and size: the law after as many steps by quadrature."""
    chain, steps = chains()[name], 200
    x = final_states(chain.kernel, 100_000, steps, emit=chain.emit)
    if name == "walkback":  # what is kept has not the corruption's noise yet
        x = x + 0.4 * np.random.default_rng(0).standard_normal(len(x))
    grid = GRID.numpy()
    mean = chain.mean(GRID[:, None])[:, 0].numpy()
    move = np.exp(-((grid[:, None] - mean[None]) ** 2) / (2 * chain.std**2))
    move /= move.sum(0)
    p = np.exp(-(grid**2) / 2)
    p = np.linalg.matrix_power(move, steps) @ (p / p.sum())
    check_moments(x, moments(p, chain.seen(GRID[:, None])[:, 0].numpy()))


@pytest.mark.slow
def test_metropolis_has_the_skewed_targets_own_moments() -> None:
    x = final_states(K.Metropolis(by_score(SKEWED, 0.4), 0.4, order=8, probes=0), 50_000, 400)
    check_moments(x, moments(SKEWED.density(GRID.numpy()), GRID.numpy()))


@pytest.mark.slow
def test_metropolis_on_a_denoiser_has_the_smoothed_moments() -> None:
    sigma = 0.5
    r = wrap(lambda x, s: SKEWED.denoise(x, float(s[0])), (1,), noise_conditioned=True, sigma=9.0)
    x = final_states(K.Metropolis(r, 2 * sigma**2, order=8, probes=0), 50_000, 200)
    check_moments(x, moments(SKEWED.density(GRID.numpy(), sigma), GRID.numpy()))


@pytest.mark.slow
def test_underdamped_has_the_skewed_targets_moments_up_to_the_steps_square() -> None:
    lam = 0.1
    x = final_states(K.Underdamped(by_score(SKEWED, lam), lam, step_size=0.5, friction=0.2), 50_000, 1500)
    check_moments(x, moments(SKEWED.density(GRID.numpy()), GRID.numpy()), allowance=0.003)


def test_underdamped_is_less_biased_than_langevin_at_the_same_move() -> None:
    """E[x^2] - 1 on the two modes is .0900. With h^2 = lambda its kick is that of Langevin, which gives .1214."""
    lam = 0.1
    x = final_states(K.Underdamped(by_score(TWO_MODES, lam), lam, step_size=2**0.5, friction=1.0), 200_000, 150)
    value, error = np.mean(x**2) - 1, np.std(x**2) / np.sqrt(len(x))
    assert abs(value - 0.09) < 4 * error + 0.002


LEVELS = {
    "falling": (Geometric(6.0, 0.1, steps=10), 10),
    "held": (PerStep((6.0, 3.0, 1.5, 0.8, 0.5, 0.5, 0.5)), 6),
    "rising": (PerStep((6.0, 3.0, 1.0, 0.4, 0.1, 1.5, 0.6, 0.2, 0.1)), 8),
}


@pytest.mark.parametrize("eta", [1.0, 0.5])
@pytest.mark.parametrize("name", LEVELS)
def test_ancestral_has_the_law_of_its_transitions(name: str, eta: float) -> None:
    """Skewed target, exact denoiser; the density is carried along the levels by quadrature."""
    schedule, steps = LEVELS[name]
    r = wrap(lambda x, s: SKEWED.denoise(x, float(s[0])), (1,), noise_conditioned=True, sigma=1.0)
    x = final_states(K.Ancestral(r, schedule, eta), 200_000, steps, std=6.0)
    sigmas = [schedule.at(i) for i in range(steps + 1)]
    wide = np.linspace(-40, 40, 2401)
    at, p = wide, np.exp(-(wide**2) / (2 * 6.0**2))
    for s, after in pairwise(sigmas):
        y = SKEWED.denoise(torch.from_numpy(at)[:, None], s)[:, 0].numpy()
        su = eta * after * np.sqrt(1 - ((after / s) ** 2 if after < s else 0.0))
        sd = np.sqrt(after**2 - su**2)
        new = GRID.numpy() if after < 2 else wide
        move = np.exp(-((new[:, None] - (y + sd / s * (at - y))[None]) ** 2) / (2 * su**2))
        p = move @ (p / (su * np.sqrt(2 * np.pi)))  # mass that leaves the grid is far below the errors
        at = new
    check_moments(x, moments(p, at))


def test_deterministic_ancestral_carries_quantiles() -> None:
    """eta = 0 draws nothing: the same start gives the same end, and with many levels the ends follow p."""
    r = wrap(lambda x, s: SKEWED.denoise(x, float(s[0])), (1,), noise_conditioned=True, sigma=1.0)
    kernel = K.Ancestral(r, Geometric(20.0, 0.005), eta=0.0)
    x = final_states(kernel, 100_000, 300, std=20.0)
    check_moments(x, moments(SKEWED.density(GRID.numpy()), GRID.numpy()), allowance=0.03)


def test_annealed_has_the_law_of_its_transitions() -> None:
    """Three steps on each of six rungs; the density is carried along by quadrature."""
    eps, schedule = 0.6, Geometric(6.0, 0.2, steps=17, hold=3)
    r = wrap(lambda x, s: SKEWED.denoise(x, float(s[0])), (1,), noise_conditioned=True, sigma=1.0)
    x = final_states(K.Annealed(r, schedule, eps), 200_000, 17, std=6.0)
    wide = np.linspace(-40, 40, 4801)
    p = np.exp(-(wide**2) / (2 * 6.0**2))
    for i in range(17):
        sigma = schedule.at(i)
        score = SKEWED.score(torch.from_numpy(wide)[:, None], sigma)[:, 0].numpy()
        mean = wide + eps * sigma**2 / 2 * score
        move = np.exp(-((wide[:, None] - mean[None]) ** 2) / (2 * eps * sigma**2))
        p = (move / move.sum(0)) @ p
    assert schedule.at(2) == 6.0 > schedule.at(3)
    check_moments(x, moments(p, wide))


def test_self_tuning_stops_each_walk_when_its_noise_is_gone() -> None:
    """A denoiser blind to the level, on two far points in 200 dimensions: it can read the level off the input."""
    n, m = 200, 3.0

    def r(x: torch.Tensor) -> torch.Tensor:  # exact in the limit of n: the two points +-m, told by the sum's sign
        return m * torch.sign(x.sum(1, keepdim=True)).expand_as(x)

    kernel = K.SelfTuning(wrap(r, (n,)), h0=0.1, beta=0.5, sigma_stop=0.05)
    parts = list(
        walk(kernel, Normal(30.0), (n,), WalkSpec(steps=300, burn_in=300, emit="reconstruction"), RunSpec(walks=500))
    )
    assert sorted(torch.cat([part.walk for part in parts]).tolist()) == list(range(500))
    assert parts[-1].step < 300  # all were done, and the block ended
    end = torch.cat([part.x for part in parts])
    assert torch.equal(end.abs(), torch.full_like(end, m))
    assert 200 < int((end[:, 0] > 0).sum()) < 300


COVARIANCE = np.array([[1.0, 0.6, -0.3], [0.6, 2.0, 0.4], [-0.3, 0.4, 0.5]])


def gaussian_kernel(lam: float = 0.1) -> Kernel:
    """Underdamped on r = x - (lambda/2) S^-1 x, whose law is N(0, S) exactly."""
    precision = torch.from_numpy(np.linalg.inv(COVARIANCE)).float()
    return K.Underdamped(wrap(lambda x: x - lam / 2 * x @ precision, (3,)), lam, 1.0, 1.0)


def conditional(kernel: Kernel, walks: int = 100_000) -> np.ndarray:
    parts = walk(kernel, Normal(), (3,), WalkSpec(steps=150, burn_in=150), RunSpec(walks=walks, block_size=50_000))
    return torch.cat([part.x for part in parts]).double().numpy()


def check_gaussian(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    d, walks = np.diag(covariance), len(x)
    assert np.all(np.abs(x.mean(0) - mean) < 4.5 * np.sqrt(d / walks))
    error = np.sqrt((np.outer(d, d) + covariance**2) / walks)
    assert np.all(np.abs(np.cov(x.T) - covariance) < 4.5 * error)


def test_clamped_walks_have_the_conditional_law() -> None:
    """N(0, S) given x_0 = 2: mean S_u0 / S_00 * 2, covariance S_uu - S_u0 S_0u / S_00; and x_0 is held exactly."""
    kernel = K.Clamped(gaussian_kernel(), torch.tensor([2.0, 0.0, 0.0]), torch.tensor([True, False, False]))
    x = conditional(kernel)
    assert np.all(x[:, 0] == 2.0)
    across = COVARIANCE[1:, 0]
    check_gaussian(x[:, 1:], across * 2.0, COVARIANCE[1:, 1:] - np.outer(across, across))


def test_measured_walks_have_the_conditional_law() -> None:
    """N(0, S) given M x = b: mean S M^T (M S M^T)^-1 b."""
    m, b = np.array([[1.0, 1.0, -1.0]]), np.array([1.5])
    x = conditional(K.Measured(gaussian_kernel(), torch.from_numpy(m).float(), torch.from_numpy(b).float()))
    np.testing.assert_allclose(x @ m.T, 1.5, atol=1e-5)
    gain = COVARIANCE @ m.T @ np.linalg.inv(m @ COVARIANCE @ m.T)
    covariance = COVARIANCE - gain @ m @ COVARIANCE
    check_gaussian(x[:, :2], (gain @ b)[:2], covariance[:2, :2])


def test_rows_are_held_at_their_own_known_values() -> None:
    known = torch.tensor([[1.0, 0.0, 0.0], [7.0, 0.0, 0.0]])
    kernel = K.Clamped(gaussian_kernel(), known, torch.tensor([True, False, False]))
    (part,) = walk(kernel, Normal(), (3,), WalkSpec(steps=3, burn_in=3, emit="reconstruction"), RunSpec(walks=5))
    assert part.x[:, 0].tolist() == [1.0, 7.0, 1.0, 7.0, 1.0]


def test_reflection_keeps_a_flat_density_flat() -> None:
    """r = x with noise in a box: uniform; clipping would leave a share of the walks on the walls."""
    kernel = K.Bounded(K.Langevin(blind(lambda x: x), 0.1, 0.7), -0.5, 0.5)
    x = final_states(kernel, 100_000, 50)
    counts = np.histogram(x, 20, (-0.5, 0.5))[0]
    assert counts.sum() == len(x)
    assert ((counts - 5000) ** 2 / 5000).sum() < 52  # chi-squared with 19 degrees of freedom: 1 false alarm in 10,000


@pytest.mark.slow
def test_guided_walks_have_the_density_times_the_classifier() -> None:
    """N(0, 1) times sigmoid(3 x)^w: Metropolis is exact, so the moments are those of quadrature."""
    lam, w = 0.4, 2.0
    r = blind(lambda x: x - lam / 2 * x)
    kernel = K.Guided(
        K.Metropolis(r, lam, order=8, probes=0), lambda x: torch.cat([3 * x, 0 * x], 1), target=0, weight=w, at="state"
    )
    x = final_states(kernel, 50_000, 150)
    grid = GRID.numpy()
    mean, variance, third = moments(np.exp(-(grid**2) / 2) * (1 + np.exp(-3 * grid)) ** -w, grid)
    assert abs(x.mean() - mean) < 4.5 * x.std() / np.sqrt(len(x))
    c = x - x.mean()
    assert abs((c**2).mean() - variance) < 4.5 * (c**2).std() / np.sqrt(len(x))
    assert abs((c**3).mean() - third) < 4.5 * (c**3).std() / np.sqrt(len(x))
    assert mean > 0.5


def test_latent_walks_are_walks_of_the_code() -> None:
    """Encoder x -> (x_0 + x_1)/2, decoder h -> .9 h (1, 1): the code moves by h <- .9 h + tau z."""
    encoder, decoder = nn.Linear(2, 1, bias=False), nn.Linear(1, 2, bias=False)
    encoder.weight.data.fill_(0.5)
    decoder.weight.data.fill_(0.9)
    r = wrap((encoder, decoder), (2,))
    kernel = K.Langevin(latent(r), 0.1, 0.3)
    start = Through(Normal(), (2,), r.encode)
    parts = walk(
        kernel,
        start,
        (1,),
        WalkSpec(steps=80, burn_in=80),
        RunSpec(walks=100_000, block_size=50_000),
        transform=r.decode,
    )
    x = torch.cat([part.x for part in parts]).double().numpy()
    assert x.shape == (100_000, 2)
    np.testing.assert_allclose(x[:, 0], x[:, 1])
    exact = 0.81 * 0.3**2 / (1 - 0.81)
    assert abs(x[:, 0].var() / exact - 1) < 4 * np.sqrt(2 / len(x))


def test_a_velocity_turns_round_at_the_wall() -> None:
    """No force and next to no friction: a walk that meets the wall comes back as fast as it went."""
    kernel = K.Bounded(K.Underdamped(blind(lambda x: x), 2.0, step_size=0.5, friction=1e-12), 0.0, 1.0)
    x, v = torch.tensor([[0.8], [0.5], [0.1]]), torch.tensor([[1.0], [0.2], [-3.0]])  # h = .5: one, no, two walls
    state = kernel.init(x)._replace(v=v)
    after, _ = kernel.step(state, torch.Generator().manual_seed(0))
    torch.testing.assert_close(after.x, torch.tensor([[0.7], [0.6], [0.6]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(after.v, torch.tensor([[-1.0], [0.2], [-3.0]]), atol=1e-4, rtol=0)
