"""Jacobian probes, exact and random, against Jacobians written down by hand."""

import math
from inspect import unwrap  # past the shape checks of conftest.py, to those that users meet

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from reinject.base.errors import ArgumentError, ModelError
from reinject.score import (
    asymmetry,
    jacobian,
    log_det,
    log_det_lanczos,
    log_det_roulette,
    singular_values,
    trace,
    value_and_jacobian,
)


class Twisted(nn.Module):
    """r_i(x) = x_i + c sin(sum_j W_ij x_j): J = I + c diag(cos W x) W, not symmetric."""

    def __init__(self, n: int, c: float = 0.6, symmetric: bool = False) -> None:
        super().__init__()
        w = torch.randn(n, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
        w = w + w.T if symmetric else w
        self.w = w / torch.linalg.matrix_norm(w, 2)
        self.c, self.symmetric = c, symmetric

    def forward(self, x: Tensor) -> Tensor:
        y = torch.sin(x @ self.w.T)
        return x + self.c * (y @ self.w if self.symmetric else y)

    def by_hand(self, x: Tensor) -> Tensor:
        inner = torch.cos(x @ self.w.T)[:, :, None] * self.w
        return torch.eye(len(self.w)) + self.c * (self.w.T @ inner if self.symmetric else inner)


def draw(n: int, count: int = 3) -> Tensor:
    return torch.randn(count, n, generator=torch.Generator().manual_seed(100 + n), dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.integers(1, 12), st.sampled_from(["auto", "forward", "reverse"]), st.sampled_from([None, 1, 3, 100]))
def test_jacobian_in_every_mode_and_chunk(n: int, mode, chunk) -> None:
    r, x = Twisted(n), draw(n)
    torch.testing.assert_close(jacobian(r, x, mode, chunk), r.by_hand(x))


def test_jacobian_of_a_map_between_spaces_is_not_transposed() -> None:
    w = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for mode in ("auto", "forward", "reverse"):
        assert torch.equal(jacobian(lambda x: x @ w.T, torch.zeros(2, 3), mode), w.expand(2, 2, 3))
        assert torch.equal(jacobian(lambda x: x @ w, torch.zeros(2, 2), mode), w.T.expand(2, 3, 2))


def test_mode_auto_takes_the_cheaper_side() -> None:
    """Forward mode where n <= m: a map without forward derivative then fails, and reverse mode does not."""

    class BackwardOnly(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return 2 * x

        @staticmethod
        def setup_context(_, inputs, output):
            pass

        @staticmethod
        def backward(_, g):
            return 2 * g

    narrow = torch.ones(2, 5)

    def fall(x: Tensor) -> Tensor:
        return BackwardOnly.apply(x).sum(1, keepdim=True)

    assert torch.equal(jacobian(fall, narrow), torch.full((2, 1, 5), 2.0))
    with pytest.raises(ModelError):
        jacobian(fall, narrow, "forward")


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_value_beside_the_jacobian_is_f_itself_and_costs_reverse_mode_no_call(mode) -> None:
    linear, calls = nn.Linear(3, 3).double(), []

    def f(x: Tensor) -> Tensor:
        calls.append(len(x))
        return linear(x).sin()

    x = draw(3)
    y, j = value_and_jacobian(f, x, mode)
    assert torch.equal(y, linear(x).sin())
    assert torch.equal(j, jacobian(f, x, mode))
    (gradient,) = torch.autograd.grad(y.sum(), linear.bias)
    torch.testing.assert_close(gradient, linear(x).cos().sum(0))
    before = len(calls)
    value_and_jacobian(f, x, mode)
    whole = [count for count in calls[before:] if count == len(x)]
    assert len(whole) == (1 if mode == "reverse" else 2)


def test_jacobian_is_differentiable_in_the_parameters() -> None:
    linear = nn.Linear(3, 3).double()
    for mode in ("forward", "reverse"):
        (gradient,) = torch.autograd.grad(jacobian(linear, draw(3), mode).square().sum(), linear.weight)
        torch.testing.assert_close(gradient, 2 * 3 * linear.weight)


def test_events_of_any_shape() -> None:
    scale = torch.arange(1.0, 13).reshape(3, 2, 2)
    got = jacobian(lambda x: x * scale, torch.ones(4, 3, 2, 2))
    assert torch.equal(got, torch.diag(scale.flatten()).expand(4, 12, 12))


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_log_det_is_that_of_the_matrix(n: int) -> None:
    r, x = Twisted(n, c=2.5), draw(n)
    sign, value = torch.linalg.slogdet(r.by_hand(x))
    got = log_det(r, x)
    torch.testing.assert_close(got.value, value)
    assert torch.equal(got.sign, sign)


def test_log_det_knows_a_reflection_and_a_projection() -> None:
    x = torch.zeros(1, 2)
    assert log_det(lambda x: x * torch.tensor([1.0, -1.0]), x).sign.item() == -1
    flat = log_det(lambda x: x * torch.tensor([1.0, 0.0]), x)
    assert (flat.sign.item(), flat.value.item()) == (0, -math.inf)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_a_map_that_is_flat_here_is_no_error(mode) -> None:
    """A clamp beyond its range has J = 0; a map that is cut off from its input is refused, with weights or without."""
    got = log_det(lambda x: x.clamp(0, 1), torch.full((2, 3), 2.0), mode)
    assert got.sign.tolist() == [0, 0]
    assert got.value.tolist() == [-math.inf, -math.inf]
    linear = nn.Linear(3, 3)
    with pytest.raises(ModelError, match="is not differentiable"):
        log_det(lambda x: linear(x.detach()), torch.ones(2, 3), mode)


@pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(9, marks=pytest.mark.slow)])
def test_asymmetry_exact_and_probed(n: int) -> None:
    r, x = Twisted(n), draw(n)
    j = r.by_hand(x)
    exact = torch.linalg.matrix_norm(j - j.mT) / torch.linalg.matrix_norm(j)
    torch.testing.assert_close(asymmetry(r, x), exact)
    probed = asymmetry(r, x, seeded(), probes=4000)
    torch.testing.assert_close(probed, exact, rtol=0.05, atol=1e-12)
    assert float(asymmetry(Twisted(n, symmetric=True), x).max()) < 1e-12


@pytest.mark.parametrize("n", [1, 3, 8])
def test_singular_values_are_exact_with_n_steps(n: int) -> None:
    r, x = Twisted(n, c=1.5), draw(n)
    expected = torch.linalg.svdvals(r.by_hand(x))
    got = singular_values(r, x, seeded(), steps=n)
    torch.testing.assert_close(got.largest, expected[:, 0])
    torch.testing.assert_close(got.smallest, expected[:, -1])


def test_singular_values_bound_from_inside_with_fewer_steps() -> None:
    r, x = Twisted(40, c=1.5), draw(40)
    expected = torch.linalg.svdvals(r.by_hand(x))
    got = singular_values(r, x, seeded(), steps=12)
    assert bool((got.largest <= expected[:, 0] * (1 + 1e-9)).all())
    assert bool((got.smallest >= expected[:, -1] * (1 - 1e-9)).all())
    torch.testing.assert_close(got.largest, expected[:, 0], rtol=0.02, atol=0)


def test_singular_values_of_a_projection() -> None:
    keep = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    got = singular_values(lambda x: x * keep, torch.ones(2, 5), seeded())
    assert got.largest.tolist() == pytest.approx([1, 1])
    assert got.smallest.tolist() == pytest.approx([0, 0], abs=1e-6)


DRAWS = 1000


@pytest.mark.parametrize("n", [pytest.param(2, marks=pytest.mark.slow), 5, pytest.param(16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["hutchinson", "hutch++", "roulette", "lanczos"])
def test_estimators_are_unbiased(n: int, name: str) -> None:
    """Mean of 1,000 draws within 4.5 standard errors (7e-6 false each), whose size the estimator itself gives."""
    symmetric = name == "lanczos"
    r, x = Twisted(n, symmetric=symmetric), draw(n, 2)
    j = r.by_hand(x)
    estimates = {
        "hutchinson": lambda: trace(r, x, seeded(n), probes=DRAWS),
        "roulette": lambda: log_det_roulette(r, x, seeded(n), probes=DRAWS, exact_terms=2, go_on=0.6),
        "lanczos": lambda: log_det_lanczos(r, x, seeded(n), probes=DRAWS, steps=n),
    }
    if name == "hutch++":
        parts = [trace(r, x, seeded(1000 * n + k), probes=6, method="hutch++").value for k in range(DRAWS)]
        values = torch.stack(parts)
        mean, error, draws = values.mean(0), values.std(0) / math.sqrt(DRAWS), DRAWS
    else:
        mean, error, draws = estimates[name]()
    exact = j.diagonal(dim1=1, dim2=2).sum(1) if name.startswith("hutch") else torch.linalg.slogdet(j)[1]
    assert draws == DRAWS
    assert bool(((mean - exact).abs() <= 4.5 * error + 1e-9).all())
    assert float(error.max()) < 0.1


def test_standard_error_is_that_of_repetitions() -> None:
    """Of 300 estimates with 20 probes each: mean squared z between .75 and 1.5 (t with 19 degrees of freedom: 1.12)."""
    r, x = Twisted(16), draw(16, 1)
    exact = r.by_hand(x).diagonal(dim1=1, dim2=2).sum(1)
    found = [trace(r, x, seeded(k), probes=20) for k in range(300)]
    z2 = torch.stack([((e.value - exact) / e.standard_error).square() for e in found]).mean()
    assert 0.75 < float(z2) < 1.5


def test_hutch_plus_plus_is_exact_where_the_probes_span_the_space() -> None:
    r, x = Twisted(4), draw(4)
    exact = r.by_hand(x).diagonal(dim1=1, dim2=2).sum(1)
    torch.testing.assert_close(trace(r, x, seeded(), probes=18, method="hutch++").value, exact)


def test_hutch_plus_plus_beats_hutchinson_on_few_directions() -> None:
    scale = torch.full((50,), 0.01).double()
    scale[:3] = 5.0
    w = torch.linalg.qr(torch.randn(50, 50, generator=seeded(), dtype=torch.float64)).Q
    a = w @ torch.diag(scale) @ w.T
    x = torch.zeros(1, 50, dtype=torch.float64)
    plain, plus = (trace(lambda x: x @ a, x, seeded(1), probes=30, method=m) for m in ("hutchinson", "hutch++"))
    assert float(plus.standard_error) < 0.01 * float(plain.standard_error)


@pytest.mark.slow
def test_roulette_does_not_depend_on_how_it_is_cut() -> None:
    r, x = Twisted(6), draw(6, 1)
    exact = torch.linalg.slogdet(r.by_hand(x))[1]
    for exact_terms, go_on in ((1, 0.5), (3, 0.7), (10, 0.9)):
        got = log_det_roulette(r, x, seeded(3), probes=800, exact_terms=exact_terms, go_on=go_on)
        assert float((got.value - exact).abs() / got.standard_error) < 4.5


@pytest.mark.slow
def test_roulette_passes_gradients_to_the_parameters() -> None:
    """d/da of log det (1 + a) I = n/(1 + a): unbiased as well."""
    a = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    x = torch.zeros(1, 4, dtype=torch.float64)
    value = log_det_roulette(lambda x: x + a * x, x, seeded(), probes=2000).value.sum()
    (slope,) = torch.autograd.grad(value, a)
    assert float(slope) == pytest.approx(4 / 1.3, rel=0.02)


def test_lanczos_handles_any_sign_and_repeated_eigenvalues() -> None:
    x = torch.zeros(1, 6, dtype=torch.float64)
    for scale in (torch.full((6,), -2.0), torch.tensor([1.0, 1.0, 1.0, 3.0, 3.0, 0.5])):
        got = log_det_lanczos(lambda x, s=scale: x * s.double(), x, seeded(), probes=4)
        assert float(got.value) == pytest.approx(float(scale.abs().log().sum()))


def test_probes_come_from_the_generator_alone() -> None:
    r, x = Twisted(5, symmetric=True), draw(5)
    before = torch.get_rng_state()
    for estimate in (trace, log_det_roulette, log_det_lanczos):
        assert torch.equal(estimate(r, x, seeded(7)).value, estimate(r, x, seeded(7)).value)
        assert not torch.equal(estimate(r, x, seeded(7)).value, estimate(r, x, seeded(8)).value)
    singular_values(r, x, seeded())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: log_det(lambda x: x[:, :2], torch.ones(4, 3)), ModelError, r"not square.*same shape"),
        (lambda: log_det(lambda x: x.double(), torch.ones(4, 3)), ModelError, r"float32 to \(3,\) torch.float64"),
        (lambda: unwrap(log_det)(lambda x: x, torch.ones(4, 3).long()), ArgumentError, r"torch.int64.*floating-point"),
        (lambda: log_det(lambda x: x, torch.ones(3)), ArgumentError, r"shape \(3,\)"),
        (lambda: log_det(lambda x: x.detach(), torch.ones(4, 3)), ModelError, "is not differentiable.*detach"),
        (lambda: unwrap(value_and_jacobian)(lambda x: x, torch.ones(4, 3), "sideways"), ArgumentError, "'sideways'"),
        (lambda: jacobian(lambda x: x, torch.ones(4, 3), chunk=0), ArgumentError, "chunk = 0"),
        (lambda: jacobian(lambda x: x.sum(0, keepdim=True), torch.ones(4, 3)), ModelError, "keeps the rows"),
        (lambda: trace(lambda x: x, torch.ones(4, 3), seeded(), probes=1), ArgumentError, "probes = 1"),
        (lambda: unwrap(trace)(lambda x: x, torch.ones(4, 3), seeded(), method="hutch"), ArgumentError, "'hutch'"),
        (lambda: trace(lambda x: x, torch.ones(4, 3), seeded(), 4, "hutch++"), ArgumentError, "hutch"),
        (lambda: log_det_roulette(lambda x: x, torch.ones(4, 3), seeded(), go_on=1.0), ArgumentError, "go_on = 1"),
        (lambda: log_det_lanczos(lambda x: x, torch.ones(4, 3), seeded(), steps=0), ArgumentError, "steps = 0"),
    ],
)
def test_bad_input_is_named(call, error, words: str) -> None:
    with pytest.raises(error, match=words):
        call()
