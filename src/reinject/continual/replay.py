"""Add rehearsed rows to the batches of any training loop."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from reinject.base.errors import ArgumentError, ModelError, check_count
from reinject.base.random_streams import stream
from reinject.continual.rehearsal import Block, Models, Source, source_of
from reinject.continual.union import places_of
from reinject.sampling.presets import Settings
from reinject.sampling.sample_spec import SampleSpec

_MARGIN = 0.1  # of the range: a loader's values beyond it are in other units


def check_share(owner: str, share: float) -> None:
    """Raise ArgumentError unless a share lies between 0 and 1."""
    if not 0 < share < 1:
        raise ArgumentError(owner, f"share = {share}", "Give a share between 0 and 1")


class Replay(IterableDataset[tuple[Tensor, Tensor]]):
    """Rehearse what models remember: add their labelled samples to every batch of a training loop.

    A batch of b rows gets b s / (1 - s) rehearsed rows, s the share. Rows come from one shuffled block of walks at a
    time, so memory does not grow with the length of the training. Rehearsed rows never repeat with models, which walk
    during training. An archive costs no walks, and repeats after its last row.

    As an ``IterableDataset`` it yields single rows without end. Each of n workers of a DataLoader makes every n-th
    block.

    Arguments:
        models: a folder of models or several; an archive of ``reinject sample``; or the pair (r, C) of an autoencoder
            of :func:`reinject.wrap` and its classifier.
        spec: what to sample, as for :func:`reinject.sample`; an archive needs none.
        class_names: names of the loop's classes, in the order of its labels. The models' classes are found by name.
            Default: the models' classes, in their order.
        share: rehearsed share of a mixed batch, in (0, 1).
        soft: give labels as probabilities, float32, (B, classes), for ``cross_entropy``; else as classes, int64, (B,).
        transform: function of samples in the models' data units (B, *event), such as the loader's normalisation.
        seed: seed of the first pass of walks and of the order of rows, >= 0.
        device: device of models from folders.

    Raises:
        ArgumentError: a share outside (0, 1), or a class of the models that ``class_names`` lacks.
        ModelError: unusable models, or models without a classifier.

    Source: Shin et al. 2017, arXiv 1705.08690 (generative replay).

    Example:
        >>> replay = Replay("models", class_names=("cat", "dog", "car"))  # doctest: +SKIP
        >>> for x, y in replay.mix(loader):  # doctest: +SKIP
        ...     loss = torch.nn.functional.cross_entropy(network(x), y)
    """

    def __init__(
        self,
        models: Models,
        spec: SampleSpec | Settings | str = "auto",
        *,
        class_names: Sequence[str] = (),
        share: float = 0.5,
        soft: bool = True,
        transform: Callable[[Tensor], Tensor] | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        check_share("Replay", share)
        self.source: Source = source_of(models, SampleSpec.of(spec), seed, device)
        self.named = bool(len(class_names))
        self.class_names = tuple(class_names) or self.source.class_names
        self.places = places_of(self.source.class_names, self.class_names, self.source.name)
        self.share, self.soft, self.transform, self.seed = share, soft, transform, seed
        self._blocks = self._shuffled()
        self._pool: Block | None = None

    def __repr__(self) -> str:
        return f"Replay({self.source.name}: {len(self.places)} of {len(self.class_names)} classes, {self.share:.0%})"

    def draw(self, rows: int) -> tuple[Tensor, Tensor]:
        """Return the next rehearsed rows and their labels, on the CPU.

        Arguments:
            rows: number of rows, >= 1.

        Raises:
            ArgumentError: fewer than one row.
        """
        check_count("Replay", "rows", rows)
        taken: list[Block] = []
        while rows:
            pool = self._pool if self._pool is not None and len(self._pool.label) else next(self._blocks)
            here = torch.arange(len(pool.label))
            taken.append(pool.take(here[:rows]))
            self._pool = pool.take(here[rows:])
            rows -= len(taken[-1].label)
        parts = [self._as_asked(one) for one in taken]
        return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])

    def join(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch with rehearsed rows behind it, on the batch's device.

        Arguments:
            x: new rows, (B, *event), float, in the models' data units, or in those of ``transform``.
            y: their classes, integers, (B,); or probabilities, (B, classes).

        Raises:
            ArgumentError: rows of another shape or range than the models', or classes that are not named.
        """
        self._check(x, y)
        wide = len(self.class_names)
        if self.soft and y.ndim == 1:
            y = nn.functional.one_hot(y.long(), wide).float()
        old_x, old_y = self.draw(max(1, round(len(x) * self.share / (1 - self.share))))
        return torch.cat([x, old_x.to(x)]), torch.cat([y, old_y.to(y)])

    def mix(self, loader: Iterable[Any]) -> "Mixed":
        """Return the batches of a loader, each with rehearsed rows; Lightning takes it as a loader too.

        Arguments:
            loader: batches (x, y); see :meth:`join`.

        Raises:
            ArgumentError: the loader's data set names other classes than the models, and ``class_names`` is missing.
        """
        names = getattr(getattr(loader, "dataset", None), "classes", None)
        if names is not None and not self.named and tuple(map(str, names)) != self.class_names:
            problem = (
                f"the loader has the classes {', '.join(map(str, names))}, the models {', '.join(self.class_names)}"
            )
            raise ArgumentError("Replay", problem, "Name the loop's classes with class_names")
        return Mixed(self, loader)

    def _check(self, x: Tensor, y: Tensor) -> None:
        shape, wide = tuple(x.shape[1:]), len(self.class_names)
        if not x.is_floating_point():
            raise ArgumentError("Replay", f"a batch has {x.dtype} values", "Convert it to the models' data units")
        if self.transform is None and shape != self.source.shape:
            problem = f"a batch has rows of shape {shape}, the models {self.source.shape}"
            raise ArgumentError("Replay", problem, "Give rows of their shape, or a transform")
        self._check_range(x)
        worst = int(y.max()) if y.ndim == 1 else y.shape[1] - 1
        if worst >= wide:
            problem = f"a batch has class {worst}, beyond the {wide} classes {', '.join(self.class_names)}"
            raise ArgumentError("Replay", problem, "Name all classes of the loop with class_names")

    def _check_range(self, x: Tensor) -> None:
        kept = self.source.storage
        if self.transform is not None or kept.kind == "float" or not x.numel():
            return
        low, high, margin = float(x.min()), float(x.max()), _MARGIN * (kept.high - kept.low)
        if low < kept.low - margin or high > kept.high + margin:
            problem = f"a batch has values {low:.3g}..{high:.3g}, the models take {kept.low:g}..{kept.high:g}"
            raise ArgumentError("Replay", problem, "Scale the data as for the models, or give transform")

    def _as_asked(self, block: Block) -> tuple[Tensor, Tensor]:
        x = block.x if self.transform is None else self.transform(block.x)
        if not self.soft:
            return x, self.places[block.label]
        wide = torch.zeros(len(block.label), len(self.class_names))
        wide[:, self.places] = block.probabilities
        return x, wide

    def _shuffled(self) -> Iterator[Block]:
        """Yield blocks without end, each with its rows in random order."""
        for number in count():
            rows = 0
            for k, block in enumerate(self.source.blocks(number)):
                rows += len(block.label)
                yield block.take(torch.randperm(len(block.label), generator=stream((self.seed, number, k))))
            if not rows:
                raise ModelError(self.source.name, "no walk was left to rehearse", "Look at its verdict")

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for block in self._shuffled():
            yield from zip(*self._as_asked(block), strict=True)


class Mixed:
    """Iterate over a loader's batches, with rehearsed rows in each; of the loader's length.

    Arguments:
        replay: what is rehearsed.
        loader: batches (x, y).
    """

    def __init__(self, replay: Replay, loader: Iterable[Any]) -> None:
        self.replay, self.loader = replay, loader

    def __len__(self) -> int:
        return len(self.loader)  # type: ignore[arg-type]  # fails as the loader does, where it has no length

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self.loader:
            if not isinstance(batch, (tuple, list)) or len(batch) != 2:
                said = f"{type(batch).__name__} of {len(batch)}" if hasattr(batch, "__len__") else type(batch).__name__
                raise ArgumentError("Replay", f"a batch is a {said}", "Give batches (x, y), or call join(x, y)")
            yield self.replay.join(*batch)
