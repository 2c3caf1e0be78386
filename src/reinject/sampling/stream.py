"""Stream samples as a PyTorch data set that walks during training, without a disk."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from reinject.archive.reading import Reading
from reinject.base.errors import ArgumentError
from reinject.data.samples import LabelledSamples, Storage
from reinject.models.loading import Models, levels_of, load_models
from reinject.models.votes import ready
from reinject.sampling.choosing import settled
from reinject.sampling.presets import Settings
from reinject.sampling.recipe import Recipe, block_sampler, blocks_in, samples_per_walk
from reinject.sampling.sample_spec import SampleSpec
from reinject.sampling.selection import certain_classes, resolve_private


class Stream(IterableDataset[tuple[Tensor, int]]):
    """Stream pairs (x, label) in data units; every pass makes new walks.

    One process yields the rows that ``reinject sample`` writes with the same seed, in the same order. Each of n workers
    of a DataLoader makes every n-th block. Pass e has the seed ``seed + e``. Workers do not count passes: call
    :meth:`set_epoch` before each. Rows of a block and step are consecutive: shuffle with a buffer, or use several
    workers.

    Arguments:
        models: one or several folders of models, as for ``reinject sample``.
        spec: what to sample, as for :func:`reinject.sample`; default: pilot walks choose. Its selection must not use
            ``unlearned``, which trains a classifier.
        walks: walks in a pass, >= 1.
        seed: seed of the first pass, >= 0.
        data_dir: folder to search first for data sets of starts and private points.
        split_seed: seed that splits a data set without a test part.
        device: device of the models.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> stream = Stream(["models"], walks=1000)                    # doctest: +SKIP
        >>> for x, y in DataLoader(stream, batch_size=128): ...        # doctest: +SKIP
    """

    def __init__(
        self,
        models: Sequence[Path | str] | Path | str,
        spec: SampleSpec | Settings | str = "auto",
        *,
        walks: int = 10_000,
        seed: int = 0,
        data_dir: str | None = None,
        split_seed: int = 0,
        device: str = "cpu",
    ) -> None:
        several = [models] if isinstance(models, (str, Path)) else models
        self.folders = [Path(folder) for folder in several]
        self.walks, self.seed = walks, seed
        asked, self.device = SampleSpec.of(spec), device
        self.selection = asked.selection
        self.epoch = 0
        loaded = load_models(self.folders, device, labelled=self.selection.labels != "none")
        if loaded.table is not None:
            raise ArgumentError("Stream", "yields tensors, but these models make rows of a table", "Write an archive")
        reading = Reading(data_dir, split_seed, trained=loaded.splits)
        self.spec = settled(loaded, asked, walks=walks, seed=seed, reading=reading)
        assert self.spec.settings is not None
        self.settings, self.start = self.spec.settings, self.spec.start
        self.private = resolve_private(self.selection, loaded.inputs, reading)
        inputs = loaded.inputs
        self.class_names = inputs.class_names if self.selection.labels != "none" else ()
        self.shape, self.storage = inputs.shape, Storage(levels_of(inputs).kind, inputs.low, inputs.high)
        self._blocks(self.seed)  # fail here rather than in a worker

    def __repr__(self) -> str:
        folders = ", ".join(map(str, self.folders))
        return f"Stream({folders}: {self.walks:,} walks of {samples_per_walk(self.settings)} samples a pass)"

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the next pass, from 0."""
        self.epoch = epoch

    def _models(self) -> Models:
        wanted = self.selection.labels != "none" or bool(self.settings.classes)
        return load_models(self.folders, self.device, labelled=wanted)

    def parts(self, seed: int) -> Iterator[LabelledSamples]:
        """Make the samples of a pass with their probabilities, one step of one of this process's blocks at a time.

        Arguments:
            seed: of the pass, >= 0.
        """
        for block in self._blocks(seed):
            yield from block

    def _blocks(self, seed: int) -> Iterator[Iterable[LabelledSamples]]:
        """Make the samples of this process's blocks."""
        loaded, chosen = self._models(), self.selection
        inputs = loaded.inputs
        recipe = Recipe(
            self.settings,
            ((0, self.walks),),
            seed,
            self.spec.block_size,
            self.storage,
            inputs.radius,
            self.start,
            self.spec.constraint,
            labels=chosen.labels_of(self.settings, certain_classes(loaded.ensemble(), loaded.C, self.settings)),
            filters=chosen.filters(
                self.settings,
                inputs.class_names,
                self.spec.block_size,
                seed,
                self.private,
                blocks_in([(0, self.walks)], self.spec.block_size),
            ),
        )
        C = loaded.C
        r = loaded.ensemble()
        C = None if C is None else ready(C, self.device, r.event_shape, recipe.storage)
        make_block, _ = block_sampler(r, C, recipe)
        info = get_worker_info()
        first, stride = (0, 1) if info is None else (info.id, info.num_workers)
        return (make_block(number) for number in range(first, len(recipe.blocks), stride))

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        seed, self.epoch = self.seed + self.epoch, self.epoch + 1
        if get_worker_info() is not None:
            torch.set_num_threads(1)
        for part in self.parts(seed):
            yield from zip(self.storage.load(part.x), part.label.tolist(), strict=True)
