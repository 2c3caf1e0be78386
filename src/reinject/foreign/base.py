"""What every route for other libraries' models shares: how it is found, and the network that comes out."""

import importlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from reinject.errors import ModelError
from reinject.models import Inputs

Role = Literal["autoencoder", "classifier"]
Gives = Literal["values", "logits", "probabilities"]
SOURCE = "source"  # folder inside a model's folder, where its files lie as they were
_OUTPUTS = ("sample", "recon_x", "reconstruction", "logits")  # of the libraries whose models return more than a tensor


class Loaded(NamedTuple):
    """A model of another library, ready to be called on float32 tensors.

    Attributes:
        module: x, (B, *shape), to a tensor, or to what holds one.
        shape: of one x, where the model says it.
        bounds: of its values, where the library says them.
        encoder, decoder: its two halves, where they are known.
        gives: what comes out, where the model says it.
        anywhere: whether it runs where its tensors are; else on the CPU only.
    """

    module: nn.Module
    shape: tuple[int, ...] | None = None
    bounds: tuple[float, float] | None = None
    encoder: Callable[[Tensor], Tensor] | None = None
    decoder: Callable[[Tensor], Tensor] | None = None
    gives: Gives | None = None
    anywhere: bool = True


@dataclass(frozen=True)
class Route:
    """How the models of one library come in.

    Attributes:
        name: on the command line.
        what: it reads, in words.
        fits: whether a source looks like one of its models.
        take: copies a source into a folder (and weights, where given); returns what to call it there.
        load: reads it from there.
        runs_code: whether reading it, once taken, can run code that is in it.
        pickled: whether taking it reads a pickle.
        libraries: that it needs, by their import names.
    """

    name: str
    what: str
    fits: Callable[[str], bool]
    take: Callable[[str, Path, Path | None], str]
    load: Callable[[Path, str], Loaded]
    runs_code: Callable[[Path, str], bool]
    pickled: bool = False
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Native:
    """What the inputs of a foreign model are.

    Attributes:
        shape: of one input, without the batch.
        low, high: values of the darkest and of the brightest pixel.
    """

    shape: tuple[int, ...]
    low: float
    high: float


class Foreign(nn.Module):
    """A model of another library, on inputs of ours: other shape, order of channels and units, one straight line.

    Images of ours are (channels, height, width); native ones may have the channels last, or be flat. A value v of ours
    is low' + (high' - low') (v - low) / (high - low) there.

    Attributes:
        inputs: what its inputs mean here.
        role: "autoencoder" or "classifier".
    """

    noise_conditioned = False

    def __init__(self, loaded: Loaded, role: Role, inputs: Inputs, native: Native, gives: Gives) -> None:
        super().__init__()
        self.module = loaded.module
        self.inputs, self.role, self.native, self.gives = inputs, role, native, gives
        self.anywhere = loaded.anywhere
        self._scale = (native.high - native.low) / (inputs.high - inputs.low)
        if loaded.encoder is not None and loaded.decoder is not None and role == "autoencoder":
            encoder, decoder = loaded.encoder, loaded.decoder
            self.encode = lambda x: encoder(self._in(x))
            self.decode = lambda h: self._out(tensor_of(decoder(h)))

    def forward(self, x: Tensor) -> Tensor:
        """r(x) of an autoencoder, logits of a classifier; x: (B, *inputs.shape), data units."""
        y = tensor_of(self.module(self._in(x)))
        if self.role == "autoencoder":
            return self._out(y)
        return y.clamp(min=1e-12).log() if self.gives == "probabilities" else y

    def laid_out(self) -> "Foreign":
        """The network itself: its layout is its own."""
        return self

    def _in(self, x: Tensor) -> Tensor:
        z = (x - self.inputs.low) * self._scale + self.native.low
        if self._channels_last():
            z = z.movedim(1, -1)
        return z.reshape(len(x), *self.native.shape)

    def _out(self, y: Tensor) -> Tensor:
        if self._channels_last():
            y = y.reshape(len(y), *self.native.shape).movedim(-1, 1)
        z = y.reshape(len(y), *self.inputs.shape)
        return (z - self.native.low) / self._scale + self.inputs.low

    def _channels_last(self) -> bool:
        ours, theirs = self.inputs.shape, self.native.shape
        return len(ours) == 3 and theirs == (*ours[1:], ours[0]) and theirs != ours


def tensor_of(value: Any) -> Tensor:
    """The tensor in what a model returns: itself, the first of several, or the one of a well-known name.

    Raises:
        ModelError: there is none.

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
    """An optional library, imported where it is used.

    Raises:
        ModelError: it is not installed.

    Example:
        >>> library("no_such_library", "onnx")
        Traceback (most recent call last):
        reinject.errors.ModelError: onnx: no_such_library is not installed. Install it with pip install ...
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModelError(
            route, f"{name} is not installed", f"Install it with pip install 'reinject[{route}]'"
        ) from error


def copied(source: str, folder: Path, weights: Path | None) -> str:  # noqa: ARG001
    """Copies one file into ``folder``; its name there."""
    import shutil

    shutil.copyfile(source, folder / Path(source).name)
    return Path(source).name


def check_zip(path: Path) -> None:
    """Raise ModelError unless a file is a zip that unpacks to no more than a gigabyte, or 20 times its size."""
    try:
        with zipfile.ZipFile(path) as file:
            size = sum(info.file_size for info in file.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(str(path), f"is truncated or no model file ({error})", "Copy or export it again") from error
    if size > max(1 << 30, 20 * path.stat().st_size):
        raise ModelError(str(path), f"unpacks to {size:,} bytes", "Give a file that is what it seems")


def readable(route: str, source: str, error: Exception) -> ModelError:
    """What to raise where a library cannot read a file."""
    why = next(iter(str(error).splitlines()), type(error).__name__)[:200].rstrip(".")
    return ModelError(source, f"is no model that {route} reads ({why})", "Export it again")


def never(folder: Path, source: str) -> bool:  # noqa: ARG001
    """No code is run."""
    return False


def always(folder: Path, source: str) -> bool:  # noqa: ARG001
    """Code is run."""
    return True


def ends_with(*suffixes: str) -> Callable[[str], bool]:
    """Whether a source is a file of one of these kinds."""
    return lambda source: Path(source).suffix.lower() in suffixes


class Numpy(nn.Module):
    """A function of float32 arrays as a module, on the CPU; ``what`` says what it is."""

    def __init__(self, function: Callable[[Any], Any], what: str) -> None:
        super().__init__()
        self.function, self.what = function, what

    def forward(self, x: Tensor) -> Tensor:
        """function(x); what the library raises comes as RuntimeError, as from torch's own modules."""
        import numpy as np

        values = x.detach().cpu().numpy()
        try:
            y = self.function(values)
        except Exception as error:
            raise RuntimeError(f"{self.what}: {error}") from error
        return torch.from_numpy(np.ascontiguousarray(y, dtype=np.float32))
