"""Devices without float64, such as Apple's GPUs: what is measured of their tensors is brought to the CPU first."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from reinject import wrap
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.evaluation.evidence import Evidence
from reinject.evaluation.shadows import closeness
from reinject.sampling.pilot import _neighbours
from reinject.score import estimate_lam
from reinject.training import students
from reinject.training.objectives.axes import principal_axes, whole_axes
from reinject.training.students import Student, learn
from reinject.walks.diagnostics import (
    class_entropy,
    class_shares,
    convergence,
    start_remembered,
    start_remembered_by_axis,
    stein_discrepancy,
)
from reinject.walks.kernels import Metropolis
from reinject.walks.loop import walk
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Fitted, Normal

X = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))


class Single(torch.Tensor):
    """A tensor as of a device that has no float64; ``cpu()`` gives a plain one."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.cpu:
            return args[0].as_subclass(torch.Tensor)
        found = super().__torch_function__(func, types, args, kwargs or {})
        if isinstance(found, Single) and found.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
        return found


def there(x: torch.Tensor = X) -> Single:
    return x.clone().as_subclass(Single)


def test_the_stand_in_refuses_float64() -> None:
    with pytest.raises(TypeError, match="float64"):
        there().double()
    assert there().cpu().double().dtype == torch.float64


WORK = {
    "convergence": lambda: convergence(there(X.T)),
    "entropy": lambda: class_entropy(there(X).softmax(1)),
    "shares": lambda: class_shares(there(X).argmax(1), 4),
    "start": lambda: start_remembered(there(), there()),
    "start by axis": lambda: start_remembered_by_axis(there(), there(), there(torch.eye(4))),
    "Stein discrepancy": lambda: stein_discrepancy(there(), there(-X)),
    "lambda, matched": lambda: estimate_lam(lambda x: x / 1.25, there()),
    "lambda, effective": lambda: estimate_lam(lambda x: x / 1.25, there(), "effective"),
    "axes": lambda: principal_axes(there()),
    "whole axes": lambda: whole_axes(there()),
    "neighbours": lambda: _neighbours(there(), 4.0),
    "fitted start": lambda: Fitted(there()),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK.keys())
def test_what_is_measured_on_such_a_device(work: Any) -> None:
    """A result comes back: the device refuses float64 with a TypeError."""
    assert work() is not None


def test_what_a_classifier_and_an_autoencoder_say_on_such_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table.of(X, torch.zeros(len(X)).long(), Storage("float"))
    given = SimpleNamespace(classifier=there)
    p = Evidence.probabilities(given, table, np.arange(len(table)))  # type: ignore[arg-type]
    assert p.dtype == torch.float64
    models = SimpleNamespace(ensemble=lambda: lambda x: 0.9 * there(x))
    assert closeness(models, table).dtype == torch.float64  # type: ignore[arg-type]
    monkeypatch.setattr(students, "fit", lambda *_, **__: None)
    predict = learn(Student(0, 10), table, ("a", "b"), "cpu")
    assert predict(there()).dtype == torch.float64


def test_notes_of_a_kernel_on_such_a_device() -> None:
    r = wrap(lambda x: 0.9 * x, (2,))
    kernel = Metropolis(r, 0.1)
    step = Metropolis.step

    def single(self: Metropolis, state: Any, generator: torch.Generator) -> Any:
        after, info = step(self, state, generator)
        return after, info._replace(asymmetry=there(info.asymmetry))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Metropolis, "step", single)
        parts = list(walk(kernel, Normal(), (2,), WalkSpec(steps=2), RunSpec(walks=4)))
    assert parts[0].asymmetry < 1e-5
