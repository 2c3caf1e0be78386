"""The only loop: any kernel, from any start, in blocks.

A block (1,024 walks unless said otherwise) is the unit of randomness and of work: the noise of step i in block b is a
pure function of (seed, b, i). So the samples do not depend on where a run was cut, on the order of the blocks, or on
who computes them, and any block can be made again alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from reinject.errors import ArgumentError, check_count
from reinject.kernels.base import Kernel
from reinject.starts import Start

Emit = Literal["state", "reconstruction"]
BLOCK = 1024


@dataclass(frozen=True)
class Visited:
    """The states that the living walks of one block hold after one step.

    Attributes:
        block: number of the block, from 0.
        step: i, the number of steps that led to the state; 0 is the start.
        walk: numbers of the walks, from 0 over all blocks; int64, shape (K,).
        row: their rows inside the block, which choose the member of an ensemble; int64, shape (K,).
        x: x_i, or r(x_i) where reconstructions are emitted; shape (K, *event), data units.
        stopped: walks of this block that became non-finite since the last emission, and were stopped.
    """

    block: int
    step: int
    walk: Tensor
    row: Tensor
    x: Tensor
    stopped: int


def walk(
    kernel: Kernel,
    start: Start,
    event_shape: tuple[int, ...],
    *,
    walks: int,
    steps: int,
    burn_in: int = 0,
    thin: int = 1,
    seed: int = 0,
    block_size: int = BLOCK,
    emit: Emit = "state",
    blocks: Iterable[int] | None = None,
    device: str | torch.device = "cpu",
) -> Iterator[Visited]:
    """Run ``walks`` chains x_0, x_1, ..., x_steps and yield what they visit, block by block and step by step.

    Emitted are the i >= burn_in with (i - burn_in) divisible by thin. With ``emit="state"`` a walk costs ``steps``
    calls of r, with ``emit="reconstruction"`` one more, for the r of its last state. A walk whose state becomes
    non-finite is stopped there, counted in ``stopped`` and left out from then on; what it visited before stays.

    Arguments:
        kernel: the transition.
        start: draws x_0.
        event_shape: shape of one x, without the batch.
        walks: number of chains, >= 1.
        steps: R, transitions a chain, >= 0.
        burn_in: number of first states left out, x_0 included; 0 <= burn_in <= steps. Algorithm 1 keeps i > 1: 2.
        thin: keep every thin-th state after the burn-in, >= 1.
        seed: of all randomness, >= 0.
        block_size: walks a block, >= 1; part of what the samples are a function of.
        emit: the state x_i, or its reconstruction r(x_i).
        blocks: numbers of the blocks to run; default: all, in order.
        device: where the walk lives.

    Raises:
        ArgumentError: a number out of range.

    Example:
        >>> from reinject import kernels, starts, wrap
        >>> r = wrap(lambda x: 0.5 * x, (2,))
        >>> visited = list(walk(kernels.Langevin(r), starts.Normal(), (2,), walks=3, steps=10, burn_in=2))
        >>> [v.step for v in visited], visited[0].x.shape
        ([2, 3, 4, 5, 6, 7, 8, 9, 10], torch.Size([3, 2]))
    """
    check_count("walk", "walks", walks)
    check_count("walk", "steps", steps, 0)
    check_count("walk", "burn_in", burn_in, 0)
    check_count("walk", "thin", thin)
    check_count("walk", "seed", seed, 0)
    check_count("walk", "block_size", block_size)
    if steps < burn_in:
        raise ArgumentError(
            "walk",
            f"steps = {steps} < burn_in = {burn_in} keeps nothing",
            "Walk longer or burn in less",
        )
    if emit not in ("state", "reconstruction"):
        raise ArgumentError("walk", f"emit = {emit!r}", "Give 'state' or 'reconstruction'")
    numbers = range(block_count(walks, block_size)) if blocks is None else blocks
    keep = frozenset(range(burn_in, steps + 1, thin))

    def run() -> Iterator[Visited]:
        for number in numbers:
            first = number * block_size
            shape = (min(block_size, walks - first), *event_shape)
            source = _Noise(seed, number, torch.device(device))
            yield from _block(kernel, start.draw(shape, source.at(0)), first, steps, keep, source, emit)

    return run()


def block_count(walks: int, block_size: int = BLOCK) -> int:
    """Number of blocks that hold ``walks`` walks: ceil(walks / block_size).

    Example:
        >>> block_count(10_000)
        10
    """
    return -(-walks // block_size)


@dataclass(frozen=True)
class _Noise:
    """The randomness of one block: a generator for each step, from (seed, block, step) alone."""

    seed: int
    block: int
    device: torch.device

    def at(self, key: int) -> torch.Generator:
        """Key 0 is for the start, i + 1 for the step that leaves x_i."""
        entropy = np.random.SeedSequence([self.seed, self.block, key])
        word = int(entropy.generate_state(1, np.uint64)[0]) >> 1  # manual_seed wants a signed 64-bit
        return torch.Generator(self.device).manual_seed(word)


def _block(
    kernel: Kernel,
    x: Tensor,
    first: int,
    steps: int,
    keep: frozenset[int],
    source: _Noise,
    emit: Emit,
) -> Iterator[Visited]:
    state = kernel.init(x)
    living = torch.ones(len(x), dtype=torch.bool, device=x.device)
    reported = 0
    for i in range(steps + 1):
        x = state.x
        living &= _finite(x)
        if i < steps or emit == "reconstruction":
            with torch.no_grad():  # not around a yield: the caller's gradients are the caller's
                state, info = kernel.step(state, source.at(i + 1))
        if i in keep:
            if emit == "reconstruction":
                x = info.reconstruction
                living &= _finite(x)
            stopped = int((~living).sum())
            row = living.nonzero().flatten()
            yield Visited(
                block=source.block,
                step=i,
                walk=(row + first).cpu(),
                row=row.cpu(),
                x=x if stopped == 0 else x[row],
                stopped=stopped - reported,
            )
            reported = stopped


def _finite(x: Tensor) -> Tensor:
    """Which rows are finite throughout. The sum of all is finite only if they all are: one cheap pass as a rule."""
    if torch.isfinite(x.sum()):
        return torch.ones(len(x), dtype=torch.bool, device=x.device)
    return torch.isfinite(x).flatten(1).all(1)
