"""What a kernel is: ``init(x) -> State`` and ``step(state, generator) -> (State, Info)``, both pure.

A kernel is a frozen dataclass, so that its repr, which goes into manifests, says everything about it. It calls r once a
step unless its docstring says otherwise, and not in ``init``. What is emitted, the state or its reconstruction, is the
walk's choice: Info holds the r that the step has evaluated anyway.

Its fields that are made by :func:`option` are its options on the command line, and ``usage`` says what else a command
line needs; so a new kernel is one file here and one row in the contract test.
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
from reinject.base.streams import parts_of
from reinject.walks.schedules import Parameter, bounds_of

_LARGE, _PARTS = 2**18, 8  # values from which on noise is drawn in parts, and how many
Emit = Literal["state", "reconstruction"]


class State(NamedTuple):
    """What the next step needs.

    Attributes:
        x: the points, (B, *event), data units.
        i: how many steps led there.
        y: r(x), where the step that led there has evaluated it and the next one uses it.
        v: velocity, (B, *event), of kernels that have one; None is 0.
    """

    x: Tensor
    i: int
    y: Tensor | None = None
    v: Tensor | None = None


class Info(NamedTuple):
    """What diagnostics and emission want of one step.

    Attributes:
        reconstruction: r where the step evaluated it, (B, *event), data units; at the state that it left unless the
            kernel's docstring says otherwise.
        accepted: which proposals were accepted, (B,).
        asymmetry: |J - J^T|_F / |J|_F of r at some of the points, (K,).
        done: which walks had converged, so that the step left them where they were, (B,).
    """

    reconstruction: Tensor
    accepted: Bool[Tensor, " batch"] | None = None
    asymmetry: Float[Tensor, " some"] | None = None
    done: Bool[Tensor, " batch"] | None = None


@dataclass(frozen=True)
class Usage:
    """How a kernel is run where nothing else is said.

    Attributes:
        name: on the command line.
        steps: R.
        burn_in: first states left out, x_0 included.
        emit: "state" or "reconstruction".
        thin: keep every thin-th state after the burn-in.
        values: values of options as on the command line, for which there is no default in data units; a number with an
            r behind it is a multiple of the data's radius.
    """

    name: str
    steps: int = 20
    burn_in: int = 10
    emit: Emit = "state"
    thin: int = 1
    values: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Kernel(Protocol):
    """One transition of a Markov chain on x; see the module's docstring for the contract."""

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """The state at x_0 = x, shape (B, *event); calls no network."""
        ...

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """The next state, with all its randomness drawn from ``generator``."""
        ...


class Named(Kernel, Protocol):
    """A kernel that the command line knows."""

    usage: ClassVar[Usage]


def option(text: str, **arguments: Any) -> Any:
    """A dataclass field that is an option on the command line too, with its help text."""
    return field(metadata={"help": text}, **arguments)


def noise_like(x: Float[Tensor, "*shape"], generator: torch.Generator, std: float = 1.0) -> Float[Tensor, "*shape"]:
    """Noise std z, z ~ N(0, I) of x's shape and dtype, drawn on the generator's device and brought to x's.

    A CPU's generator works in one thread, and for a small network is what takes the time. Large noise is drawn in
    parts, each from a generator that the given one determines, by as many threads as torch has. How many does not
    matter.
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
    """One number in [0, 1) for each row of x."""
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
