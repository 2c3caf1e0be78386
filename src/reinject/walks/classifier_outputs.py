"""Read what a classifier returns (logits, probabilities, one number) off its outputs on probe inputs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reinject.base.errors import ModelError, reason
from reinject.walks.modes import Evaluating
from reinject.walks.outputs import Place, choose, tensor_at

Scores = Literal["logits", "probabilities", "logit", "probability"]  # the last two: one number for two classes

WORDS: Mapping[Scores, str] = MappingProxyType(  # for the user
    {
        "probabilities": "returns probabilities, which get no second softmax",
        "logit": "returns one logit, which becomes two classes",
        "probability": "returns one probability, which becomes two classes",
    }
)
_SURE = 1e-3  # largest error of the sum of a row of probabilities
_SPREAD = 0.05  # least range of outputs that shows what they are


def probes(
    shape: Sequence[int], low: float = 0.0, high: float = 1.0, device: str | torch.device = "cpu"
) -> tuple[Tensor, Tensor]:
    """Draw inputs in a range, and inputs far outside of it.

    Far outside only a sigmoid or a softmax keeps its outputs in 0..1.

    Example:
        >>> inside, beyond = probes((3,))
        >>> inside.shape, bool(beyond.abs().amax() > 20)
        (torch.Size([16, 3]), True)
    """
    g = torch.Generator().manual_seed(0)
    inside = low + (high - low) * torch.rand((16, *shape), generator=g)
    far = torch.cat([scale * torch.randn((16, *shape), generator=g) for scale in (1.0, 50.0, 5000.0)])
    return inside.to(device), ((low + high) / 2 + (high - low) * far).to(device)


def scores_of(
    function: Callable[[Tensor], Tensor], inside: Tensor, beyond: Tensor, owner: str = "classifier"
) -> Scores:
    """Find out what a classifier returns, from its outputs on inputs near and far.

    Arguments:
        function: inputs -> outputs, as for :func:`meaning_of`.
        inside, beyond: of :func:`probes`.
        owner: name for messages.

    Raises:
        ModelError: as :func:`meaning_of`.

    Example:
        >>> scores_of(lambda x: 9 * x[:, :1] - 4, *probes((3,)))
        'logit'
    """
    y = function(inside)
    with suppress(Exception):  # far from its data it may fail
        y = torch.cat([y, function(beyond)])
    return meaning_of(y, owner)


def meaning_of(y: Tensor, owner: str = "classifier") -> Scores:
    """Find out what a classifier's outputs are.

    Rows that are not negative and sum to one are probabilities. One number in 0..1, even for inputs far outside of the
    range, is the probability of the second class. One number of both signs, beyond -1..1, is the logit of that class.

    Arguments:
        y: the outputs on different inputs, (B, classes), (B, 1) or (B,).
        owner: name for messages.

    Raises:
        ModelError: several labels at once; one number of unknown meaning; no finite row.

    Example:
        >>> meaning_of(torch.tensor([[0.2, 0.8], [1.0, 0.0]])), meaning_of(torch.tensor([-8.0, 3.0]))
        ('probabilities', 'logit')
    """
    if y.ndim not in (1, 2) or not y.numel():
        raise ModelError(owner, f"returns outputs of shape {tuple(y.shape)}", "Give logits of shape (batch, classes)")
    y = y.reshape(len(y), -1)
    y = y[torch.isfinite(y).all(1)]
    if not len(y):
        raise ModelError(owner, "returns non-finite logits", "Check its weights for NaN")
    low, high = float(y.min()), float(y.max())
    inside = low >= 0 and high <= 1 + _SURE
    if y.shape[1] == 1:
        return _one(low, high, inside, owner)
    if is_probabilities(y):
        return "probabilities"
    between = bool(((y > _SPREAD) & (y < 1 - _SPREAD)).any())
    if inside and between and high - low > _SPREAD:
        raise ModelError(
            owner,
            f"gives {y.shape[1]} numbers in 0..1 that do not sum to one: several labels at once",
            "Give a single-label classifier that returns logits or softmax probabilities",
        )
    return "logits"


def _one(low: float, high: float, inside: bool, owner: str) -> Scores:
    if inside and high - low > _SPREAD:
        return "probability"
    if low < 0 < high and max(-low, high) > 1 + _SURE:
        return "logit"
    raise ModelError(
        owner,
        f"gives one number, in {low:.3g}..{high:.3g}, which may be a probability, a logit or neither",
        "Give one output for each class",
    )


def is_probabilities(y: Tensor) -> bool:
    """Return whether the rows are probabilities.

    Example:
        >>> is_probabilities(torch.tensor([[0.25, 0.75]])), is_probabilities(torch.tensor([[1.0, 1.0]]))
        (True, False)
    """
    return bool((y >= 0).all()) and torch.allclose(y.sum(1), torch.ones(len(y)).to(y), atol=_SURE)


def as_logits(y: Tensor, scores: Scores) -> Tensor:
    """Turn a classifier's outputs into logits, whose softmax is the probabilities that the classifier means.

    Arguments:
        y: (B, classes), or (B, 1) or (B,) for two classes.
        scores: what the outputs are.

    Example:
        >>> as_logits(torch.tensor([[0.75]]), "probability").softmax(1)
        tensor([[0.2500, 0.7500]])
        >>> as_logits(torch.tensor([[0.0]]), "logit").softmax(1)
        tensor([[0.5000, 0.5000]])
    """
    if scores == "logits":
        return y
    if scores == "probabilities":
        return y.clamp(min=1e-12).log()
    y = y.reshape(len(y), 1)
    return torch.cat([0 * y, y], 1) if scores == "logit" else torch.cat([1 - y, y], 1).clamp(min=1e-12).log()


def check_steady(function: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, owner: str, *, rows: bool = True) -> None:
    """Check that a function returns the same values again, and the same for one row alone.

    Arguments:
        function: the function to check.
        x: inputs.
        y: its outputs for them.
        owner: name for messages.
        rows: whether to try one row alone too.

    Raises:
        ModelError: the function draws noise, or a row depends on the other rows, as in training mode.

    Example:
        >>> x = torch.randn(3, 2)
        >>> check_steady(lambda x: x - x.mean(0), x, x - x.mean(0), "r")
        Traceback (most recent call last):
        reinject.base.errors.ModelError: r: returns different values for a row in another batch. Put it in ...
    """
    evaluation = "Put it in evaluation mode, eval(), before you give a function of it"
    with torch.no_grad():
        again = function(x)
        if again.shape != y.shape or not torch.allclose(y, again, rtol=1e-4, atol=1e-5, equal_nan=True):
            raise ModelError(
                owner,
                "returns different values for the same input at every call",
                "Give a function without noise: eval(), and decode(mean of encode(x)) for a variational autoencoder",
            )
        try:
            alone = function(x[:1]) if rows else y[:1]
        except Exception as error:  # whatever another library raises
            raise ModelError(owner, f"fails on one row alone: {reason(error)}", evaluation) from error
    if alone.shape != y[:1].shape or not torch.allclose(alone, y[:1], rtol=1e-3, atol=1e-4, equal_nan=True):
        raise ModelError(owner, "returns different values for a row in another batch", evaluation)


class Labeller(nn.Module):
    """A classifier that returns logits (B, classes), whatever the function returns; it runs in evaluation mode.

    Arguments:
        function: the classifier.
        place: of the scores in what the function returns.
        scores: what the scores are.
    """

    def __init__(self, function: Callable[..., Any], place: Place, scores: Scores) -> None:
        super().__init__()
        self.function, self.place, self.scores = function, place, scores
        self._mode = Evaluating(function)

    @property
    def note(self) -> str:
        """Return what was found out, as text for the user; "" for logits."""
        return WORDS.get(self.scores, "")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of x (B, *event)."""
        with self._mode:
            return as_logits(tensor_at(self.function(x), self.place), self.scores)


def labeller(
    classifier: Callable[..., Any],
    shape: Sequence[int],
    low: float = 0.0,
    high: float = 1.0,
    device: str | torch.device = "cpu",
    owner: str = "classifier",
) -> Labeller:
    """Wrap a classifier: call it on probes, choose its scores among its outputs, and find out what they are.

    Arguments:
        classifier: x of shape (B, *shape) -> scores (B, classes), or one number for two classes.
        shape: of one input.
        low, high: range of its values, data units.
        device: where x must be.
        owner: name for messages.

    Raises:
        ModelError: the classifier fails, returns labels or several labels at once, draws noise, depends on the other
            rows of a batch, or its scores have no clear meaning.

    Example:
        >>> C = labeller(lambda x: x.softmax(1), (3,))
        >>> C.scores, C(torch.ones(1, 3)).softmax(1)
        ('probabilities', tensor([[0.3333, 0.3333, 0.3333]]))
    """
    if isinstance(classifier, Labeller):
        return classifier
    inside, beyond = probes(shape, low, high, device)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), Evaluating(classifier):
        try:
            value = classifier(inside)
        except Exception as error:  # whatever another library raises
            problem = f"fails on a batch of shape {tuple(inside.shape)} ({reason(error)})"
            raise ModelError(owner, problem, "Give a classifier of such inputs") from error
        place = choose(value, inside, "classifier", owner)

        def scores(x: Tensor) -> Tensor:
            return tensor_at(classifier(x), place)

        check_steady(scores, inside, tensor_at(value, place), owner)
        return Labeller(classifier, place, scores_of(scores, inside, beyond, owner))
