"""Find out what the data of an imported noise-conditioned model look like: by short walks of its own, or by data."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from reinject.base.errors import ArgumentError, ModelError
from reinject.data import Dataset
from reinject.data.classes import check_names
from reinject.foreign import Foreign, Loaded, Native
from reinject.models.loading import levels_of
from reinject.models.soundness import check_beside, check_changes, outside
from reinject.models.wanted import Wanted
from reinject.networks import Inputs
from reinject.walks.conditioning import Conditioning
from reinject.walks.kernels.multistep import Multistep
from reinject.walks.loop import walk
from reinject.walks.reconstruction import Reconstruction, wrap
from reinject.walks.schedules import Karras
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Normal
from reinject.walks.time_denoiser import as_denoiser, levels_of_module

_WALKS, _STEPS = 32, 16  # of the measurement; so few suffice for mean and std of all values
_POINTS = 64  # of data, for the check that r removes noise
_MOST_OUTSIDE = 0.5  # of the values of samples


def denoiser_of(
    module: nn.Module, shape: tuple[int, ...], conditioning: Conditioning, device: torch.device, name: str
) -> Reconstruction:
    """Wrap a noise-conditioned module with known levels as r; its default level is the middle of log sigma."""
    assert conditioning.levels is not None
    middle = math.sqrt(math.prod(conditioning.levels))
    return wrap(module, shape, device=device, noise_conditioned=conditioning, sigma=middle, name=name)


def own_samples(r: Reconstruction, walks: int = _WALKS) -> Tensor:
    """Sample r by a deterministic walk from its largest to its smallest level; (walks, *event).

    Arguments:
        r: noise-conditioned, with known levels.
        walks: number of samples.

    Example:
        >>> r = wrap(lambda x, s: x / (1 + s[:, None] ** 2), 1, noise_conditioned=Conditioning((0.01, 9.0)), sigma=1.0)
        >>> 0.7 < own_samples(r, 1000).std() < 1.3  # that r is the denoiser of N(0, 1)
        tensor(True)
    """
    assert r.conditioning.levels is not None
    low, high = r.conditioning.levels
    spec = WalkSpec(_STEPS, _STEPS, emit="reconstruction")
    kernel = Multistep(r, Karras(high, low), eta=0.0)
    found = [part.x.cpu() for part in walk(kernel, Normal(high), r.event_shape, spec, RunSpec(walks, block_size=walks))]
    return found[-1]


def with_levels(loaded: Loaded) -> Loaded:
    """Return a noise-conditioned model with the levels that its module states, and at levels in place of times."""
    module = as_denoiser(loaded.module)
    return loaded._replace(module=module, levels=loaded.levels or levels_of_module(module))


def understand_denoiser(
    loaded: Loaded, wanted: Wanted, dataset: Dataset | None, source: str, beside: Inputs | None = None
) -> tuple[Foreign, list[str]]:
    """Find out range and spread of a noise-conditioned model's data; return it on our inputs, and lines for the user.

    The range is stated by the model or the user. Mean and std are those of the data, or of 32 samples of the model.

    Arguments:
        loaded, wanted, dataset, source, beside: see :func:`reinject.models.understanding.understand`.

    Raises:
        ArgumentError: the shape, the range or the levels are not given and cannot be found out.
        ModelError: the model fails, does not remove noise from the data, or leaves its range.
    """
    native = _native(loaded, wanted, dataset, source)
    low, high = wanted.units or (native.low, native.high)
    ours = native.shape
    inputs = Inputs(ours, low, high, mean=(low + high) / 2, std=(high - low) / 2)
    network = Foreign(loaded, "autoencoder", inputs, native, "values")
    told = Conditioning(_pair(network.levels), loaded.labels)
    r = denoiser_of(network, ours, told, torch.device("cpu"), source)
    notes = list(loaded.notes)
    if dataset is not None:
        x = levels_of(inputs).load(dataset.train.x[:10_000])
        _check_denoises(r, x[:_POINTS], float((x - x.mean(0)).square().mean().sqrt()), dataset.name)
    else:
        x = own_samples(r)
        _check_samples(x, inputs, source)
        notes.append(f"mean and spread of its data are those of {_WALKS} samples of its own; --data would give them")
    names: tuple[str, ...] = ()
    if loaded.labels:
        names = check_names("--class-names", wanted.class_names or range(loaded.labels), loaded.labels)
        notes.append(f"it is class-conditional: walk k asks for class k modulo {loaded.labels}, which is its label")
    std = max(float((x - x.mean(0)).square().mean().sqrt()), 1e-6)
    inputs = replace(inputs, mean=float(x.mean()), std=std, class_names=names)
    check_beside(inputs, beside, source)
    return Foreign(loaded, "autoencoder", inputs, native, "values"), notes


def code_radius(codes: Loaded, source: str) -> tuple[float, Tensor]:
    """Return the distance of a typical code from the mean, and 32 codes, by walks of the denoiser of codes."""
    assert codes.shape is not None
    r = denoiser_of(codes.module, codes.shape, Conditioning(codes.levels, codes.labels), torch.device("cpu"), source)
    h = own_samples(r)
    check_changes(h, Inputs(codes.shape), source, "noise")
    std = float((h - h.mean(0)).square().mean().sqrt())
    return std * math.sqrt(h[0].numel()), h


def _native(loaded: Loaded, wanted: Wanted, dataset: Dataset | None, source: str) -> Native:
    """Return shape, range and levels, stated by the model or by the user."""
    if wanted.mean or wanted.std or wanted.out or wanted.layout:
        problem = "a noise-conditioned model takes its images in one range, by channels"
        raise ArgumentError("--mean", problem, "Leave out --mean, --std, --outputs and --layout")
    shape = loaded.shape or wanted.shape or (None if dataset is None else dataset.shape)
    for name, other in (("--shape", wanted.shape), ("--data", None if dataset is None else dataset.shape)):
        if other is not None and other != shape:
            raise ArgumentError(name, f"{other}, but {source} takes {shape}", "Give inputs that it takes")
    bounds = wanted.bounds or loaded.bounds
    levels = wanted.levels or loaded.levels
    options = (("--shape", shape, "1,28,28"), ("--range", bounds, "-1,1"), ("--levels", levels, "0.002,80"))
    for name, value, such in options:
        if value is None:
            what = {"--shape": "shape", "--range": "range", "--levels": "noise levels"}[name]
            raise ArgumentError(name, f"{source} does not state its {what}", f"Give it, such as {name} {such}")
    assert shape is not None
    assert bounds is not None
    assert levels is not None
    return Native(shape, *bounds, levels=tuple(levels))


def _pair(levels: tuple[float, ...]) -> tuple[float, float]:
    low, high = levels
    return low, high


def _check_denoises(r: Reconstruction, x: Tensor, std: float, name: str) -> None:
    """Raise ModelError unless r removes most of the noise that is as large as the spread of the data."""
    noise = std * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = r((x + noise).to(r.device), std).cpu()
    left = float((y - x).square().mean().sqrt()) / std
    if not left < 1:
        problem = f"leaves {left:.0%} of noise as large as the spread of {name}"
        raise ModelError(r.name, problem, "Check --range, and that it was trained on such data")


def _check_samples(x: Tensor, inputs: Inputs, source: str) -> None:
    """Raise ModelError where samples of the model are not finite, all the same, or far outside of its range."""
    if not bool(torch.isfinite(x).all()):
        raise ModelError(source, "returns non-finite values in a walk", "Check its weights for NaN and infinity")
    check_changes(x, inputs, source, "noise")
    gone = outside(x, inputs)
    if gone > _MOST_OUTSIDE:
        problem = f"{gone:.0%} of the values of its samples lie far outside of {inputs.low:g}..{inputs.high:g}"
        raise ModelError(source, problem, "Check its scheduler, its prediction_type and its --range")
