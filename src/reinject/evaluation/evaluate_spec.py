"""What is asked of an evaluation, in one value."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from reinject.base.errors import ArgumentError, check_count
from reinject.training.students import Kind

MOST = 300_000


@dataclass(frozen=True)
class EvaluateSpec:
    """How an archive is judged.

    Attributes:
        judgements: some of utility, coverage, two-sample, spurious, memorisation, membership; none: all that can be
            made. A judgement that has too few rows is then left out, and the result says so.
        features: what coverage, two-sample and spurious are judged in: a name of
            :data:`reinject.models.features.NAMES`, or the folder of a classifier; None: the penultimate layer of the
            classifier that labelled, or pixels where nothing did.
        student: kind of the students of the utility: mlp, cnn, logistic, knn or boosting.
        seeds: number of students a size, >= 1; their mean and spread are reported.
        most: synthetic samples that are read at most, >= 1, drawn at random; the number used is reported.
        seed: of the first student and of the draws, >= 0.
        split_seed: of the split of a data set that has no test part, >= 0: that by which the models were trained.
        shadows: train eight autoencoders like the one that made the samples, on random halves of the rows, for the
            likelihood ratio attack on it.
        device: where students train: cpu, cuda, mps or auto.
        data_dir: where to look for the data set first; None: where ``reinject train`` looks.

    Raises:
        ArgumentError: a number out of range, an unknown student, a text in place of several judgements.

    Example:
        >>> EvaluateSpec(judgements=["coverage"], seeds=1).judgements
        ('coverage',)
    """

    judgements: Sequence[str] = ()
    features: str | Path | None = None
    student: Kind = "mlp"
    seeds: int = 3
    most: int = MOST
    seed: int = 0
    split_seed: int = 0
    shadows: bool = False
    device: str = "cpu"
    data_dir: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.judgements, str):
            raise ArgumentError("judgements", f"{self.judgements!r} is a text", f"Give [{self.judgements!r}]")
        object.__setattr__(self, "judgements", tuple(self.judgements))
        if self.student not in get_args(Kind):
            known = ", ".join(get_args(Kind))
            raise ArgumentError("--student", f"{self.student!r} is not known", f"Use one of {known}")
        check_count("--seeds", "seeds", self.seeds)
        check_count("--most", "most", self.most)
        check_count("--seed", "seed", self.seed, 0)
        check_count("--split-seed", "split_seed", self.split_seed, 0)
