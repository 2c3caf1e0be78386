"""Wrapping: what is accepted, checked once, and refused with a cure."""

import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from reinject import wrap
from reinject.base.errors import ArgumentError, ModelError
from reinject.walks import execution
from reinject.walks.execution import Execution, Fast
from reinject.walks.reconstruction import Ensemble


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

    r = wrap(f, (1,), execution=Execution(chunk=4))
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
    exact, mixed = (wrap(layer, (64,), execution=Execution(precision=name))(x) for name in ("32-true", "bf16-mixed"))
    assert mixed.dtype == torch.float32
    assert 1e-5 < (mixed - exact).abs().max() < 0.05


def test_a_compiled_network_gives_the_same() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 8))
    x = torch.randn(4, 8)
    torch.testing.assert_close(wrap(net, (8,), execution=Execution(compiled=True))(x), net(x))


class Counting(TorchDispatchMode):
    """Counts the linear layers that oneDNN was given."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += "mkldnn._linear_pointwise" in str(func)
        return func(*args, **(kwargs or {}))


class Functional(nn.Module):
    """Layers that are no modules."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(256, 256, generator=torch.Generator().manual_seed(0)) / 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(nn.functional.linear(x, self.weight).relu(), self.weight)


class Part(nn.Module):
    """Memory that is not contiguous."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 1]


LAYERS = {
    "modules": (nn.Sequential(nn.Linear(256, 300), nn.SiLU(), nn.Linear(300, 256)), 2),
    "functions": (Functional(), 2),
    "three axes": (nn.Sequential(nn.Unflatten(1, (4, 64)), nn.Linear(64, 600), nn.Linear(600, 64), nn.Flatten()), 2),
    "a view": (nn.Sequential(nn.Unflatten(1, (2, 128)), Part(), nn.Linear(128, 256), nn.Linear(256, 256)), 2),
    "small ones": (nn.Sequential(nn.Linear(256, 2), nn.Linear(2, 256)), 0),
    "64 bits": (nn.Sequential(nn.Linear(256, 256)).double(), 0),
}


@pytest.fixture
def amd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "_onednn_gains", lambda: True)


@pytest.mark.parametrize(
    ("cpuinfo", "gains"), [("vendor_id : AuthenticAMD", True), ("vendor_id : GenuineIntel", False), (None, False)]
)
def test_the_processor_decides_who_multiplies(
    cpuinfo: str | None, gains: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any, **__: Any) -> str:
        if cpuinfo is None:
            raise FileNotFoundError
        return cpuinfo

    monkeypatch.setattr(execution.Path, "read_text", read)
    monkeypatch.setattr(execution.platform, "processor", lambda: "Intel64 Family 6, GenuineIntel")
    assert execution._onednn_gains.__wrapped__() is gains


@pytest.mark.usefixtures("amd")
@pytest.mark.parametrize("name", LAYERS)
def test_large_linear_layers_run_by_onednn_and_give_the_same(name: str) -> None:
    network, layers = LAYERS[name]
    x = torch.randn(512, 256, generator=torch.Generator().manual_seed(1), dtype=next(network.parameters()).dtype)
    fast = Fast(network)
    with torch.no_grad(), Counting() as seen:
        y = fast(x)
    assert seen.calls == layers
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), Counting() as off:
        usual = fast(x)
    assert off.calls == 0
    assert torch.allclose(y, usual, atol=1e-5)
    with torch.no_grad():
        assert torch.equal(y, fast(x))
        assert torch.equal(pickle.loads(pickle.dumps(fast))(x), y)  # noqa: S301  # as another process gets it


def test_a_compiled_network_is_left_to_the_compiler() -> None:
    cpu = torch.device("cpu")
    assert isinstance(Execution().of(nn.Linear(2, 2), cpu), Fast)
    assert not isinstance(Execution(compiled=True).of(nn.Linear(2, 2), cpu), Fast)


@pytest.mark.usefixtures("amd")
def test_derivatives_go_around_onednn() -> None:
    network, _ = LAYERS["modules"]
    fast, x = Fast(network), torch.randn(512, 256, generator=torch.Generator().manual_seed(2))

    def along_ones(x: torch.Tensor) -> torch.Tensor:
        pushed: torch.Tensor = torch.func.jvp(fast, (x,), (torch.ones_like(x),))[1]
        return pushed

    inside = wrap(along_ones, (256,))  # takes derivatives where none are recorded, as the tangent kernel does
    with torch.no_grad(), Counting() as seen:
        pushed = inside(x)
    assert seen.calls == 0
    assert torch.allclose(pushed, torch.func.jvp(network, (x,), (torch.ones_like(x),))[1], atol=1e-5)
    asked = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(fast(asked).square().sum(), asked)
    (wanted,) = torch.autograd.grad(network(asked).square().sum(), asked)
    assert torch.equal(gradient, wanted)

    def slope(x: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():  # as guidance does inside a step
            x = x.detach().requires_grad_()
            return torch.autograd.grad(network(x).square().sum(), x)[0]

    with torch.no_grad(), Counting() as seen:
        assert torch.equal(Fast(slope)(x), wanted)
    assert seen.calls == 0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), Counting() as seen:
        assert fast(x).dtype == torch.bfloat16
    assert seen.calls == 0


def test_convolutions_get_what_a_cache_holds_and_give_the_same() -> None:
    sizes: list[int] = []

    class Noted(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            return super().forward(x)

    network = Noted(1, 1, 3, padding=1)
    r = wrap(network, (1, 28, 28))
    assert r.execution.chunk == 167
    x = torch.rand(400, 1, 28, 28, generator=torch.Generator().manual_seed(3))
    sizes.clear()
    with torch.no_grad():
        y = r(x)
        assert sizes == [167, 167, 66]
        assert torch.allclose(y, network(x), atol=1e-6)
    assert wrap(network, (1, 28, 28), execution=Execution(chunk=3)).execution.chunk == 3
    assert wrap((network, nn.Identity()), (1, 28, 28)).execution.chunk == 167


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
        (lambda x: [str(x)], "list"),
        (nn.Linear(5, 5), "fails on a batch"),
        (3, "not a module"),
    ],
)
def test_what_is_no_reconstruction_is_refused(source: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        wrap(source, (3,))  # type: ignore[arg-type]


def test_bad_options_are_refused() -> None:
    with pytest.raises(ArgumentError, match="chunk = 0"):
        Execution(chunk=0)
    with pytest.raises(ArgumentError, match="'8-true' is not known"):
        Execution(precision="8-true")
    with pytest.raises(TypeError, match="'chunk'"):  # it is a field of Execution
        wrap(lambda x: x, (1,), chunk=4)  # type: ignore[call-arg]
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


class _Halves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(6, 2), nn.Linear(2, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x))


class _Shifted(_Halves):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x - 1))


def test_parts_named_encoder_and_decoder_are_known_where_they_make_up_r() -> None:
    known, unlike = wrap(_Halves(), (6,)), wrap(_Shifted(), (6,))
    assert known.has_code
    assert known.encode(torch.zeros(3, 6)).shape == (3, 2)
    assert not unlike.has_code
