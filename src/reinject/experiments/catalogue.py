"""List the experiments: for each data set, its networks and the walks to compare."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from reinject.experiments.peers import IMAGES_ONLY, PEERS
from reinject.sampling.presets import PRESETS, Settings, choose
from reinject.training.objective_options import Numbers
from reinject.training.plans import AutoencoderSpec, ClassifierSpec, TrainPlan, plan_for


@dataclass(frozen=True)
class Experiment:
    """Describe an experiment: a data set, its space, the training of networks, and the walks to compare.

    Attributes:
        dataset: name of the data set.
        extractor: training data of the extractor of features; "": pixels.
        autoencoder: autoencoder and its training.
        classifier: labelling classifier and its training.
        votes: kinds of further voting classifiers, also trained on reconstructions.
        presets: names of the presets to compare; the default preset needs a noise-conditioned network.
        best: the best known settings, compared too.
        unlearned: share of the samples of ``best`` to keep, see :class:`reinject.sampling.filters.Unlearned`; the
            student is trained on a small set of the same walks.
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
        """Settings to compare, by name."""
        chosen = {name: PRESETS[name] for name in self.presets}
        return {**chosen, **({} if self.best is None else {"best": self.best})}

    def plans(self, source: str, seed: int, folder: Path) -> dict[str, TrainPlan]:
        """Plan the training of each network, by the name of its folder in ``folder``, in order of training."""
        first = plan_for(source, autoencoder=self.autoencoder, classifier=self.classifier, seed=seed)
        voter = replace(_AS_LABELLED, reconstructed_by=str(folder / "models"))
        voters = {kind: replace(voter, network=kind) for kind in self.votes}
        votes = {k: plan_for(source, classifier=one, only="classifier", seed=seed) for k, one in voters.items()}
        return {"models": first, **votes}


_IN_FEATURES = tuple(name for name in PEERS if name not in IMAGES_ONLY)
_AS_LABELLED = ClassifierSpec(sees="reconstructions")
_LONGER = AutoencoderSpec(epochs=60, batch=512, lr=2e-3)
_FEW_EPOCHS = ClassifierSpec(
    epochs=3
)  # more epochs overfit by the validation loss: the extractor was trained on these rows
_STATES = choose(None, "ancestral", emit="state")[1]  # in a feature space the remaining noise helps
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
            Numbers(sigma=0.3, spread=0.9),  # for each value: 3 x 3 convolutions do not see the whole image
            epochs=13,
        ),
        classifier=replace(_AS_LABELLED, epochs=13),
        presets=("paper",),
        best=_FROM_FAR,
        peers=("reinjection without noise",),
    ),
}
