"""Wrapping: what is accepted, checked once, and refused with a cure."""

import pytest
import torch
from torch import nn

from reinject import wrap
from reinject.errors import ArgumentError, ModelError
from reinject.reconstruction import Ensemble


def test_module_pair_and_callable_are_the_same_r() -> None:
    encoder, decoder = nn.Linear(4, 2), nn.Linear(2, 4)
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    module, pair = wrap(nn.Sequential(encoder, decoder), (4,)), wrap((encoder, decoder), (4,))
    function = wrap(lambda x: decoder(encoder(x)), (4,))
    assert torch.equal(module(x), pair(x))
    assert torch.equal(module(x), function(x))
    assert pair.name == "Linear + Linear"


def test_modules_are_put_in_evaluation_mode() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.9)).train()
    r = wrap(module, (4,))
    x = torch.ones(2, 4)
    assert torch.equal(r(x), r(x))


def test_chunks_cover_the_batch() -> None:
    sizes = []

    def f(x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        return x / 2

    r = wrap(f, (1,), chunk=4)
    sizes.clear()
    x = torch.arange(10.0)[:, None]
    assert torch.equal(r(x), x / 2)
    assert sizes == [4, 4, 2]


def test_parts_that_do_not_fit_are_halved_once_and_for_all() -> None:
    sizes = []

    def scarce(x: torch.Tensor) -> torch.Tensor:
        sizes.append(len(x))
        if len(x) > 3:
            raise torch.OutOfMemoryError
        return x / 2

    r, x = wrap(scarce, (1,)), torch.arange(10.0)[:, None]
    sizes.clear()
    assert torch.equal(r(x), x / 2)
    assert sizes == [10, 5, 2, 2, 2, 2, 2]
    assert torch.equal(r(x), x / 2)
    assert sizes[7:] == [2] * 5


def test_what_does_not_fit_at_all_is_one_sentence() -> None:
    def none(_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    with pytest.raises(ModelError, match="one point at a time does not fit"):
        wrap(none, (1,))


def test_sixteen_bits_change_the_values_by_rounding_only() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(64, 64)
    x = torch.randn(8, 64)
    exact, mixed = wrap(layer, (64,))(x), wrap(layer, (64,), precision="bf16-mixed")(x)
    assert mixed.dtype == torch.float32
    assert 1e-5 < (mixed - exact).abs().max() < 0.05


def test_a_compiled_network_gives_the_same() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 8))
    x = torch.randn(4, 8)
    torch.testing.assert_close(wrap(net, (8,), compiled=True)(x), net(x))


def test_noise_level_is_held_or_given() -> None:
    r = wrap(lambda x, sigma: x * sigma[:, None], (1,), noise_conditioned=True, sigma=0.5)
    x = torch.ones(2, 1)
    assert r(x).flatten().tolist() == [0.5, 0.5]
    assert r(x, 2.0).flatten().tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda x: x[:, :2], "maps"),
        (lambda x: x.double(), "float64"),
        (lambda x: x / 0, "non-finite"),
        (lambda x: [x], "list"),
        (nn.Linear(5, 5), "fails on a batch"),
        (3, "not a module"),
    ],
)
def test_what_is_no_reconstruction_is_refused(source: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        wrap(source, (3,))  # type: ignore[arg-type]


def test_bad_options_are_refused() -> None:
    with pytest.raises(ArgumentError, match="chunk = 0"):
        wrap(lambda x: x, (1,), chunk=0)
    with pytest.raises(ArgumentError, match="'8-true' is not known"):
        wrap(lambda x: x, (1,), precision="8-true")
    with pytest.raises(ArgumentError, match="sigma"):
        wrap(lambda x, _: x, (1,), noise_conditioned=True)
    with pytest.raises(ArgumentError, match="sigma = -1"):
        wrap(lambda x, _: x, (1,), noise_conditioned=True, sigma=-1.0)


def test_gradients_flow_through_r() -> None:
    r = wrap(nn.Linear(2, 2), (2,))
    x = torch.ones(1, 2, requires_grad=True)
    r(x).sum().backward()
    assert x.grad is not None


def test_an_ensemble_of_nothing_is_refused() -> None:
    with pytest.raises(ModelError):
        Ensemble(())
