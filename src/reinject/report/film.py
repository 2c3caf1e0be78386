"""Remake some walks of an archive step by step, for the film on a page."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from reinject.archive import Archive, blocks_of
from reinject.archive.reading import reading_again
from reinject.base.errors import ArchiveError
from reinject.models.loading import Models, levels_of
from reinject.models.votes import classify
from reinject.report.page import Film
from reinject.report.sprites import Sprites
from reinject.sampling.constraints import resolve_constraint
from reinject.sampling.data_starts import resolve
from reinject.sampling.presets import Settings, Walker
from reinject.sampling.recipe import first_block
from reinject.walks.kernels.kernel import Emit, Info, Kernel, State
from reinject.walks.loop import Visited, walk
from reinject.walks.specs import WalkSpec

WALKS = 8
FRAMES = 20


def film(archive: Archive, models: Models, data_dir: str | None = None) -> Film:
    """Film the first walks of an archive from start to end, as states and as reconstructions.

    Arguments:
        archive: archive of images.
        models: models that made it.
        data_dir: folder to search for data sets of starts.

    Raises:
        ReinjectError: the start is not available.
    """
    settings, walker = walker_of(archive, models, data_dir)
    numbers = range(min(WALKS, blocks_of(archive.manifest["parameters"])[0][1]))
    steps = sorted({round(at) for at in np.linspace(0, settings.steps, FRAMES)})
    states, means = _frames(archive, settings, walker, numbers, steps)
    kept = archive.storage
    captions = _captions(kept.load(kept.store(means)[0]), models)  # label the stored form, as the archive does
    pairs = torch.stack([states, means], 2).flatten(0, 2)
    levels = levels_of(models.inputs)
    unit = ((pairs - levels.low) / (levels.high - levels.low)).numpy()
    return Film(list(numbers), steps, captions, Sprites.of(unit))


def walker_of(archive: Archive, models: Models, data_dir: str | None = None) -> tuple[Settings, Walker]:
    """Return the settings of an archive and their walker.

    Raises:
        ReinjectError: the start is not available.
    """
    if not models.autoencoders:
        raise ArchiveError(
            str(archive.folder), "was made by an autoencoder in memory", "Sample from a folder of models"
        )
    parameters, inputs = archive.manifest["parameters"], models.inputs
    settings = Settings.from_json(parameters["settings"])
    last = parameters["ranges"][-1]["walks"][1]
    begun, reading = (reading_again(parameters, text, data_dir) for text in (settings.start, ""))
    start = resolve(settings.start, inputs, walks=last, seed=parameters["seed"], models=models, reading=begun)
    constraint = resolve_constraint(settings, inputs, most=parameters["block_size"], reading=reading)
    walker = settings.build(models.ensemble(), inputs.radius, start=start, classifier=models.C, constraint=constraint)
    return settings, walker


def starts_of(archive: Archive, settings: Settings, walker: Walker, most: int) -> Tensor:
    """Draw the starts x_0 of the first walks, data units."""
    return next(_walked(archive, settings, walker, 0, None)).x[:most]


@dataclass(frozen=True)
class _Watched:
    """Wrap a kernel and keep the last step's input, so that one walk shows states and reconstructions."""

    kernel: Kernel
    given: list[Tensor] = field(default_factory=list)

    def init(self, x: Tensor) -> State:
        return self.kernel.init(x)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        self.given[:] = [state.x]
        return self.kernel.step(state, generator)


def _walked(
    archive: Archive, settings: Settings, walker: Walker, steps: int, only: range | None, emit: Emit = "state"
) -> Iterator[Visited]:
    parameters = archive.manifest["parameters"]
    return walk(
        walker.kernel,
        walker.start,
        walker.event_shape,
        WalkSpec(steps=steps, emit=emit, limit=settings.limit),
        first_block(parameters),
        transform=walker.transform,
        only=only,
    )


def _frames(
    archive: Archive, settings: Settings, walker: Walker, numbers: range, steps: list[int]
) -> tuple[Tensor, Tensor]:
    """Collect states and reconstructions, (walks, frames, *event) each; an ended walk stands still."""
    wanted, found = set(steps), []
    watched = _Watched(walker.kernel)
    last: Tensor | None = None
    followed = walker._replace(kernel=watched)
    for part in _walked(archive, settings, followed, settings.steps, numbers, "reconstruction"):
        with torch.no_grad():
            both = torch.stack([walker.transform(watched.given[0][part.row]), part.x], 1)
        now = both.new_zeros((len(numbers), *both.shape[1:])) if last is None else last.clone()
        now[part.walk] = both
        last = now
        if part.step in wanted:
            found.append(now)
    assert last is not None
    whole = torch.stack([*found, *[last] * (len(steps) - len(found))], 1)
    return whole[:, :, 0], whole[:, :, 1]


def _captions(x: Tensor, models: Models) -> list[list[str]]:
    """Write label and probability of each frame of each walk; empty without a classifier."""
    if models.C is None:
        return [[""] * x.shape[1] for _ in x]
    names = models.inputs.class_names
    confidence, label = classify(models.C, x.flatten(0, 1)).max(1)
    said = [f"{names[int(k)]} {float(p):.0%}" for k, p in zip(label, confidence, strict=True)]
    return [said[k * x.shape[1] : (k + 1) * x.shape[1]] for k in range(len(x))]
