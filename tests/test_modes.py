"""A user's networks are called in evaluation mode, and left as they were found."""

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import reinject
from reinject import kernels, starts
from reinject.base.errors import ModelError
from reinject.models.votes import classify, ready
from reinject.walks.modes import Evaluating


class Halves(nn.Module):
    """An autoencoder with a code, dropout, and a part that its owner keeps in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
        self.decode = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4).eval())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.decode(self.encode(x))
        return y


class Several(Halves):
    """One that returns several tensors."""

    def forward(self, x: torch.Tensor) -> Any:
        return {"recon": super().forward(x), "z": self.encode(x)}


class Merging(Halves):
    """One whose ``train`` does more than to set flags, as where weights are merged for evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.merged = False

    def train(self, mode: bool = True) -> "Merging":
        self.merged = not mode
        super().train(mode)
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert self.merged
        return super().forward(x)


def classifier() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 3), nn.Identity().eval())


def modes(*parts: nn.Module) -> list[bool]:
    return [one.training for part in parts for one in part.modules()]


def pair() -> tuple[nn.Module, nn.Module]:
    whole = Halves()
    return whole.encode, whole.decode


SOURCES = {"module": Halves, "dict": Several, "pair": pair, "merging": Merging}


@pytest.mark.parametrize("name", SOURCES)
def test_wrapping_and_calling_leave_every_submodule_in_its_mode(name: str) -> None:
    torch.manual_seed(0)
    source = SOURCES[name]()
    parts = source if isinstance(source, tuple) else (source,)
    before, held = modes(*parts), copy.deepcopy([part.state_dict() for part in parts])
    assert {True, False} <= set(before)
    r = reinject.wrap(source, 4)
    x = torch.randn(5, 4)
    assert torch.equal(r(x), r(x)), "dropout is random"
    assert torch.allclose(r.decode(r.encode(x)), r(x), atol=1e-6)
    assert modes(*parts) == before
    after = [part.state_dict() for part in parts]
    assert all(torch.equal(a[key], b[key]) for a, b in zip(held, after, strict=True) for key in a), "it has learnt"


def run_walk(r: Any, C: nn.Module, _: Path) -> torch.Tensor:
    parts = reinject.walk(kernels.Guided(kernels.Langevin(r), C, target=1), starts.Normal(), (4,))
    return torch.cat([part.x for part in parts])


def run_algorithm1(r: Any, C: nn.Module, _: Path) -> torch.Tensor:
    X, Y = reinject.algorithm1(r, C, N_s=20)
    return torch.cat([X.flatten(), Y.float()])


def run_synthesise(r: Any, C: nn.Module, _: Path) -> torch.Tensor:
    parts = reinject.synthesise(kernels.Langevin(r), starts.Normal(), C, (4,))
    return torch.cat([part.probabilities for part in parts])


def run_sample(r: Any, C: nn.Module, out: Path) -> torch.Tensor:
    spec = reinject.SampleSpec(
        kernel="langevin", options={"steps": 4}, class_names=["a", "b", "c"], format=reinject.Format(kind="float")
    )
    reinject.sample(r, C, out, spec=spec, walks=30)
    return reinject.Archive.open(out).read()[0]


RUNS = {"walk": run_walk, "algorithm1": run_algorithm1, "synthesise": run_synthesise, "sample": run_sample}


@pytest.mark.parametrize("name", RUNS)
def test_runs_leave_every_submodule_in_its_mode_and_draw_no_dropout(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, C = Halves(), classifier()
    before = modes(network, C)
    first = RUNS[name](reinject.wrap(network, 4), C, tmp_path / "first")
    assert modes(network, C) == before
    second = RUNS[name](reinject.wrap(network.eval(), 4), C.eval(), tmp_path / "second")
    assert torch.equal(first, second)
    assert not any(modes(network, C)), "what was in evaluation mode is put in training mode"


def test_a_classifier_of_a_users_own_is_asked_in_evaluation_mode() -> None:
    C, x = classifier(), torch.ones(3, 4)
    before = modes(C)
    assert torch.equal(classify(C, x), classify(C, x))
    assert modes(C) == before


def test_between_two_steps_the_network_is_its_owners() -> None:
    network = Halves()
    before = modes(network)
    for _ in reinject.walk(kernels.Langevin(reinject.wrap(network, 4)), starts.Normal(), (4,)):
        assert modes(network) == before


@pytest.mark.parametrize("make", [Halves, Merging])
def test_a_failure_gives_the_modes_back(make: type[Halves]) -> None:
    network, C = make(), classifier()
    before = modes(network, C)
    r = reinject.wrap(network, 4)
    with pytest.raises(RuntimeError):
        r(torch.zeros(2, 5))
    with pytest.raises(ModelError, match="fails on a batch"):
        reinject.wrap(network, 5)
    with pytest.raises(ModelError, match="fails on a batch"):
        ready(C, "cpu", (5,))
    with pytest.raises(RuntimeError):
        classify(C, torch.zeros(2, 5))
    assert modes(network, C) == before


def test_threads_that_share_a_network_stay_in_evaluation_mode() -> None:
    network, start, leave = Halves(), threading.Barrier(2), threading.Event()
    before, mode, found = modes(network), Evaluating(network), []

    def long() -> None:
        with mode:
            start.wait()
            leave.wait()
            found.append(any(modes(network)))

    thread = threading.Thread(target=long)
    thread.start()
    start.wait()
    with mode:
        pass  # leaves while the other is inside
    leave.set()
    thread.join()
    assert found == [False]
    assert modes(network) == before


def test_torchscript_is_called_in_evaluation_mode() -> None:
    network = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)))
    assert all(modes(network))
    r, x = reinject.wrap(network, 4), torch.ones(2, 4)
    assert torch.equal(r(x), r(x))
    assert all(modes(network))


def test_a_mode_is_copied_with_its_modules() -> None:
    mode = pickle.loads(pickle.dumps(Evaluating(nn.Dropout())))  # noqa: S301
    with mode:
        assert not any(modes(*mode._parts))
    C = copy.deepcopy(ready(classifier(), "cpu", (4,)))
    x = torch.ones(2, 4)
    assert torch.equal(C(x), C(x))


def test_a_network_stays_on_its_device() -> None:
    elsewhere = nn.Linear(4, 4, device="meta")
    with pytest.raises(ModelError, match="has its parts on cpu and meta"):
        reinject.wrap((nn.Linear(4, 4), elsewhere), 4)
    with pytest.raises(RuntimeError):  # it has no values to check, and is not moved
        reinject.wrap(elsewhere, 4)
    assert elsewhere.weight.device.type == "meta"
    assert reinject.wrap(nn.Identity(), 4).device == reinject.wrap(lambda x: x, 4).device == torch.device("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_network_on_a_gpu_stays_there() -> None:
    network = Halves().cuda()
    r = reinject.wrap(network, 4)
    assert r.device.type == network.encode[0].weight.device.type == "cuda"
    assert r(torch.ones(2, 4, device="cuda")).device.type == "cuda"
