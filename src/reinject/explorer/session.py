"""One visitor's walks: a step forth, back by the seed, and what there is to see of them; no page in here."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from reinject.models.voting import Classifier, classify
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
    """The networks that all visitors share.

    Attributes:
        r: the autoencoder.
        C: the classifier; None: nothing labels.
        inputs: what their inputs mean.
        models: their folder, as a command line would name it.
    """

    r: Ensemble
    C: Classifier | None
    inputs: Inputs
    models: str


@dataclass(frozen=True)
class Choice:
    """What a visitor asked for, all that determines the walks.

    Attributes:
        settings: kernel, its options, steps, what is shown, asked classes.
        walks: number of walks, at most 256.
        seed: of all randomness.
        picture: where walks begin, (*event), data units; None: at the settings' start.
        mask: what of the picture is known and held, as ROWS,COLUMNS; "": nothing is held, walks begin at the picture.
    """

    settings: Settings
    walks: int = 64
    seed: int = 0
    picture: Tensor | None = None
    mask: str = ""


@dataclass(frozen=True)
class Frame:
    """What there is to see after one step.

    Attributes:
        step: how many steps led here.
        x: of every walk, (walks, *event), data units; a walk that ended stands still.
        label: most probable class of each, int64, -1 where nothing labels.
        confidence: its probability, (walks,).
        energy: |r(x) - x|^2 / n of each, (walks,).
        level: noise level of the step, data units; None: the kernel has none.
        stopped: walks that became non-finite or left the range so far.
    """

    step: int
    x: Tensor
    label: Tensor
    confidence: Tensor
    energy: Tensor
    stopped: int
    level: float | None = None


class Live:
    """Walks that are made as they are looked at; the noise is that of ``reinject sample`` with blocks of this size.

    Arguments:
        world: the networks.
        choice: what is asked for.

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
        self.history: list[Tensor] = []  # of the energies, by step

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
        """The next step; None where there is none."""
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
        """The frame after so many steps, by the seed: what is behind is walked again."""
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
    """What walks; raises ReinjectError where the choice does not fit."""
    start, constraint = None, None
    if choice.picture is not None and not choice.mask:
        start = Points(choice.picture[None])
    if choice.picture is not None and choice.mask:
        constraint = partial(Clamped, known=choice.picture, mask=region(choice.mask, world.inputs.shape))
    return choice.settings.build(world.r, world.inputs.radius, start=start, classifier=world.C, constraint=constraint)


def noise_level(kernel: Any, step: int) -> float | None:
    """Return the noise level of a step, data units: the kernel's level, its sigma, or sqrt(lambda / 2).

    Arguments:
        kernel: or a wrapper of one, whose schedules have lengths.
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
    if hasattr(kernel, "sigma") and not isinstance(kernel, Tangent):  # whose noise is one of codes
        return value_at(kernel.sigma, step)
    return sigma_of_lam(value_at(kernel.lam, step)) if hasattr(kernel, "lam") else None
