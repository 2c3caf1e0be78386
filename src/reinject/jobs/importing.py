"""``reinject import``: another library's model becomes a folder that every other command takes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from reinject import data
from reinject.bundle import load
from reinject.data import Dataset
from reinject.errors import ArgumentError, ModelError, ReinjectError
from reinject.foreign import SOURCE, Foreign, Gives, Loaded, Native, Role, Route, route_for, trust
from reinject.foreign.base import tensor_of
from reinject.foreign.folder import CONFIG, describe, digest_of
from reinject.foreign.probe import probe
from reinject.jobs import Outcome
from reinject.jobs.inspect import inspect_bundle
from reinject.jobs.recipe import levels_of
from reinject.models import Inputs
from reinject.progress import Progress
from reinject.samples import Storage
from reinject.staging import begin, check_free, discard, partial_of, publish

_POINTS = 512
_BOUNDS = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))  # that networks are usually trained in


@dataclass(frozen=True)
class Wanted:
    """What the user says of a model; what is left open is found out, or asked for.

    Attributes:
        role: "autoencoder" or "classifier".
        route: name of the library; None: by what the source looks like.
        shape: of one input here, (channels, height, width) for images.
        bounds: values of the darkest and the brightest pixel, as the network takes them.
        units: the same here, in the units of archives; default: the network's own.
        class_names: of a classifier's outputs.
        weights: safetensors for a Python class.
        data: name of a data set that says shape, classes and spread.
        trust: whether the model may run code when it is read.
    """

    role: Role = "autoencoder"
    route: str | None = None
    shape: tuple[int, ...] | None = None
    bounds: tuple[float, float] | None = None
    units: tuple[float, float] | None = None
    class_names: tuple[str, ...] = ()
    weights: Path | None = None
    data: str | None = None
    trust: bool = False


def import_model(
    source: str,
    out: Path,
    wanted: Wanted | None = None,
    *,
    data_dir: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Take a model of another library into OUT/autoencoder or OUT/classifier, after a look at whether it can be used.

    Arguments:
        source: a file, a folder or an import path, see :data:`reinject.foreign.ROUTES`.
        out: folder of models; the other half of it stays.
        wanted: what is known of it.
        data_dir: where to look for data sets first.
        overwrite: replace a model that is there.
        progress: who is told.

    Returns:
        What ``reinject inspect`` says of the model.

    Raises:
        ArgumentError: the shape or the range cannot be found out and is not given; nothing that is known.
        ModelError: it cannot be read, runs code and is not trusted, changes the shape of its input, gives values that
            are not finite, or loses nothing.
    """
    wanted = wanted or Wanted()
    route = route_for(source, wanted.route)
    _check_there(route, source, wanted)
    if route.pickled and not wanted.trust:
        raise ModelError(
            source, "keeps its weights in a pickle", "Look at where it comes from, then read it once with --trust"
        )
    folder = out / wanted.role
    check_free(folder, CONFIG, overwrite)
    partial = partial_of(folder)
    discard(partial)
    begin(partial, {"source": source})
    try:
        page = _take(route, source, partial, out, wanted, data_dir, progress)
    except (ReinjectError, OSError):
        discard(partial)
        raise
    publish(partial, folder)
    return Outcome({**page.result, "folder": str(folder)}, [f"{folder}: {route.name} model {source}", *page.lines])


def _check_there(route: Route, source: str, wanted: Wanted) -> None:
    file = source.rpartition(":")[0] if route.name == "module" else source
    imported = route.name == "module" and not file.endswith(".py")  # by its name, from wherever Python finds it
    for path in (None if imported else Path(file), wanted.weights):
        if path is not None and not path.exists():
            raise ModelError(str(path), "no such file or folder", "Give one that is there")


def _take(
    route: Route,
    source: str,
    partial: Path,
    out: Path,
    wanted: Wanted,
    data_dir: str | None,
    progress: Progress | None,
) -> Outcome:
    """Fill the unfinished folder; the page about the model."""
    (partial / SOURCE).mkdir()
    name = route.take(source, partial / SOURCE, wanted.weights)
    loaded = _read(route, partial / SOURCE, name, source, wanted)
    dataset = None if wanted.data is None else data.load(wanted.data, data_dir, progress=progress)
    if dataset is not None and dataset.space:
        raise ArgumentError("--data", f"{dataset.name} holds features, not images", "Import models of images")
    network = _understood(loaded, wanted, dataset, source, out)
    describe(partial, route.name, name, network)
    digest = digest_of(partial)
    trust(digest if route.runs_code(partial / SOURCE, name) else f"read:{digest}")
    return inspect_bundle(load(partial), dataset)


def _read(route: Route, folder: Path, name: str, source: str, wanted: Wanted) -> Loaded:
    if not route.runs_code(folder, name):
        probe(folder, route.name, name)
    elif not wanted.trust:
        raise ModelError(
            source, "runs code that is in it when it is read", "Look at where it comes from, then say so with --trust"
        )
    loaded = route.load(folder, name)
    return loaded._replace(module=loaded.module.eval())


def _understood(loaded: Loaded, wanted: Wanted, dataset: Dataset | None, source: str, out: Path) -> Foreign:
    """The network with what its inputs mean, found out or asked for."""
    ours, theirs = _shapes(loaded, wanted, dataset, source)
    low, high = wanted.bounds or loaded.bounds or _bounds(loaded, theirs, wanted, dataset, source, out, ours)
    native = Native(theirs, low, high)
    units = wanted.units or (low, high)
    inputs = Inputs(ours, *units, mean=sum(units) / 2, std=(units[1] - units[0]) / 2)
    gives = loaded.gives or _gives(loaded, native, wanted.role, source)
    network = Foreign(loaded, wanted.role, inputs, native, gives)
    outputs = _forward(network, source)
    if wanted.role == "classifier":
        names = wanted.class_names or (dataset.class_names if dataset is not None else ())
        names = names or tuple(str(k) for k in range(outputs))
        if len(names) != outputs:
            raise ArgumentError("--class-names", f"{len(names)} names for {outputs} outputs", "Give one for each")
        return Foreign(loaded, wanted.role, Inputs(ours, *units, inputs.mean, inputs.std, names), native, gives)
    x = _typical(network, dataset, source)
    centred = x - x.mean(0)
    std = max(float(centred.square().mean().sqrt()), 1e-6)
    return Foreign(loaded, wanted.role, Inputs(ours, *units, float(x.mean()), std), native, gives)


def _shapes(
    loaded: Loaded, wanted: Wanted, dataset: Dataset | None, source: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of an input here, and there."""
    said = wanted.shape or (None if dataset is None else dataset.shape)
    if dataset is not None and said != dataset.shape:
        raise ArgumentError("--shape", f"{said}, but {dataset.name} has {dataset.shape}", "Leave out one of the two")
    theirs = loaded.shape or said
    if theirs is None:
        raise ArgumentError("--shape", f"{source} does not say what it takes", "Give it, such as --shape 1,28,28")
    if said is None:
        last = len(theirs) == 3 and theirs[2] in (1, 3) and theirs[0] not in (1, 3)
        return ((theirs[2], *theirs[:2]) if last else theirs), theirs
    fits = said == theirs or (len(said) == 3 and theirs == (*said[1:], said[0])) or theirs == (_size(said),)
    if not fits:
        raise ArgumentError("--shape", f"{source} takes {theirs}, which is not {said}", "Give the shape that it takes")
    return said, theirs


def _size(shape: Sequence[int]) -> int:
    return int(torch.Size(shape).numel())


def _gives(loaded: Loaded, native: Native, role: Role, source: str) -> Gives:
    if role == "autoencoder":
        return "values"
    y = _called(loaded, _uniform(native, 8), source)
    return (
        "probabilities"
        if bool((y >= 0).all()) and torch.allclose(y.sum(1), torch.ones(len(y)), atol=1e-3)
        else "logits"
    )


def _uniform(native: Native, count: int) -> Tensor:
    u = torch.rand((count, *native.shape), generator=torch.Generator().manual_seed(0))
    return native.low + (native.high - native.low) * u


def _called(loaded: Loaded, x: Tensor, source: str) -> Tensor:
    try:
        with torch.no_grad():
            return tensor_of(loaded.module(x))
    except ModelError:
        raise
    except Exception as error:  # whatever a foreign model raises
        why = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise ModelError(
            source, f"fails on a batch of shape {tuple(x.shape)} ({why})", "Give the --shape that it takes"
        ) from error


def _bounds(
    loaded: Loaded,
    shape: tuple[int, ...],
    wanted: Wanted,
    dataset: Dataset | None,
    source: str,
    out: Path,
    ours: tuple[int, ...],
) -> tuple[float, float]:
    """The range of its values: that in which it does best on data, or that which its last layer cannot leave."""
    if dataset is not None:
        return _bounds_by_data(loaded, shape, wanted.role, dataset, ours, source)
    if wanted.role == "autoencoder":
        y = _called(loaded, 100 * _uniform(Native(shape, -1.0, 1.0), 64), source)  # a linear layer goes far beyond 1
        low, high = float(y.min()), float(y.max())
        if low >= 0 and high <= 1 and high - low > 0.1:
            return 0.0, 1.0
        if -1 <= low < -0.05 and high <= 1:
            return -1.0, 1.0
    hint = ""
    beside = out / "autoencoder" / CONFIG
    if wanted.role == "classifier" and beside.is_file():
        inputs = json.loads(beside.read_text(encoding="utf-8"))["inputs"]
        hint = f"; the autoencoder beside it has {inputs['low']},{inputs['high']}"
    raise ArgumentError(
        "--range", f"{source} does not say what values it takes{hint}", "Give it, such as --range 0,1, or --data"
    )


def _bounds_by_data(
    loaded: Loaded, shape: tuple[int, ...], role: Role, dataset: Dataset, ours: tuple[int, ...], source: str
) -> tuple[float, float]:
    part = dataset.train.take(torch.arange(min(_POINTS, len(dataset.train))))
    merits = {}
    for low, high in _BOUNDS:
        x = Storage("uint8", low, high).load(part.x)
        probe_ = Foreign(loaded, role, Inputs(ours, low, high), Native(shape, low, high), "logits")
        y = _called(Loaded(probe_), x, source)
        if role == "classifier" and y.ndim != 2:
            raise ModelError(source, f"maps {tuple(x.shape)} to {tuple(y.shape)}", "Give a classifier's logits")
        if role == "classifier":
            merits[low, high] = float((y.argmax(1) == part.y).double().mean())
        else:
            merits[low, high] = -float((y - x).square().mean() / (x - x.mean(0)).square().mean())
    best = max(merits, key=lambda bounds: merits[bounds])
    second = sorted(merits.values())[-2]
    if not (merits[best] > second and (role == "classifier" or merits[best] > -1)):
        raise ArgumentError("--range", f"{source} fits {dataset.name} in no range ({merits})", "Give it")
    return best


def _forward(network: Foreign, source: str) -> int:
    """Runs it on batches of two sizes, row by row the same; the number of a classifier's outputs."""
    inputs = network.inputs
    native = _uniform(network.native, 5)
    x = (native - network.native.low) / (network.native.high - network.native.low)
    x = (x * (inputs.high - inputs.low) + inputs.low).reshape(5, *inputs.shape)
    y, part = (_called(Loaded(network), some, source) for some in (x, x[:2]))
    wanted = inputs.shape if network.role == "autoencoder" else None
    if (
        y.ndim < 2
        or len(y) != 5
        or (wanted is not None and tuple(y.shape[1:]) != wanted)
        or (wanted is None and y.ndim != 2)
    ):
        raise ModelError(source, f"maps {tuple(x.shape)} to {tuple(y.shape)}", "Give a model that keeps the batch")
    if not bool(torch.isfinite(y).all()):
        raise ModelError(source, "gives values that are not finite", "Check its weights and its --range")
    if not torch.allclose(y[:2], part, rtol=1e-3, atol=1e-4):
        raise ModelError(
            source,
            "gives one row something else when others are beside it",
            "Put it in evaluation mode and export again",
        )
    return int(y.shape[1])


def _typical(network: Foreign, dataset: Dataset | None, source: str) -> Tensor:
    """Points of the training data, or, without it, what the autoencoder makes of noise, twice."""
    inputs = network.inputs
    if dataset is not None:
        return levels_of(inputs).load(dataset.train.x[:10_000])
    u = torch.rand((_POINTS, *inputs.shape), generator=torch.Generator().manual_seed(1))
    once = _called(Loaded(network), inputs.low + (inputs.high - inputs.low) * u, source)
    return _called(Loaded(network), once, source)
