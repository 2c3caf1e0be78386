"""Describe in one value how to run the experiments of ``reinject reproduce``."""

from dataclasses import dataclass

from reinject.base.errors import check_count
from reinject.training.students import Kind, Student
from reinject.walks.execution import Execution


@dataclass(frozen=True)
class ExperimentSpec:
    """Describe seeds, size, precision and device of an experiment.

    Attributes:
        seeds: number of seeds of networks, walks, peers and students, >= 1.
        samples: samples in every synthetic set, >= 1, and at least the number of real rows.
        precision: precision of our networks and walks, and of the extractor: 32-true, bf16-mixed or 16-mixed.
        device: device of all networks, peers' too: cpu, cuda, mps or auto. Students use the CPU, but for cnn.
        seed: first seed, and seed of the figures, >= 0.
        student: kind of the students of tables and curves: mlp, cnn, logistic, knn or boosting.

    Raises:
        ArgumentError: a number out of range, an unknown precision or student.

    Example:
        >>> list(ExperimentSpec(seeds=2, seed=5).all_seeds)
        [5, 6]
    """

    seeds: int = 3
    samples: int = 90_000
    precision: str = "32-true"
    device: str = "cpu"
    seed: int = 0
    student: Kind = "mlp"

    def __post_init__(self) -> None:
        check_count("--seeds", "seeds", self.seeds)
        check_count("--samples", "samples", self.samples)
        check_count("--seed", "seed", self.seed, 0)
        Execution(precision=self.precision)
        Student(self.seed, 1, kind=self.student)

    @property
    def all_seeds(self) -> range:
        """All seeds, in order."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def execution(self) -> Execution:
        """How to call networks."""
        return Execution(precision=self.precision)
