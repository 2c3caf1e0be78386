"""How a network's calls are carried out: how many points at once, in which precision, compiled or not."""

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


_CACHED = 2**17  # values of the points in one call, of which the activations of a small network stay in the caches
_WORTH = 2**22  # multiplications of a product from which on oneDNN's set-up is paid back


@cache
def _onednn_gains() -> bool:
    """Whether oneDNN, which comes with PyTorch, is the faster one here: on CPUs of AMD, where MKL is slow.

    By the name of the processor and not by the clock, since what runs a layer decides its last bits.
    """
    try:
        name = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        name = platform.processor()
    return "AuthenticAMD" in name and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class _OneDNN(TorchFunctionMode):
    """Linear layers by oneDNN: on CPUs of AMD twice as fast as MKL, which PyTorch takes; on Intel's a tenth slower."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.linear and not kwargs and _fits(*args):
            x, weight, bias = (*args, None)[:3]
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return func(*args, **(kwargs or {}))


def _fits(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Whether a linear layer is one that oneDNN takes, and gains by it: float32 on the CPU, without derivatives."""
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
    """A function on tensors whose large linear layers run by oneDNN, on CPUs of AMD, where no derivative is taken.

    Its values are those of the function up to rounding. ``torch.backends.mkldnn.flags(enabled=False)`` turns it off.

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
        """The function of these."""
        if not _onednn_gains() or torch.is_grad_enabled() or not torch.backends.mkldnn.enabled:
            return self.function(*args)
        with _OneDNN():
            return self.function(*args)


@dataclass(frozen=True)
class Execution:
    """How a network is run; what it returns changes by rounding at most.

    Attributes:
        chunk: most points in one call of the network, >= 1; None: all of them, or as many as the device's memory holds,
            which is found by halving. :func:`reinject.wrap` gives a network with convolutions what a CPU's caches hold.
        precision: "32-true", or "bf16-mixed" or "16-mixed": matrix products and convolutions in 16 bits (autocast),
            results in 32. Lightning's names.
        compiled: by torch.compile, with CUDA graphs on a GPU. The first call takes long.

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
        """The function, run like this; where it is no module it is not compiled.

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
    """The network as a CUDA graph, with results that stay: a graph writes where it wrote the last time."""
    replayed = torch.compile(network, dynamic=False, mode="reduce-overhead")

    def run(*args: Tensor) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        y: Tensor = replayed(*args).clone()
        return y

    return run


def cure_of_failure(parts: Sequence[object], x: Tensor, compiled: bool = False) -> str:
    """What to do about a network that fails on inputs, as far as its parts tell the cause.

    Arguments:
        parts: of the network: modules, or any callables.
        x: what it fails on.
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
        return "Call eval() on what normalises a batch, and wrap it so that it takes any number of rows: it takes 2"
    return f"If it was trained on inputs of another shape than {tuple(x.shape[1:])}, give that event_shape"


def in_cache(parts: Sequence[object], values: int, device: torch.device) -> int | None:
    """How many points a network with convolutions is best given at once on a CPU; None: no such network.

    Arguments:
        parts: the modules that it is made of.
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
    """Calls a function on parts of a batch that fit in memory, and remembers how large they may be.

    Attributes:
        owner: name for messages.
        most: points at once; None: no limit yet.
    """

    owner: str
    most: int | None = None

    def __call__(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """function(x), in parts; halves the parts, once and for all, when the device's memory does not hold them.

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
                    return function(x)
                return torch.cat([function(part) for part in torch.split(x, self.most)])
            size = min(len(x), self.most or len(x))
            if size == 1:
                raise ModelError(
                    self.owner, "one point at a time does not fit in the device's memory", "Use another device"
                )
            self.most = size // 2
