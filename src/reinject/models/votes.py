"""Call classifiers: logits of any of them, probabilities, or several that vote as one."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from reinject.base.errors import ModelError
from reinject.data.samples import Storage
from reinject.walks.classifier_outputs import Labeller, labeller
from reinject.walks.execution import Fast, in_cache
from reinject.walks.modes import Evaluating

Classifier = Callable[[Tensor], Tensor]


_CHUNK = 1024  # inputs of one call


class Voting(torch.nn.Module):
    """Several classifiers as one: log of the mean of their probabilities.

    Example:
        >>> vote = Voting([lambda x: x, lambda x: -x])
        >>> vote(torch.tensor([[3.0, 0.0]])).softmax(1).tolist()
        [[0.5, 0.5]]
    """

    def __init__(self, members: Sequence[Classifier]) -> None:
        super().__init__()
        self.members = tuple(members)
        self.modules_of = torch.nn.ModuleList(one for one in members if isinstance(one, torch.nn.Module))

    def forward(self, x: Tensor) -> Tensor:
        """Return log mean_k softmax(C_k(x)): (B, *event) -> (B, classes)."""
        logs = torch.stack([C(x).float().log_softmax(1) for C in self.members])
        return logs.logsumexp(0) - math.log(len(self.members))


def ready(
    classifier: Classifier, device: str | torch.device, event_shape: Sequence[int], storage: Storage | None = None
) -> Labeller:
    """Move a classifier to its device and find out what it returns, so that it returns logits.

    A module runs in evaluation mode, because dropout would label at random; after every call it has its earlier mode.
    See :func:`reinject.walks.classifier_outputs.labeller`.

    Arguments:
        classifier: C, x of shape (B, *event_shape) -> logits, probabilities, or one number for two classes.
        device: where it runs; a module is moved there.
        event_shape: of one input.
        storage: of the samples; it gives their range.

    Raises:
        ModelError: the outputs are not scores of one label each, or their meaning is unclear.

    Example:
        >>> C = ready(lambda x: x.softmax(1), "cpu", (2,))
        >>> C.note
        'returns probabilities, which get no second softmax'
    """
    if isinstance(classifier, torch.nn.Module):
        classifier = classifier.to(device)
    kept = storage or Storage()
    return labeller(classifier, event_shape, kept.low, kept.high, device)


def classify(classifier: Classifier, x: Tensor) -> Tensor:
    """Return softmax(C(x)): probabilities, float32, shape (B, classes), on the CPU.

    The inputs of a module move to the device of its weights. It runs in evaluation mode.

    Raises:
        ModelError: C(x) is not of shape (B, classes), or not finite.

    Example:
        >>> classify(lambda x: torch.zeros(len(x), 4), torch.ones(1, 2)).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    weight = next(classifier.parameters(), None) if isinstance(classifier, torch.nn.Module) else None
    x = x if weight is None else x.to(weight.device)
    chunk = in_cache((classifier,), x[0].numel(), x.device) if len(x) else None
    with torch.no_grad(), Evaluating(classifier):
        parts = [Fast(classifier)(part) for part in torch.split(x, chunk or _CHUNK)]
    logits = torch.cat(parts) if len(parts) > 1 else parts[0]
    if logits.ndim != 2 or len(logits) != len(x):
        raise ModelError(
            "classifier",
            f"maps {tuple(x.shape)} to {tuple(logits.shape)}",
            "Give a classifier that returns logits of shape (batch, classes)",
        )
    probabilities = logits.float().softmax(1).cpu()
    if not torch.isfinite(probabilities).all():
        raise ModelError("classifier", "returns non-finite logits", "Check its weights for NaN")
    return probabilities
