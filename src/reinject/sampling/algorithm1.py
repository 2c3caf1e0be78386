"""Walks + classifier -> labelled samples: Algorithm 1 of the paper and its relatives."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.data.samples import LabelledSamples, Storage
from reinject.models.voting import Classifier, classify, ready
from reinject.sampling.filters import Filter, filtered
from reinject.walks.kernels.kernel import Kernel
from reinject.walks.kernels.langevin import Langevin
from reinject.walks.kernels.wrappers import place_of
from reinject.walks.loop import Visited, itself, walk
from reinject.walks.reconstruction import Ensemble, Reconstruction, ensemble_of
from reinject.walks.specs import BLOCK, RunSpec, WalkSpec
from reinject.walks.starts import Normal, Start


@dataclass(frozen=True)
class Labels:
    """Where labels come from.

    Attributes:
        asked: the classes that walks were drawn towards, which are then their labels: row k of a block has
            asked[k modulo their number]; none: the classifier's most probable class.
        abstain: probability of the most probable class below which a sample gets no label (-1), in [0, 1].

    Raises:
        ArgumentError: ``abstain`` is no probability.
    """

    asked: tuple[int, ...] = ()
    abstain: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.abstain <= 1:
            raise ArgumentError("--abstain", f"{self.abstain} is no probability", "Give 0 to 1")

    def of(self, probabilities: Tensor, row: Tensor) -> Tensor:
        """The labels of rows with these probabilities, (B, classes); int64, (B,).

        Example:
            >>> p = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
            >>> Labels(abstain=0.7).of(p, torch.arange(2)).tolist(), Labels((1,)).of(p, torch.arange(2)).tolist()
            ([0, -1], [1, 1])
        """
        label = torch.tensor(self.asked)[row % len(self.asked)] if self.asked else probabilities.argmax(1)
        return torch.where(probabilities.amax(1) < self.abstain, -1, label)


@dataclass(frozen=True)
class StoreSpec:
    """What is stored of what walks visit: how values are kept, who labels, which samples stay.

    Attributes:
        storage: how samples are kept; default: uint8 levels of [0, 1].
        labels: where labels come from; default: the classifier.
        filters: which samples are kept (see :mod:`reinject.sampling.filters`), asked in this order.
        models: how many autoencoders share the rows of a block (see :class:`reinject.walks.reconstruction.Ensemble`).
        transform: what is emitted of a point, row by row; ``r.decode`` for a walk in the space of codes.
    """

    storage: Storage = field(default_factory=Storage)
    labels: Labels = field(default_factory=Labels)
    filters: tuple[Filter, ...] = ()
    models: int = 1
    transform: Callable[[Tensor], Tensor] = itself


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
    """Walk and label what is visited; what is labelled is what is kept.

    Every emitted state is first brought to the stored precision and range, then labelled: y = argmax_k C(x)_k with
    probabilities softmax(C(x)).

    Arguments:
        kernel, start, event_shape, spec, run, device: as for :func:`reinject.walks.loop.walk`.
        classifier: C, x of shape (B, *event) -> logits (B, classes), probabilities, or one number for two classes;
            None: samples get no labels.
        store: how samples are kept, where labels come from, which samples stay.

    Returns:
        An iterator of the rows of one block and step after another; nothing is held back.

    Raises:
        ArgumentError: a schedule shorter than the walk.
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
        probabilities, label = torch.zeros((len(x), 0)), torch.full((len(x),), -1)
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
    The states x_i with i > 1 are kept, each with the label C.predict(x_i): R - 1 samples a walk, 90,000 in all.

    How the listing is read: as printed, the update stands inside ``if i > 1``, which leaves x_1 and x_2 undefined; the
    only consistent reading is to move always and to keep from i = 2 on. As printed, the noise is lambda * eps
    (``noise="printed"``), while Langevin theory asks for sqrt(lambda) * eps (``noise="matched"``). With several
    autoencoders each walk uses one: walk n of a block uses AE number n modulo their number.

    Arguments:
        AEs: one or several trained autoencoders of :func:`reinject.wrap`, on inputs of one shape; a noise-conditioned
            one is held at sigma = sqrt(lambda/2), the level that corresponds to lambda.
        C: trained classifier, x of shape (B, *event) -> logits (B, classes), or probabilities, which are found out.
        R: random walk steps, >= 2.
        N_s: number of random walks, >= 1.
        lam: lambda, regularisation coefficient, > 0, squared data units.
        noise: "printed", "matched", or the standard deviation tau >= 0 itself.
        seed: of all randomness, >= 0.
        block_size: walks a block, >= 1.

    Returns:
        X, the synthetic samples as floats, shape (N_s (R - 1), *event), in the listing's order: walk by walk, step by
        step; and Y, their labels, int64.

    Raises:
        ArgumentError: a number out of range.
        ModelError: autoencoders of different input shapes; a classifier that gives no scores of one label each.

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
    order = number.argsort(stable=True)  # parts come step by step, so a stable sort keeps the steps in order
    X = torch.cat([part.x for part in samples])[order]
    Y = torch.cat([part.label for part in samples])[order]
    return X, Y
