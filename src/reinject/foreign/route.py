"""The common part of all routes for other libraries' models: a route, and the network that it loads."""

import importlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from reinject.base.errors import ModelError, reason
from reinject.foreign.adapters import Noiseless
from reinject.networks import Inputs
from reinject.walks.classifier_outputs import as_logits
from reinject.walks.outputs import Place, tensor_at
from reinject.walks.time_denoiser import as_denoiser, mean_of

Role = Literal["autoencoder", "classifier"]
Gives = Literal["values", "logits", "probabilities", "logit", "probability"]
Out = Literal["same", "plain", "sigmoid"]
Layout = Literal["chw", "hwc", "bgr", "hwc-bgr"]
LAYOUTS: tuple[Layout, ...] = ("chw", "hwc", "bgr", "hwc-bgr")
SOURCE = "source"  # folder inside a model's folder with the original files
_OUTPUTS = (
    "sample",
    "recon_x",
    "reconstruction",
    "logits",
)  # names of outputs in libraries whose models return more than a tensor


class Loaded(NamedTuple):
    """A model of another library, which takes float32 tensors.

    Attributes:
        module: maps x, (B, *shape), to a tensor, or to a container of one.
        shape: of one x, if the model states it.
        bounds: of its values, if the library states them.
        encoder, decoder: its two halves, if known.
        gives: kind of its output, if the model states it.
        anywhere: whether it runs on the device of its tensors; else on the CPU only.
        notes: what the load found out or changed, for the user.
        classes: names of a classifier's classes, in the order of its outputs, if the model holds them.
        usual: usual shape of one x, for a model that takes other shapes too.
        levels: smallest and largest sigma of a noise-conditioned module, (x, sigma) -> E[x_0 given x]; same units as x.
        labels: number of classes of a class-conditional module, (x, sigma, label); 0: unconditional.
        codes: denoiser of the codes, for an autoencoder whose codes are sampled.
    """

    module: nn.Module
    shape: tuple[int, ...] | None = None
    bounds: tuple[float, float] | None = None
    encoder: Callable[[Tensor], Tensor] | None = None
    decoder: Callable[[Tensor], Tensor] | None = None
    gives: Gives | None = None
    anywhere: bool = True
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    usual: tuple[int, ...] | None = None
    levels: tuple[float, float] | None = None
    labels: int = 0
    codes: "Loaded | None" = None


class Taken(NamedTuple):
    """A copied source.

    Attributes:
        name: of the source in its folder.
        notes: what the copy found out or changed, for the user.
    """

    name: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Given:
    """What the user gives besides a source.

    Attributes:
        weights: a file of weights for a Python class.
        arguments: of its constructor.
        trust: whether pickles may run code when they are read.
    """

    weights: Path | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    trust: bool = False


@dataclass(frozen=True)
class Route:
    """How to import the models of one library.

    Attributes:
        name: on the command line.
        what: kind of source, in words.
        fits: returns whether a source looks like one of its models.
        take: copies a source, and what the user gives besides, into a folder.
        load: reads it from there: takes the folder, the name and any ``arguments`` of a constructor.
        runs_code: returns whether reading the copy can run its own code.
        pickled: returns whether the copy reads a pickle, or runs code.
        libraries: required libraries, by their import names.
    """

    name: str
    what: str
    fits: Callable[[str], bool]
    take: Callable[[str, Path, Given], Taken]
    load: Callable[..., Loaded]
    runs_code: Callable[[Path, str], bool]
    pickled: bool = False
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Native:
    """The inputs of a foreign model.

    Attributes:
        shape: of one input, without the batch.
        low, high: values of the darkest and of the brightest pixel, before normalisation.
        mean, std: of the normalisation that the network expects, one value or one a channel; none: no normalisation.
        out: values of an autoencoder's output: "same" as its inputs, "plain" without normalisation, or logits
            ("sigmoid").
        output: place of the tensor in the output; None: by the usual names.
        noiseless: whether to set the model's Gaussian noise to zero: a variational autoencoder's mean code.
        layout: of images with several channels. "hwc": a flat vector has the channels of a pixel side by side. "bgr":
            the channels have the reverse order (``mean`` and ``std`` stay in the order red, green, blue).
        levels: smallest and largest noise level of a noise-conditioned model, in its own units; none: not
            noise-conditioned.
        code_radius: distance of a typical code from the mean, for an autoencoder whose codes are sampled.
    """

    shape: tuple[int, ...]
    low: float
    high: float
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    out: Out = "same"
    output: Place | None = None
    noiseless: bool = False
    layout: Layout = "chw"
    levels: tuple[float, ...] = ()
    code_radius: float | None = None

    def __post_init__(self) -> None:
        for name in ("shape", "mean", "std", "levels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "output", None if self.output is None else tuple(self.output))
        if len(self.mean) != len(self.std) or not all(value > 0 for value in self.std):
            raise ModelError("normalisation", f"mean {self.mean}, std {self.std}", "Give as many, each std above 0")
        if self.levels and not (len(self.levels) == 2 and 0 < self.levels[0] < self.levels[1]):
            raise ModelError("model", f"noise levels {self.levels}", "Give LOW,HIGH with 0 < LOW < HIGH")
        known = self.out in ("same", "plain", "sigmoid") and self.layout in LAYOUTS
        if not known or not self.low < self.high:
            said = f"range {self.low}..{self.high}, outputs {self.out!r}, layout {self.layout!r}"
            raise ModelError("model", said, "Import it again")


class Foreign(nn.Module):
    """Run a model of another library on our inputs: with other shape, order of channels and units.

    Our images are (channels, height, width); native ones may have the channels last, or be flat. Our value v becomes
    low' + (high' - low') (v - low) / (high - low), less the mean and over the std, if any.

    Attributes:
        inputs: meaning of its inputs here.
        role: "autoencoder" or "classifier".
        noise_conditioned: whether it is r(x, sigma).
        levels: smallest and largest sigma, data units; none: not noise-conditioned.
        labels: number of classes that it takes, as (x, sigma, label); 0: unconditional.
        codes: denoiser of its codes, if it has one.
    """

    def __init__(self, loaded: Loaded, role: Role, inputs: Inputs, native: Native, gives: Gives) -> None:
        super().__init__()
        self.module = as_denoiser(loaded.module) if native.levels else loaded.module
        self.noise_conditioned, self.labels, self.codes = bool(native.levels), loaded.labels, loaded.codes
        self.inputs, self.role, self.native, self.gives = inputs, role, native, gives
        self.anywhere = loaded.anywhere
        self._scale = (native.high - native.low) / (inputs.high - inputs.low)
        self.levels = tuple(level / self._scale for level in native.levels)
        each = (-1, *(1 for _ in inputs.shape[1:]))
        self.register_buffer("_mean", torch.tensor(native.mean or (0.0,)).reshape(each), persistent=False)
        self.register_buffer("_std", torch.tensor(native.std or (1.0,)).reshape(each), persistent=False)
        if loaded.encoder is not None and loaded.decoder is not None and role == "autoencoder":
            encoder, decoder = loaded.encoder, loaded.decoder
            self.encode = lambda x: _first(encoder(self._in(x)))
            self.decode = lambda h: self._out(tensor_of(decoder(h)))

    _mean: Tensor
    _std: Tensor

    def forward(self, x: Tensor, sigma: Tensor | None = None, label: Tensor | None = None) -> Tensor:
        """Return r(x), r(x, sigma) or logits; x: (B, *inputs.shape), data units; sigma and label: (B,)."""
        z = self._in(x)
        if sigma is not None:
            value = self.module(z, sigma * self._scale, *(() if label is None else (label,)))
            return self._out(mean_of(value))
        if self.native.noiseless:
            with Noiseless():
                value = self.module(z)
        else:
            value = self.module(z)
        y = tensor_of(value) if self.native.output is None else tensor_at(value, self.native.output)
        if self.role == "autoencoder":
            return self._out(y)
        return y if self.gives == "values" else as_logits(y, self.gives)

    @property
    def takes_classes(self) -> bool:
        """Return whether walks of the model, or of its codes, ask for classes."""
        return bool(self.labels or (self.codes is not None and self.codes.labels))

    def laid_out(self) -> "Foreign":
        """Return the network itself, which keeps its own layout."""
        return self

    def _in(self, x: Tensor) -> Tensor:
        z = (x - self.inputs.low) * self._scale + self.native.low
        if self.native.std:
            z = (z - self._mean) / self._std
        if self.native.layout.endswith("bgr"):
            z = z.flip(1)
        if self._channels_last():
            z = z.movedim(1, -1)
        return z.reshape(len(x), *self.native.shape)

    def _out(self, y: Tensor) -> Tensor:
        if self._channels_last():
            y = y.reshape(len(y), *self.inputs.shape[1:], self.inputs.shape[0]).movedim(-1, 1)
        z = y.reshape(len(y), *self.inputs.shape)
        if self.native.layout.endswith("bgr"):
            z = z.flip(1)
        if self.native.out == "sigmoid":
            return z.sigmoid() * (self.inputs.high - self.inputs.low) + self.inputs.low
        if self.native.out == "same" and self.native.std:
            z = z * self._std + self._mean
        return (z - self.native.low) / self._scale + self.inputs.low

    def _channels_last(self) -> bool:
        ours, theirs = self.inputs.shape, self.native.shape
        flat = len(theirs) == 1 and self.native.layout.startswith("hwc")
        return len(ours) == 3 and theirs != ours and (flat or theirs == (*ours[1:], ours[0]))


def _first(code: Any) -> Tensor:
    """Return the code, or the mean if an encoder returns mean and spread."""
    return code[0] if isinstance(code, tuple) and code and isinstance(code[0], Tensor) else code


def tensor_of(value: Any) -> Tensor:
    """Return the tensor in a model's output: itself, the first of several, or one of a well-known name.

    Raises:
        ModelError: there is no tensor.

    Example:
        >>> tensor_of({"loss": 1.0, "recon_x": torch.ones(1)}), tensor_of((torch.zeros(1), None))
        (tensor([1.]), tensor([0.]))
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (tuple, list)) and value:
        return tensor_of(value[0])
    for name in _OUTPUTS:
        inner = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
        if isinstance(inner, Tensor):
            return inner
    raise ModelError(
        "model", f"returns a {type(value).__name__}", f"Wrap it so that it returns a tensor, or one of {_OUTPUTS}"
    )


def library(name: str, route: str) -> ModuleType:
    """Import an optional library.

    Raises:
        ModelError: the library is not installed.

    Example:
        >>> library("no_such_library", "onnx")
        Traceback (most recent call last):
        reinject.base.errors.ModelError: onnx: no_such_library is not installed. Install it with pip install ...
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModelError(
            route, f"{name} is not installed", f"Install it with pip install 'reinject[{route}]'"
        ) from error


def copied(source: str, folder: Path, given: Given) -> Taken:  # noqa: ARG001
    """Copy one file into ``folder``."""
    import shutil

    shutil.copyfile(source, folder / Path(source).name)
    return Taken(Path(source).name)


def check_zip(path: Path) -> None:
    """Raise ModelError unless a file is a zip that unpacks to at most a gigabyte, or 20 times its size."""
    try:
        with zipfile.ZipFile(path) as file:
            size = sum(info.file_size for info in file.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(str(path), f"is truncated or not a model file ({error})", "Copy or export it again") from error
    if size > max(1 << 30, 20 * path.stat().st_size):
        raise ModelError(str(path), f"unpacks to {size:,} bytes", "Give a model file without so much compression")


def readable(route: str, source: str, error: Exception) -> ModelError:
    """Raise an error that names the route if a library cannot read a file."""
    return ModelError(source, f"is not a model that {route} reads ({reason(error)})", "Export it again")


def never(folder: Path, source: str) -> bool:  # noqa: ARG001
    """Return False: the route runs no code."""
    return False


def always(folder: Path, source: str) -> bool:  # noqa: ARG001
    """Return True: the route runs code."""
    return True


def ends_with(*suffixes: str) -> Callable[[str], bool]:
    """Return a test whether a source is a file of one of these kinds."""
    return lambda source: Path(source).suffix.lower() in suffixes
