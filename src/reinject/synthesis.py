"""Walks + classifier -> labelled samples: Algorithm 1 of the paper and its relatives."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from reinject.errors import ModelError
from reinject.kernels.base import Emit, Kernel
from reinject.kernels.langevin import Langevin
from reinject.reconstruction import Ensemble, Reconstruction
from reinject.samples import LabelledSamples, Storage
from reinject.starts import Normal, Start
from reinject.walks import BLOCK, Visited, walk

Classifier = Callable[[Tensor], Tensor]
_CHUNK = 256  # inputs at a time, whose activations stay in the cache: twice as fast for the convolutional classifier


def synthesise(
    kernel: Kernel,
    start: Start,
    classifier: Classifier,
    event_shape: tuple[int, ...],
    *,
    walks: int,
    steps: int,
    burn_in: int = 0,
    thin: int = 1,
    seed: int = 0,
    block_size: int = BLOCK,
    emit: Emit = "state",
    limit: float = math.inf,
    seen: Callable[[Tensor], Tensor] = lambda x: x,
    storage: Storage | None = None,
    models: int = 1,
    blocks: Iterable[int] | None = None,
    device: str | torch.device = "cpu",
) -> Iterator[LabelledSamples]:
    """Walk and label what is visited; what is labelled is what is kept.

    Every emitted state is first brought to the stored precision and range, then labelled: y = argmax_k C(x)_k with
    probabilities softmax(C(x)).

    Arguments:
        kernel, start, event_shape, walks, steps, burn_in, thin, seed, block_size, emit, limit, seen, blocks, device: as
            for
            :func:`reinject.walks.walk`.
        classifier: C, x of shape (B, *event) -> logits (B, classes).
        storage: how samples are kept; default: uint8 levels of [0, 1].
        models: how many autoencoders share the rows of a block (see :class:`reinject.reconstruction.Ensemble`).

    Returns:
        An iterator of the rows of one block and step after another; nothing is held back.

    Raises:
        ArgumentError: a number out of range.
        ModelError: the classifier does not give (B, classes) finite logits.
    """
    kept = storage or Storage()
    visited = walk(
        kernel,
        start,
        event_shape,
        walks=walks,
        steps=steps,
        burn_in=burn_in,
        thin=thin,
        seed=seed,
        block_size=block_size,
        emit=emit,
        limit=limit,
        seen=seen,
        blocks=blocks,
        device=device,
    )
    C = ready(classifier, device)
    return (_labelled(part, C, kept, models) for part in visited)


def ready(classifier: Classifier, device: str | torch.device) -> Classifier:
    """The classifier where it has to run; a module is put in evaluation mode, or dropout would label at random.

    Example:
        >>> ready(torch.nn.Dropout(0.5), "cpu").training
        False
    """
    return classifier.to(device).eval() if isinstance(classifier, torch.nn.Module) else classifier


def _labelled(part: Visited, classifier: Classifier, storage: Storage, models: int) -> LabelledSamples:
    x, clipped = storage.store(part.x)
    probabilities = classify(classifier, storage.load(x))
    return LabelledSamples(
        x=x.cpu(),
        label=probabilities.argmax(1),
        probabilities=probabilities,
        walk=part.walk,
        step=part.step,
        model=part.row % models,
        block=part.block,
        clipped=clipped,
        stopped=part.stopped,
        strayed=part.strayed,
        accepted=part.accepted,
        asymmetry=part.asymmetry,
    )


def classify(classifier: Classifier, x: Tensor) -> Tensor:
    """softmax(C(x)): probabilities, float32, shape (B, classes), on the CPU.

    Raises:
        ModelError: C(x) is not of shape (B, classes), or not finite.

    Example:
        >>> classify(lambda x: torch.zeros(len(x), 4), torch.ones(1, 2)).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    with torch.no_grad():
        parts = [classifier(part) for part in torch.split(x, _CHUNK)]
    logits = torch.cat(parts) if len(parts) > 1 else parts[0]
    if logits.ndim != 2 or len(logits) != len(x):
        raise ModelError(
            "classifier",
            f"maps {tuple(x.shape)} to {tuple(logits.shape)}",
            "Give one that returns logits of shape (batch, classes)",
        )
    probabilities = logits.float().softmax(1).cpu()
    if not torch.isfinite(probabilities).all():
        raise ModelError("classifier", "returns non-finite logits", "Check its weights for NaN")
    return probabilities


def algorithm1(
    AEs: Sequence[Reconstruction],
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
        AEs: trained autoencoders, all on inputs of one shape; a noise-conditioned one is held at
            sigma = sqrt(lambda/2), the level that corresponds to lambda.
        C: trained classifier, x of shape (B, *event) -> logits (B, classes).
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
        ModelError: autoencoders of different input shapes; a classifier without (B, classes) logits.

    Source: Algorithm 1 of the paper's supplementary material.

    Example:
        >>> from reinject import wrap
        >>> AE = wrap(lambda x: 0.5 * x, (2,))
        >>> X, Y = algorithm1([AE], lambda x: x, N_s=100)
        >>> X.shape, Y.shape
        (torch.Size([900, 2]), torch.Size([900]))
    """
    r = Ensemble(tuple(AEs))
    samples = list(
        synthesise(
            Langevin(r, lam, noise),
            Normal(),
            C,
            r.event_shape,
            walks=N_s,
            steps=R,
            burn_in=2,
            seed=seed,
            block_size=block_size,
            storage=Storage("float"),
            models=len(AEs),
            device=r.device,
        )
    )
    number = torch.cat([part.walk for part in samples])
    order = number.argsort(stable=True)  # parts come step by step, so a stable sort keeps the steps in order
    X = torch.cat([part.x for part in samples])[order]
    Y = torch.cat([part.label for part in samples])[order]
    return X, Y
