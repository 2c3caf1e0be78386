"""Make labelled samples from walks and a classifier: Algorithm 1 of the paper and its relatives."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import torch
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.data.samples import LabelledSamples, Storage
from reinject.models.votes import Classifier, classify, ready
from reinject.sampling.filters import Filter, filtered
from reinject.walks.kernels.kernel import Kernel
from reinject.walks.kernels.langevin import Langevin
from reinject.walks.kernels.wrappers import place_of
from reinject.walks.loop import Visited, itself, walk
from reinject.walks.reconstruction import Ensemble, Reconstruction, ensemble_of
from reinject.walks.specs import BLOCK, RunSpec, WalkSpec
from reinject.walks.starts import Normal, Start

MakeRows = Callable[[Tensor, Tensor], pa.Table]


@dataclass(frozen=True)
class Labels:
    """Choose the source of labels.

    Attributes:
        asked: classes that guide the walks and become their labels: row k of a block has asked[k modulo their
            number]; none: the classifier's most probable class.
        abstain: least probability of the most probable class for a label, in [0, 1]; below it the label is -1.
        classes: number of classes where the asked class is certain, without a classifier; 0: a classifier decides.

    Raises:
        ArgumentError: ``abstain`` is not a probability.
    """

    asked: tuple[int, ...] = ()
    abstain: float = 0.0
    classes: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.abstain <= 1:
            raise ArgumentError("--abstain", f"{self.abstain} is not a probability", "Give 0 to 1")

    def of(self, probabilities: Tensor, row: Tensor) -> Tensor:
        """Label rows with these probabilities, (B, classes); int64, (B,).

        Example:
            >>> p = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
            >>> Labels(abstain=0.7).of(p, torch.arange(2)).tolist(), Labels((1,)).of(p, torch.arange(2)).tolist()
            ([0, -1], [1, 1])
        """
        label = self._turn(row) if self.asked else probabilities.argmax(1)
        return torch.where(probabilities.amax(1) < self.abstain, -1, label)

    def without_classifier(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and labels of rows: 1 for the class that the walk asked for; none without classes.

        Example:
            >>> Labels((2, 0), classes=3).without_classifier(torch.arange(2))
            (tensor([[0., 0., 1.],
                    [1., 0., 0.]]), tensor([2, 0]))
        """
        if not self.classes:
            return torch.zeros((len(row), 0)), torch.full((len(row),), -1)
        label = self._turn(row)
        return torch.nn.functional.one_hot(label, self.classes).float(), label

    def _turn(self, row: Tensor) -> Tensor:
        return torch.tensor(self.asked)[row % len(self.asked)]


@dataclass(frozen=True)
class StoreSpec:
    """Describe what to store of visited states: precision, labels, filters.

    Attributes:
        storage: how samples are stored; default: uint8 levels of [0, 1].
        labels: source of labels; default: the classifier.
        filters: filters of samples (see :mod:`reinject.sampling.filters`), in order of application.
        models: number of autoencoders that share the rows of a block (see
            :class:`reinject.walks.reconstruction.Ensemble`).
        transform: function of a point that gives the emitted value, row by row; ``r.decode`` for latent walks.
        rows: function of points and the numbers of their walks that gives rows of a table; None: no table.
    """

    storage: Storage = field(default_factory=Storage)
    labels: Labels = field(default_factory=Labels)
    filters: tuple[Filter, ...] = ()
    models: int = 1
    transform: Callable[[Tensor], Tensor] = itself
    rows: MakeRows | None = None


def synthesise(
    kernel: Kernel,
    start: Start,
    classifier: Classifier | None,
    event_shape: tuple[int, ...],
    spec: WalkSpec = WalkSpec(),
    run: RunSpec = RunSpec(),
    store: StoreSpec = StoreSpec(),
    device: str | torch.device | None = None,
) -> Iterator[LabelledSamples]:
    """Walk, and label the stored form of visited states.

    Every emitted state is first converted to the stored precision and range. Then it gets its label
    y = argmax_k C(x)_k and the probabilities softmax(C(x)).

    Arguments:
        kernel, start, event_shape, spec, run, device: see :func:`reinject.walks.loop.walk`.
        classifier: C, x of shape (B, *event) -> logits (B, classes), probabilities, or one number for two classes;
            None: no labels.
        store: how to store samples, source of labels, filters.

    Returns:
        An iterator over blocks and steps; each item holds the rows of one step of one block.

    Raises:
        ArgumentError: the schedule is shorter than the walk.
        ModelError: the classifier does not give (B, classes) finite scores, see :func:`ready`.
    """
    visited = walk(kernel, start, event_shape, spec, run, transform=store.transform, device=device)
    place = place_of(kernel) if device is None else device
    C = None if classifier is None else ready(classifier, place, event_shape, store.storage)
    labelled = (_labelled(part, C, store) for part in visited)
    return filtered(labelled, store.filters, store.storage) if store.filters else labelled


def _labelled(part: Visited, classifier: Classifier | None, store: StoreSpec) -> LabelledSamples:
    x, clipped = store.storage.store(part.x)
    if classifier is None:
        probabilities, label = store.labels.without_classifier(part.row)
    else:
        probabilities = classify(classifier, store.storage.load(x))
        label = store.labels.of(probabilities, part.row)
    return LabelledSamples(
        x=x.cpu(),
        label=label,
        probabilities=probabilities,
        walk=part.walk,
        step=part.step,
        model=part.row % store.models,
        block=part.block,
        clipped=clipped,
        stopped=part.stopped,
        strayed=part.strayed,
        accepted=part.accepted,
        asymmetry=part.asymmetry,
        table=None if store.rows is None else store.rows(x, part.walk),
    )


def algorithm1(
    AEs: Sequence[Reconstruction] | Reconstruction | Ensemble,
    C: Classifier,
    R: int = 10,
    N_s: int = 10_000,
    lam: float = 0.1,
    *,
    noise: str | float = "printed",
    seed: int = 0,
    block_size: int = BLOCK,
) -> tuple[Tensor, Tensor]:
    """Algorithm 1 of the paper, "Langevin with few restarts", with its names and defaults.

    Each of N_s walks starts at x_0 ~ N(0, I) and moves R times: x_{i+1} = AE(x_i) + lambda * eps_i, eps_i ~ N(0, I).
    The states x_i with i > 1 are kept, each with the label C.predict(x_i): R - 1 samples for each walk, 90,000 in all.

    Reading of the listing: the printed update stands inside ``if i > 1``, which leaves x_1 and x_2 undefined. The only
    consistent reading is to move always, and to keep states from i = 2 on. The printed noise is lambda * eps
    (``noise="printed"``); Langevin theory needs sqrt(lambda) * eps (``noise="matched"``). Of several autoencoders,
    walk n of a block uses AE number n modulo their number.

    Arguments:
        AEs: one or several trained autoencoders of :func:`reinject.wrap`, with inputs of one shape. A noise-conditioned
            one has the fixed level sigma = sqrt(lambda/2), which corresponds to lambda.
        C: trained classifier, x of shape (B, *event) -> logits or probabilities (B, classes), detected automatically.
        R: random walk steps, >= 2.
        N_s: number of random walks, >= 1.
        lam: lambda, regularisation coefficient, > 0, squared data units.
        noise: "printed", "matched", or the standard deviation tau >= 0 itself.
        seed: seed of all randomness, >= 0.
        block_size: walks in a block, >= 1.

    Returns:
        X, the synthetic samples as floats, shape (N_s (R - 1), *event), walk by walk, step by step, as in the listing;
        and Y, their labels, int64.

    Raises:
        ArgumentError: a number out of range.
        ModelError: autoencoders with different input shapes, or a classifier without (B, classes) scores.

    Source: Algorithm 1 of the paper's supplementary material.

    Example:
        >>> from reinject import wrap
        >>> AE = wrap(lambda x: 0.5 * x, (2,))
        >>> X, Y = algorithm1([AE], lambda x: x, N_s=100)
        >>> X.shape, Y.shape
        (torch.Size([900, 2]), torch.Size([900]))
    """
    r = ensemble_of(AEs)
    samples = list(
        synthesise(
            Langevin(r, lam, noise),
            Normal(),
            C,
            r.event_shape,
            WalkSpec(steps=R, burn_in=2),
            RunSpec(walks=N_s, seed=seed, block_size=block_size),
            StoreSpec(Storage("float"), models=len(r.members)),
            device=r.device,
        )
    )
    number = torch.cat([part.walk for part in samples])
    order = number.argsort(stable=True)  # parts come step by step: a stable sort keeps the order of steps
    X = torch.cat([part.x for part in samples])[order]
    Y = torch.cat([part.label for part in samples])[order]
    return X, Y
