"""Numbers that a walk leaves behind, against closed forms."""

import pytest
import torch

from reinject import wrap
from reinject.diagnostics import class_shares, start_remembered
from reinject.errors import ArgumentError
from reinject.kernels import Langevin
from reinject.starts import Normal, Uniform, parse_start
from reinject.walks import walk


def test_start_remembered_is_a_to_the_r() -> None:
    """(1 - lam / (2v))^R: 60% at R = 10, lam = .1, v = 1 (THEORY, section 3)."""
    lam, walks = 0.1, 100_000
    kernel = Langevin(wrap(lambda x: (1 - lam / 2) * x, (3,)), lam)
    parts = list(walk(kernel, Normal(), (3,), walks=walks, steps=10, thin=10, block_size=walks))
    got = start_remembered(parts[0].x, parts[-1].x)
    standard_error = (1 / (3 * walks)) ** 0.5  # of a regression slope with unit variances, an upper bound
    assert abs(got - 0.95**10) < 4 * standard_error
    assert 0.59 < 0.95**10 < 0.61


def test_start_remembered_ignores_a_shift_and_keeps_the_sign() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    assert start_remembered(x, 5 - 2 * x) == pytest.approx(-2)


def test_start_remembered_refuses_other_walks() -> None:
    with pytest.raises(ArgumentError, match="same walks"):
        start_remembered(torch.zeros(3, 2), torch.zeros(4, 2))


def test_class_shares_count_absent_classes() -> None:
    assert class_shares(torch.tensor([2, 2, 0, 2]), 4) == [0.25, 0, 0.75, 0]


def test_starts_have_their_law() -> None:
    g = torch.Generator().manual_seed(0)
    z = Normal(3.0).draw((200_000,), g).double()
    assert abs(float(z.mean())) < 4 * 3 / 200_000**0.5
    assert abs(float(z.var()) - 9) < 4 * 9 * (2 / 200_000) ** 0.5
    u = Uniform(-1, 3).draw((200_000,), g).double()
    assert abs(float(u.mean()) - 1) < 4 * (16 / 12 / 200_000) ** 0.5
    assert -1 <= float(u.min()) < -0.99
    assert 2.99 < float(u.max()) < 3


@pytest.mark.parametrize("text", ["gauss", "normal:x", "normal:1:2", "normal:-1", "uniform:1", "uniform:2:1", ""])
def test_bad_starts_are_refused(text: str) -> None:
    with pytest.raises(ArgumentError):
        parse_start(text)
