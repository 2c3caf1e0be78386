"""What makes the rows of a block: models, settings, seed and ranges of walks put together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reinject.archive import MakeBlock, blocks_of, scheme_of
from reinject.base.streams import SCHEME
from reinject.data.samples import LabelledSamples, Storage
from reinject.models.bundle import load
from reinject.models.loading import Models
from reinject.models.voting import Classifier
from reinject.sampling.algorithm1 import Labels, StoreSpec, synthesise
from reinject.sampling.filters import Filter
from reinject.sampling.presets import Constraint, Settings, Walker
from reinject.walks.execution import Execution
from reinject.walks.reconstruction import Ensemble
from reinject.walks.specs import RunSpec
from reinject.walks.starts import Start


def samples_per_walk(settings: Settings) -> int:
    """How many samples a walk keeps.

    Example:
        >>> samples_per_walk(Settings("langevin", steps=10, burn_in=2, thin=3))
        3
    """
    return len(range(settings.burn_in, settings.steps + 1, settings.thin))


def blocks_in(ranges: Sequence[tuple[int, int]], block_size: int) -> list[tuple[int, int]]:
    """First walk, and one behind the last, of every block of some ranges of walks."""
    return blocks_of({"ranges": [{"walks": pair} for pair in ranges], "block_size": block_size})


def first_block(parameters: Mapping[str, Any]) -> RunSpec:
    """Say which run the walks of an archive's first block are, from the parameters in its manifest."""
    walks = blocks_of(parameters)[0][1]
    return RunSpec(walks, parameters["seed"], parameters["block_size"], scheme=scheme_of(parameters))


@dataclass(frozen=True)
class Recipe:
    """All that determines the rows of every block, beside the networks; what a worker process is given.

    Attributes:
        settings: kernel, start and what is kept.
        ranges: numbers of the walks, first and one behind the last, of every run that added some.
        seed: of all randomness, >= 0.
        block_size: walks a block, >= 1.
        storage: how samples are kept.
        radius: of the training data, data units.
        start: in place of the settings' start.
        constraint: wraps the kernel, to put back what is known.
        labels: where labels come from; None: samples get none.
        filters: which samples are kept.
        scheme: of the noise, see :func:`reinject.base.streams.stream`.
    """

    settings: Settings
    ranges: tuple[tuple[int, int], ...]
    seed: int
    block_size: int
    storage: Storage
    radius: float = 1.0
    start: Start | None = None
    constraint: Constraint | None = None
    labels: Labels | None = None
    filters: tuple[Filter, ...] = ()
    scheme: int = SCHEME

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """First walk, and one behind the last, of every block."""
        return blocks_in(self.ranges, self.block_size)

    @property
    def rows(self) -> int:
        """Samples, if no walk is stopped."""
        return samples_per_walk(self.settings) * sum(last - first for first, last in self.ranges)


def block_sampler(r: Ensemble, C: Classifier | None, recipe: Recipe) -> tuple[MakeBlock, Walker]:
    """What makes the rows of a block, after a look at whether it can; and what walks.

    Raises:
        ReinjectError: a number out of range, a kernel that cannot walk this r.
    """
    settings = recipe.settings
    walker = settings.build(r, recipe.radius, start=recipe.start, classifier=C, constraint=recipe.constraint)
    labels, labelling = (Labels(), None) if recipe.labels is None else (recipe.labels, C)
    store = StoreSpec(recipe.storage, labels, recipe.filters, len(r.members), walker.transform)
    ends = [last for _, last in recipe.blocks]

    def make(number: int, *blocks: int) -> Iterator[LabelledSamples]:
        run = RunSpec(ends[number], recipe.seed, recipe.block_size, blocks, recipe.scheme)
        begin = (walker.kernel, walker.start, labelling, walker.event_shape)
        return synthesise(*begin, settings.walk, run, store, r.device)

    make(-1)  # checks the numbers before anything is written
    return lambda number: make(number, number), walker


def prepare(
    autoencoders: Sequence[Path],
    classifiers: Sequence[Path],
    device: str,
    execution: Execution,
    recipe: Recipe,
    places: Mapping[str, Path] = MappingProxyType({}),
) -> MakeBlock:
    """As :func:`block_sampler`, in another process, which reads the models itself.

    Arguments:
        autoencoders, classifiers: their folders.
        device, execution: where and how they are run.
        recipe: what determines the rows.
        places: where the folders lie, by their names, if elsewhere.
    """
    networks, judges = (
        tuple(load(places.get(str(folder), folder), device) for folder in folders)
        for folders in (autoencoders, classifiers)
    )
    models = Models(networks, judges)
    return block_sampler(models.ensemble(execution), models.C, recipe)[0]
