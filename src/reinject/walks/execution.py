"""Run a network: points at once, precision, compilation, and oneDNN on CPUs where it is faster."""

import contextlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from reinject.base.errors import ArgumentError, ModelError, check_count

PRECISIONS: Mapping[str, torch.dtype | None] = MappingProxyType(
    {"32-true": None, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
)


_CACHED = 2**17  # values in one call, such that a small network's activations stay in the caches
_WORTH = 2**22  # multiplications of a product that pay back oneDNN's set-up


@cache
def _onednn_gains() -> bool:
    """Return whether oneDNN, which comes with PyTorch, is faster than MKL here: on CPUs of AMD.

    The processor's name decides, not a timing, because the last bits of the results depend on the library.
    """
    try:
        name = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        name = platform.processor()
    return "AuthenticAMD" in name and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class _OneDNN(TorchFunctionMode):
    """Run linear layers by oneDNN: twice as fast as MKL on CPUs of AMD, a tenth slower on Intel's."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.linear and not kwargs and _fits(*args):
            x, weight, bias = (*args, None)[:3]
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return func(*args, **(kwargs or {}))


def _fits(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Return whether oneDNN takes a linear layer and gains by it: float32 on the CPU, without derivatives."""
    tensors = [x, weight] if bias is None else [x, weight, bias]
    return (
        x.numel() * len(weight) >= _WORTH
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not any(torch._C._functorch.is_functorch_wrapped_tensor(one) for one in tensors)
        and all(one.dtype == torch.float32 and one.device.type == "cpu" for one in tensors)
    )


@dataclass(frozen=True)
class Fast:
    """Run a function's large linear layers by oneDNN, on CPUs of AMD, where no derivative is taken.

    The values are the function's up to rounding. ``torch.backends.mkldnn.flags(enabled=False)`` turns oneDNN off.

    Attributes:
        function: a module, or any callable.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> with torch.no_grad():
        ...     torch.allclose(Fast(layer)(torch.ones(3, 2)), layer(torch.ones(3, 2)))
        True
    """

    function: Callable[..., Tensor]

    def __call__(self, *args: Tensor) -> Tensor:
        """Return the function of these arguments."""
        if not _onednn_gains() or torch.is_grad_enabled() or not torch.backends.mkldnn.enabled:
            return self.function(*args)
        with _OneDNN():
            return self.function(*args)


@dataclass(frozen=True)
class Execution:
    """How to run a network; the results change by rounding at most.

    Attributes:
        chunk: most points in one call of the network, >= 1. None: all points, or as many as the device's memory holds,
            found by halving. :func:`reinject.wrap` chooses a chunk for networks with convolutions on a CPU, by its
            caches.
        precision: "32-true", "bf16-mixed" or "16-mixed" (Lightning's names). The last two run matrix products and
            convolutions in 16 bits (autocast), with results in 32 bits.
        compiled: whether torch.compile compiles the network, with CUDA graphs on a GPU. The first call takes long.

    Raises:
        ArgumentError: a chunk below 1, an unknown precision.

    Example:
        >>> Execution(precision="8-true")
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: execution: precision '8-true' is not known. Use one of 32-true, ...
    """

    chunk: int | None = None
    precision: str = "32-true"
    compiled: bool = False

    def __post_init__(self) -> None:
        if self.chunk is not None:
            check_count("execution", "chunk", self.chunk)
        if self.precision not in PRECISIONS:
            raise ArgumentError(
                "execution", f"precision {self.precision!r} is not known", f"Use one of {', '.join(PRECISIONS)}"
            )

    def of(self, function: Callable[..., Tensor], device: torch.device) -> Callable[..., Tensor]:
        """Return the function, run with these settings; only modules are compiled.

        Example:
            >>> function = Execution(precision="bf16-mixed").of(torch.nn.Linear(2, 2), torch.device("cpu"))
            >>> function(torch.zeros(1, 2)).dtype
            torch.float32
        """
        if self.compiled and isinstance(function, nn.Module):
            function = _as_graph(function) if device.type == "cuda" else torch.compile(function, dynamic=False)
        dtype = PRECISIONS[self.precision]
        if dtype is None:
            return function if self.compiled or device.type != "cpu" else Fast(function)
        inner, kind = function, dtype

        def mixed(x: Tensor, *rest: Tensor) -> Tensor:
            with torch.autocast(device.type, kind):
                y = inner(x, *rest)
            return y.to(x.dtype)

        return mixed


def _as_graph(network: nn.Module) -> Callable[..., Tensor]:
    """Compile the network as a CUDA graph, and copy its results.

    A graph writes every result to the same memory, so without a copy the next call overwrites the last result.
    """
    replayed = torch.compile(network, dynamic=False, mode="reduce-overhead")

    def run(*args: Tensor) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        y: Tensor = replayed(*args).clone()
        return y

    return run


def cure_of_failure(parts: Sequence[object], x: Tensor, compiled: bool = False) -> str:
    """Suggest what to do about a network that fails on inputs, as far as its parts show the cause.

    Arguments:
        parts: of the network: modules, or any callables.
        x: the inputs.
        compiled: whether it was compiled.

    Example:
        >>> cure_of_failure([nn.Linear(2, 2).double()], torch.zeros(2, 2))
        'Call .float() on it first: it has weights in float64, and x is float32'
    """
    weights = [weight for part in parts if isinstance(part, nn.Module) for weight in part.parameters()]
    other = sorted({str(w.dtype)[6:] for w in weights if w.is_floating_point() and w.dtype != x.dtype})
    if other:
        return f"Call .float() on it first: it has weights in {' and '.join(other)}, and x is float32"
    if compiled:
        return "Run it without compiling, which needs a C++ compiler"
    if len(x) % 2:
        return "Call eval() on batch normalisation, and wrap it so that it takes any number of rows: it takes 2"
    return f"If it was trained on inputs of another shape than {tuple(x.shape[1:])}, give that event_shape"


def in_cache(parts: Sequence[object], values: int, device: torch.device) -> int | None:
    """Return how many points a CPU's caches hold for a network with convolutions; None for other networks.

    Arguments:
        parts: modules of the network.
        values: of one point.
        device: where it runs.

    Example:
        >>> cpu = torch.device("cpu")
        >>> in_cache([torch.nn.Conv2d(1, 1, 3)], 784, cpu), in_cache([torch.nn.Linear(1, 1)], 784, cpu)
        (167, None)
    """
    modules = (module for part in parts if isinstance(part, nn.Module) for module in part.modules())
    convolves = any(isinstance(module, nn.modules.conv._ConvNd) for module in modules)
    return max(1, _CACHED // values) if convolves and device.type == "cpu" else None


@dataclass
class Chunks:
    """Call a function on parts of a batch that fit in memory, and remember their size.

    Attributes:
        owner: name for messages.
        most: points at once; None: no limit yet.
    """

    owner: str
    most: int | None = None

    def __call__(self, function: Callable[..., Tensor], x: Tensor, *more: Tensor) -> Tensor:
        """Return function(x, *more), computed in parts; halve them for good when the memory does not hold them.

        ``more`` are tensors with a row for each row of x.

        Raises:
            ModelError: the memory does not hold one point.

        Example:
            >>> def scarce(x):
            ...     if len(x) > 3:
            ...         raise torch.OutOfMemoryError
            ...     return 2 * x
            >>> chunks = Chunks("r")
            >>> chunks(scarce, torch.ones(10)).sum().item(), chunks.most
            (20.0, 2)
        """
        while True:
            with contextlib.suppress(torch.OutOfMemoryError):
                if self.most is None or len(x) <= self.most:
                    return function(x, *more)
                parts = zip(*(torch.split(one, self.most) for one in (x, *more)), strict=True)
                return torch.cat([function(*part) for part in parts])
            size = min(len(x), self.most or len(x))
            if size == 1:
                raise ModelError(
                    self.owner, "one point at a time does not fit in the device's memory", "Use another device"
                )
            self.most = size // 2
