"""Filter samples by streaming rules, each a pure function of one block.

A block is the unit of work. A rule that compares samples compares those of one block. So the kept samples depend
neither on the number of workers nor on interruptions.
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
_KNOWN = 0.1  # weight at p(label) = 1; the weight at p(label) = 0 is 1.1
_CHUNK = 8192  # points in one comparison


class Filter(Protocol):
    """Describe a filter: a frozen dataclass with a name, under which dropped samples are counted."""

    @property
    def name(self) -> str:
        """Name of the rule."""
        ...

    def begin(self, block: int) -> Keep:
        """Make the rule of one block: (part, samples in data units) -> rows to keep, bool, (B,)."""
        ...


@dataclass(frozen=True)
class Confidence:
    """Keep samples whose most probable class has at least this probability.

    Attributes:
        least: least probability, in [0, 1].

    Example:
        >>> Confidence(1.5)
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: --confidence: 1.5 is not a probability. Give 0 to 1.
    """

    least: float
    name = "confidence"

    def __post_init__(self) -> None:
        if not 0 <= self.least <= 1:
            raise ArgumentError("--confidence", f"{self.least} is not a probability", "Give 0 to 1")

    def begin(self, block: int) -> Keep:  # noqa: ARG002
        """Make the rule p_max >= least."""
        return lambda part, _: part.probabilities.amax(1) >= self.least


@dataclass(frozen=True)
class Unlearned:
    """Prefer samples that a small classifier, the student, labels otherwise: weights w = 1.1 - p(label).

    p are the student's probabilities. Each class keeps its share of the set: after each step the block keeps
    ceil(share n) of its n samples of a class so far. The draw has no replacement: the kept samples have the smallest
    -log(u_i)/w_i, u uniform. Samples without a label pass. Fewer samples teach as much: most dropped
    samples are easy for the student already. The weight 0.1 keeps some typical samples, which a new student needs.

    Attributes:
        student: x (B, *event), data units -> p (B, classes), such as
            ``functools.partial(reinject.models.votes.classify, network)``.
        share: share of each class to keep, in (0, 1]; 1 keeps all.
        seed: seed of the draw; the draw is a function of (seed, block).
        sha256: fingerprint of the student, for the record.

    Source: Paul, Ganguli and Dziugaite 2021 (the error of a student early in training ranks training rows);
        Efraimidis and Spirakis 2006 (the draw).

    Example:
        >>> Unlearned(lambda x: x, share=2.0)
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: --unlearned: 2.0 is not a share. Give a number in (0, 1].
    """

    student: Callable[[Tensor], Tensor] = field(repr=False)
    share: float
    seed: int = 0
    sha256: str = ""
    name = "known to the student"

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ArgumentError("--unlearned", f"{self.share} is not a share", "Give a number in (0, 1]")

    def begin(self, block: int) -> Keep:
        """Make the rule: -log(u)/(1.1 - p(label)) is among the smallest of its class and step."""

        def weights(part: LabelledSamples, x: Tensor) -> Tensor:
            p = self.student(x).double().gather(1, part.label.clamp(min=0)[:, None])
            return 1 + _KNOWN - p[:, 0]

        return _drawing(weights, self.share, np.random.default_rng([self.seed, block, 0, 3]))


@dataclass(frozen=True)
class Borders:
    """Prefer samples near class borders. Old archives need this rule; no option makes it.

    It was ``--borders`` until version 0.1. It draws as :class:`Unlearned` does, with weights 1 - margin. The margin is
    p_1 - p_2 of the labelling classifier's two most probable classes. Old manifests fix name, fields and draw.

    Attributes:
        share: share of each class to keep, in (0, 1]; 1 keeps all.
        seed: seed of the draw; the draw is a function of (seed, block).
    """

    share: float
    seed: int = 0
    name = "far from borders"

    def begin(self, block: int) -> Keep:
        """Make the rule: -log(u)/(1 - margin) is among the smallest of its class and step."""

        def weights(part: LabelledSamples, _: Tensor) -> Tensor:
            first, second = part.probabilities.double().topk(2, dim=1).values.unbind(1)
            return 1 - first + second

        return _drawing(weights, self.share, np.random.default_rng([self.seed, block, 0, 2]))


def _drawing(weights: Callable[[LabelledSamples, Tensor], Tensor], share: float, rng: np.random.Generator) -> Keep:
    """Draw a share of each class of a block with weights w >= 0, after each step; keep unlabelled samples.

    The generator has four words, (seed, block, 0, k). The walks' noise has three, so the two are independent.
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
    """Keep the first samples of each class of a block; samples without a label pass.

    Attributes:
        most: most samples of a class in a block, >= 1.
        each: ``most`` of each block by its number, for blocks of different sizes; none: ``most`` for all.
    """

    most: int
    each: tuple[int, ...] = field(default=(), repr=False)
    name = "quota"

    def __post_init__(self) -> None:
        check_count("--quota", "quota", self.most)

    def begin(self, block: int) -> Keep:
        """Make the rule: a sample's number within its class and block is at most the quota."""
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
    """Keep a sample of class k with probability w_k / max w; samples without a label pass.

    Attributes:
        weights: w_k >= 0 of every class, not all 0.
        seed: seed of the draw; the draw is a function of (seed, block).

    Example:
        >>> Weights((1.0, -1.0))
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: --class-weights: (1.0, -1.0) are not weights. Give numbers >= 0, not all 0.
    """

    weights: tuple[float, ...]
    seed: int = 0
    name = "class weights"

    def __post_init__(self) -> None:
        fine = all(math.isfinite(w) and w >= 0 for w in self.weights) and any(self.weights)
        if not fine:
            raise ArgumentError("--class-weights", f"{self.weights} are not weights", "Give numbers >= 0, not all 0")

    def begin(self, block: int) -> Keep:
        """Make the rule u < w_label / max w, u uniform."""
        rng = np.random.default_rng([self.seed, block, 0, 1])  # the walks' noise has three words
        share = torch.tensor(self.weights, dtype=torch.float64) / max(self.weights)

        def keep(part: LabelledSamples, _: Tensor) -> Tensor:
            u = torch.from_numpy(rng.random(len(part.label)))
            return (part.label < 0) | (u < share[part.label.clamp(min=0)])

        return keep


@dataclass(frozen=True)
class Distinct:
    """Drop near-duplicates of earlier samples in the same block. Samples of different blocks are not compared.

    Attributes:
        distance: least root mean square difference of two samples, > 0, data units.
    """

    distance: float
    name = "near-duplicates"

    def __post_init__(self) -> None:
        check_positive("--distinct", "distance", self.distance)

    def begin(self, block: int) -> Keep:  # noqa: ARG002
        """Make the rule: no kept sample is closer than ``distance``."""
        kept: list[Tensor] = []

        def keep(_: LabelledSamples, x: Tensor) -> Tensor:
            flat = x.flatten(1)
            yes = ~_near(flat, kept, self.distance)
            exact = torch.cdist(
                flat, flat, compute_mode="donot_use_mm_for_euclid_dist"
            )  # exact: copies have distance 0
            close = exact / math.sqrt(flat.shape[1]) < self.distance
            for row in range(len(flat)):
                if yes[row]:
                    yes[row + 1 :] &= ~close[row, row + 1 :]
            kept.append(flat[yes])
            return yes

        return keep


@dataclass(frozen=True)
class Apart:
    """Drop samples closer than a given distance to private points.

    Matrix products find the nearest point; then its distance is computed directly.

    Attributes:
        points: private points, (N, *event), data units.
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
            raise ArgumentError(
                "--private", f"points of shape {tuple(self.points.shape)} are empty or not finite", "Give finite points"
            )
        object.__setattr__(self, "sha256", fingerprint(self.points))

    def begin(self, block: int) -> Keep:  # noqa: ARG002
        """Make the rule: the distance to the nearest point is at least ``distance``."""
        points = self.points.float().flatten(1)
        return lambda _, x: ~_near(x.flatten(1), torch.split(points, _CHUNK), self.distance)


def _near(x: Tensor, parts: Iterable[Tensor], distance: float) -> Tensor:
    """Find the rows of x, (B, n), that are closer than ``distance`` to a point of the parts."""
    found = torch.zeros(len(x), dtype=torch.bool)
    for points in parts:
        if len(points) and len(x):
            nearest = torch.cdist(x, points).argmin(1)
            found |= (x - points[nearest]).square().mean(1).sqrt() < distance
    return found


def filtered(
    parts: Iterable[LabelledSamples], filters: Sequence[Filter], storage: Storage
) -> Iterator[LabelledSamples]:
    """Apply filters to parts, and count what each filter drops.

    Arguments:
        parts: labelled samples; parts of a block are consecutive.
        filters: filters, applied in this order; each one sees only the rows that the earlier ones keep.
        storage: how the samples are stored.
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
