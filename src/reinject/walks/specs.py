"""Settings as values: WalkSpec for a walk, RunSpec for a run of walks."""

import math
from dataclasses import dataclass

from reinject.base.errors import ArgumentError, check_count
from reinject.base.random_streams import SCHEME
from reinject.walks.kernels.kernel import Emit

BLOCK = 1024


@dataclass(frozen=True)
class WalkSpec:
    """Length of a walk, and the states that it emits; the kernel and the start are separate.

    A walk emits the steps i >= burn_in with (i - burn_in) divisible by thin.

    Attributes:
        steps: R, transitions a walk, >= 0.
        burn_in: number of first states left out, x_0 included; 0 <= burn_in <= steps. Algorithm 1 keeps i > 1: 2.
        thin: keep every thin-th state after the burn-in, >= 1.
        emit: the state x_i, or the reconstruction r(x_i). Some kernels evaluate r at another point: their docstrings
            say so.
        limit: largest |value| > 0 of a state in the range, data units.

    Raises:
        ArgumentError: a number out of range.

    Example:
        >>> WalkSpec(steps=10, burn_in=2).kept
        range(2, 11)
        >>> WalkSpec(steps=1, burn_in=2)
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: walk: steps = 1 < burn_in = 2 keeps nothing. Walk longer or burn in less.
    """

    steps: int = 10
    burn_in: int = 0
    thin: int = 1
    emit: Emit = "state"
    limit: float = math.inf

    def __post_init__(self) -> None:
        check_count("walk", "steps", self.steps, 0)
        check_count("walk", "burn_in", self.burn_in, 0)
        check_count("walk", "thin", self.thin)
        if self.steps < self.burn_in:
            problem = f"steps = {self.steps} < burn_in = {self.burn_in} keeps nothing"
            raise ArgumentError("walk", problem, "Walk longer or burn in less")
        if self.emit not in ("state", "reconstruction"):
            raise ArgumentError("walk", f"emit = {self.emit!r}", "Give 'state' or 'reconstruction'")
        if not self.limit > 0:
            raise ArgumentError("walk", f"limit = {self.limit}", "Give a limit > 0")

    @property
    def kept(self) -> range:
        """Return the steps that the walk emits."""
        return range(self.burn_in, self.steps + 1, self.thin)


@dataclass(frozen=True)
class RunSpec:
    """A run of walks: number of walks, seed, and blocks.

    Attributes:
        walks: number of chains, >= 1.
        seed: of all randomness, >= 0.
        block_size: walks a block, >= 1; the samples depend on it.
        blocks: numbers of the blocks to run; None: all, in order.
        scheme: of the noise, see :func:`reinject.base.random_streams.stream`; old archives have another one.

    Raises:
        ArgumentError: a number out of range.

    Example:
        >>> RunSpec(walks=10_000).numbers
        range(0, 10)
    """

    walks: int = 10_000
    seed: int = 0
    block_size: int = BLOCK
    blocks: tuple[int, ...] | None = None
    scheme: int = SCHEME

    def __post_init__(self) -> None:
        check_count("walk", "walks", self.walks)
        check_count("walk", "seed", self.seed, 0)
        check_count("walk", "block_size", self.block_size)

    @property
    def numbers(self) -> range | tuple[int, ...]:
        """Return the numbers of the blocks, in the order of the run."""
        return range(block_count(self.walks, self.block_size)) if self.blocks is None else self.blocks


def block_count(walks: int, block_size: int = BLOCK) -> int:
    """Return the number of blocks that hold ``walks`` walks: ceil(walks / block_size).

    Example:
        >>> block_count(10_000)
        10
    """
    return -(-walks // block_size)
