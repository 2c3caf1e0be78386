"""Find out what the inputs and outputs of an imported model mean, on noise and on data, or ask for it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError, ModelError
from reinject.data import Dataset
from reinject.data.classes import check_names
from reinject.foreign import Foreign, Gives, Loaded, Native, Role
from reinject.foreign.normalise import Evidence, Known, read_by, words_for
from reinject.models.loading import levels_of, some_of
from reinject.models.naming import names_for, rows_of_names
from reinject.models.noise_levels import code_radius, understand_denoiser, with_levels
from reinject.models.soundness import (
    called,
    check_beside,
    check_changes,
    check_reach,
    check_repeats,
    check_rows,
    returned,
    uniform,
)
from reinject.models.wanted import Wanted
from reinject.networks import Inputs
from reinject.walks.classifier_outputs import WORDS, probes, scores_of
from reinject.walks.outputs import Place, choose, name_of, tensor_at

_POINTS = 512  # inputs that an autoencoder is tried on without data


def understand(
    loaded: Loaded, wanted: Wanted, dataset: Dataset | None, source: str, beside: Inputs | None = None
) -> tuple[Foreign, list[str]]:
    """Find out what a model's inputs and outputs mean; return the network on our inputs, and lines for the user.

    Arguments:
        loaded: the model.
        wanted: what the user states about it.
        dataset: the training data.
        source: name of the model, for messages.
        beside: inputs of the other model of the folder, if there is one.

    Raises:
        ArgumentError: the shape, the range or the normalisation is not given and cannot be found out.
        ModelError: the model fails, returns nothing that fits, is random or constant, or does not fit the model beside
            it.
    """
    _check_role(loaded, wanted.role, source)
    if wanted.role == "autoencoder" and (loaded.levels or wanted.noise_conditioned):
        return understand_denoiser(with_levels(loaded), wanted, dataset, source, beside)
    ours, theirs, output = _shapes(loaded, wanted, dataset, source)
    _check_normalisation(wanted, ours)
    notes = list(loaded.notes)
    if output:
        notes.append(f"of its outputs, {name_of(output)} is used")
    if theirs != ours:
        notes.append(f"its inputs are {theirs}, ours {ours}")
    noiseless = check_repeats(loaded, wanted.role, theirs, output, source)
    if noiseless:
        notes.append("it draws noise at every call; with this noise set to zero it uses the mean code")
    base = Native(theirs, 0.0, 1.0, wanted.mean, wanted.std, output=output, noiseless=noiseless)
    base = replace(base, out=wanted.out or "same", layout=wanted.layout or "chw")
    gives, said = _gives(loaded, wanted.role, theirs, output, source)
    notes += [f"it {said}"] if said else []
    native, more = _native(loaded, wanted, dataset, source, beside, ours, base, gives)
    units = wanted.units or (native.low, native.high)
    inputs = Inputs(ours, *units, mean=sum(units) / 2, std=(units[1] - units[0]) / 2)
    network = Foreign(loaded, wanted.role, inputs, native, gives)
    outputs = check_rows(network, source)
    if wanted.role == "classifier":
        names, told = names_for(wanted.class_names, loaded.classes, dataset, outputs, source)
        notes += told
        inputs = replace(inputs, class_names=names)
    else:
        some = uniform(inputs.shape, 64, inputs.low, inputs.high)
        if dataset is not None:
            some = levels_of(inputs).load(some_of(dataset, 64).test.x)
        check_reach(network, some, source)
        x = _typical(network, dataset, source)
        if loaded.codes is not None:
            native, x = _of_codes(loaded.codes, network, native, x if dataset is not None else None, source)
        centred = x - x.mean(0)
        std = max(float(centred.square().mean().sqrt()), 1e-6)
        inputs = replace(inputs, mean=float(x.mean()), std=std)
    check_beside(inputs, beside, source)
    return Foreign(loaded, wanted.role, inputs, native, gives), notes + more


def _shapes(
    loaded: Loaded, wanted: Wanted, dataset: Dataset | None, source: str
) -> tuple[tuple[int, ...], tuple[int, ...], Place]:
    """Return the shape of an input here, in the model, and the place of its output."""
    said = wanted.shape or (None if dataset is None else dataset.shape)
    if dataset is not None and said != dataset.shape:
        raise ArgumentError("--shape", f"{said}, but {dataset.name} has {dataset.shape}", "Leave out one of the two")
    theirs = loaded.shape or said or loaded.usual
    if theirs is None:
        raise ArgumentError(
            "--shape", f"{source} does not state the shape of its inputs", "Give the shape, such as --shape 1,28,28"
        )
    said = said or image_shape([theirs]) or theirs
    fits = said == theirs or (len(said) == 3 and theirs == (*said[1:], said[0])) or theirs == (math.prod(said),)
    if not fits:
        raise ArgumentError("--shape", f"{source} takes {theirs}, which is not {said}", "Give the shape that it takes")
    if loaded.shape is not None:
        return said, theirs, _output(loaded, theirs, wanted.role, source)
    first: ModelError | None = None
    for shape in shapes_to_try(said):
        try:
            return said, shape, _output(loaded, shape, wanted.role, source)
        except ModelError as error:
            first = first or error
    raise first or ModelError(source, "fails", "Give the --shape that it takes")


def image_shape(shapes: Sequence[tuple[int, ...] | None]) -> tuple[int, ...] | None:
    """Choose the most specific image shape, channels first, of those that models state; None without any.

    Example:
        >>> image_shape([None, (64,), (8, 8, 1)]), image_shape([None])
        ((1, 8, 8), None)
    """
    best = max((shape for shape in shapes if shape is not None), key=len, default=None)
    if best is not None and len(best) == 3 and best[2] in (1, 3) and best[0] not in (1, 3):
        return (best[2], *best[:2])
    return best


def shapes_to_try(said: tuple[int, ...]) -> list[tuple[int, ...]]:
    """List the shapes in which a network may take our inputs, the likeliest first.

    Example:
        >>> shapes_to_try((1, 8, 8))
        [(1, 8, 8), (64,), (8, 8), (8, 8, 1)]
    """
    flat = [(math.prod(said),), *([said[1:]] if len(said) == 3 and said[0] == 1 else [])]
    turned = [(*said[1:], said[0])] if len(said) == 3 else []
    return list(dict.fromkeys([said, *flat, *turned]))


def _output(loaded: Loaded, shape: tuple[int, ...], role: Role, source: str) -> Place:
    x = uniform(shape, 3)
    return choose(returned(loaded.module, x, source), x, role, source)


def _native(
    loaded: Loaded,
    wanted: Wanted,
    dataset: Dataset | None,
    source: str,
    beside: Inputs | None,
    ours: tuple[int, ...],
    base: Native,
    gives: Gives,
) -> tuple[Native, list[str]]:
    """Return range, normalisation and kind of output: stated, found by data, or the bounds of the last layer."""
    bounds = wanted.bounds or loaded.bounds or ((0.0, 1.0) if wanted.std else None)
    if bounds is not None:
        base = replace(base, low=bounds[0], high=bounds[1])
    if dataset is not None:
        return _by_data(loaded, wanted, dataset, source, base, gives, given=bounds is not None)
    if bounds is not None and wanted.bounds and wanted.role == "autoencoder" and not wanted.std:
        _check_said(loaded, base, ours, source)
    if bounds is not None:
        both = bool(wanted.std) and wanted.role == "autoencoder"
        return base, [
            f"it takes {words_for(base)}, and is assumed to return the same; --data would show"
        ] if both else []
    if wanted.role == "autoencoder":
        low, high = _ends(loaded, base, ours, source)
        if low >= 0 and high <= 1 and high - low > 0.1:
            return base, ["its outputs stay in 0..1, which is assumed as its range"]
        if -1 <= low < -0.05 and high <= 1:
            return replace(base, low=-1.0), ["its outputs stay in -1..1, which is assumed as its range"]
    there = wanted.role == "classifier" and beside is not None
    hint = f"; the autoencoder beside it has {beside.low},{beside.high}" if there and beside else ""
    raise ArgumentError(
        "--range",
        f"{source} does not state the range of its inputs{hint}",
        "Give the range, such as --range 0,1, with --mean and --std if inputs were normalised, or --data",
    )


def _ends(loaded: Loaded, base: Native, ours: tuple[int, ...], source: str) -> tuple[float, float]:
    """Return the least and the greatest output for inputs so large that a linear layer goes far beyond 1."""
    network = Foreign(loaded, "autoencoder", Inputs(ours), replace(base, low=0.0, high=1.0), "values")
    y = called(network, uniform(ours, 64, -100.0, 100.0), source)
    return float(y.min()), float(y.max())


def _check_said(loaded: Loaded, base: Native, ours: tuple[int, ...], source: str) -> None:
    """Raise ModelError where the last layer (sigmoid, tanh) cannot reach the range that the user states."""
    low, high = _ends(loaded, base, ours, source)
    if base.out != "same" or not 0.9 < high <= 1:
        return
    ends = (0.0, 1.0) if 0 <= low < 0.1 else (-1.0, 1.0) if -1 <= low < -0.9 else None
    if ends is not None and ends != (base.low, base.high):
        cure = f"Give --range {ends[0]:g},{ends[1]:g}"
        if ends == (0.0, 1.0):
            half, width = -base.low / (base.high - base.low), 1 / (base.high - base.low)
            cure += f", or --range 0,1 --mean {half:.6g} --std {width:.6g} --outputs plain if only its inputs are so"
        said = f"{base.low:g}..{base.high:g}"
        raise ModelError(source, f"returns values in {ends[0]:g}..{ends[1]:g}, which never fill {said}", cure)


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
    part = some_of(dataset).test
    x = dataset.levels(0.0, 1.0).load(part.x)
    role, known = wanted.role, wanted.class_names or loaded.classes
    y = called(Foreign(loaded, role, Inputs(dataset.shape), base, gives), x[:2], source)
    number = torch.arange(len(dataset.class_names))
    if role == "classifier":
        if not known:
            check_names("--class-names", dataset.class_names, y.shape[1])
        number = rows_of_names(known, dataset)
    names = known if set(known) & set(dataset.class_names) else dataset.class_names
    on = Evidence(dataset.name, x, number[part.y], tuple(names))
    said = bool(wanted.bounds or wanted.std or wanted.out or wanted.layout)
    native, line = read_by(loaded, role, Known(base, given, said, wanted.out, wanted.layout), on, source, gives)
    return native, [line, f"taken: {words_for(native)}"]


def _check_role(loaded: Loaded, role: Role, source: str) -> None:
    if loaded.gives is None or (loaded.gives == "values") == (role == "autoencoder"):
        return
    kind = "not a classifier: it returns values" if role == "classifier" else "a classifier"
    cure = "Give one with scores of classes" if role == "classifier" else "Give --as classifier"
    raise ModelError(source, f"is {kind}", cure)


def _gives(loaded: Loaded, role: Role, shape: tuple[int, ...], output: Place, source: str) -> tuple[Gives, str]:
    """Return the kind of a model's outputs, and lines about them; a classifier is called on inputs near and far."""
    if role == "autoencoder":
        return "values", ""
    scores = scores_of(lambda x: tensor_at(returned(loaded.module, x, source), output), *probes(shape), source)
    return scores, "" if loaded.gives == scores else WORDS.get(scores, "")


def _typical(network: Foreign, dataset: Dataset | None, source: str) -> Tensor:
    """Return training inputs, or, without data, the autoencoder's outputs for noise, after two calls."""
    inputs = network.inputs
    if dataset is not None:
        x = levels_of(inputs).load(dataset.train.x[:10_000])
        check_changes(called(network, x[:_POINTS], source), inputs, source, dataset.name)
        return x
    u = torch.rand((_POINTS, *inputs.shape), generator=torch.Generator().manual_seed(1))
    once = called(network, inputs.low + (inputs.high - inputs.low) * u, source)
    check_changes(once, inputs, source, "noise")
    return called(network, once, source)


def _of_codes(
    codes: Loaded, network: Foreign, native: Native, data: Tensor | None, source: str
) -> tuple[Native, Tensor]:
    """Return what is known of an autoencoder with a denoiser of its codes, and data or, without any, its samples."""
    radius, h = code_radius(codes, source)
    with torch.no_grad():
        x: Tensor = data if data is not None else network.decode(h)  # type: ignore[no-untyped-call]
    return replace(native, code_radius=radius), x
