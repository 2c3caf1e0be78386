"""Load any ``nn.Module``, or (encoder, decoder), by import path, with weights from a checkpoint or its own."""

import contextlib
import importlib
import importlib.util
import inspect
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from reinject.base.errors import ModelError, reason
from reinject.foreign.adapters import as_float32
from reinject.foreign.arguments import call
from reinject.foreign.checkpoint import Candidate, candidates, fit, read_checkpoint
from reinject.foreign.names import of_module
from reinject.foreign.route import Given, Loaded, Route, Taken, always
from reinject.foreign.siblings import copy_with_siblings, only_here, run_file
from reinject.walks.outputs import halves_of

WEIGHTS = "weights.safetensors"
_SEEDS = (0, 1)


def _fits(source: str) -> bool:
    place, colon, name = source.rpartition(":")
    return (
        bool(colon) and name.isidentifier() and (place.endswith(".py") or all(map(str.isidentifier, place.split("."))))
    )


def _take(source: str, folder: Path, given: Given) -> Taken:
    """Copy the code, and the weights as safetensors under the names of the network."""
    place, _, name = source.rpartition(":")
    notes: list[str] = []
    taken = source
    if place.endswith(".py"):
        beside = copy_with_siblings(Path(place), folder)
        notes += [f"copied with it: {', '.join(beside)}"] if beside else []
        taken = f"{Path(place).name}:{name}"
    if given.weights is None:
        _check_weights_of_its_own(folder, taken, given.arguments, source)
        return Taken(taken, tuple(notes))
    value = read_checkpoint(given.weights, given.trust)
    model = _whole(_built(folder, taken, given.arguments), source)
    fitted = fit(model.state_dict(), list(candidates(value)), str(given.weights), source)
    model.load_state_dict(fitted.state, strict=False)  # the names and shapes are compared by now
    kinds = sorted({str(w.dtype) for w in fitted.state.values() if w.is_floating_point() and w.dtype != torch.float32})
    cast = [f"they are cast from {', '.join(k.removeprefix('torch.') for k in kinds)} to float32"] if kinds else []
    save_model(model.float(), str(folder / WEIGHTS))
    return Taken(taken, (*notes, *fitted.notes, *cast))


def fitting(path: Path, name: str, arguments: Mapping[str, Any], held: Sequence[Candidate]) -> bool:
    """Return whether weights fit a class of a Python file; this runs its code.

    Arguments:
        path: of the file.
        name: of the class.
        arguments: of its constructor.
        held: the weights, see :func:`reinject.foreign.checkpoint.candidates`.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy_with_siblings(path, Path(folder))
        try:
            model = _whole(_built(Path(folder), f"{path.name}:{name}", arguments), name)
            fit(model.state_dict(), held, name, name)
        except ModelError:
            return False
    return True


def parameters_of(source: str) -> set[str] | None:
    """Return the argument names of a class or function, after its file has run; None: it takes any.

    Raises:
        ModelError: there is no such name, or the file fails.
    """
    with _copied(source) as (folder, taken), only_here(folder):
        found = _named(folder, taken, None)
    if not callable(found) or isinstance(found, nn.Module):
        return set()
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return None
    return None if any(one.kind is one.VAR_KEYWORD for one in parameters) else {one.name for one in parameters}


def has_weights_of_its_own(source: str, arguments: Mapping[str, Any]) -> bool:
    """Return whether a named model has weights that no seed changes; this runs its file."""
    known = parameters_of(source)
    mine = {name: value for name, value in arguments.items() if known is None or name in known}
    with _copied(source) as (folder, taken):
        try:
            _check_weights_of_its_own(folder, taken, mine, source)
        except ModelError:
            return False
    return True


@contextlib.contextmanager
def _copied(source: str) -> Iterator[tuple[Path, str]]:
    """Return a copy of a Python file with its siblings, and the source there; modules of the environment stay."""
    place, _, name = source.rpartition(":")
    with tempfile.TemporaryDirectory() as folder:
        if place.endswith(".py"):
            copy_with_siblings(Path(place), Path(folder))
            place = Path(place).name
        yield Path(folder), f"{place}:{name}"


def _load(folder: Path, source: str, arguments: Mapping[str, Any] | None = None) -> Loaded:
    model = _built(folder, source, arguments or {})
    whole = _whole(model, source)
    if (folder / WEIGHTS).is_file():
        _fill(whole, folder / WEIGHTS, source)
    whole, notes = as_float32(whole)
    encoder, decoder = model if isinstance(model, tuple) else halves_of(model) or (None, None)
    return Loaded(whole, encoder=encoder, decoder=decoder, notes=notes, classes=of_module(whole))


def _whole(model: Any, source: str) -> nn.Module:
    if isinstance(model, tuple) and all(isinstance(part, nn.Module) for part in model):
        return nn.Sequential(*model)
    if not isinstance(model, nn.Module):
        raise ModelError(source, f"is a {type(model).__name__}", "Name an nn.Module, or a function that makes one")
    return model


def _built(folder: Path, source: str, arguments: Mapping[str, Any], seed: int | None = None) -> Any:
    """Return the model of a name: a module, a pair of modules, or the result of its call.

    This runs the file anew.

    Raises:
        ModelError: there is no such name, or it fails.
    """
    with _drawing_from(seed), only_here(folder):
        found = _named(folder, source, seed)
        if isinstance(found, (nn.Module, tuple)):
            if arguments:
                raise ModelError(
                    source, "is an instance, and takes no arguments", "Name its class, or leave out --args"
                )
            return found
        if not callable(found):
            raise ModelError(source, f"is a {type(found).__name__}", "Name an nn.Module, or what makes one")
        return call(found, arguments, source)


def _named(folder: Path, source: str, seed: int | None) -> Any:
    """Return the object of a name; call this inside :func:`only_here`."""
    place, _, name = source.rpartition(":")
    try:
        found = getattr(_module(folder, place), name)
        if seed is not None and isinstance(found, (nn.Module, tuple)) and not place.endswith(".py"):
            found = getattr(_again(place), name)
    except Exception as error:  # it is foreign code
        raise ModelError(
            source,
            f"returns no model ({reason(error)})",
            "Name an nn.Module, a pair of them, or a function that makes one",
        ) from error
    return found


def _module(folder: Path, place: str) -> ModuleType:
    return run_file(folder / place) if place.endswith(".py") else importlib.import_module(place)


def _again(place: str) -> ModuleType:
    """Run a module of the environment a second time, beside the imported one."""
    spec = importlib.util.find_spec(place)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot read {place}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check_weights_of_its_own(folder: Path, source: str, arguments: Mapping[str, Any], owner: str) -> None:
    """Raise ModelError if two seeds give two networks: such weights are random, not learnt."""
    first, second = (_whole(_built(folder, source, arguments, seed), owner).state_dict() for seed in _SEEDS)
    if _same(first, second):
        return
    name = source.rpartition(":")[2]
    raise ModelError(owner, f"has no weights: {name} makes random parameters", "Give --weights FILE")


def _same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    if first.keys() != second.keys():
        return False
    return all(
        weight.shape == second[key].shape and bool((weight == second[key]).all()) for key, weight in first.items()
    )


@contextlib.contextmanager
def _drawing_from(seed: int | None) -> Iterator[None]:
    """Draw from a seed inside the context, and leave the generators of Python, NumPy and torch unchanged."""
    ours, numpys = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(ours)
            np.random.set_state(numpys)


def _fill(model: nn.Module, path: Path, source: str) -> None:
    try:
        load_model(model, path)
    except Exception as error:  # the library's own, and torch's
        raise ModelError(str(path), f"does not fit {source} ({reason(error)})", "Import the model again") from error


ROUTE = Route(
    "module",
    "package.module:NAME or FILE.py:NAME, an nn.Module or what makes one",
    _fits,
    _take,
    _load,
    always,
    pickled=True,
)
