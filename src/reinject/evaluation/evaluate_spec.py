"""Describe an evaluation in one value."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from reinject.base.errors import ArgumentError, check_count
from reinject.training.students import Kind

MOST = 300_000


@dataclass(frozen=True)
class EvaluateSpec:
    """Describe how to judge an archive.

    Attributes:
        judgements: some of utility, coverage, two-sample, spurious, memorisation, membership; (): all that apply.
            Then a judgement with too few rows is left out, and a note gives the reason.
        features: features for coverage, two-sample and spurious: a name of :data:`reinject.models.features.NAMES`, or
            the folder of a classifier. None: the penultimate layer of the labelling classifier, or pixels without one.
        student: kind of the students for the utility: mlp, cnn, logistic, knn or boosting.
        seeds: students for each training set size, >= 1; mean and spread are reported.
        most: most synthetic samples to read, >= 1, drawn at random; the number used is reported.
        seed: seed of the first student and of the draws, >= 0.
        split_seed: seed that splits a data set without a test part, >= 0; must be that of the models.
        shadows: train eight autoencoders like the one that made the samples, on random halves of the rows, for a
            likelihood-ratio attack.
        device: device of the students: cpu, cuda, mps or auto.
        data_dir: folder to search for the data set first; None: as ``reinject train``.

    Raises:
        ArgumentError: a number is out of range, an unknown student, or a text in place of a list of judgements.

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
