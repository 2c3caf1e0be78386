"""Check an imported model: it repeats itself, row by row, on noise too, and fits the model beside it."""

import contextlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reinject.base.errors import ModelError, reason
from reinject.base.files import read_json
from reinject.foreign import Foreign, Loaded, Native, Role
from reinject.foreign.adapters import Noiseless
from reinject.foreign.folder import CONFIG
from reinject.foreign.normalise import BOUNDS
from reinject.networks import Inputs
from reinject.walks.outputs import Place, tensor_at, tensors_in

_MOST_ROWS, _MOST_VALUES = 1024, 1 << 22  # of one call: a block of walks, or a cheap part of it
_STAYS = 1e-3  # of the spread of outputs
_STEPS = 10
_MOST_OUTSIDE = 0.5  # of the values
_LEAST_REACH = 0.01  # of the range
_ENOUGH = 0.1  # of another range, to suggest it


def uniform(shape: tuple[int, ...], count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Draw ``count`` inputs uniformly between low and high, the same ones at every call.

    Example:
        >>> uniform((1, 2), 3).shape
        torch.Size([3, 1, 2])
    """
    u = torch.rand((count, *shape), generator=torch.Generator().manual_seed(0))
    return low + (high - low) * u


def returned(module: torch.nn.Module, x: Tensor, source: str, cure: str = "") -> Any:
    """Call a model, and leave torch's generator unchanged.

    Arguments:
        module: the model.
        x: its inputs.
        source: its name, for messages.
        cure: for a model that fails; default: another shape, if that is the cause.

    Raises:
        ModelError: the model fails.
    """
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            return module(x)
    except ModelError as error:
        raise (ModelError(source, error.problem, error.cure) if error.owner == "model" else error) from error
    except Exception as error:  # whatever a foreign model raises
        cure = cure or f"If it takes another shape than {tuple(x.shape[1:])}, give --shape"
        raise ModelError(source, f"fails on a batch of shape {tuple(x.shape)} ({reason(error)})", cure) from error


def called(network: torch.nn.Module, x: Tensor, source: str, cure: str = "") -> Tensor:
    """Call a model that returns a tensor, see :func:`returned`."""
    return torch.as_tensor(returned(network, x, source, cure))


def check_repeats(loaded: Loaded, role: Role, shape: tuple[int, ...], output: Place, source: str) -> bool:
    """Compare two calls on the same input; return whether to set the model's noise to zero.

    Raises:
        ModelError: the model is random, and not as a variational autoencoder is.
    """
    x = uniform(shape, 4)

    def twice() -> tuple[Any, bool]:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            try:
                values = [loaded.module(x) for _ in range(2)]
            except Exception as error:  # whatever a foreign model raises
                problem = f"fails when it is called twice ({reason(error)})"
                raise ModelError(source, problem, "Wrap it so that it can be called repeatedly") from error
        first, second = (tensor_at(value, output) for value in values)
        return values[0], torch.allclose(first, second, rtol=1e-4, atol=1e-5, equal_nan=True)

    value, same = twice()
    if same:
        return False
    if role == "autoencoder" and _is_variational(loaded, value, output):
        with Noiseless():
            if twice()[1]:
                return True
    raise ModelError(
        source,
        "returns different values for the same input at every call",
        "Wrap it without noise: eval(), and the mean code of a variational autoencoder",
    )


def _is_variational(loaded: Loaded, value: Any, output: Place) -> bool:
    """Return whether the outputs, or the names of its parts, look like mean, spread and sample of a code."""
    others = [tuple(tensor.shape) for place, tensor in tensors_in(value) if place != output and tensor.ndim > 1]
    if len(others) > len(set(others)):
        return True
    names = [name.lower() for name in dir(loaded.module)]
    return any(name.startswith("reparam") or "logvar" in name or "log_var" in name for name in names)


def check_rows(network: Foreign, source: str) -> int:
    """Run a model on batches of 5, 1, 2 and many rows, and on noise; return the number of a classifier's outputs.

    Raises:
        ModelError: the model changes the shape, returns different values for a row in another batch, or is not finite.
    """
    inputs = network.inputs
    x = uniform(inputs.shape, 5, inputs.low, inputs.high)
    y = called(network, x, source)
    wanted = inputs.shape if network.role == "autoencoder" else None
    if (
        y.ndim < 2
        or len(y) != 5
        or (wanted is not None and tuple(y.shape[1:]) != wanted)
        or (wanted is None and y.ndim != 2)
    ):
        raise ModelError(source, f"maps {tuple(x.shape)} to {tuple(y.shape)}", "Give a model that keeps the batch")
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)) * (inputs.high - inputs.low) + inputs.low
    for name, values in (("", y), (" on noise", called(network, noise, source))):
        if not bool(torch.isfinite(values).all()):
            raise ModelError(source, f"returns non-finite values{name}", "Check its weights and its --range")
    many = max(_MOST_ROWS // 64, min(_MOST_ROWS, _MOST_VALUES // x[0].numel()))
    for beside in (x[:1], x[:2], torch.cat([x, uniform(inputs.shape, many, inputs.low, inputs.high)])[:many]):
        part = called(network, beside, source, f"Wrap it so that it takes batches of any size: it takes {len(x)} rows")
        rows = min(len(x), len(beside))
        if len(part) != len(beside) or part.shape[1:] != y.shape[1:]:
            problem = f"maps {tuple(beside.shape)} to {tuple(part.shape)}, and {tuple(x.shape)} to {tuple(y.shape)}"
            raise ModelError(source, problem, "Give a model that keeps the batch, also of a single row")
        if not torch.allclose(y[:rows], part[:rows], rtol=1e-3, atol=1e-4):
            raise ModelError(
                source,
                "returns different values for a row in another batch",
                "Put it in evaluation mode and export again",
            )
    return int(y.shape[1])


def check_changes(y: Tensor, inputs: Inputs, source: str, on: str) -> None:
    """Raise ModelError where all inputs have the same output."""
    if float((y - y[:1]).abs().max()) < 1e-6 * (inputs.high - inputs.low):
        raise ModelError(source, f"returns the same output for all {on}", "Check its weights and its --range")


def check_reach(network: Foreign, x: Tensor, source: str) -> None:
    """Raise ModelError where repeated calls of an autoencoder leave its range, or reach almost none of it.

    Arguments:
        network: the autoencoder.
        x: inputs, data units.
        source: name for messages.
    """
    inputs, native = network.inputs, network.native
    spread = inputs.high - inputs.low
    first = y = called(network, x, source)
    again = called(network, first, source)
    if bool(torch.isfinite(again).all()) and float((again - first).std()) < _STAYS * float(first.std()):
        return  # a projection, such as PCA, may keep noise far outside of the data
    for _ in range(_STEPS):
        if outside(y, inputs) > _MOST_OUTSIDE:
            break
        y = called(network, y, source)
    gone = outside(y, inputs)
    low, high = (float(first.double().quantile(q)) for q in (0.02, 0.98))
    if not gone > _MOST_OUTSIDE and high - low > _LEAST_REACH * spread:
        return
    low, high = ((value - inputs.low) / spread * (native.high - native.low) + native.low for value in (low, high))
    said = f"range {native.low:g},{native.high:g}"
    if gone > _MOST_OUTSIDE:
        problem = f"leaves its {said} after repeated calls: it returns {low:.3g} to {high:.3g}"
    else:
        problem = f"returns {low:.3g} to {high:.3g}, almost nothing of its {said}"
    raise ModelError(source, f"{problem}, so walks would be worthless", _other_range(low, high, native))


def outside(y: Tensor, inputs: Inputs) -> float:
    """Return the share of values more than half a range outside of the range, or not finite."""
    beyond = (y - (inputs.low + inputs.high) / 2).abs() / (inputs.high - inputs.low)
    return float((~(beyond < 1)).double().mean())


def _other_range(low: float, high: float, native: Native) -> str:
    """Suggest what to do about a model whose outputs do not lie in the stated range."""
    for one, other in BOUNDS:
        room = 0.1 * (high - low)
        fits = one - room <= low and high <= other + room and room > 0.1 * _ENOUGH * (other - one)
        if fits and (one, other) != (native.low, native.high):
            return f"Give --range {one:g},{other:g}, or --data DATASET, which shows the range"
    return "If it returns logits, give --outputs logits; else give --data DATASET, which shows range and normalisation"


def check_beside(inputs: Inputs, other: Inputs | None, source: str) -> None:
    """Raise ModelError where the other model in the folder takes other inputs, or has other classes."""
    if other is None or other.space:
        return
    if other.shape != inputs.shape:
        raise ModelError(
            source,
            f"takes inputs {inputs.shape}, the model beside it {other.shape}",
            "Give models of the same data, or another --out",
        )
    if (other.low, other.high) != (inputs.low, inputs.high):
        raise ModelError(
            source,
            f"takes inputs in {inputs.low:g}..{inputs.high:g}, the model beside it in {other.low:g}..{other.high:g}",
            f"Import it with --units {other.low:g},{other.high:g}, or into another --out",
        )
    if other.class_names and inputs.class_names and len(other.class_names) != len(inputs.class_names):
        raise ModelError(
            source,
            f"has {len(inputs.class_names)} classes, the model beside it {len(other.class_names)}",
            "Give models of the same data, or another --out",
        )


def inputs_beside(out: Path, role: Role) -> Inputs | None:
    """Return the inputs of the other model in a folder of models, if there is one that states them."""
    path = out / ("classifier" if role == "autoencoder" else "autoencoder") / CONFIG
    with contextlib.suppress(KeyError, TypeError, ValueError, ModelError, OSError):
        return Inputs(**read_json(path, ModelError)["inputs"])
    return None
