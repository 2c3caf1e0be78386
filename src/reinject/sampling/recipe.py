"""Put together what determines the rows of a block: models, settings, seed, ranges of walks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reinject.archive import MakeBlock, blocks_of, scheme_of
from reinject.base.random_streams import SCHEME
from reinject.data.samples import LabelledSamples, Storage
from reinject.models.bundle import load
from reinject.models.loading import Models
from reinject.models.table_model import TableModel
from reinject.models.votes import Classifier
from reinject.sampling.algorithm1 import Labels, MakeRows, StoreSpec, synthesise
from reinject.sampling.filters import Filter
from reinject.sampling.presets import Constraint, Settings, Walker
from reinject.sampling.table_given import given_of
from reinject.walks.execution import Execution
from reinject.walks.reconstruction import Ensemble
from reinject.walks.specs import RunSpec
from reinject.walks.starts import Start


def samples_per_walk(settings: Settings) -> int:
    """Count the samples that a walk emits.

    Example:
        >>> samples_per_walk(Settings("langevin", steps=10, burn_in=2, thin=3))
        3
    """
    return len(settings.walk.kept)


def blocks_in(ranges: Sequence[tuple[int, int]], block_size: int) -> list[tuple[int, int]]:
    """Return (first, last + 1) walk of every block in some ranges of walks."""
    return blocks_of({"ranges": [{"walks": pair} for pair in ranges], "block_size": block_size})


def first_block(parameters: Mapping[str, Any]) -> RunSpec:
    """Say which run the walks of an archive's first block are, from the parameters in its manifest."""
    walks = blocks_of(parameters)[0][1]
    return RunSpec(walks, parameters["seed"], parameters["block_size"], scheme=scheme_of(parameters))


@dataclass(frozen=True)
class Recipe:
    """Hold what determines the rows of every block, besides the networks. Worker processes get it.

    Attributes:
        settings: kernel, start, length and emission.
        ranges: (first, last + 1) walk of every run that added walks.
        seed: seed of all randomness, >= 0.
        block_size: walks in a block, >= 1.
        storage: how samples are stored.
        radius: radius of the training data, data units.
        start: start of walks; replaces the settings' start.
        constraint: wrapper of the kernel that restores known values.
        labels: source of labels; None: no labels.
        filters: filters of samples.
        scheme: scheme of the noise, see :func:`reinject.base.random_streams.stream`.
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
        """(first, last + 1) walk of every block."""
        return blocks_in(self.ranges, self.block_size)

    @property
    def rows(self) -> int:
        """Number of samples if no walk stops."""
        return samples_per_walk(self.settings) * sum(last - first for first, last in self.ranges)


def block_sampler(
    r: Ensemble, C: Classifier | None, recipe: Recipe, table: TableModel | None = None
) -> tuple[MakeBlock, Walker]:
    """Check a recipe; return the function that makes the rows of a block, and the walker.

    Arguments:
        r: autoencoder.
        C: classifier; None: no labels.
        recipe: recipe of the rows.
        table: encoder that turns points into rows of a table; None: points are samples.

    Raises:
        ReinjectError: a number is out of range, or the kernel does not fit r.
    """
    settings = recipe.settings
    constraint = recipe.constraint
    rows: MakeRows | None = None if table is None else table.rows
    if table is not None and settings.given:
        constraint, rows = given_of(table, settings.given, recipe.block_size, recipe.seed)
    walker = settings.build(r, recipe.radius, start=recipe.start, classifier=C, constraint=constraint)
    labels, labelling = (Labels(), None) if recipe.labels is None else (recipe.labels, C)
    store = StoreSpec(recipe.storage, labels, recipe.filters, len(r.members), walker.transform, rows)
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
    """Read the models in a worker process, then call :func:`block_sampler`.

    Arguments:
        autoencoders, classifiers: folders of the models.
        device, execution: where and how to run the models.
        recipe: recipe of the rows.
        places: name of a folder -> its place on this machine, if they differ.
    """
    networks, judges = (
        tuple(load(places.get(str(folder), folder), device) for folder in folders)
        for folders in (autoencoders, classifiers)
    )
    models = Models(networks, judges)
    return block_sampler(models.ensemble(execution), models.C, recipe, models.table)[0]
