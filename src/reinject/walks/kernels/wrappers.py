"""Functions that the kernels around other kernels share."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from reinject.walks.kernels.kernel import Kernel
from reinject.walks.reconstruction import Autoencoder


def autoencoder_of(kernel: Any) -> Autoencoder:
    """Return the r of a kernel, or of the kernel inside it."""
    r: Autoencoder = _innermost(kernel).r
    return r


def place_of(kernel: Any) -> torch.device:
    """Return the device of the r of a kernel, or of the kernel inside it; the CPU without r."""
    inner = _innermost(kernel)
    return inner.r.device if hasattr(inner, "r") else torch.device("cpu")


def _innermost(kernel: Any) -> Any:
    while hasattr(kernel, "kernel"):
        kernel = kernel.kernel
    return kernel


def with_autoencoder(kernel: Any, r: Autoencoder) -> Kernel:
    """Return the same kernel, or the same kernel inside it, on another r."""
    if hasattr(kernel, "kernel"):
        return replace(kernel, kernel=with_autoencoder(kernel.kernel, r))  # type: ignore[no-any-return]
    return replace(kernel, r=r)  # type: ignore[no-any-return]


def values_by_row(values: Tensor, x: Tensor) -> Tensor:
    """Return values[k mod P] for every row k of x; values of shape (P, ...)."""
    return values[torch.arange(len(x), device=x.device) % len(values)]
