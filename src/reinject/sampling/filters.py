"""Which samples are kept: rules that stream, each a pure function of the block that it is given.

A block is the unit of work, so a rule that looks at more than one sample looks at those of one block: then the kept
samples do not depend on the number of workers, or on where a run was cut.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from reinject.base.errors import ArgumentError, check_count, check_positive
from reinject.base.files import fingerprint
from reinject.data.samples import LabelledSamples, Storage

Keep = Callable[[LabelledSamples, Tensor], Tensor]
_KNOWN = 0.1  # weight of what a student is sure of, where what it would get wrong has 1.1
_CHUNK = 8192  # points that a part is compared with at a time


class Filter(Protocol):
    """A frozen dataclass with a name, under which the samples that it refuses are counted."""

    @property
    def name(self) -> str:
        """Of the rule."""
        ...

    def begin(self, block: int) -> Keep:
        """What says of each part of a block, and of its samples in data units, which rows are kept: bool, (B,)."""
        ...


@dataclass(frozen=True)
class Confidence:
    """Keeps samples whose most probable class has at least this probability.

    Attributes:
        least: in [0, 1].

    Example:
        >>> Confidence(1.5)
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: --confidence: 1.5 is no probability. Give 0 to 1.
    """

    least: float
    name = "confidence"

    def __post_init__(self) -> None:
        if not 0 <= self.least <= 1:
            raise ArgumentError("--confidence", f"{self.least} is no probability", "Give 0 to 1")

    def begin(self, block: int) -> Keep:  # noqa: ARG002
        """p_max >= least."""
        return lambda part, _: part.probabilities.amax(1) >= self.least


@dataclass(frozen=True)
class Unlearned:
    """Prefer samples whose label a small classifier, the student, does not give yet: weights 1.1 - p(label).

    p are the student's probabilities. After each step, samples of a class are drawn until ceil(share n) of the n that
    the block has had are kept, so each class keeps its share of the set. The draw is without replacement, one after
    another, each with probability w_i over the sum of those that are left: the samples kept are those with the smallest
    -log(u_i)/w_i, u uniform. Samples without a label go through. Fewer samples teach as much, since most of what is
    left out is known already; not all of it goes, for the next student begins from nothing and has to see what a class
    mostly looks like, which the 0.1 is for.

    Attributes:
        student: x (B, *event), data units -> p (B, classes), such as
            ``functools.partial(reinject.models.voting.classify, network)``.
        share: in (0, 1]; 1 keeps all.
        seed: of the draw, which is a function of (seed, block) too.
        sha256: of what the student knows, for the record.

    Source: Paul, Ganguli and Dziugaite 2021 (the error of a student early in training says which rows teach);
        Efraimidis and Spirakis 2006 (the draw).

    Example:
        >>> Unlearned(lambda x: x, share=2.0)
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: --unlearned: 2.0 is no share. Give more than 0, and 1 at most.
    """

    student: Callable[[Tensor], Tensor] = field(repr=False)
    share: float
    seed: int = 0
    sha256: str = ""
    name = "known to the student"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ArgumentError("--unlearned", f"{self.share} is no share", "Give more than 0, and 1 at most")

    def begin(self, block: int) -> Keep:
        """Its -log(u)/(1.1 - p(label)) is one of the smallest of its class and step."""

        def weights(part: LabelledSamples, x: Tensor) -> Tensor:
            p = self.student(x).double().gather(1, part.label.clamp(min=0)[:, None])
            return 1 + _KNOWN - p[:, 0]

        return _drawing(weights, self.share, np.random.default_rng([self.seed, block, 0, 3]))


@dataclass(frozen=True)
class Borders:
    """The rule of ``--borders``, an option until version 0.1, by which old archives are made again.

    As :class:`Unlearned`, with weights 1 - margin; the margin is p_1 - p_2 of the labelling classifier's two most
    probable classes. No option makes it any more. The name, the fields and the draw are those of the manifests.

    Attributes:
        share: in (0, 1]; 1 keeps all.
        seed: of the draw, which is a function of (seed, block) too.
    """

    share: float
    seed: int = 0
    name = "far from borders"

    def begin(self, block: int) -> Keep:
        """Its -log(u)/(1 - margin) is one of the smallest of its class and step."""

        def weights(part: LabelledSamples, _: Tensor) -> Tensor:
            first, second = part.probabilities.double().topk(2, dim=1).values.unbind(1)
            return 1 - first + second

        return _drawing(weights, self.share, np.random.default_rng([self.seed, block, 0, 2]))


def _drawing(weights: Callable[[LabelledSamples, Tensor], Tensor], share: float, rng: np.random.Generator) -> Keep:
    """Keeps a share of each class of a block, drawn with weights w >= 0 after each step; and what has no label.

    The generator is that of (seed, block, 0, one more word): the walks' noise comes from three words.
    """
    seen: Counter[int] = Counter()

    def keep(part: LabelledSamples, x: Tensor) -> Tensor:
        drawn_at = torch.from_numpy(rng.exponential(size=len(part.label))) / weights(part, x)
        kept = part.label < 0
        for k in set(part.label.tolist()) - {-1}:
            rows = (part.label == k).nonzero().flatten()
            before, seen[k] = seen[k], seen[k] + len(rows)
            order = drawn_at[rows].argsort(stable=True)
            kept[rows[order[: math.ceil(share * seen[k]) - math.ceil(share * before)]]] = True
        return kept

    return keep


@dataclass(frozen=True)
class Quota:
    """Keeps the first so many samples of each class of a block; samples without a label go through.

    Attributes:
        most: samples of a class a block, >= 1.
        each: the same for each block by its number, where blocks of fewer walks have fewer; none: ``most`` for all.
    """

    most: int
    each: tuple[int, ...] = field(default=(), repr=False)
    name = "quota"

    def __post_init__(self) -> None:
        check_count("--quota", "quota", self.most)

    def begin(self, block: int) -> Keep:
        """The number of samples of its class up to it, itself included, is at most the block's."""
        seen: dict[int, int] = {}
        most = self.each[block] if self.each else self.most

        def keep(part: LabelledSamples, _: Tensor) -> Tensor:
            kept = torch.ones(len(part.label), dtype=torch.bool)
            for k in set(part.label.tolist()):
                if k >= 0:
                    rows = (part.label == k).nonzero().flatten()
                    left = most - seen.get(k, 0)
                    kept[rows[max(left, 0) :]] = False
                    seen[k] = seen.get(k, 0) + min(len(rows), max(left, 0))
            return kept

        return keep


@dataclass(frozen=True)
class Weights:
    """Keeps a sample of class k with probability w_k / max w; samples without a label go through.

    Attributes:
        weights: w_k >= 0 of every class, not all 0.
        seed: of the draw, which is a function of (seed, block) too.

    Example:
        >>> Weights((1.0, -1.0))
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: --class-weights: (1.0, -1.0) are no weights. Give numbers >= 0, not all 0.
    """

    weights: tuple[float, ...]
    seed: int = 0
    name = "class weights"

    def __post_init__(self) -> None:
        fine = all(math.isfinite(w) and w >= 0 for w in self.weights) and any(self.weights)
        if not fine:
            raise ArgumentError("--class-weights", f"{self.weights} are no weights", "Give numbers >= 0, not all 0")

    def begin(self, block: int) -> Keep:
        """U < w_label / max w, u uniform."""
        rng = np.random.default_rng([self.seed, block, 0, 1])  # the walks' noise comes from three words
        share = torch.tensor(self.weights, dtype=torch.float64) / max(self.weights)

        def keep(part: LabelledSamples, _: Tensor) -> Tensor:
            u = torch.from_numpy(rng.random(len(part.label)))
            return (part.label < 0) | (u < share[part.label.clamp(min=0)])

        return keep


@dataclass(frozen=True)
class Distinct:
    """Keeps samples that are no near-duplicates of one kept before in the same block; blocks are not compared.

    Attributes:
        distance: root mean square difference of two samples below which one of them goes, > 0, data units.
    """

    distance: float
    name = "near-duplicates"

    def __post_init__(self) -> None:
        check_positive("--distinct", "distance", self.distance)

    def begin(self, block: int) -> Keep:  # noqa: ARG002
        """No sample kept before is closer than ``distance``."""
        kept: list[Tensor] = []

        def keep(_: LabelledSamples, x: Tensor) -> Tensor:
            flat = x.flatten(1)
            yes = ~_near(flat, kept, self.distance)
            exact = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")  # copies are at 0, not nearly
            close = exact / math.sqrt(flat.shape[1]) < self.distance
            for row in range(len(flat)):
                if yes[row]:
                    yes[row + 1 :] &= ~close[row, row + 1 :]
            kept.append(flat[yes])
            return yes

        return keep


@dataclass(frozen=True)
class Apart:
    """Refuses samples closer than a stated distance to any of some points: records that must not come out again.

    The nearest point is found by matrix products, then its distance is computed directly.

    Attributes:
        points: (N, *event), data units.
        distance: least root mean square difference to a point, > 0, data units.

    Example:
        >>> rule = Apart(torch.zeros(1, 4), 0.5).begin(0)
        >>> rule(None, torch.tensor([[0.4] * 4, [0.6] * 4])).tolist()
        [False, True]
    """

    points: Tensor = field(repr=False)
    distance: float = 0.0
    sha256: str = field(init=False)
    name = "near private points"

    def __post_init__(self) -> None:
        check_positive("--apart", "distance", self.distance)
        if len(self.points) == 0 or not bool(torch.isfinite(self.points).all()):
            raise ArgumentError("--private", f"points of shape {tuple(self.points.shape)}", "Give some finite ones")
        object.__setattr__(self, "sha256", fingerprint(self.points))

    def begin(self, block: int) -> Keep:  # noqa: ARG002
        """The distance to the nearest point is at least ``distance``."""
        points = self.points.float().flatten(1)
        return lambda _, x: ~_near(x.flatten(1), torch.split(points, _CHUNK), self.distance)


def _near(x: Tensor, parts: Iterable[Tensor], distance: float) -> Tensor:
    """Whether a point of the parts is closer than ``distance`` to each row of x, (B, n)."""
    found = torch.zeros(len(x), dtype=torch.bool)
    for points in parts:
        if len(points) and len(x):
            nearest = torch.cdist(x, points).argmin(1)
            found |= (x - points[nearest]).square().mean(1).sqrt() < distance
    return found


def filtered(
    parts: Iterable[LabelledSamples], filters: Sequence[Filter], storage: Storage
) -> Iterator[LabelledSamples]:
    """The parts with the rows that every filter keeps, and with what each of them dropped, in their order.

    Arguments:
        parts: labelled samples, those of a block one after another.
        filters: asked in this order; a sample that one refuses is not shown to the next.
        storage: how the samples are kept.
    """
    block, keeps = -1, list[Keep]()
    for part in parts:
        if part.block != block:
            block, keeps = part.block, [one.begin(part.block) for one in filters]
        left, x, dropped = part, storage.load(part.x), dict(part.dropped)
        for one, keep in zip(filters, keeps, strict=True):
            kept = keep(left, x)
            dropped[one.name] = int((~kept).sum())
            left, x = left.rows(kept), x[kept]
        yield replace(left, dropped=dropped)
