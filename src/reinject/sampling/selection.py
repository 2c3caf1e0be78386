"""Choose labels and filters as a command line names them, and read the data that they need."""

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
from reinject.models.votes import Classifier, classify
from reinject.networks import Inputs
from reinject.sampling.algorithm1 import Labels
from reinject.sampling.constraints import points_of
from reinject.sampling.filters import Apart, Borders, Confidence, Distinct, Filter, Keep, Quota, Unlearned, Weights
from reinject.sampling.presets import Settings
from reinject.sampling.recipe import samples_per_walk
from reinject.walks.classifier_outputs import Labeller
from reinject.walks.reconstruction import Ensemble

SAMPLES, TABLE_ROWS = 100_000, 10_000  # about so many by default
SOURCES = ("classifier", "asked", "none")


@dataclass(frozen=True)
class Rows:
    """Keep the first samples of one walk: the last walk of a set with a given number of samples.

    Attributes:
        walk: number of the walk.
        most: most samples of the walk.
    """

    walk: int
    most: int
    name = "beyond --rows"

    def begin(self, block: int) -> Keep:  # noqa: ARG002
        """Make the rule: samples of other walks, and the first samples of this walk, stay."""
        seen = 0

        def keep(part: LabelledSamples, _: Tensor) -> Tensor:
            nonlocal seen
            here = part.walk == self.walk
            seen += int(here.any())
            return ~here if seen > self.most else torch.ones_like(here)

        return keep


def walks_for(rows: int, settings: Settings) -> tuple[int, int | None]:
    """Compute the walks for a number of samples, and ``Selection.rows`` if the last walk gives too many.

    Raises:
        ArgumentError: ``rows`` is below 1.

    Example:
        >>> from reinject.sampling.presets import PAPER
        >>> walks_for(90, PAPER), walks_for(100, PAPER)
        ((10, None), (12, 100))
    """
    check_count("--rows", "rows", rows)
    each = samples_per_walk(settings)
    return -(-rows // each), rows if rows % each else None


def usual_walks(settings: Settings, *, table: bool = False) -> int:
    """Return the default number of walks: 100,000 samples or a few more, or 10,000 rows of a table.

    Example:
        >>> from reinject.sampling.presets import PAPER, falls
        >>> usual_walks(PAPER), usual_walks(falls(5, 784))
        (11112, 100000)
    """
    return walks_for(TABLE_ROWS if table else SAMPLES, settings)[0]


def walks_asked(rows: int, walks: int | None, append: bool, settings: Settings) -> tuple[int, int | None]:
    """Compute :func:`walks_for`; raise ArgumentError if walks are given too, or with ``append``."""
    if walks is not None or append:
        cure = "Give the number of further walks with --walks" if append else "Give one of the two"
        raise ArgumentError("--rows", f"cannot be combined with {'--append' if append else '--walks'}", cure)
    return walks_for(rows, settings)


@dataclass(frozen=True)
class Selection:
    """Choose the source of labels and the filters of samples; JSON values, as in the manifest.

    Attributes:
        labels: "classifier", "asked" (the class that guides the walk) or "none".
        abstain: least probability of the most probable class for a label, in [0, 1].
        confidence: least probability of the most probable class for a sample to stay, in [0, 1].
        unlearned: share of each class to keep, in (0, 1], drawn with weights 1.1 - p(label); 1: all. p comes from a
            small classifier, the student, trained on the first of these walks.
        class_weights: w_k >= 0 of every class: samples of class k stay with probability w_k / max w.
        quota: most samples of a class in a block; "even": equal shares of a block.
        distinct: least root mean square difference of two samples in a block, data units; the later one goes.
        private: points that samples must avoid: a DATASET's training images or a .npy file.
        apart: least root mean square difference to ``private``, data units.
        rows: number of samples, if it is not a multiple of a walk's: the last walk has fewer.
        borders: share for archives of versions before 0.2, to trace and repair them; no option sets it.

    Raises:
        ArgumentError: an unknown source, or ``private`` without ``apart``.
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
            raise ArgumentError("--private", "needs --apart, and --apart needs --private", "Give both")
        if self.labels == "none":
            for name in ("abstain", "confidence", "unlearned", "class_weights", "quota"):
                if getattr(self, name) != getattr(type(self), name):
                    flag = name.replace("_", "-")
                    raise ArgumentError(f"--{flag}", "needs labels, but --labels is none", "Leave one of the two out")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Selection":
        """Make a selection from the values of ``dataclasses.asdict``."""
        return cls(**{**values, "class_weights": tuple(values["class_weights"])})

    def as_json(self) -> dict[str, Any]:
        """Return all fields as JSON values; fields that older archives lack are left out at their defaults."""
        values = {**asdict(self), "class_weights": list(self.class_weights)}
        later = {"borders": 1, "unlearned": 1, "rows": None}
        return {name: value for name, value in values.items() if name not in later or value != later[name]}

    def labels_of(self, settings: Settings, certain: int = 0) -> Labels | None:
        """Return the source of labels for walks of these settings; None: no labels.

        Arguments:
            settings: settings of the walks.
            certain: result of :func:`certain_classes`.

        Raises:
            ArgumentError: ``labels`` is "asked", but the settings have no classes.
        """
        if self.labels == "none":
            return None
        if certain:
            return Labels(settings.classes or tuple(range(certain)), classes=certain)
        if self.labels != "asked":
            return Labels(abstain=self.abstain)
        if not settings.classes:
            raise ArgumentError("--labels", "'asked' needs classes", "Give --classes")
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
        """Make the filters, cheap ones first.

        Arguments:
            settings, class_names, block_size, seed: settings of the walks.
            points: points of ``private``, (N, *event), data units.
            blocks: (first, last + 1) walk of every block; an even quota is a share of the block's samples.
            student: classifier for ``unlearned``.

        Raises:
            ArgumentError: a number out of range, a wrong number of weights, missing points or a missing student.
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
                raise ArgumentError("--private", "its points are missing", "Give the points, or leave out apart")
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
            raise ArgumentError("--quota", f"{self.quota!r} is not a number", "Give a number, or even") from error


def certain_classes(r: Ensemble, C: Classifier | None, settings: Settings) -> int:
    """Return the number of classes of walks that are their own labels: those of a class-conditional r without C."""
    space = r.codes if settings.latent and r.codes is not None else r
    return space.conditioning.classes if C is None else 0


def names_of(C: Classifier, r: Ensemble, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a classifier's outputs: the given ones, or "0", "1", ...

    Raises:
        ArgumentError: see :func:`reinject.data.classes.check_names`.
    """
    outputs = classify(C, torch.zeros(2, *r.event_shape, device=r.device)).shape[1]
    return check_names("class_names", names if len(names) else range(outputs), outputs)


def knowledge(student: Classifier) -> str:
    """Identify a student in a manifest: a fingerprint of its weights; "" if it is not a module."""
    inner = student.function if isinstance(student, Labeller) else student
    return fingerprint(*inner.state_dict().values()) if isinstance(inner, nn.Module) else ""


def resolve_private(selection: Selection, inputs: Inputs, reading: Reading | None = None) -> Tensor | None:
    """Read the points that samples must avoid, (N, *event), data units; None without ``private``.

    Raises:
        ArgumentError: the shape of the points differs from the models'.
        DataError: a file or data set is missing or unreadable.
    """
    if selection.private is None:
        return None
    points = points_of(selection.private, inputs, part="train", reading=reading)
    if tuple(points.shape[1:]) != inputs.shape:
        raise ArgumentError(
            "--private",
            f"points have shape {tuple(points.shape[1:])}, the models take {inputs.shape}",
            "Give points of that shape",
        )
    return points
