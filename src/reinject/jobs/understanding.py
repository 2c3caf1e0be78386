"""What the inputs and outputs of an imported model mean: found out on noise and on data, or asked for."""

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reinject.data import Dataset
from reinject.errors import ArgumentError, ModelError
from reinject.files import read_json
from reinject.foreign import Foreign, Gives, Loaded, Native, Role
from reinject.foreign.folder import CONFIG
from reinject.foreign.normalise import attempt, best_of, readings, words_for
from reinject.jobs.naming import names_for, rows_of_names
from reinject.jobs.recipe import levels_of
from reinject.jobs.soundness import called, check_beside, check_changes, check_repeats, check_rows, returned, uniform
from reinject.meaning import WORDS, meaning_of, probes
from reinject.models import Inputs
from reinject.outputs import Place, choose, name_of, tensor_at

_POINTS = 512


@dataclass(frozen=True)
class Wanted:
    """What the user says of a model; what is left open is found out, or asked for.

    Attributes:
        role: "autoencoder" or "classifier".
        route: name of the library; None: by what the source looks like.
        shape: of one input here, (channels, height, width) for images.
        bounds: values of the darkest and the brightest pixel, as the network takes them, before normalisation.
        units: the same here, in the units of archives; default: the network's own.
        class_names: of a classifier's outputs.
        weights: a checkpoint or safetensors, for a Python class.
        data: name of a data set that says shape, classes and spread.
        trust: whether the model may run code when it is read.
        arguments: of the constructor of a Python class: numbers, text, lists of them.
        mean, std: of the normalisation that the network expects, one value or one a channel.
        moments: whether moments of the codes of ``data`` are kept beside an autoencoder.
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
    arguments: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    moments: bool = True


def understand(
    loaded: Loaded, wanted: Wanted, dataset: Dataset | None, source: str, out: Path
) -> tuple[Foreign, list[str]]:
    """Find out what a model's inputs and outputs mean; the network on inputs of ours, and lines for the user.

    Arguments:
        loaded: the model.
        wanted: what the user says of it.
        dataset: what it was trained on.
        source: its name, for messages.
        out: folder of models, where another may be.

    Raises:
        ArgumentError: the shape, the range or the normalisation cannot be found out and is not given.
        ModelError: it fails, gives nothing that fits, is random or constant, or does not go with the model beside it.
    """
    _check_role(loaded, wanted.role, source)
    ours, theirs, output = _shapes(loaded, wanted, dataset, source)
    _check_normalisation(wanted, ours)
    notes = list(loaded.notes)
    if output:
        notes.append(f"of what it returns, {name_of(output)} is taken")
    if theirs != ours:
        notes.append(f"its inputs are {theirs}, those here {ours}")
    noiseless = check_repeats(loaded, wanted.role, theirs, output, source)
    if noiseless:
        notes.append("it draws noise at every call; that noise is set to zero, which leaves the mean code")
    base = Native(theirs, 0.0, 1.0, wanted.mean, wanted.std, output=output, noiseless=noiseless)
    gives, said = _gives(loaded, wanted.role, theirs, output, source)
    notes += [f"it {said}"] if said else []
    native, more = _native(loaded, wanted, dataset, source, out, ours, base, gives)
    units = wanted.units or (native.low, native.high)
    inputs = Inputs(ours, *units, mean=sum(units) / 2, std=(units[1] - units[0]) / 2)
    network = Foreign(loaded, wanted.role, inputs, native, gives)
    outputs = check_rows(network, source)
    if wanted.role == "classifier":
        names, told = names_for(wanted.class_names, loaded.classes, dataset, outputs, source)
        notes += told
        inputs = replace(inputs, class_names=names)
    else:
        x = _typical(network, dataset, source)
        centred = x - x.mean(0)
        std = max(float(centred.square().mean().sqrt()), 1e-6)
        inputs = replace(inputs, mean=float(x.mean()), std=std)
    check_beside(inputs, wanted.role, out, source)
    return Foreign(loaded, wanted.role, inputs, native, gives), notes + more


def _shapes(
    loaded: Loaded, wanted: Wanted, dataset: Dataset | None, source: str
) -> tuple[tuple[int, ...], tuple[int, ...], Place]:
    """The shape of an input here, and there, and which of its outputs is wanted."""
    said = wanted.shape or (None if dataset is None else dataset.shape)
    if dataset is not None and said != dataset.shape:
        raise ArgumentError("--shape", f"{said}, but {dataset.name} has {dataset.shape}", "Leave out one of the two")
    theirs = loaded.shape or said or loaded.usual
    if theirs is None:
        raise ArgumentError("--shape", f"{source} does not say what it takes", "Give it, such as --shape 1,28,28")
    if said is None:
        last = len(theirs) == 3 and theirs[2] in (1, 3) and theirs[0] not in (1, 3)
        said = (theirs[2], *theirs[:2]) if last else theirs
    fits = said == theirs or (len(said) == 3 and theirs == (*said[1:], said[0])) or theirs == (math.prod(said),)
    if not fits:
        raise ArgumentError("--shape", f"{source} takes {theirs}, which is not {said}", "Give the shape that it takes")
    if loaded.shape is not None:
        return said, theirs, _output(loaded, theirs, wanted.role, source)
    turned = [(*said[1:], said[0])] if len(said) == 3 else []
    flat = [(math.prod(said),), *([said[1:]] if len(said) == 3 and said[0] == 1 else [])]
    shapes = list(dict.fromkeys([said, *flat, *turned]))
    first: ModelError | None = None
    for shape in shapes:
        try:
            return said, shape, _output(loaded, shape, wanted.role, source)
        except ModelError as error:
            first = first or error
    raise first or ModelError(source, "fails", "Give the --shape that it takes")


def _output(loaded: Loaded, shape: tuple[int, ...], role: Role, source: str) -> Place:
    x = uniform(shape, 3)
    return choose(returned(loaded.module, x, source), x, role, source)


def _native(
    loaded: Loaded,
    wanted: Wanted,
    dataset: Dataset | None,
    source: str,
    out: Path,
    ours: tuple[int, ...],
    base: Native,
    gives: Gives,
) -> tuple[Native, list[str]]:
    """Range, normalisation and kind of output: said, found by data, or by what its last layer cannot leave."""
    bounds = wanted.bounds or loaded.bounds or ((0.0, 1.0) if wanted.std else None)
    if bounds is not None:
        base = replace(base, low=bounds[0], high=bounds[1])
    if dataset is not None and loaded.bounds is None:
        return _by_data(loaded, wanted, dataset, source, base, gives, given=bounds is not None)
    if bounds is not None:
        both = bool(wanted.std) and wanted.role == "autoencoder"
        return base, [f"it takes {words_for(base)}, and is taken to give the same; --data would tell"] if both else []
    if wanted.role == "autoencoder":
        network = Foreign(loaded, wanted.role, Inputs(ours), base, "values")
        y = called(network, uniform(ours, 64, -100.0, 100.0), source)  # a linear layer goes far beyond 1
        low, high = float(y.min()), float(y.max())
        if low >= 0 and high <= 1 and high - low > 0.1:
            return base, ["its outputs stay in 0..1, which is taken for its range"]
        if -1 <= low < -0.05 and high <= 1:
            return replace(base, low=-1.0), ["its outputs stay in -1..1, which is taken for its range"]
    hint = ""
    beside = out / "autoencoder" / CONFIG
    if wanted.role == "classifier" and beside.is_file():
        inputs = read_json(beside, ModelError)["inputs"]
        hint = f"; the autoencoder beside it has {inputs['low']},{inputs['high']}"
    raise ArgumentError(
        "--range",
        f"{source} does not say what values it takes{hint}",
        "Give it, such as --range 0,1, with --mean and --std where it was normalised, or --data",
    )


def _check_normalisation(wanted: Wanted, ours: tuple[int, ...]) -> None:
    mean, std = wanted.mean, wanted.std
    channels = ours[0] if len(ours) == 3 else 1
    if len(mean) != len(std):
        raise ArgumentError("--mean", f"{len(mean)} means and {len(std)} of --std", "Give both, one value a channel")
    if std and len(std) not in (1, channels):
        raise ArgumentError("--mean", f"{len(std)} values for {channels} channels", "Give one value, or one a channel")
    if not all(value > 0 for value in std):
        raise ArgumentError("--std", f"{min(std)} is not above 0", "Give positive numbers")


def _by_data(
    loaded: Loaded, wanted: Wanted, dataset: Dataset, source: str, base: Native, gives: Gives, given: bool
) -> tuple[Native, list[str]]:
    part = dataset.test.take(torch.arange(min(_POINTS, len(dataset.test))))
    x = dataset.levels(0.0, 1.0).load(part.x)
    role = wanted.role
    called(Foreign(loaded, role, Inputs(dataset.shape), base, gives), x[:2], source)
    labels = part.y
    if role == "classifier":
        labels = rows_of_names(wanted.class_names or loaded.classes, dataset)[labels]
    tried = [attempt(loaded, role, native, x, labels, gives) for native in readings(role, base, x, given)]
    try:
        best, line = best_of(tried, len(set(labels[labels >= 0].tolist())), source, dataset.name)
    except ArgumentError as error:
        if not given:
            raise
        return base, [f"it does badly as it is said: {error.problem}"]
    return best.native, [line, f"taken: {words_for(best.native)}"]


def _check_role(loaded: Loaded, role: Role, source: str) -> None:
    if loaded.gives is None or (loaded.gives == "values") == (role == "autoencoder"):
        return
    kind = "no classifier: it gives values" if role == "classifier" else "a classifier"
    cure = "Give one with scores of classes" if role == "classifier" else "Say --as classifier"
    raise ModelError(source, f"is {kind}", cure)


def _gives(loaded: Loaded, role: Role, shape: tuple[int, ...], output: Place, source: str) -> tuple[Gives, str]:
    """What comes out, and what to say of it: of a classifier by its outputs on inputs near and far."""
    if role == "autoencoder":
        return "values", ""
    inside, beyond = probes(shape)
    y = tensor_at(returned(loaded.module, inside, source), output)
    with contextlib.suppress(ModelError):  # far from its data it need not work
        y = torch.cat([y, tensor_at(returned(loaded.module, beyond, source), output)])
    scores = meaning_of(y, source)
    return scores, "" if loaded.gives == scores else WORDS.get(scores, "")


def _typical(network: Foreign, dataset: Dataset | None, source: str) -> Tensor:
    """Points of the training data, or, without it, what the autoencoder makes of noise, twice."""
    inputs = network.inputs
    if dataset is not None:
        x = levels_of(inputs).load(dataset.train.x[:10_000])
        check_changes(called(network, x[:_POINTS], source), inputs, source, dataset.name)
        return x
    u = torch.rand((_POINTS, *inputs.shape), generator=torch.Generator().manual_seed(1))
    once = called(network, inputs.low + (inputs.high - inputs.low) * u, source)
    check_changes(once, inputs, source, "noise")
    return called(network, once, source)
