"""Rehearse: endless blocks of labelled rows from a folder of models, from networks in memory, or from an archive."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from reinject.archive import Archive
from reinject.archive.schema import MANIFEST
from reinject.base.errors import ArchiveError, ModelError
from reinject.base.files import place_of
from reinject.data.samples import LabelledSamples, Storage, usual_kind
from reinject.models.votes import Classifier, ready
from reinject.sampling.algorithm1 import Labels
from reinject.sampling.choosing import settings_in_memory
from reinject.sampling.recipe import Recipe, block_sampler
from reinject.sampling.sample_spec import SampleSpec
from reinject.sampling.selection import names_of
from reinject.sampling.stream import Stream
from reinject.walks.reconstruction import Ensemble, Reconstruction, ensemble_of

WALKS = 10_000  # of a pass; the next pass has the next seed
Networks = tuple[Reconstruction | Ensemble | Sequence[Reconstruction], Classifier]
Models = Path | str | Sequence[Path | str] | Networks


@dataclass(frozen=True)
class Block:
    """Hold the rehearsed rows of one block.

    Attributes:
        x: samples, (B, *event), float32, data units.
        label: classes in the models' order, int64, (B,), all >= 0.
        probabilities: of all classes, float32, (B, classes).
    """

    x: Tensor
    label: Tensor
    probabilities: Tensor

    def take(self, index: Tensor) -> "Block":
        """Return the rows of the given numbers."""
        return Block(self.x[index], self.label[index], self.probabilities[index])


@dataclass(frozen=True)
class Source:
    """Describe rehearsed rows: their classes, shape and range, and how to make them.

    Attributes:
        name: of the models or the archive, for messages.
        class_names: in the order of the labels.
        shape: of one sample.
        storage: storage of the samples; its range is theirs.
        blocks: number of a pass -> its blocks, one at a time; a worker of a DataLoader makes its share.
    """

    name: str
    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    storage: Storage
    blocks: Callable[[int], Iterator[Block]]


def source_of(models: Models, spec: SampleSpec, seed: int, device: str) -> Source:
    """Make the source of a folder of models, of several, of an archive, or of networks in memory.

    Arguments:
        models: folders of models; an archive; or the pair (r, C) of networks.
        spec: what to sample; an archive needs none.
        seed: seed of the first pass of walks; later passes have the next seeds.
        device: device of models from folders.

    Raises:
        ModelError, ArchiveError: unusable models, or samples without labels.
    """
    if isinstance(models, tuple) and len(models) == 2 and callable(models[1]):
        return _in_memory(models[0], models[1], spec, seed)
    several = [models] if isinstance(models, (str, Path)) else models
    first = place_of(several[0])
    if len(several) == 1 and (first / MANIFEST).is_file():
        return _archived(Archive.open(first))
    stream = Stream([Path(one) for one in several], spec, walks=WALKS, seed=seed, device=device)
    if not stream.class_names:
        raise ModelError(str(first), "has no labels to rehearse", "Give models with a classifier")
    storage = stream.storage
    return Source(
        str(first), stream.class_names, stream.shape, storage, lambda e: _joined(stream.parts(seed + e), storage)
    )


def _in_memory(
    r: Reconstruction | Ensemble | Sequence[Reconstruction], C: Classifier, spec: SampleSpec, seed: int
) -> Source:
    ensemble = ensemble_of(r)
    storage = Storage(spec.format.kind or usual_kind(ensemble.event_shape), *spec.format.value_range)
    labelling = ready(C, ensemble.device, ensemble.event_shape, storage)
    settings = spec.settings or settings_in_memory(ensemble, labelling, storage, spec.radius, seed, spec)[1]
    chosen = spec.selection.labels_of(settings) or Labels()
    recipe = Recipe(
        settings, ((0, WALKS),), seed, spec.block_size, storage, spec.radius, spec.start, spec.constraint, chosen
    )

    def blocks(number: int) -> Iterator[Block]:
        make, _ = block_sampler(ensemble, labelling, replace(recipe, seed=seed + number))
        return _joined((part for block in _own(len(recipe.blocks)) for part in make(block)), storage)

    names = names_of(labelling, ensemble, spec.class_names)
    return Source("the networks", names, ensemble.event_shape, storage, blocks)


def _archived(archive: Archive) -> Source:
    if not archive.class_names:
        raise ArchiveError(str(archive.folder), "has no labels to rehearse", "Sample without --labels none")

    def blocks(number: int) -> Iterator[Block]:
        shards = len(archive.manifest["shards"])
        order = np.random.default_rng(number).permutation(shards).tolist()
        for shard in (order[k] for k in _own(shards)):
            yield _shard(archive, shard)

    return Source(str(archive.folder), archive.class_names, archive.event_shape, archive.storage, blocks)


def _shard(archive: Archive, number: int) -> Block:
    part = Archive(archive.folder, {**archive.manifest, "shards": [archive.manifest["shards"][number]]})
    ((stored, table),) = part.shards()
    label = torch.from_numpy(table.column("label").to_numpy().astype(np.int64))
    p = torch.from_numpy(np.stack(table.column("probabilities").to_numpy(zero_copy_only=False)).astype(np.float32))
    return Block(archive.storage.load(stored), label, p).take(label >= 0)


def _own(blocks: int) -> range:
    """Return the numbers of this process's blocks."""
    info = get_worker_info()
    return range(blocks) if info is None else range(info.id, blocks, info.num_workers)


def _joined(parts: Iterator[LabelledSamples], storage: Storage) -> Iterator[Block]:
    """Join the steps of each block; rows without a label (-1) are left out."""
    for _, same in groupby(parts, lambda part: part.block):
        steps = list(same)
        x, label, p = (torch.cat([getattr(part, name) for part in steps]) for name in ("x", "label", "probabilities"))
        yield Block(storage.load(x), label, p).take(label >= 0)
