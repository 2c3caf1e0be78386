"""What makes the rows of a block: models, settings, seed and ranges of walks put together."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from reinject.archive import MakeBlock, blocks_of
from reinject.base.streams import SCHEME
from reinject.data.samples import Storage
from reinject.models.bundle import load
from reinject.models.loading import Models
from reinject.models.voting import Classifier
from reinject.sampling.filters import Filter
from reinject.sampling.presets import Held, Settings, Walker
from reinject.sampling.synthesis import Labels, synthesise
from reinject.walks.execution import Execution
from reinject.walks.reconstruction import Ensemble
from reinject.walks.starts import Start


def rows_of(settings: Settings) -> int:
    """How many samples a walk keeps.

    Example:
        >>> rows_of(Settings("langevin", steps=10, burn_in=2, thin=3))
        3
    """
    return len(range(settings.burn_in, settings.steps + 1, settings.thin))


def blocks_in(ranges: Sequence[tuple[int, int]], block_size: int) -> list[tuple[int, int]]:
    """First walk, and one behind the last, of every block of some ranges of walks."""
    return blocks_of({"ranges": [{"walks": pair} for pair in ranges], "block_size": block_size})


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
        held: wraps the kernel, to put back what is known.
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
    held: Held | None = None
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
        return rows_of(self.settings) * sum(last - first for first, last in self.ranges)


def maker(r: Ensemble, C: Classifier | None, recipe: Recipe) -> tuple[MakeBlock, Walker]:
    """What makes the rows of a block, after a look at whether it can; and what walks.

    Raises:
        ReinjectError: a number out of range, a kernel that cannot walk this r.
    """
    settings = recipe.settings
    walker = settings.build(r, recipe.radius, start=recipe.start, classifier=C, held=recipe.held)
    make = functools.partial(
        synthesise,
        walker.kernel,
        walker.start,
        None if recipe.labels is None else C,
        walker.event_shape,
        **settings.walking(),
        seed=recipe.seed,
        block_size=recipe.block_size,
        seen=walker.seen,
        storage=recipe.storage,
        models=len(r.members),
        labels=recipe.labels,
        filters=recipe.filters,
        device=r.device,
        scheme=recipe.scheme,
    )
    ends = [last for _, last in recipe.blocks]
    make(walks=ends[-1])  # checks the numbers before anything is written
    return lambda number: make(walks=ends[number], blocks=[number]), walker


def prepare(
    autoencoders: Sequence[Path],
    classifiers: Sequence[Path],
    device: str,
    execution: Execution,
    recipe: Recipe,
    places: Mapping[str, Path] = MappingProxyType({}),
) -> MakeBlock:
    """As :func:`maker`, in another process, which reads the models itself.

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
    return maker(models.ensemble(execution), models.C, recipe)[0]
