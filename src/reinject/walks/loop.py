"""The only loop: run any kernel from any start, in blocks.

A block (1,024 walks by default) is the unit of randomness and of work. The noise of step i in block b is a pure
function of (seed, b, i). So the samples do not depend on the order of the blocks, on interruptions, or on the process
that computes a block. Any block, or any single walk, can be computed again alone.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.base.random_streams import SCHEME, stream
from reinject.walks.kernels.kernel import Info, Kernel
from reinject.walks.kernels.wrappers import place_of
from reinject.walks.schedules import Schedule
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Start


@dataclass(frozen=True)
class Visited:
    """The states of the living walks of one block after one step.

    Attributes:
        block: number of the block, from 0.
        step: i, the number of steps that led to the state; 0 is the start.
        walk: numbers of the walks, from 0 over all blocks; int64, shape (K,).
        row: their rows inside the block, which determine the member of an ensemble; int64, shape (K,).
        x: x_i, or r(x_i) where reconstructions are emitted; shape (K, *event), data units.
        stopped: walks of this block that became non-finite and stopped since the last emission.
        strayed: walks that left the range and stopped since the last emission.
        accepted: share of accepted proposals of living walks since the last emission; None where the kernel proposes
            nothing.
        asymmetry: mean of r's asymmetry since the last emission; None where the kernel measures none, or only dead
            walks.
    """

    block: int
    step: int
    walk: Tensor
    row: Tensor
    x: Tensor
    stopped: int
    strayed: int = 0
    accepted: float | None = None
    asymmetry: float | None = None


def itself(x: Tensor) -> Tensor:
    """Return x: a walk in the space of the samples emits its points unchanged."""
    return x


def walk(
    kernel: Kernel,
    start: Start,
    event_shape: tuple[int, ...],
    spec: WalkSpec = WalkSpec(),
    run: RunSpec = RunSpec(),
    *,
    transform: Callable[[Tensor], Tensor] = itself,
    only: Iterable[int] | None = None,
    device: str | torch.device | None = None,
) -> Iterator[Visited]:
    """Run chains x_0, x_1, ..., x_R and yield the states, block by block and step by step.

    With ``emit="state"`` a walk costs R steps of the kernel. With ``emit="reconstruction"`` it costs one more, for the
    r of its last state. A walk stops when its state becomes non-finite or leaves the range given by ``spec.limit``. The
    loop counts it and leaves out its later states; its earlier states stay. A walk that the kernel reports as converged
    is emitted once more, and left out afterwards. A block ends when all its walks have converged.

    Arguments:
        kernel: the transition; schedules without a length take the length of the walk.
        start: draws x_0.
        event_shape: shape of one x, without the batch.
        spec: what a walk is: its length, and what it emits.
        run: how many walks, from which seed, in which blocks.
        transform: maps a point to what is emitted, row by row; ``r.decode`` for a walk in the space of codes.
        only: numbers of the walks to emit; their whole blocks run, so that the samples are those of the whole run.
        device: where the walk runs; default: where the kernel's autoencoder is, or the CPU.

    Raises:
        ArgumentError: ``only`` holds a walk that does not exist, or a schedule is shorter than the walk.

    Example:
        >>> from reinject import kernels, starts, wrap
        >>> r = wrap(lambda x: 0.5 * x, (2,))
        >>> spec, run = WalkSpec(steps=10, burn_in=2), RunSpec(walks=3)
        >>> visited = list(walk(kernels.Langevin(r), starts.Normal(), (2,), spec, run))
        >>> [v.step for v in visited], visited[0].x.shape
        ([2, 3, 4, 5, 6, 7, 8, 9, 10], torch.Size([3, 2]))
        >>> alone = list(walk(kernels.Langevin(r), starts.Normal(), (2,), spec, run, only=[1]))
        >>> torch.equal(alone[0].x[0], visited[0].x[1])
        True
    """
    wanted = None if only is None else frozenset(only)
    for number in wanted or ():
        if not 0 <= number < run.walks:
            raise ArgumentError("walk", f"only = {number} is none of the {run.walks} walks", f"Give 0..{run.walks - 1}")
    fitted = spread(kernel, spec.steps)
    place = place_of(kernel) if device is None else torch.device(device)
    plan = _Plan(spec, frozenset(spec.kept), transform, wanted)

    def visited() -> Iterator[Visited]:
        for number in run.numbers:
            first = number * run.block_size
            count = min(run.block_size, run.walks - first)
            if wanted is not None and wanted.isdisjoint(range(first, first + count)):
                continue
            source = _Noise(run.seed, number, place, run.scheme)
            x = start.draw((count, *event_shape), source.at(0), first)
            yield from _Block(fitted, plan, source, first, x).run()

    return visited()


def spread(kernel: Any, steps: int) -> Any:
    """Return the kernel, and the kernel inside it, with the walk's length for schedules without one.

    Raises:
        ArgumentError: a schedule is shorter than the walk.

    Example:
        >>> from reinject import kernels, wrap
        >>> from reinject.walks.schedules import Linear
        >>> kernel = kernels.HalfDenoising(wrap(lambda x: x, (1,), name="r"), Linear(1.0, 0.1))
        >>> spread(kernel, 9).sigma
        Linear(first=1.0, last=0.1, steps=9, hold=1)
    """
    changed: dict[str, Any] = {}
    for item in fields(kernel):
        value = getattr(kernel, item.name)
        if isinstance(value, Schedule):
            changed[item.name] = value.over(steps)
        elif item.name == "kernel":
            changed[item.name] = spread(value, steps)
    return replace(kernel, **changed) if changed else kernel


@dataclass(frozen=True)
class _Noise:
    """The randomness of one block: one generator for each step, from (seed, block, step) and the scheme alone."""

    seed: int
    block: int
    device: torch.device
    scheme: int = SCHEME

    def at(self, key: int) -> torch.Generator:
        """Return the generator of a key: 0 for the start, i + 1 for the step from x_i."""
        return stream((self.seed, self.block, key), self.device, self.scheme)


@dataclass(frozen=True)
class _Plan:
    """The settings that all blocks share."""

    spec: WalkSpec
    keep: frozenset[int]
    transform: Callable[[Tensor], Tensor]
    only: frozenset[int] | None


class _Block:
    """One running block: its state, its living walks, and the notes since the last emission."""

    def __init__(self, kernel: Kernel, plan: _Plan, source: _Noise, first: int, x: Tensor) -> None:
        self.kernel, self.plan, self.source, self.first = kernel, plan, source, first
        self.state = kernel.init(x)
        yes = torch.ones(len(x), dtype=torch.bool, device=x.device)
        self.finite, self.inside, self.walking = yes, yes.clone(), yes.clone()
        self.wanted = yes.clone()
        if plan.only is not None:
            self.wanted = torch.tensor([first + k in plan.only for k in range(len(x))], device=x.device)
        self.reported = [0, 0]
        self.accepted: list[Tensor] = []
        self.asymmetry: list[Tensor] = []

    def run(self) -> Iterator[Visited]:
        plan = self.plan
        for i in range(plan.spec.steps + 1):
            x = self.state.x
            self._check(x)
            info = None
            if i < plan.spec.steps or plan.spec.emit == "reconstruction":
                with torch.no_grad():  # not around a yield, which would switch off the caller's gradients
                    self.state, info = self.kernel.step(self.state, self.source.at(i + 1))
                self._note(info)
                if plan.spec.emit == "reconstruction":
                    x = info.reconstruction
                    if i in plan.keep:
                        self.finite &= (_largest(x) < math.inf) | ~self.inside
            done = None if info is None else info.done
            if i in plan.keep:
                yield self._visited(i, x, self._alive())
            elif done is not None and bool((self._alive() & done).any()):
                yield self._visited(i, x, self._alive() & done)
            if done is not None:
                self.walking &= ~done
                if not bool(self._alive().any()):
                    if self._unreported() != [0, 0]:
                        yield self._visited(i, x, self._alive())
                    return

    def _check(self, x: Tensor) -> None:
        """Record the walks that became non-finite or strayed, each for the first reason; do not wait for the device."""
        largest = _largest(x)
        finite = largest < math.inf  # false for NaN too; torch.isfinite is four operations
        if self.plan.spec.limit == math.inf:  # nothing strays
            self.finite &= finite
            return
        self.finite &= finite | ~self.inside
        self.inside &= ~(largest > self.plan.spec.limit) | ~self.finite

    def _note(self, info: Info) -> None:
        if info.accepted is not None:
            alive = self._alive()
            self.accepted.append((info.accepted & alive).sum() / alive.sum())  # NaN where none is alive
        if info.asymmetry is not None:
            self.asymmetry.append(info.asymmetry)

    def _alive(self) -> Tensor:
        return self.finite & self.inside & self.walking & self.wanted

    def _unreported(self) -> list[int]:
        """Return the walks that became non-finite, and those that strayed, since the last emission."""
        counts = torch.stack([(~self.finite & self.wanted).sum(), (~self.inside & self.wanted).sum()])
        return [now - before for now, before in zip(counts.tolist(), self.reported, strict=True)]

    def _visited(self, i: int, x: Tensor, which: Tensor) -> Visited:
        with torch.no_grad():
            x = self.plan.transform(x)
        stopped, strayed = self._unreported()
        self.reported = [self.reported[0] + stopped, self.reported[1] + strayed]
        row = which.nonzero().flatten()
        accepted, asymmetry = _mean(self.accepted), _mean(self.asymmetry)
        self.accepted, self.asymmetry = [], []
        return Visited(
            block=self.source.block,
            step=i,
            walk=(row + self.first).cpu(),
            row=row.cpu(),
            x=x if len(row) == len(x) else x[row],
            stopped=stopped,
            strayed=strayed,
            accepted=accepted,
            asymmetry=asymmetry,
        )


def _mean(notes: list[Tensor]) -> float | None:
    """Return the mean of the finite notes, because a kernel notes NaN for dead walks; None without any."""
    values = torch.cat([note.flatten() for note in notes]).cpu().double() if notes else torch.zeros(0)
    values = values[values.isfinite()]
    return float(values.mean()) if len(values) else None


def _largest(x: Tensor) -> Tensor:
    """Return the largest |value| of every row; NaN and infinity remain."""
    return x.flatten(1).abs().amax(1)  # seven times as fast as vector_norm
