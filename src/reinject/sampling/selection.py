"""Labels and filters as a command line names them, and what they need of the data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from reinject.archive.reading import Reading
from reinject.base.errors import ArgumentError, check_count
from reinject.base.files import fingerprint
from reinject.data.classes import check_names
from reinject.data.samples import LabelledSamples
from reinject.models.voting import Classifier, classify
from reinject.networks import Inputs
from reinject.sampling.algorithm1 import Labels
from reinject.sampling.constraints import points_of
from reinject.sampling.filters import Apart, Borders, Confidence, Distinct, Filter, Keep, Quota, Unlearned, Weights
from reinject.sampling.presets import Settings
from reinject.sampling.recipe import samples_per_walk
from reinject.walks.classifier_outputs import Labeller
from reinject.walks.reconstruction import Ensemble

WALKS = 10_000  # where neither walks nor rows are asked for
SOURCES = ("classifier", "asked", "none")


@dataclass(frozen=True)
class Rows:
    """Keeps the first samples of one walk, the last of a set that has a number of samples and not of walks.

    Attributes:
        walk: its number.
        most: of its samples.
    """

    walk: int
    most: int
    name = "beyond --rows"

    def begin(self, block: int) -> Keep:  # noqa: ARG002
        """Not of this walk, or one of its first."""
        seen = 0

        def keep(part: LabelledSamples, _: Tensor) -> Tensor:
            nonlocal seen
            here = part.walk == self.walk
            seen += int(here.any())
            return ~here if seen > self.most else torch.ones_like(here)

        return keep


def walks_for(rows: int, settings: Settings) -> tuple[int, int | None]:
    """How many walks give so many samples, and ``Selection.rows`` where the last of them gives too many.

    Raises:
        ArgumentError: no samples.

    Example:
        >>> from reinject.sampling.presets import PAPER
        >>> walks_for(90, PAPER), walks_for(100, PAPER)
        ((10, None), (12, 100))
    """
    check_count("--rows", "rows", rows)
    each = samples_per_walk(settings)
    return -(-rows // each), rows if rows % each else None


def walks_asked(rows: int, walks: int | None, append: bool, settings: Settings) -> tuple[int, int | None]:
    """As :func:`walks_for`; raises ArgumentError where walks are given too, or are added to others."""
    if walks is not None or append:
        cure = "Say with --walks how many walks are added" if append else "Give one of the two"
        raise ArgumentError("--rows", f"with {'--append' if append else '--walks'}", cure)
    return walks_for(rows, settings)


@dataclass(frozen=True)
class Selection:
    """Where labels come from, and which samples are kept; JSON values, as in the manifest.

    Attributes:
        labels: "classifier", "asked" (the class that a walk was drawn towards) or "none".
        abstain: probability of the most probable class below which a sample gets no label.
        confidence: the same, below which it is dropped.
        unlearned: share of each class that is kept, drawn with weights 1.1 - p(label) of a small classifier, the
            student, which the first of these walks have taught; 1: all.
        class_weights: w_k >= 0 of every class: samples of class k are kept with probability w_k / max w.
        quota: most samples of a class a block; "even": those of a block shared out evenly.
        distinct: root mean square difference below which the later of two samples goes, data units.
        private: points that samples must keep away from: a DATASET's training images or a .npy file, and
        apart: by how much, root mean square difference, data units.
        rows: samples that are made, where that is no multiple of those of a walk: the last walk has fewer.
        borders: of archives from before 0.2 only, which are traced and repaired by it; no option sets it.

    Raises:
        ArgumentError: a source that is unknown, or ``private`` without ``apart``.
    """

    labels: str = "classifier"
    abstain: float = 0.0
    confidence: float = 0.0
    unlearned: float = 1.0
    class_weights: tuple[float, ...] = ()
    quota: int | str | None = None
    distinct: float | None = None
    private: str | None = None
    apart: float | None = None
    rows: int | None = None
    borders: float = 1.0

    def __post_init__(self) -> None:
        if self.labels not in SOURCES:
            raise ArgumentError("--labels", f"{self.labels!r} is not known", f"Give one of {', '.join(SOURCES)}")
        if (self.private is None) != (self.apart is None):
            raise ArgumentError("--private", "needs --apart, a distance, and that needs points", "Give both")
        if self.labels == "none":
            for name in ("abstain", "confidence", "unlearned", "class_weights", "quota"):
                if getattr(self, name) != getattr(type(self), name):
                    flag = name.replace("_", "-")
                    raise ArgumentError(f"--{flag}", "samples have no labels", "Leave one of them out")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Selection":
        """The selection of which ``dataclasses.asdict`` spoke."""
        return cls(**{**values, "class_weights": tuple(values["class_weights"])})

    def as_json(self) -> dict[str, Any]:
        """JSON values that say all of it; those of archives from before there were such shares are without them."""
        values = {**asdict(self), "class_weights": list(self.class_weights)}
        later = {"borders": 1, "unlearned": 1, "rows": None}
        return {name: value for name, value in values.items() if name not in later or value != later[name]}

    def labels_of(self, settings: Settings) -> Labels | None:
        """Where labels come from, for walks of these settings; None: samples get none.

        Raises:
            ArgumentError: the asked class as a label, where none is asked for.
        """
        if self.labels == "none":
            return None
        if self.labels != "asked":
            return Labels(abstain=self.abstain)
        if not settings.classes:
            raise ArgumentError("--labels", "no class is asked for", "Ask for some with --classes")
        return Labels(settings.classes, self.abstain)

    def filters(
        self,
        settings: Settings,
        class_names: Sequence[str],
        block_size: int,
        seed: int,
        points: Tensor | None,
        blocks: Sequence[tuple[int, int]] = (),
        student: Classifier | None = None,
    ) -> tuple[Filter, ...]:
        """The filters, cheap ones first.

        Arguments:
            settings, class_names, block_size, seed: of the walks.
            points: what ``private`` names, data units.
            blocks: first walk, and one behind the last, of every block; an even quota is a share of what it has.
            student: what ``unlearned`` asks.

        Raises:
            ArgumentError: a number out of range, weights of other classes, no points to keep away from, no student.
        """
        found: list[Filter] = []
        if self.rows is not None:
            last = blocks[-1][1] - 1
            found.append(Rows(last, self.rows - last * samples_per_walk(settings)))
        if self.confidence:
            found.append(Confidence(self.confidence))
        if self.borders != 1:
            found.append(Borders(self.borders, seed))
        if (self.unlearned != 1) != (student is not None):
            raise ArgumentError("--unlearned", "needs a student, and a student needs a share", "Use reinject sample")
        if student is not None:
            found.append(Unlearned(partial(classify, student), self.unlearned, seed, knowledge(student)))
        if self.class_weights:
            if len(self.class_weights) != len(class_names):
                raise ArgumentError(
                    "--class-weights",
                    f"{len(self.class_weights)} weights for {len(class_names)} classes",
                    f"Give one for each of {', '.join(class_names)}",
                )
            found.append(Weights(self.class_weights, seed))
        if self.quota is not None:
            most = partial(self._most, settings, len(class_names))
            each = tuple(most(last - first) for first, last in blocks) if self.quota == "even" else ()
            found.append(Quota(most(block_size), each))
        if self.apart is not None:
            if points is None:
                raise ArgumentError("--private", "its points are not given", "Give them, or leave out the distance")
            found.append(Apart(points, self.apart))
        if self.distinct is not None:
            found.append(Distinct(self.distinct))
        return tuple(found)

    def _most(self, settings: Settings, classes: int, walks: int) -> int:
        if self.quota == "even":
            return max(1, walks * samples_per_walk(settings) // classes)
        try:
            return int(self.quota or 0)
        except ValueError as error:
            raise ArgumentError("--quota", f"{self.quota!r} is no number", "Give a number, or even") from error


def names_of(C: Classifier, r: Ensemble, names: Sequence[str]) -> tuple[str, ...]:
    """The names of a classifier's outputs: those that are given, or "0", "1", ...

    Raises:
        ArgumentError: see :func:`reinject.data.classes.check_names`.
    """
    outputs = classify(C, torch.zeros(2, *r.event_shape, device=r.device)).shape[1]
    return check_names("class_names", names if len(names) else range(outputs), outputs)


def knowledge(student: Classifier) -> str:
    """What says in a manifest which student it was: a fingerprint of its weights; "" where it is no module."""
    inner = student.function if isinstance(student, Labeller) else student
    return fingerprint(*inner.state_dict().values()) if isinstance(inner, nn.Module) else ""


def resolve_private(selection: Selection, inputs: Inputs, reading: Reading | None = None) -> Tensor | None:
    """The points that samples must keep away from, data units, (N, *event); None where none are named.

    Raises:
        ArgumentError: points of another shape than the models'.
        DataError: a file or data set that is not there or cannot be read.
    """
    if selection.private is None:
        return None
    points = points_of(selection.private, inputs, part="train", reading=reading)
    if tuple(points.shape[1:]) != inputs.shape:
        raise ArgumentError(
            "--private", f"points {tuple(points.shape[1:])}, the models take {inputs.shape}", "Give others"
        )
    return points
