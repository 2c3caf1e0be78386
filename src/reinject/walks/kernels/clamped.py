"""Clamped and Measured wrappers: hold known values, or linear measurements, of x while the rest walks."""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.base.files import fingerprint
from reinject.walks.kernels.kernel import Info, Kernel, State
from reinject.walks.kernels.wrappers import autoencoder_of, values_by_row


def region(text: str, shape: tuple[int, ...]) -> Bool[Tensor, "*event"]:
    """Turn rows and columns of images into a mask.

    Arguments:
        text: ROWS,COLUMNS as slices.
        shape: (*event), at least two axes, of which the last two are rows and columns.

    Raises:
        ArgumentError: text that is not ROWS,COLUMNS, an event without rows and columns, or an empty region.

    Example:
        >>> region(":1,:", (1, 2, 1)).flatten().tolist()
        [True, False]
    """
    try:
        rows, columns = (slice(*(int(n) if n else None for n in part.split(":"))) for part in text.split(","))
    except (ValueError, TypeError) as error:
        raise ArgumentError(
            "--mask",
            f"{text!r} is neither a file nor ROWS,COLUMNS",
            "Give a .png or .npy file, or rows and columns such as 0:14,:",
        ) from error
    if len(shape) < 2:
        raise ArgumentError("--mask", f"inputs {shape} have no rows and columns", "Give a .npy file")
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[..., rows, columns] = True
    if not bool(mask.any()):
        raise ArgumentError("--mask", f"{text!r} holds nothing of {shape}", "Give rows and columns inside")
    return mask


@dataclass(frozen=True)
class Clamped:
    """Take a kernel's step, then put the known values of x back: inpainting.

    Before and after every step, x and the reconstruction in Info hold the known values exactly. For Langevin and small
    lambda the rest follows p(rest given known). The calls of r are those of the kernel; Metropolis needs one more.

    Attributes:
        kernel: the kernel.
        known: known values, (*event) or (P, *event), data units: row k of a block holds known[k mod P].
        mask: which values are known, (*event).

    Raises:
        ArgumentError: a shape other than the autoencoder's, or values that are not finite.

    Source: Bengio et al. 2013, arXiv 1305.6663, section 4 (clamping the observed inputs).

    Example:
        >>> from reinject import wrap
        >>> from reinject.walks.kernels import Langevin
        >>> inner = Langevin(wrap(lambda x: x + 1, (2,)), 0.1, 0.0)
        >>> kernel = Clamped(inner, torch.tensor([5.0, 0.0]), torch.tensor([True, False]))
        >>> kernel.step(kernel.init(torch.zeros(1, 2)), torch.Generator())[0].x
        tensor([[5., 1.]])
    """

    kernel: Kernel
    known: Float[Tensor, "*some"] = field(repr=False)
    mask: Bool[Tensor, "*event"] = field(repr=False)
    held: int = field(init=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        r = autoencoder_of(self.kernel)
        shape = torch.Size(r.event_shape)
        if self.mask.shape != shape:
            raise ArgumentError(
                "clamped", f"mask of shape {tuple(self.mask.shape)}", f"Give a mask of shape {tuple(shape)}"
            )
        mask = self.mask.to(r.device)
        known = (self.known[None] if self.known.shape == shape else self.known).to(r.device)
        if known.shape[1:] != shape or len(known) == 0 or not bool(torch.isfinite(known[:, mask]).all()):
            raise ArgumentError(
                "clamped",
                f"known values of shape {tuple(self.known.shape)}",
                f"Give finite ones of shape {tuple(shape)} or (P, *{tuple(shape)})",
            )
        object.__setattr__(self, "known", known)
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "held", int(mask.sum()))
        object.__setattr__(self, "sha256", fingerprint(known[:, mask], mask))

    def _hold(self, x: Tensor) -> Tensor:
        return torch.where(self.mask, values_by_row(self.known, x).to(x.dtype), x)

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x with the known values."""
        return self.kernel.init(self._hold(x))

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return the kernel's next state, with the known values put back."""
        return _projected(self.kernel, state, generator, self._hold)


@dataclass(frozen=True)
class Measured:
    """Take a kernel's step, then move x to the nearest point with M x = b: any linear measurement.

    x <- x - M^+ (M x - b), M^+ the pseudo-inverse. An averaging M gives super-resolution, a blurring M deblurring, a
    random M compressed sensing. With rows of the identity the wrapper is :class:`Clamped`.

    Attributes:
        kernel: the kernel.
        matrix: M, (k, n) for the n values of a flattened x; rows linearly independent.
        values: b, (k,), or (P, k): row j of a block holds values[j mod P].

    Raises:
        ArgumentError: shapes that do not fit, or rows that depend on each other.

    Source: Kadkhodaie and Simoncelli 2020, arXiv 2007.13640, section 4 (constrained sampling).

    Example:
        >>> from reinject import wrap
        >>> from reinject.walks.kernels import Langevin
        >>> inner = Langevin(wrap(lambda x: x + 1, (2,)), 0.1, 0.0)
        >>> kernel = Measured(inner, torch.tensor([[0.5, 0.5]]), torch.tensor([3.0]))
        >>> kernel.step(kernel.init(torch.zeros(1, 2)), torch.Generator())[0].x.round(decimals=3)
        tensor([[3., 3.]])
    """

    kernel: Kernel
    matrix: Float[Tensor, "k n"] = field(repr=False)
    values: Float[Tensor, "*some k"] = field(repr=False)
    measurements: int = field(init=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        r = autoencoder_of(self.kernel)
        n = torch.Size(r.event_shape).numel()
        values = self.values[None] if self.values.ndim == 1 else self.values
        k = len(self.matrix)
        if self.matrix.ndim != 2 or self.matrix.shape[1] != n or values.shape[1:] != (k,):
            raise ArgumentError(
                "measured",
                f"matrix {tuple(self.matrix.shape)} and values {tuple(self.values.shape)}",
                f"Give (k, {n}) and (k,), one value for each of the k measurements",
            )
        if int(torch.linalg.matrix_rank(self.matrix)) < k:
            raise ArgumentError("measured", "the rows of the matrix are linearly dependent", "Leave out dependent rows")
        object.__setattr__(self, "values", values.to(r.device))
        object.__setattr__(self, "matrix", self.matrix.to(r.device))
        object.__setattr__(self, "measurements", k)
        object.__setattr__(self, "sha256", fingerprint(self.matrix, values))
        object.__setattr__(self, "_inverse", torch.linalg.pinv(self.matrix))

    def _hold(self, x: Tensor) -> Tensor:
        inverse: Tensor = getattr(self, "_inverse")  # noqa: B009
        flat = x.flatten(1)
        excess = flat @ self.matrix.T - values_by_row(self.values, x).to(x.dtype)
        return (flat - excess @ inverse.T).reshape(x.shape)

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at the nearest point to x with M x = b."""
        return self.kernel.init(self._hold(x))

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return the kernel's next state, moved to the nearest point with M x = b."""
        return _projected(self.kernel, state, generator, self._hold)


def _projected(kernel: Kernel, state: State, generator: torch.Generator, hold: Any) -> tuple[State, Info]:
    after, info = kernel.step(state, generator)
    return after._replace(x=hold(after.x), y=None), info._replace(reconstruction=hold(info.reconstruction))
