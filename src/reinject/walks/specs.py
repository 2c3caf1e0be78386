"""Settings as values: what a walk is, and what a run of walks is."""

import math
from dataclasses import dataclass

from reinject.base.errors import ArgumentError, check_count
from reinject.base.streams import SCHEME
from reinject.walks.kernels.kernel import Emit

BLOCK = 1024


@dataclass(frozen=True)
class WalkSpec:
    """What a walk is, besides its kernel and its start: its length, and what it emits.

    Emitted are the steps i >= burn_in with (i - burn_in) divisible by thin.

    Attributes:
        steps: R, transitions a walk, >= 0.
        burn_in: number of first states left out, x_0 included; 0 <= burn_in <= steps. Algorithm 1 keeps i > 1: 2.
        thin: keep every thin-th state after the burn-in, >= 1.
        emit: the state x_i, or the reconstruction r(x_i) (where the kernel evaluates r elsewhere: its docstring says).
        limit: largest |value| > 0 of a state, data units, that is still in range.

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
        """The steps that are emitted."""
        return range(self.burn_in, self.steps + 1, self.thin)


@dataclass(frozen=True)
class RunSpec:
    """What a run is: how many walks, from which seed, in which blocks.

    Attributes:
        walks: number of chains, >= 1.
        seed: of all randomness, >= 0.
        block_size: walks a block, >= 1; part of what the samples are a function of.
        blocks: numbers of the blocks to run; None: all, in order.
        scheme: of the noise, see :func:`reinject.base.streams.stream`; another one for walks of old archives only.

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
        """The numbers of the blocks, in the order in which they are run."""
        return range(block_count(self.walks, self.block_size)) if self.blocks is None else self.blocks


def block_count(walks: int, block_size: int = BLOCK) -> int:
    """Number of blocks that hold ``walks`` walks: ceil(walks / block_size).

    Example:
        >>> block_count(10_000)
        10
    """
    return -(-walks // block_size)
