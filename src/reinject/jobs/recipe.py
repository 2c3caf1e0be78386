"""What makes the rows of a block: models, settings, seed and ranges of walks put together."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reinject.archive import MakeBlock, blocks_of
from reinject.bundle import Bundle, as_reconstruction, load
from reinject.errors import ModelError
from reinject.execution import Execution
from reinject.presets import Held, Settings, Walker
from reinject.reconstruction import Ensemble
from reinject.samples import Storage
from reinject.starts import Start
from reinject.synthesis import Classifier, synthesise
from reinject.training import make_fabric


@dataclass(frozen=True)
class Models:
    """One or more autoencoders of one kind of input, and the classifier that labels."""

    autoencoders: tuple[Bundle, ...]
    classifier: Bundle

    def ensemble(self, execution: Execution | None = None) -> Ensemble:
        """The autoencoders as one r; where a kernel sets no noise level, they are held at that of lambda = 0.1."""
        return Ensemble(tuple(as_reconstruction(bundle, 0.1, execution) for bundle in self.autoencoders))


def load_models(folders: Sequence[Path], device: str = "cpu") -> Models:
    """Read FOLDER/autoencoder of every folder, and the classifier of the first.

    Raises:
        ModelError: a folder is not as ``reinject train`` makes it, or the models have different inputs.
    """
    place = make_fabric(device).device
    for folder in folders:
        if not folder.is_dir():
            raise ModelError(str(folder), "no such folder of models", "Make one with reinject train")
    autoencoders = tuple(load(folder / "autoencoder", place) for folder in folders)
    classifier = load(folders[0] / "classifier", place)
    wanted = classifier.network.inputs
    for bundle in autoencoders:
        inputs = bundle.network.inputs
        if (inputs.shape, inputs.low, inputs.high) != (wanted.shape, wanted.low, wanted.high):
            raise ModelError(
                str(bundle.folder),
                f"takes inputs {inputs.shape} in {inputs.low}..{inputs.high}, the classifier {wanted.shape} in "
                f"{wanted.low}..{wanted.high}",
                "Give models that were trained on the same data",
            )
    return Models(autoencoders, classifier)


@dataclass(frozen=True)
class Recipe:
    """All that determines the rows of every block, beside the networks; what a worker process is given.

    Attributes:
        settings: kernel, start and what is kept.
        ranges: numbers of the walks, first and one behind the last, of every run that added some.
        seed: of all randomness, >= 0.
        block_size: walks a block, >= 1.
        storage: how samples are kept.
        radius: of the training data, data units.
        start: in place of the settings' start.
        held: wraps the kernel, to put back what is known.
    """

    settings: Settings
    ranges: tuple[tuple[int, int], ...]
    seed: int
    block_size: int
    storage: Storage
    radius: float = 1.0
    start: Start | None = None
    held: Held | None = None

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """First walk, and one behind the last, of every block."""
        ranges = [{"walks": pair} for pair in self.ranges]
        return blocks_of({"ranges": ranges, "block_size": self.block_size})

    @property
    def rows(self) -> int:
        """Samples, if no walk is stopped."""
        kept = len(range(self.settings.burn_in, self.settings.steps + 1, self.settings.thin))
        return kept * sum(last - first for first, last in self.ranges)


def maker(r: Ensemble, C: Classifier, recipe: Recipe) -> tuple[MakeBlock, Walker]:
    """What makes the rows of a block, after a look at whether it can; and what walks.

    Raises:
        ReinjectError: a number out of range, a kernel that cannot walk this r.
    """
    settings = recipe.settings
    walker = settings.build(r, recipe.radius, start=recipe.start, classifier=C, held=recipe.held)
    make = functools.partial(
        synthesise,
        walker.kernel,
        walker.start,
        C,
        walker.event_shape,
        steps=settings.steps,
        burn_in=settings.burn_in,
        thin=settings.thin,
        seed=recipe.seed,
        block_size=recipe.block_size,
        emit=settings.emit,
        limit=settings.limit,
        seen=walker.seen,
        storage=recipe.storage,
        models=len(r.members),
        device=r.device,
    )
    ends = [last for _, last in recipe.blocks]
    make(walks=ends[-1])  # checks the numbers before anything is written
    return lambda number: make(walks=ends[number], blocks=[number]), walker


def prepare(
    autoencoders: Sequence[Path], classifier: Path, device: str, execution: Execution, recipe: Recipe
) -> MakeBlock:
    """As :func:`maker`, in a worker process, which reads the models itself."""
    models = Models(tuple(load(folder, device) for folder in autoencoders), load(classifier, device))
    return maker(models.ensemble(execution), models.classifier.network, recipe)[0]
