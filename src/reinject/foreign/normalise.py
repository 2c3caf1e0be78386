"""Find out in which range and normalisation a network takes its inputs, and what it gives, by its results on data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from reinject.errors import ArgumentError
from reinject.foreign.base import Foreign, Gives, Loaded, Native, Out, Role
from reinject.models import Inputs

BOUNDS = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))  # that networks are usually trained in
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CHANCE = 1.5  # times the accuracy of guessing, that a classifier has to reach


@dataclass(frozen=True)
class Tried:
    """One reading of a network's inputs and outputs, and how well it does so.

    Attributes:
        native: the reading.
        accuracy: of a classifier, or None.
        error: of an autoencoder, root of E|r(x) - x|^2 / E|x - E x|^2, or the cross-entropy of a classifier.
    """

    native: Native
    accuracy: float | None
    error: float

    @property
    def merit(self) -> tuple[float, float]:
        """What is greatest for the best reading."""
        return (self.accuracy or 0.0, -self.error)

    @property
    def figure(self) -> str:
        """The number that is chosen by, in words."""
        return f"{self.error:.3g}" if self.accuracy is None else f"{self.accuracy:.1%}"


def words_for(native: Native) -> str:
    """Write a reading in the words of the command line.

    Example:
        >>> words_for(Native((1,), 0, 1, (0.5,), (0.25,), "plain"))
        'range 0,1 with mean 0.5 and std 0.25, outputs without them'
    """
    said = f"range {native.low:g},{native.high:g}"
    if native.std:
        mean, std = (",".join(f"{value:.3g}" for value in part) for part in (native.mean, native.std))
        said += f" with mean {mean} and std {std}"
    end = {"same": "", "plain": ", outputs without them", "sigmoid": ", outputs logits"}[native.out]
    return said + end


def readings(role: Role, base: Native, x: Tensor, given: bool) -> list[Native]:
    """List the readings that are worth a try, the usual ones first.

    Arguments:
        role: of the network.
        base: what is known: its shape, and, where ``given``, its range and normalisation.
        x: images, (B, C, H, W) or (B, n), in [0, 1].
        given: whether the user has said the range or the normalisation.

    Example:
        >>> x = torch.rand(9, 1, 2, 2)
        >>> [words_for(one) for one in readings("autoencoder", Native((4,), -1, 1), x, given=True)]
        ['range -1,1', 'range -1,1, outputs logits']
    """
    outs: tuple[Out, ...] = ("same", "plain", "sigmoid") if role == "autoencoder" else ("same",)
    if given:
        return [replace(base, out=out) for out in outs if base.std or out != "plain"]
    plain = [replace(base, low=low, high=high, mean=(), std=()) for low, high in BOUNDS]
    normal = [replace(base, low=0.0, high=1.0, mean=mean, std=std) for mean, std in _moments(x)]
    found = [replace(one, out=out) for one in (*plain, *normal) for out in outs if one.std or out != "plain"]
    if role == "autoencoder":  # inputs of another range, outputs in [0, 1]
        half = replace(base, low=0.0, high=1.0, mean=(0.5,), std=(0.5,), out="plain")
        found += [half, replace(half, mean=(0.0,), std=(1 / 255,))]
    return sorted(found, key=lambda one: one.out == "sigmoid")


def _moments(x: Tensor) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Mean and standard deviation of the data, one a channel, and those of ImageNet for colours."""
    if x.ndim != 4:
        return [((float(x.mean()),), (max(float(x.std()), 1e-6),))]
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3)).clamp(min=1e-6)
    found = [(tuple(map(float, mean)), tuple(map(float, std)))]
    return [*found, IMAGENET] if x.shape[1] == 3 else found


def attempt(loaded: Loaded, role: Role, native: Native, x: Tensor, labels: Tensor, gives: Gives) -> Tried:
    """Try one reading on data.

    Arguments:
        loaded: the network.
        role: what it is.
        native: the reading.
        x: inputs of ours, in [0, 1].
        labels: their classes, int64, (B,); -1: a class that the network does not know, whose rows are left out.
        gives: what the network gives.
    """
    network = Foreign(loaded, role, Inputs(tuple(x.shape[1:])), native, gives)
    with torch.no_grad():
        y = network(x).double()
    if not bool(torch.isfinite(y).all()):
        return Tried(native, 0.0 if role == "classifier" else None, float("inf"))
    if role == "autoencoder":
        spread = (x - x.mean(0)).double().square().mean().clamp(min=1e-12)
        return Tried(native, None, float(((y - x).square().mean() / spread).sqrt()))
    y, labels = y[labels >= 0], labels[labels >= 0]
    if not len(labels):
        return Tried(native, 0.0, float("inf"))
    known = labels < y.shape[1]
    accuracy = float((y.argmax(1) == labels).double().mean())
    return Tried(native, accuracy, float(torch.nn.functional.cross_entropy(y[known], labels[known])))


def best_of(tried: Sequence[Tried], classes: int, source: str, dataset: str) -> tuple[Tried, str]:
    """Choose the best reading; it, and a line with the figures of all.

    Arguments:
        tried: the readings, with their figures.
        classes: of the data.
        source, dataset: names for messages.

    Raises:
        ArgumentError: even the best is near chance, or worse than the mean of the data.
    """
    best = max(tried, key=lambda one: one.merit)
    kind = "relative error" if best.accuracy is None else "accuracy"
    ranked = sorted(tried, key=lambda one: one.merit, reverse=True)
    figures = "; ".join(f"{words_for(one.native)}: {one.figure}" for one in ranked[:6])
    line = f"{kind} on {dataset}: {figures}"
    hopeless = best.error >= 1 if best.accuracy is None else best.accuracy < _CHANCE / max(classes, 1)
    if hopeless:
        why = "no better than the mean of the data" if best.accuracy is None else "near chance"
        raise ArgumentError(
            "--range",
            f"{source} fits {dataset} in no range that was tried, it is {why} ({line})",
            "Give --range, or --mean and --std, and check its weights",
        )
    return best, line
