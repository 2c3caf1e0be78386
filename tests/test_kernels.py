"""Every kernel goes through one contract; then each is tested for its law."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov

from reinject import wrap
from reinject.errors import ArgumentError
from reinject.kernels import Ancestral, Kernel, Langevin, falling
from reinject.reconstruction import Reconstruction
from reinject.starts import Normal
from reinject.walks import walk

A = np.array([[0.6, 0.3, 0.0], [-0.2, 0.5, 0.1], [0.0, 0.2, 0.7]], np.float32)


def linear(x: torch.Tensor) -> torch.Tensor:
    return x @ torch.from_numpy(A).T + 0.1


def told(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    return linear(x) / (1 + sigma[:, None])


BLIND = wrap(linear, (3,), name="linear")
TOLD = wrap(told, (3,), noise_conditioned=True, sigma=0.3, name="told")


def numpy_r(x: np.ndarray, s: float | None = None) -> np.ndarray:
    return (x @ A.T + 0.1) / (1 + (s or 0.0))


@dataclass(frozen=True)
class Row:
    """One kernel of the contract: how it is made, and one step of it written in NumPy from state 1."""

    make: Callable[[Reconstruction], Kernel]
    r: Reconstruction
    numpy_step: Callable[[np.ndarray, np.ndarray], np.ndarray]
    calls: int = 1


def numpy_ancestral(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    y = numpy_r(x, 1.0)  # from level 1 to level .5
    sd = 0.5 * 0.5 / 1.0
    su = np.sqrt(0.5**2 - sd**2)
    return y + (sd / 1.0) * (x - y) + su * z


CONTRACT = {
    "langevin matched": Row(lambda r: Langevin(r, 0.3), BLIND, lambda x, z: numpy_r(x) + np.sqrt(0.3) * z),
    "langevin printed": Row(lambda r: Langevin(r, 0.3, "printed"), BLIND, lambda x, z: numpy_r(x) + 0.3 * z),
    "langevin at .7": Row(lambda r: Langevin(r, 0.3, 0.7), BLIND, lambda x, z: numpy_r(x) + 0.7 * z),
    "langevin told": Row(lambda r: Langevin(r, 0.5), TOLD, lambda x, z: numpy_r(x, np.sqrt(0.25)) + np.sqrt(0.5) * z),
    "ancestral falling": Row(lambda r: Ancestral(r, (2.0, 1.0, 0.5)), TOLD, numpy_ancestral),
    "ancestral held": Row(lambda r: Ancestral(r, (0.4,)), TOLD, lambda x, z: numpy_r(x, 0.4) + 0.4 * z),
    "ancestral rising": Row(lambda r: Ancestral(r, (9.0, 0.4, 2.0)), TOLD, lambda x, z: numpy_r(x, 0.4) + 2.0 * z),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=CONTRACT.values(), ids=CONTRACT.keys())
def row(request: pytest.FixtureRequest) -> Row:
    return request.param


def second_state() -> torch.Tensor:
    return torch.randn((50, 3), generator=generator(5))


def test_one_step_is_the_numpy_step(row: Row) -> None:
    kernel = row.make(row.r)
    x = second_state()
    state = kernel.init(x)._replace(i=1)
    after, info = kernel.step(state, generator(1))
    z = torch.randn((50, 3), generator=generator(1)).numpy()
    np.testing.assert_allclose(after.x.numpy(), row.numpy_step(x.numpy(), z), atol=2e-6)
    assert after.i == 2
    assert info.reconstruction.shape == x.shape


def test_step_changes_neither_its_state_nor_the_global_generator(row: Row) -> None:
    kernel = row.make(row.r)
    x = second_state()
    before, present = x.clone(), torch.random.get_rng_state()
    one, info = kernel.step(kernel.init(x), generator(1))
    kept = info.reconstruction.clone()
    two, _ = kernel.step(one, generator(2))
    again, _ = kernel.step(kernel.init(x), generator(1))
    assert torch.equal(x, before)
    assert torch.equal(info.reconstruction, kept)
    assert torch.equal(one.x, again.x)
    assert not torch.equal(one.x, two.x)
    assert torch.equal(torch.random.get_rng_state(), present)


def test_calls_of_r_are_as_documented(row: Row) -> None:
    calls = 0

    def counted(*args: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return row.r.function(*args)

    r = wrap(counted, (3,), noise_conditioned=row.r.noise_conditioned, sigma=row.r.sigma)
    kernel = row.make(r)
    calls = 0
    state = kernel.init(torch.zeros(2, 3))
    assert calls == 0
    for _ in range(5):
        state, _ = kernel.step(state, generator())
    assert calls == 5 * row.calls


def test_repr_says_everything_about_a_kernel(row: Row) -> None:
    text = repr(row.make(row.r))
    assert row.r.name in text
    assert "0x" not in text  # no address of an object: the repr goes into manifests


def test_identity_r_is_not_written_into() -> None:
    kernel = Langevin(wrap(lambda x: x, (3,)), 0.1)
    x = torch.ones(2, 3)
    kernel.step(kernel.init(x), generator())
    assert torch.equal(x, torch.ones(2, 3))


# --- laws -----------------------------------------------------------------------------------------------------------


def final_states(kernel: Kernel, walks: int, steps: int, std: float = 1.0, n: int = 1, seed: int = 0) -> np.ndarray:
    parts = walk(kernel, Normal(std), (n,), walks=walks, steps=steps, burn_in=steps, seed=seed, block_size=50_000)
    return torch.cat([part.x for part in parts]).double().numpy()


@pytest.mark.parametrize(("noise", "tau"), [("matched", 0.2**0.5), ("printed", 0.2), (0.5, 0.5)])
def test_langevin_on_linear_r_has_the_lyapunov_covariance(noise: str | float, tau: float) -> None:
    """C = A C A^T + tau^2 I; independent chains, so an entry's error is sqrt((C_ii C_jj + C_ij^2) / walks)."""
    walks = 200_000
    x = final_states(Langevin(BLIND, 0.2, noise), walks, 60, n=3)
    exact = solve_discrete_lyapunov(A.astype(float), tau**2 * np.eye(3))
    error = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / walks)
    assert np.all(np.abs(np.cov(x.T) - exact) < 4.5 * error)  # 9 entries: false alarm rate below 1e-4
    mean = np.linalg.solve(np.eye(3) - A, np.full(3, 0.1))
    assert np.all(np.abs(x.mean(0) - mean) < 4.5 * np.sqrt(np.diag(exact) / walks))


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


TWO_MODES = Mixture((0.5, 0.5), (-1.0, 1.0), 0.3)
SKEWED = Mixture((0.8, 0.2), (-0.5, 2.0), 0.4)
GRID = torch.linspace(-9, 9, 2401, dtype=torch.float64)


def moments(p: np.ndarray) -> tuple[float, float, float]:
    """Mean, variance and third central moment of a density on the grid."""
    x = GRID.numpy()
    p = p / p.sum()
    mean = float(p @ x)
    return mean, float(p @ (x - mean) ** 2), float(p @ (x - mean) ** 3)


def moved(p: np.ndarray, mean: torch.Tensor, std: float) -> np.ndarray:
    """One transition x' ~ N(mean(x), std^2) applied to a density on the grid, by quadrature."""
    x = GRID.numpy()
    kernel = np.exp(-((x[:, None] - mean.numpy().reshape(1, -1)) ** 2) / (2 * std**2))
    return kernel @ (p / kernel.sum(0))


def blind(function: Callable[[torch.Tensor], torch.Tensor]) -> Reconstruction:
    return wrap(function, (1,))


STATIONARY = {  # lambda -> E[x^2] - 1 on the two modes: THEORY's table, by quadrature
    ("score", 0.05): 0.1034,
    ("score", 0.1): 0.1214,
    ("denoiser", 0.05): 0.1265,
    ("denoiser", 0.1): 0.1619,
}


@pytest.mark.parametrize(("kind", "lam"), STATIONARY)
def test_langevin_on_two_modes_has_the_tabled_variance(kind: str, lam: float) -> None:
    if kind == "score":
        r = blind(lambda x: x + lam / 2 * TWO_MODES.score(x))
    else:
        r = blind(lambda x: TWO_MODES.denoise(x, (lam / 2) ** 0.5))
    x = final_states(Langevin(r, lam), 200_000, 150)[:, 0]
    value, error = np.mean(x**2) - 1, np.std(x**2) / np.sqrt(len(x))
    assert abs(value - STATIONARY[kind, lam]) < 4 * error + 5e-5  # the table is rounded to four digits


def test_printed_noise_is_colder_than_matched() -> None:
    lam = 0.1
    r = blind(lambda x: x + lam / 2 * TWO_MODES.score(x))
    matched, printed = (final_states(Langevin(r, lam, noise), 20_000, 100)[:, 0] for noise in ("matched", "printed"))
    spread = [np.abs(np.abs(x) - 1).mean() for x in (matched, printed)]
    assert spread[1] < 0.5 * spread[0]


def test_langevin_keeps_the_sign_and_size_of_skewness() -> None:
    lam = 0.05
    r = blind(lambda x: x + lam / 2 * SKEWED.score(x))
    x = final_states(Langevin(r, lam), 200_000, 400)[:, 0]
    p = np.exp(-(GRID.numpy() ** 2) / 2)
    mean = GRID + lam / 2 * SKEWED.score(GRID[:, None])[:, 0]
    for _ in range(400):
        p = moved(p, mean, lam**0.5)
    check_moments(x, moments(p))


def check_moments(x: np.ndarray, exact: tuple[float, float, float]) -> None:
    c = x - x.mean()
    for power, value in ((1, exact[0]), (2, exact[1]), (3, exact[2])):
        sample = x if power == 1 else c**power
        assert abs(sample.mean() - value) < 4.5 * sample.std() / np.sqrt(len(x)), power
    assert exact[2] > 0.1


LEVELS = {
    "falling": falling(6.0, 0.1, 10),
    "held": (*falling(6.0, 0.5, 6), 0.5, 0.5, 0.5),
    "rising": (*falling(6.0, 0.1, 6), 1.5, 0.6, 0.2, 0.1),
}


@pytest.mark.parametrize("sigmas", LEVELS.values(), ids=LEVELS.keys())
def test_ancestral_has_the_law_of_its_transitions(sigmas: tuple[float, ...]) -> None:
    """Skewed target, exact denoiser; the density is carried along the levels by quadrature."""
    r = wrap(lambda x, s: SKEWED.denoise(x, float(s[0])), (1,), noise_conditioned=True, sigma=1.0)
    x = final_states(Ancestral(r, sigmas), 200_000, len(sigmas) - 1, std=sigmas[0])[:, 0]
    grid = GRID.numpy()
    wide = np.linspace(-40, 40, 2401)
    p = np.exp(-(wide**2) / (2 * sigmas[0] ** 2))
    at = wide
    for s, after in pairwise(sigmas):
        y = SKEWED.denoise(torch.from_numpy(at)[:, None], s)[:, 0].numpy()
        sd = after**2 / s if after < s else 0.0
        su = np.sqrt(after**2 - sd**2)
        new = grid if after < 2 else wide
        kernel = np.exp(-((new[:, None] - (y + sd / s * (at - y))[None]) ** 2) / (2 * su**2))
        p = kernel @ (p / (su * np.sqrt(2 * np.pi)))  # mass that leaves the grid is far below the errors
        at = new
    assert at is grid
    check_moments(x, moments(p))


def test_held_ancestral_is_matched_langevin_of_the_same_denoiser() -> None:
    """At a level that stays, x <- r(x, s) + s z: Langevin with noise tau = s and the r of that level."""
    kernel = Ancestral(TOLD, (0.5,))
    same = Langevin(TOLD, lam=2 * 0.5**2, noise=0.5)
    x = torch.randn((20, 3), generator=generator(9))
    a, _ = kernel.step(kernel.init(x), generator(1))
    b, _ = same.step(same.init(x), generator(1))
    torch.testing.assert_close(a.x, b.x)


def test_ancestral_refuses_what_it_cannot_use() -> None:
    with pytest.raises(ArgumentError, match="mlp-denoiser"):
        Ancestral(BLIND, (1.0, 0.5))
    for sigmas in ((), (1.0, 0.0), (1.0, float("nan"))):
        with pytest.raises(ArgumentError):
            Ancestral(TOLD, sigmas)
    with pytest.raises(ArgumentError, match="fall"):
        falling(0.1, 1.0, 3)
