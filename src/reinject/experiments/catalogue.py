"""Which experiments there are: for a data set, the networks that are trained on it and the walks that are compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from reinject.experiments.peers import IMAGES_ONLY, PEERS
from reinject.sampling.presets import PRESETS, Settings, choose
from reinject.training.objective_options import Numbers
from reinject.training.plans import AutoencoderSpec, ClassifierSpec, TrainPlan, plan_for


@dataclass(frozen=True)
class Experiment:
    """A data set, the space that it is looked at in, how networks are trained there, and which walks are compared.

    Attributes:
        dataset: name of the data set.
        extractor: data set on which the extractor of the features is trained; "": pixels.
        autoencoder: the one that is trained, and how.
        classifier: the one that labels, and how it is trained.
        votes: kinds of further classifiers that vote, trained on reconstructions too.
        presets: names of the presets that walk; the default one needs a network that is told the noise level.
        best: beside them, the best settings that we know.
        unlearned: share of the samples of ``best`` that is kept, see
            :class:`reinject.sampling.filters.Unlearned`; the student was trained on a small set of the same walks.
        goal: ratio and skill to reach.
        peers: names of :data:`reinject.experiments.peers.PEERS`.
    """

    dataset: str
    extractor: str = ""
    autoencoder: AutoencoderSpec = field(default_factory=AutoencoderSpec)
    classifier: ClassifierSpec = field(default_factory=ClassifierSpec)
    votes: tuple[str, ...] = ()
    presets: tuple[str, ...] = tuple(PRESETS)
    best: Settings | None = None
    unlearned: float = 1.0
    goal: tuple[float, float] | None = None
    peers: tuple[str, ...] = tuple(PEERS)

    @property
    def walks(self) -> dict[str, Settings]:
        """The settings that are compared, by name."""
        chosen = {name: PRESETS[name] for name in self.presets}
        return {**chosen, **({} if self.best is None else {"best": self.best})}

    def plans(self, source: str, seed: int, folder: Path) -> dict[str, TrainPlan]:
        """How each of its networks is trained, by the name of its folder in ``folder``; the first one is first."""
        first = plan_for(source, autoencoder=self.autoencoder, classifier=self.classifier, seed=seed)
        voter = replace(_AS_LABELLED, reconstructed_by=str(folder / "models"))
        voters = {kind: replace(voter, network=kind) for kind in self.votes}
        votes = {k: plan_for(source, classifier=one, only="classifier", seed=seed) for k, one in voters.items()}
        return {"models": first, **votes}


_IN_FEATURES = tuple(name for name in PEERS if name not in IMAGES_ONLY)
_AS_LABELLED = ClassifierSpec(sees="reconstructions")
_LONGER = AutoencoderSpec(epochs=60, batch=512, lr=2e-3)
_FEW_EPOCHS = ClassifierSpec(epochs=3)  # more overfit: the extractor has seen the rows; by the loss on validation rows
_STATES = choose(None, "ancestral", emit="state")[1]  # in a feature space the noise that is left does good
_LESS_NOISE = choose(None, "ancestral", {"sigma": "cycles:1.4r:0.03r:13:1r:10"}, emit="state")[1]
_FURTHER_DOWN = choose(None, "ancestral", {"sigma": "cycles:1.4r:0.04r:13:1r:10"})[1]
_FROM_FAR = choose(None, "self-tuning", {"h0": "0.3", "beta": "0.2"}, steps=60, burn_in=60, start="normal:8")[1]

EXPERIMENTS: Mapping[str, Experiment] = {
    "digits": Experiment("digits"),
    "mnist": Experiment(
        "mnist",
        autoencoder=_LONGER,
        classifier=replace(_AS_LABELLED, network="conv"),
        best=_FURTHER_DOWN,
        goal=(0.998, 0.97),
    ),
    "fashion_mnist": Experiment(
        "fashion_mnist",
        autoencoder=replace(_LONGER, epochs=150),
        classifier=_AS_LABELLED,
        votes=("conv",),
        best=_FURTHER_DOWN,
        unlearned=1 / 3,
        goal=(0.99, 0.93),
    ),
    "cifar10-features": Experiment("cifar10", "cifar100", best=_STATES, goal=(0.99, 0.90), peers=_IN_FEATURES),
    "cifar100-own-features": Experiment(
        "cifar100", "cifar100", classifier=_FEW_EPOCHS, best=_STATES, goal=(0.98, 0.90), peers=_IN_FEATURES
    ),
    "cifar100-features": Experiment("cifar100", "cifar10", best=_LESS_NOISE, goal=(0.98, 0.90), peers=_IN_FEATURES),
    "cifar10-pixels": Experiment("cifar10", classifier=_AS_LABELLED),
    "cifar10-pixels-untold": Experiment(
        "cifar10",
        autoencoder=AutoencoderSpec(
            "conv-residual",
            "denoising",
            Numbers(sigma=0.3, spread=0.9),  # a value: what 3 x 3 convolutions see, not the whole image
            epochs=13,
        ),
        classifier=replace(_AS_LABELLED, epochs=13),
        presets=("paper",),
        best=_FROM_FAR,
        peers=("reinjection without noise",),
    ),
}
