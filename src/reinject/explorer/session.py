"""Run one visitor's walks: forward by steps, back by the seed. The page is elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from reinject.models.votes import Classifier, classify
from reinject.networks import Inputs
from reinject.sampling.presets import Settings, Walker
from reinject.score import sigma_of_lam
from reinject.walks.kernels.clamped import Clamped, region
from reinject.walks.kernels.tangent import Tangent
from reinject.walks.loop import Visited, spread, walk
from reinject.walks.reconstruction import Ensemble
from reinject.walks.schedules import value_at
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Points


@dataclass(frozen=True)
class World:
    """Hold the networks that all visitors share.

    Attributes:
        r: autoencoder.
        C: classifier; None: no labels.
        inputs: meaning of the networks' inputs.
        models: folder of the networks, as on a command line.
    """

    r: Ensemble
    C: Classifier | None
    inputs: Inputs
    models: str


@dataclass(frozen=True)
class Choice:
    """Hold a visitor's choice, which determines the walks.

    Attributes:
        settings: kernel, its options, steps, emission, target classes.
        walks: number of walks, at most 256.
        seed: seed of all randomness.
        picture: start of the walks, (*event), data units; None: the settings' start.
        mask: known region of the picture, as ROWS,COLUMNS; "": no known region, walks begin at the picture.
    """

    settings: Settings
    walks: int = 64
    seed: int = 0
    picture: Tensor | None = None
    mask: str = ""


@dataclass(frozen=True)
class Frame:
    """Hold the walks after one step.

    Attributes:
        step: number of steps so far.
        x: states, (walks, *event), data units; an ended walk stands still.
        label: most probable classes, int64, (walks,); -1 without a classifier.
        confidence: probability of these classes, (walks,).
        energy: |r(x) - x|^2 / n, (walks,).
        level: noise level of the step, data units; None: the kernel has no level.
        stopped: number of walks that became non-finite or left the range so far.
    """

    step: int
    x: Tensor
    label: Tensor
    confidence: Tensor
    energy: Tensor
    stopped: int
    level: float | None = None


class Live:
    """Make walks on demand; the noise is that of ``reinject sample`` with blocks of this size.

    Arguments:
        world: networks.
        choice: settings of the walks.

    Raises:
        ReinjectError: a kernel, an option or a start that does not fit.
    """

    def __init__(self, world: World, choice: Choice) -> None:
        self.world, self.choice = world, choice
        self.walker = walker_of(world, choice)
        self.kernel = spread(self.walker.kernel, choice.settings.steps)
        self._begin()

    def _begin(self) -> None:
        self._parts = self._walk()
        self.step, self.stopped = -1, 0
        self._x: Tensor | None = None
        self.history: list[Tensor] = []  # energies, by step

    def _walk(self) -> Iterator[Visited]:
        settings, walker = self.choice.settings, self.walker
        return walk(
            walker.kernel,
            walker.start,
            walker.event_shape,
            WalkSpec(steps=settings.steps, emit=settings.emit, limit=settings.limit),
            RunSpec(walks=self.choice.walks, seed=self.choice.seed, block_size=self.choice.walks),
            transform=walker.transform,
        )

    @property
    def ended(self) -> bool:
        """Whether the walks are at their last step."""
        return self.step >= self.choice.settings.steps

    def advance(self) -> Frame | None:
        """Take the next step; None after the last one."""
        part = next(self._parts, None)
        if part is None:
            return None
        x = part.x.new_zeros((self.choice.walks, *part.x.shape[1:])) if self._x is None else self._x.clone()
        x[part.walk] = part.x
        self._x, self.step = x, part.step
        self.stopped += part.stopped + part.strayed
        frame = self._seen(x)
        self.history.append(frame.energy)
        return frame

    def goto(self, step: int) -> Frame | None:
        """Return the frame after a number of steps; earlier steps are remade from the seed."""
        if step <= self.step:
            self._begin()
        frame = None
        while self.step < min(step, self.choice.settings.steps):
            after = self.advance()
            if after is None:
                break
            frame = after
        return frame

    def _seen(self, x: Tensor) -> Frame:
        with torch.no_grad():
            energy = (self.world.r(x) - x).flatten(1).square().mean(1).cpu()
        label, confidence = torch.full((len(x),), -1), torch.zeros(len(x))
        if self.world.C is not None:
            confidence, label = classify(self.world.C, x).max(1)
        return Frame(self.step, x.cpu(), label, confidence, energy, self.stopped, noise_level(self.kernel, self.step))


def walker_of(world: World, choice: Choice) -> Walker:
    """Make the walker; raise ReinjectError if the choice does not fit."""
    start, constraint = None, None
    if choice.picture is not None and not choice.mask:
        start = Points(choice.picture[None])
    if choice.picture is not None and choice.mask:
        constraint = partial(Clamped, known=choice.picture, mask=region(choice.mask, world.inputs.shape))
    return choice.settings.build(world.r, world.inputs.radius, start=start, classifier=world.C, constraint=constraint)


def noise_level(kernel: Any, step: int) -> float | None:
    """Return the noise level of a step, data units: the kernel's level, its sigma, or sqrt(lambda / 2).

    Arguments:
        kernel: a kernel, or a wrapper of one, whose schedules have lengths.
        step: number of the step, from 0.

    Example:
        >>> from reinject import kernels, wrap
        >>> r = wrap(lambda x: x, (1,), name="r")
        >>> noise_level(kernels.Langevin(r, lam=0.5), 3), noise_level(kernels.Reinjection(r), 3)
        (0.5, None)
    """
    while hasattr(kernel, "kernel"):
        kernel = kernel.kernel
    if hasattr(kernel, "level"):
        return float(kernel.level(step))
    if hasattr(kernel, "sigma") and not isinstance(kernel, Tangent):  # the noise of Tangent is in codes
        return value_at(kernel.sigma, step)
    return sigma_of_lam(value_at(kernel.lam, step)) if hasattr(kernel, "lam") else None
