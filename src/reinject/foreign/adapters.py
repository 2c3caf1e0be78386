"""Adapt networks: inner noise, batches of one size, other kinds of floats, functions of arrays."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from reinject.base.errors import reason


class Noiseless(TorchFunctionMode):
    """Set Gaussian noise inside a network to zero; a variational autoencoder then uses its mean code.

    Example:
        >>> with Noiseless():
        ...     torch.randn(2), torch.randn_like(torch.ones(2))
        (tensor([0., 0.]), tensor([0., 0.]))
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.normal and args and isinstance(args[0], Tensor):
            return args[0].clone()
        if func in _ZEROS:  # without a draw from torch's generator
            return _ZEROS[func](*args, **{name: value for name, value in kwargs.items() if name != "generator"})
        return args[0].zero_() if func is Tensor.normal_ else func(*args, **kwargs)


_ZEROS: dict[Any, Callable[..., Tensor]] = {torch.randn: torch.zeros, torch.randn_like: torch.zeros_like}


class Numpy(nn.Module):
    """Wrap a function of float32 arrays as a module on the CPU; ``what`` describes it."""

    def __init__(self, function: Callable[[Any], Any], what: str) -> None:
        super().__init__()
        self.function, self.what = function, what

    def forward(self, x: Tensor) -> Tensor:
        """Return function(x); errors of the library become RuntimeError, as from torch's modules."""
        return _tensor(self._called(x))

    def several(self, x: Tensor) -> list[Tensor]:
        """Return several arrays of the function.

        Integer labels stay integers; values that are not numbers become empty tensors.
        """
        return [_numbers(y) for y in self._called(x)]

    def _called(self, x: Tensor) -> Any:
        try:
            return self.function(x.detach().cpu().numpy())
        except Exception as error:
            raise RuntimeError(f"{self.what}: {reason(error)}") from error


_NUMBERS = ("f", "i", "u", "b")  # kinds of NumPy


def _numbers(y: Any) -> Tensor:
    kind = getattr(getattr(y, "dtype", None), "kind", "")
    if kind not in _NUMBERS:
        return torch.zeros(0)
    return _tensor(y) if kind == "f" or y.ndim > 2 else torch.from_numpy(y.astype("int64"))


def _tensor(y: Any) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.ascontiguousarray(y, dtype=np.float32))


class Batched(nn.Module):
    """Run a network that takes batches of one size only on batches of any size: in parts, with the last one filled up.

    Arguments:
        network: called with (size, *shape); returns a tensor, or a container of tensors.
        size: of a batch, >= 1.

    Example:
        >>> Batched(nn.Identity(), 2)(torch.arange(3.0))
        tensor([0., 1., 2.])
    """

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, x: Tensor) -> Any:
        """Return the network's outputs for all parts, joined."""
        short = -len(x) % self.size
        whole = torch.cat([x, x[-1:].expand(short, *x.shape[1:])]) if short else x
        parts = [self.network(part) for part in torch.split(whole, self.size)]
        return tree_map(lambda *each: _joined(each, self.size, len(x)), *parts)


def _joined(each: tuple[Any, ...], size: int, rows: int) -> Any:
    whole = all(isinstance(one, Tensor) and one.ndim and len(one) == size for one in each)
    return torch.cat(each)[:rows] if whole else each[0]


def as_float32(module: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Cast the weights of a network to float32; return it, with a note if any weights changed.

    Example:
        >>> as_float32(nn.Linear(1, 1).double())[1]
        ('its weights are cast from float64 to float32',)
    """
    kinds = {str(w.dtype).removeprefix("torch.") for w in (*module.parameters(), *module.buffers()) if _casts(w)}
    if not kinds:
        return module, ()
    return module.float(), (f"its weights are cast from {' and '.join(sorted(kinds))} to float32",)


def _casts(weight: Tensor) -> bool:
    return weight.is_floating_point() and weight.dtype != torch.float32
