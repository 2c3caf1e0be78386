"""Every kernel goes through one contract, in which a new one is one row; tests/test_kernel_laws.py has their laws."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov
from scipy.stats import kstest
from torch import nn

from reinject import wrap
from reinject.base.errors import ArgumentError, ModelError
from reinject.walks import kernels
from reinject.walks.kernels import KERNELS, Kernel
from reinject.walks.kernels.kernel import noise_like
from reinject.walks.loop import walk
from reinject.walks.reconstruction import Ensemble, Reconstruction
from reinject.walks.schedules import Geometric, Linear, PerStep
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Normal

A = np.array([[0.6, 0.3, 0.0], [-0.2, 0.5, 0.1], [0.0, 0.2, 0.7]], np.float32)
ONE = np.eye(3)
F = np.array([[0.5, 0.2, -0.1], [0.1, 0.3, 0.4]], np.float32)
G = np.array([[0.6, 0.1], [0.2, 0.5], [-0.3, 0.4]], np.float32)
W = np.array([[1.0, -2.0, 0.5], [0.3, 0.4, -1.0]], np.float32)


@cache
def constant(name: str, device: torch.device) -> torch.Tensor:
    """A or W where the points are; copied there once, so that a step need not wait for a GPU."""
    return torch.from_numpy({"A": A, "W": W}[name]).to(device)


def linear(x: torch.Tensor) -> torch.Tensor:
    return x @ constant("A", x.device).T + 0.1


def told(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    return linear(x) / (1 + sigma[:, None])


def matrix(weights: np.ndarray) -> nn.Linear:
    layer = nn.Linear(weights.shape[1], weights.shape[0], bias=False)
    layer.weight.data = torch.from_numpy(weights)
    return layer.requires_grad_(False)


BLIND = wrap(linear, (3,), name="linear")
TOLD = wrap(told, (3,), noise_conditioned=True, sigma=0.3, name="told")
CODED = wrap((matrix(F), matrix(G)), (3,), name="coded")


def r_of(x: np.ndarray, s: float | None = None) -> np.ndarray:
    return (x @ A.T + 0.1) / (1 + (s or 0.0))


class Draws:
    """The numbers that a kernel draws, in the order of its formula."""

    def __init__(self, seed: int) -> None:
        self.generator = generator(seed)

    def normal(self, *shape: int) -> np.ndarray:
        return torch.randn(shape, generator=self.generator).numpy()

    def uniform(self, *shape: int) -> np.ndarray:
        return torch.rand(shape, generator=self.generator).numpy()


@dataclass(frozen=True)
class Row:
    """One kernel of the contract.

    make: the kernel for an r. r: one that it can walk. step: from x_1, by NumPy and the draws. calls: of r a step;
    first: more of them in the first. quiet: the kernel with next to no noise, and map: what it then does.
    linear: M and N of the linear chain x <- M x + N z that it is on this r.
    """

    make: Callable[[Reconstruction], Kernel]
    r: Reconstruction
    step: Callable[[np.ndarray, Draws], np.ndarray]
    calls: int = 1
    first: int = 0
    quiet: Callable[[Reconstruction], Kernel] | None = None
    map: Callable[[np.ndarray], np.ndarray] = r_of
    linear: tuple[np.ndarray, np.ndarray] | None = None


def noisy(x: np.ndarray, draws: Draws, std: float) -> np.ndarray:
    return x + std * draws.normal(*x.shape)


def half(x: np.ndarray, draws: Draws) -> np.ndarray:
    y = noisy(x, draws, 0.4)
    return (y + r_of(y)) / 2


def ancestral(x: np.ndarray, draws: Draws, eta: float = 1.0) -> np.ndarray:
    y = r_of(x, 1.0)  # from level 1 to level .5
    su = eta * 0.5 * np.sqrt(1 - 0.5**2 / 1.0**2)
    sd = np.sqrt(0.5**2 - su**2)
    return y + (sd / 1.0) * (x - y) + (su * draws.normal(*x.shape) if su else 0)


def jump(x: np.ndarray, draws: Draws, sigma: float, eps: float, level: float | None = None) -> np.ndarray:
    score = (r_of(x, level) - x) / sigma**2
    return x + eps * sigma**2 / 2 * score + np.sqrt(eps) * sigma * draws.normal(*x.shape)


def underdamped(x: np.ndarray, draws: Draws) -> np.ndarray:
    sigma = np.sqrt(0.4 / 2)
    h, c = 0.9 * sigma, np.exp(-0.5 * 0.9)
    v = h * 2 * (r_of(x) - x) / 0.4  # from rest
    x = x + h / 2 * v
    v = c * v + np.sqrt(1 - c**2) * draws.normal(*x.shape)
    return x + h / 2 * v


def underdamped_chain() -> tuple[np.ndarray, np.ndarray]:
    """The same on (x, v), without the mean."""
    sigma = np.sqrt(0.4 / 2)
    h, c = 0.9 * sigma, np.exp(-0.5 * 0.9)
    kick = np.block([[ONE, 0 * ONE], [h * 2 * (A - ONE) / 0.4, ONE]])
    drift = np.block([[ONE, h / 2 * ONE], [0 * ONE, ONE]])
    damp = np.block([[ONE, 0 * ONE], [0 * ONE, c * ONE]])
    noise = np.block([[0 * ONE], [np.sqrt(1 - c**2) * ONE]])
    return drift @ damp @ drift @ kick, drift @ noise


def self_tuning(x: np.ndarray, draws: Draws) -> np.ndarray:
    h = 0.3 * 2 / (1 + 0.3)  # t = 2
    d = r_of(x) - x
    sigma = np.linalg.norm(d, axis=1, keepdims=True) / np.sqrt(3)
    gamma = np.sqrt((1 - 0.4 * h) ** 2 - (1 - h) ** 2) * sigma
    return np.where(sigma < 0.25, x, x + h * d + gamma * draws.normal(*x.shape))


def metropolis(x: np.ndarray, draws: Draws) -> np.ndarray:
    """r(x) - x is linear in x, so the energy is 2/lambda times the move times r(x) - x half-way, exactly."""
    lam = 0.8
    proposal = r_of(x) + np.sqrt(lam) * draws.normal(*x.shape)
    middle = (x + proposal) / 2
    energy = 2 / lam * ((r_of(middle) - middle) * (proposal - x)).sum(1)
    forth = -((proposal - r_of(x)) ** 2).sum(1) / (2 * lam)
    back = -((x - r_of(proposal)) ** 2).sum(1) / (2 * lam)
    accepted = draws.uniform(len(x)) < np.exp(energy + back - forth)
    assert 5 < accepted.sum() < len(x) - 5
    return np.where(accepted[:, None], proposal, x)


def tangent(x: np.ndarray, draws: Draws) -> np.ndarray:
    return (x @ F.T + 0.6 * draws.normal(len(x), 2) @ F @ F.T) @ G.T


MASK = np.array([True, False, False])
KNOWN = np.array([5.0, 0.0, 0.0], np.float32)
M = np.array([[1.0, 1.0, 0.0]], np.float32)


def logits(x: torch.Tensor) -> torch.Tensor:
    return x @ constant("W", x.device).T


def pull(x: np.ndarray) -> np.ndarray:
    """grad log C(y given x) of the linear classifier; rows ask for classes 1, 0, 1, 0, ..."""
    p = np.exp(x @ W.T)
    p /= p.sum(1, keepdims=True)
    return W[1 - np.arange(len(x)) % 2] - p @ W


def guided_half(x: np.ndarray, draws: Draws) -> np.ndarray:
    y = noisy(x, draws, 0.4)
    r = r_of(y) + 2.0 * 0.4**2 * pull(r_of(y)) @ A  # grad of log C(r(y)): J^T grad
    return (y + r) / 2


def guided_langevin(x: np.ndarray, draws: Draws) -> np.ndarray:
    return noisy(r_of(x) + 2.0 * 0.3 / 2 * pull(x), draws, np.sqrt(0.3))


def measured(x: np.ndarray, draws: Draws) -> np.ndarray:
    x = noisy(r_of(x), draws, 0.2)
    return x - (x @ M.T - 3.0) @ M / 2


def folded(x: np.ndarray, draws: Draws) -> np.ndarray:
    x = noisy(r_of(x), draws, 0.9)
    for _ in range(50):  # wall after wall
        x = np.where(x > 0.5, 1.0 - x, x)
        x = np.where(x < -0.5, -1.0 - x, x)
    return x


def inner(r: Reconstruction, noise: float) -> Kernel:
    return kernels.Langevin(r, 0.3, noise)


K = kernels
CONTRACT = {
    "langevin matched": Row(
        lambda r: K.Langevin(r, 0.3),
        BLIND,
        lambda x, d: noisy(r_of(x), d, np.sqrt(0.3)),
        quiet=lambda r: K.Langevin(r, 0.3, 0.0),
        linear=(A, np.sqrt(0.3) * ONE),
    ),
    "langevin printed": Row(
        lambda r: K.Langevin(r, 0.3, "printed"), BLIND, lambda x, d: noisy(r_of(x), d, 0.3), linear=(A, 0.3 * ONE)
    ),
    "langevin at .7": Row(
        lambda r: K.Langevin(r, 0.3, 0.7), BLIND, lambda x, d: noisy(r_of(x), d, 0.7), linear=(A, 0.7 * ONE)
    ),
    "langevin told": Row(
        lambda r: K.Langevin(r, 0.5), TOLD, lambda x, d: noisy(r_of(x, np.sqrt(0.25)), d, np.sqrt(0.5))
    ),
    "langevin by schedule": Row(
        lambda r: K.Langevin(r, 0.3, Linear(1.0, 0.0, steps=4)), BLIND, lambda x, d: noisy(r_of(x), d, 0.75)
    ),
    "reinjection": Row(K.Reinjection, BLIND, lambda x, _: r_of(x), quiet=K.Reinjection),
    "half-denoising": Row(
        lambda r: K.HalfDenoising(r, 0.4),
        BLIND,
        half,
        quiet=lambda r: K.HalfDenoising(r, 1e-9),
        map=lambda x: (x + r_of(x)) / 2,
        linear=((ONE + A) / 2, 0.4 * (ONE + A) / 2),
    ),
    "walkback": Row(
        lambda r: K.Walkback(r, 0.4, 0.2),
        BLIND,
        lambda x, d: noisy(r_of(noisy(x, d, 0.4)), d, 0.2),
        quiet=lambda r: K.Walkback(r, 1e-9, 0.0),
        linear=(A, np.hstack([0.4 * A, 0.2 * ONE])),
    ),
    "walk-jump": Row(
        lambda r: K.WalkJump(r, 0.4, 0.7),
        BLIND,
        lambda x, d: jump(x, d, 0.4, 0.7),
        quiet=lambda r: K.WalkJump(r, 1e-9, 0.7),
        map=lambda x: x + 0.35 * (r_of(x) - x),
        linear=(ONE + 0.35 * (A - ONE), np.sqrt(0.7) * 0.4 * ONE),
    ),
    "annealed": Row(
        lambda r: K.Annealed(r, Geometric(1.0, 0.25, steps=4), 0.7),
        TOLD,
        lambda x, d: jump(x, d, 2**-0.5, 0.7, 2**-0.5),
        quiet=lambda r: K.Annealed(r, 1e-9, 0.7),
        map=lambda x: x + 0.35 * (r_of(x) - x),
    ),
    "annealed held": Row(
        lambda r: K.Annealed(r, 0.4, 0.7),
        TOLD,
        lambda x, d: jump(x, d, 0.4, 0.7, 0.4),
        linear=(ONE + 0.35 * (A / 1.4 - ONE), np.sqrt(0.7) * 0.4 * ONE),
    ),
    "ancestral falling": Row(lambda r: K.Ancestral(r, PerStep((2.0, 1.0, 0.5))), TOLD, ancestral),
    "ancestral deterministic": Row(
        lambda r: K.Ancestral(r, PerStep((2.0, 1.0, 0.5)), eta=0.0), TOLD, lambda x, d: ancestral(x, d, 0.0)
    ),
    "ancestral between": Row(
        lambda r: K.Ancestral(r, PerStep((2.0, 1.0, 0.5)), eta=0.3), TOLD, lambda x, d: ancestral(x, d, 0.3)
    ),
    "ancestral held": Row(
        lambda r: K.Ancestral(r, 0.4),
        TOLD,
        lambda x, d: noisy(r_of(x, 0.4), d, 0.4),
        quiet=lambda r: K.Ancestral(r, 1e-9),
        linear=(A / 1.4, 0.4 * ONE),
    ),
    "ancestral rising": Row(
        lambda r: K.Ancestral(r, PerStep((9.0, 0.4, 2.0))), TOLD, lambda x, d: noisy(r_of(x, 0.4), d, 2.0)
    ),
    "multistep begins": Row(lambda r: K.Multistep(r, PerStep((2.0, 1.0, 0.5))), TOLD, ancestral),
    "multistep held": Row(
        lambda r: K.Multistep(r, 0.4),
        TOLD,
        lambda x, d: noisy(r_of(x, 0.4), d, 0.4),
        quiet=lambda r: K.Multistep(r, 1e-9),
        linear=(A / 1.4, 0.4 * ONE),
    ),
    "underdamped": Row(lambda r: K.Underdamped(r, 0.4, 0.9, 0.5), BLIND, underdamped, linear=underdamped_chain()),
    "self-tuning": Row(
        lambda r: K.SelfTuning(r, 0.3, 0.4, 0.25),
        BLIND,
        self_tuning,
        quiet=lambda r: K.SelfTuning(r, 0.3, 1.0, 1e-9),
        map=lambda x: x + 0.3 * 2 / 1.3 * (r_of(x) - x),
    ),
    "metropolis": Row(
        lambda r: K.Metropolis(r, 0.8),
        BLIND,
        metropolis,
        calls=4 + 1 + 3,
        first=1,
        quiet=lambda r: K.Metropolis(r, 1e-9),
    ),
    "guided half-denoising": Row(
        lambda r: K.Guided(K.HalfDenoising(r, 0.4), logits, (1, 0), 2.0),
        BLIND,
        guided_half,
        quiet=lambda r: K.Guided(inner(r, 0.0), logits, (1, 0), 0.0),
    ),
    "guided langevin": Row(
        lambda r: K.Guided(K.Langevin(r, 0.3), logits, (1, 0), 2.0, at="state"), BLIND, guided_langevin
    ),
    "clamped langevin": Row(
        lambda r: K.Clamped(inner(r, 0.2), torch.from_numpy(KNOWN), torch.from_numpy(MASK)),
        BLIND,
        lambda x, d: np.where(MASK, KNOWN, noisy(r_of(x), d, 0.2)),
        quiet=lambda r: K.Clamped(inner(r, 0.0), torch.from_numpy(KNOWN), torch.from_numpy(MASK)),
        map=lambda x: np.where(MASK, KNOWN, r_of(x)),
    ),
    "measured langevin": Row(
        lambda r: K.Measured(inner(r, 0.2), torch.from_numpy(M), torch.tensor([3.0])), BLIND, measured
    ),
    "bounded langevin": Row(lambda r: K.Bounded(inner(r, 0.9), -0.5, 0.5), BLIND, folded),
    "tangent": Row(
        lambda r: K.Tangent(r, 0.6),
        CODED,
        tangent,
        calls=0,
        quiet=lambda r: K.Tangent(r, 1e-9),
        map=lambda x: x @ F.T @ G.T,
        linear=(G @ F, 0.6 * G @ F @ F.T),
    ),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=CONTRACT.values(), ids=CONTRACT.keys())
def row(request: pytest.FixtureRequest) -> Row:
    return request.param


def second_state(kernel: Kernel) -> tuple[torch.Tensor, kernels.State]:
    """x_1, where the wrappers' constraints hold already, as they do after init."""
    x = kernel.init(torch.randn((50, 3), generator=generator(5))).x
    return x, kernel.init(x)._replace(i=1)


def test_every_kernel_has_a_row() -> None:
    assert {type(row.make(row.r)).__name__ for row in CONTRACT.values()} == set(kernels.__all__) - {
        "KERNELS", "Info", "Kernel", "Named", "State", "Usage",
    }  # fmt: skip
    assert len(KERNELS) == 12


def test_one_step_is_the_numpy_step(row: Row) -> None:
    kernel = row.make(row.r)
    x, state = second_state(kernel)
    after, info = kernel.step(state, generator(1))
    np.testing.assert_allclose(after.x.numpy(), row.step(x.numpy(), Draws(1)), atol=3e-6)
    assert after.i == 2
    assert info.reconstruction.shape == x.shape


def test_without_noise_it_is_the_deterministic_map(row: Row) -> None:
    if row.quiet is None:
        pytest.skip("another row shows it")
    kernel = row.quiet(row.r)
    x, state = second_state(kernel)
    after, _ = kernel.step(state, generator(1))
    expected = row.map(x.numpy())
    if isinstance(kernel, K.Metropolis):  # the proposal is deterministic, its acceptance is not
        stayed = (after.x == x).all(1).numpy()
        expected[stayed] = x[stayed]
    np.testing.assert_allclose(after.x.numpy(), expected, atol=1e-3 if isinstance(kernel, K.Metropolis) else 2e-6)


def test_step_changes_neither_its_state_nor_the_global_generator(row: Row) -> None:
    kernel = row.make(row.r)
    x, state = second_state(kernel)
    before, present = x.clone(), torch.random.get_rng_state()
    one, info = kernel.step(state, generator(1))
    kept = [part.clone() for part in (info.reconstruction, one.x)]
    kernel.step(one, generator(2))
    again, _ = kernel.step(state, generator(1))
    assert torch.equal(x, before)
    assert torch.equal(info.reconstruction, kept[0])
    assert torch.equal(one.x, kept[1])
    assert torch.equal(one.x, again.x)
    assert not torch.equal(one.x, x)
    assert torch.equal(torch.random.get_rng_state(), present)


def test_calls_of_r_are_as_documented(row: Row) -> None:
    calls = 0

    def counted(*args: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return row.r.function(*args)

    r = wrap(counted, (3,), noise_conditioned=row.r.noise_conditioned, sigma=row.r.sigma)
    kernel = row.make(replace(r, encoder=row.r.encoder, decoder=row.r.decoder))
    calls = 0
    state = kernel.init(torch.zeros(2, 3))
    assert calls == 0
    for _ in range(5):
        state, _ = kernel.step(state, generator())
    assert calls == 5 * row.calls + row.first


def test_repr_says_everything_about_a_kernel(row: Row) -> None:
    text = repr(row.make(row.r))
    assert row.r.name in text
    assert "0x" not in text  # no address of an object: the repr goes into manifests


def test_r_that_is_not_finite_is_counted_and_not_repaired(row: Row) -> None:
    """Walks beyond 1.5 meet a broken r; all that started there are stopped and reported, the others go on."""

    def spoilt(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.where((x[:, :1] > 3.0).expand_as(y), torch.nan, y)

    def broken(*args: torch.Tensor) -> torch.Tensor:
        return spoilt(args[0], row.r.function(*args))

    r = replace(row.r, function=broken)
    if row.r.has_code:
        r = replace(r, encoder=lambda x: spoilt(x, row.r.encoder(x)))
    kernel = row.make(r)
    parts = list(walk(kernel, Normal(2.5), (3,), WalkSpec(steps=2), RunSpec(walks=300, seed=3)))
    bad = parts[0].x[:, 0] > 3.0
    if isinstance(kernel, (K.Clamped, K.Bounded)):  # all walks are held beyond 3, or none can be
        assert sum(part.stopped for part in parts) == (300 if isinstance(kernel, K.Clamped) else 0)
        return
    assert 10 < int(bad.sum()) < 150
    assert sum(part.stopped for part in parts) >= 0.7 * int(bad.sum())  # noise may carry some out before r is asked
    assert all(torch.isfinite(part.x).all() for part in parts)
    if not isinstance(kernel, K.SelfTuning):  # whose walks may be done before
        assert len(parts[-1].walk) + sum(part.stopped for part in parts) == 300


def test_identity_r_is_not_written_into() -> None:
    kernel = K.Langevin(wrap(lambda x: x, (3,)), 0.1)
    x = torch.ones(2, 3)
    kernel.step(kernel.init(x), generator())
    assert torch.equal(x, torch.ones(2, 3))


def test_stationary_covariance_on_linear_r_solves_the_lyapunov_equation(row: Row) -> None:
    """C = M C M^T + N N^T; independent chains, so an entry's error is sqrt((C_ii C_jj + C_ij^2) / walks)."""
    if row.linear is None:
        pytest.skip("not linear, or not stationary")
    m, n = row.linear
    walks, kernel = 100_000, row.make(row.r)
    parts = walk(kernel, Normal(), (3,), WalkSpec(steps=60, burn_in=60), RunSpec(walks=walks, block_size=50_000))
    x = torch.cat([part.x for part in parts]).double().numpy()
    exact = solve_discrete_lyapunov(m.astype(float), n @ n.T)[:3, :3]
    error = np.sqrt((np.outer(np.diag(exact), np.diag(exact)) + exact**2) / walks)
    assert np.all(np.abs(np.cov(x.T) - exact) < 4 * error)  # 9 entries, 11 rows: a false alarm in 160 runs


def test_underdamped_is_exact_on_a_gaussian_at_any_stable_step() -> None:
    """r = x - (lambda/2) S^-1 x: the variance of x is S whatever the step; plain Langevin's is not."""
    variances, lam, walks = np.array([0.1, 1.0, 3.0]), 0.1, 100_000
    scale = torch.from_numpy(1 - lam / 2 / variances).float()
    kernel = K.Underdamped(wrap(lambda x: x * scale, (3,)), lam, step_size=2.0, friction=0.3)
    parts = walk(kernel, Normal(), (3,), WalkSpec(steps=200, burn_in=200), RunSpec(walks=walks, block_size=50_000))
    x = torch.cat([part.x for part in parts]).double().numpy()
    assert np.all(np.abs(x.var(0) / variances - 1) < 4 * np.sqrt(2 / walks))


def test_members_of_an_ensemble_are_walked_by_row(row: Row) -> None:
    """Two members, the second of which is the first: the ensemble must do what the one does."""
    one, both = row.make(Ensemble((row.r,))), row.make(Ensemble((row.r, row.r)))
    _, state = second_state(one)
    a, _ = one.step(state, generator(1))
    b, _ = both.step(state, generator(1))
    torch.testing.assert_close(a.x, b.x)


COINCIDE = {
    "ancestral that stays is langevin": (K.Ancestral(TOLD, 0.5), K.Langevin(TOLD, 2 * 0.5**2, 0.5)),
    "annealed that stays is walk-jump": (K.Annealed(TOLD, 0.5, 0.3), K.WalkJump(TOLD, 0.5, 0.3)),
    "walk-jump at eps 2 is langevin": (K.WalkJump(TOLD, 0.5, 2.0), K.Langevin(TOLD, 2 * 0.5**2)),
    "langevin without noise is reinjection": (K.Langevin(BLIND, 0.3, 0.0), K.Reinjection(BLIND)),
    "printed and matched agree at lambda 1": (K.Langevin(BLIND, 1.0, "printed"), K.Langevin(BLIND, 1.0)),
}


@pytest.mark.parametrize("pair", COINCIDE.values(), ids=COINCIDE.keys())
def test_what_coincides_in_a_limit_does(pair: tuple[Kernel, Kernel]) -> None:
    x = torch.randn((20, 3), generator=generator(9))
    a, b = (kernel.step(kernel.init(x), generator(1))[0].x for kernel in pair)
    torch.testing.assert_close(a, b)


BAD = {
    "langevin lam": (lambda: K.Langevin(BLIND, 0.0), "lam = 0.0"),
    "langevin noise": (lambda: K.Langevin(BLIND, 0.1, "loud"), "loud"),
    "langevin schedule": (lambda: K.Langevin(BLIND, 0.1, Linear(1, -1)), "noise = -1"),
    "half": (lambda: K.HalfDenoising(BLIND, float("nan")), "sigma = nan"),
    "walkback": (lambda: K.Walkback(BLIND, 0.1, -1.0), "spread = -1"),
    "jump": (lambda: K.WalkJump(BLIND, 0.1, 5.0), "eps = 5"),
    "annealed": (lambda: K.Annealed(TOLD, PerStep((1.0, 0.0))), "sigma = 0.0"),
    "annealed blind": (lambda: K.Annealed(BLIND, 1.0), "mlp-denoiser"),
    "ancestral blind": (lambda: K.Ancestral(BLIND, 1.0), "mlp-denoiser"),
    "ancestral": (lambda: K.Ancestral(TOLD, -1.0), "sigma = -1"),
    "eta": (lambda: K.Ancestral(TOLD, 1.0, 1.5), "eta = 1.5"),
    "multistep blind": (lambda: K.Multistep(BLIND, 1.0), "mlp-denoiser"),
    "multistep": (lambda: K.Multistep(TOLD, 0.0), "sigma = 0"),
    "multistep eta": (lambda: K.Multistep(TOLD, 1.0, -0.5), "eta = -0.5"),
    "underdamped": (lambda: K.Underdamped(BLIND, friction=0.0), "friction = 0.0"),
    "self-tuning": (lambda: K.SelfTuning(BLIND, beta=2.0), "beta = 2"),
    "self-tuning told": (lambda: K.SelfTuning(TOLD), "--spread"),
    "metropolis": (lambda: K.Metropolis(BLIND, order=0), "order = 0"),
    "tangent": (lambda: K.Tangent(CODED, 0.0), "sigma = 0.0"),
    "class": (lambda: K.Guided(inner(BLIND, 0.1), logits, 2), "target = 2 of a classifier of 2 classes"),
    "weight": (lambda: K.Guided(inner(BLIND, 0.1), logits, 0, -1.0), "weight = -1"),
    "guided tangent": (lambda: K.Guided(K.Tangent(CODED), logits), "no drift"),
    "flat classifier": (lambda: K.Guided(inner(BLIND, 0.1), lambda x: logits(x.detach())), "cannot|differentiable"),
    "labels": (lambda: K.Guided(inner(BLIND, 0.1), lambda x: logits(x).argmax(1)), "int64 labels, no scores"),
    "cut r": (lambda: K.Guided(inner(wrap(lambda x: x.detach(), (3,)), 0.1), logits), "at='state'"),
    "mask": (lambda: K.Clamped(inner(BLIND, 0.1), torch.zeros(3), torch.ones(4) > 0), r"mask of shape \(4,\)"),
    "known": (lambda: K.Clamped(inner(BLIND, 0.1), torch.zeros(2), torch.ones(3) > 0), "known values of shape"),
    "known nan": (
        lambda: K.Clamped(inner(BLIND, 0.1), torch.full((3,), torch.nan), torch.ones(3) > 0),
        "Give finite ones",
    ),
    "matrix": (lambda: K.Measured(inner(BLIND, 0.1), torch.ones(1, 4), torch.ones(1)), r"Give \(k, 3\)"),
    "dependent": (lambda: K.Measured(inner(BLIND, 0.1), torch.ones(2, 3), torch.ones(2)), "linearly dependent"),
    "box": (lambda: K.Bounded(inner(BLIND, 0.1), 1.0, 1.0), "box 1.0..1.0"),
    "tangent without code": (lambda: K.Tangent(BLIND), "--autoencoder mlp or conv"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_parameters_are_named(make: Callable[[], Kernel], message: str) -> None:
    with pytest.raises((ArgumentError, ModelError), match=message):
        make()


def test_a_schedule_shorter_than_the_walk_is_refused() -> None:
    kernel = K.HalfDenoising(BLIND, PerStep((0.5, 0.4)))
    with pytest.raises(ArgumentError, match="ends at x_1, the walk goes to x_5"):
        walk(kernel, Normal(), (3,), WalkSpec(steps=5), RunSpec(walks=1))


def test_large_noise_is_normal_and_the_same_for_any_number_of_threads() -> None:
    """Drawn in parts by several threads: standard normal, no part like another, a function of the generator alone."""
    shape = (512, 784)
    threads = torch.get_num_threads()
    drawn = []
    for count in (1, 2):
        torch.set_num_threads(count)
        drawn.append(noise_like(torch.empty(shape), generator(7), 0.5))
    torch.set_num_threads(threads)
    z = drawn[0].flatten().double() / 0.5
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], noise_like(torch.empty(shape), generator(8), 0.5))
    assert kstest(z.numpy(), "norm").pvalue > 1e-4
    parts = torch.stack(z.tensor_split(8)[:8])
    correlation = torch.corrcoef(parts) - torch.eye(8)
    assert correlation.abs().max() < 5 / parts.shape[1] ** 0.5  # 28 pairs: a false alarm in 60,000 runs
