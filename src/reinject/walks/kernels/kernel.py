"""The contract of a kernel: ``init(x) -> State`` and ``step(state, generator) -> (State, Info)``, both pure.

A kernel is a frozen dataclass, so its repr describes it completely; manifests hold this repr. A kernel calls r once a
step unless its docstring says otherwise, and not in ``init``. The walk chooses what is emitted, the state or its
reconstruction; Info holds the r that the step evaluates anyway.

Fields made by :func:`option` are options on the command line. ``usage`` holds the other settings of the command line.
So a new kernel is one file here and one row in the contract test.
"""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from reinject.base.errors import ArgumentError, check_positive
from reinject.base.random_streams import parts_of
from reinject.walks.schedules import Parameter, bounds_of

_LARGE, _PARTS = 2**18, 8  # least number of values for noise in parts, and the number of parts
Emit = Literal["state", "reconstruction"]


class State(NamedTuple):
    """The state of a block between two steps.

    Attributes:
        x: the points, (B, *event), data units.
        i: number of steps that led to x.
        y: r(x), where the last step has evaluated it and the next step uses it.
        v: velocity, (B, *event), of kernels that have one; None is 0.
        old: r of the state before, (B, *event), where the next step extrapolates from it; it stays where a wrapper
            moves x.
    """

    x: Tensor
    i: int
    y: Tensor | None = None
    v: Tensor | None = None
    old: Tensor | None = None


class Info(NamedTuple):
    """What one step reports, for diagnostics and emission.

    Attributes:
        reconstruction: r where the step evaluated it, (B, *event), data units: at the state before the step, unless the
            kernel's docstring says otherwise.
        accepted: which proposals were accepted, (B,).
        asymmetry: |J - J^T|_F / |J|_F of r at some of the points, (K,).
        done: walks that converged earlier, so that the step did not move them, (B,).
    """

    reconstruction: Tensor
    accepted: Bool[Tensor, " batch"] | None = None
    asymmetry: Float[Tensor, " some"] | None = None
    done: Bool[Tensor, " batch"] | None = None


@dataclass(frozen=True)
class Usage:
    """Name and default settings of a kernel on the command line.

    Attributes:
        name: of the kernel on the command line.
        steps: R, transitions a walk.
        burn_in: number of first states left out, x_0 included.
        emit: "state" or "reconstruction".
        thin: keep every thin-th state after the burn-in.
        values: defaults of options that depend on the data's scale, as text; a number followed by r is a multiple of
            the data's radius.
    """

    name: str
    steps: int = 20
    burn_in: int = 10
    emit: Emit = "state"
    thin: int = 1
    values: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Kernel(Protocol):
    """One transition of a Markov chain on x; the module's docstring states the contract."""

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x_0 = x, shape (B, *event), without a call of the network."""
        ...

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return the next state; all randomness comes from ``generator``."""
        ...


class Named(Kernel, Protocol):
    """A kernel with a name and defaults on the command line."""

    usage: ClassVar[Usage]


def option(text: str, **arguments: Any) -> Any:
    """Make a dataclass field that is also an option on the command line, with its help text."""
    return field(metadata={"help": text}, **arguments)


def noise_like(x: Float[Tensor, "*shape"], generator: torch.Generator, std: float = 1.0) -> Float[Tensor, "*shape"]:
    """Draw noise std z, z ~ N(0, I), of x's shape and dtype; move it from the generator's device to x's.

    A CPU's generator works in one thread, which for a small network takes most of the time. So large noise is drawn in
    parts by torch's threads, each part from its own generator, which the given generator determines. The result does
    not depend on the number of threads.
    """
    z = torch.empty(x.shape, dtype=x.dtype, device=generator.device)
    if z.numel() < _LARGE or z.device.type != "cpu":
        return z.normal_(0.0, std, generator=generator).to(x.device)
    jobs = list(zip(z.view(-1).tensor_split(_PARTS), parts_of(generator, _PARTS), strict=True))
    if torch.get_num_threads() > 1:
        list(_threads().map(lambda job: job[0].normal_(0.0, std, generator=job[1]), jobs))
    else:
        for part, own in jobs:
            part.normal_(0.0, std, generator=own)
    return z.to(x.device)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), "reinject-noise")


def uniform(x: Float[Tensor, "batch *event"], generator: torch.Generator) -> Float[Tensor, " batch"]:
    """Draw one number in [0, 1) for each row of x."""
    return torch.rand(len(x), dtype=x.dtype, device=generator.device, generator=generator).to(x.device)


def check_level(owner: str, name: str, value: Parameter) -> None:
    """Raise ArgumentError unless a number or all values of a schedule are finite and > 0."""
    for bound in bounds_of(value):
        check_positive(owner, name, bound)


def check_between(owner: str, name: str, value: Parameter, low: float, high: float = math.inf) -> None:
    """Raise ArgumentError unless low <= value <= high, finite, for a number or all values of a schedule."""
    for bound in bounds_of(value):
        if not (math.isfinite(bound) and low <= bound <= high):
            range_ = f">= {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
            raise ArgumentError(owner, f"{name} = {bound:g}", f"Give a {name} {range_}")
