"""How the experiments of ``reinject reproduce`` are run, in one value."""

from dataclasses import dataclass

from reinject.base.errors import check_count
from reinject.walks.execution import Execution


@dataclass(frozen=True)
class ExperimentSpec:
    """How often, how large, and where an experiment is run.

    Attributes:
        seeds: number of seeds of everything, >= 1: networks, walks, peers and students.
        samples: of every synthetic set, >= 1, and at least as many as there are real rows.
        precision: in which our networks are trained and walked, the extractor of features among them: 32-true,
            bf16-mixed or 16-mixed.
        device: where networks are, those of peers too: cpu, cuda, mps or auto. Students are on the CPU.
        seed: the first one, >= 0, and that of the figures.

    Raises:
        ArgumentError: a number out of range, an unknown precision.

    Example:
        >>> list(ExperimentSpec(seeds=2, seed=5).all_seeds)
        [5, 6]
    """

    seeds: int = 3
    samples: int = 90_000
    precision: str = "32-true"
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("--seeds", "seeds", self.seeds)
        check_count("--samples", "samples", self.samples)
        check_count("--seed", "seed", self.seed, 0)
        Execution(precision=self.precision)

    @property
    def all_seeds(self) -> range:
        """The seeds, in their order."""
        return range(self.seed, self.seed + self.seeds)

    @property
    def execution(self) -> Execution:
        """How networks are called."""
        return Execution(precision=self.precision)
