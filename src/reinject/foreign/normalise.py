"""Find out by trials on data how a network reads its inputs (range, normalisation, layout) and what it returns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError
from reinject.foreign.route import LAYOUTS, Foreign, Gives, Layout, Loaded, Native, Out, Role
from reinject.networks import Inputs

BOUNDS = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))  # ranges in which networks are usually trained
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_LUCK = 1e-3  # probability that a guesser of the largest class is as accurate
_CLEARLY = 0.8  # part of the error that an unusual layout must reach
_FAR = 0.1  # lower relative error, or higher accuracy
_OTHER_ORDER = 0.2  # higher accuracy, with another order of the classes
_ROWS = 128  # rows of one call
_BEST = 4  # readings to combine with other layouts
OUTPUTS: dict[Out, str] = {"same": "same", "plain": "plain", "sigmoid": "logits"}  # on the command line


@dataclass(frozen=True)
class Evidence:
    """Real data to try a network on.

    Attributes:
        name: of the data set.
        x: inputs, (B, C, H, W) or (B, n), in [0, 1].
        y: numbers of their classes among the network's outputs, int64, (B,); -1: a class that the network lacks, whose
            rows are left out.
        class_names: of the outputs.
    """

    name: str
    x: Tensor
    y: Tensor
    class_names: tuple[str, ...]

    @property
    def chance(self) -> float:
        """Return an accuracy that a guesser of the largest class almost never exceeds on these rows."""
        from scipy.stats import binom

        known = self.y[self.y >= 0]
        if not len(known):
            return 1.0
        share = float(torch.bincount(known).max()) / len(known)
        return float(binom.isf(_LUCK, len(known), share)) / len(known)


@dataclass(frozen=True)
class Tried:
    """One reading of a network's inputs and outputs, and its result on data.

    Attributes:
        native: the reading.
        accuracy: of a classifier, or None.
        error: of an autoencoder, root of E|r(x) - x|^2 / E|x - E x|^2, or the cross-entropy of a classifier.
        order: numbers of the classes in the apparent order of its outputs; empty: the data's order.
        ordered: accuracy in that order.
    """

    native: Native
    accuracy: float | None
    error: float
    order: tuple[int, ...] = ()
    ordered: float = 0.0

    @property
    def merit(self) -> tuple[float, float]:
        """Return the value to maximise over readings."""
        return (self.accuracy or 0.0, -self.error)

    @property
    def figure(self) -> str:
        """Return the deciding number, as text."""
        return f"{self.error:.3g}" if self.accuracy is None else f"{self.accuracy:.1%}"

    def hopeless(self, chance: float) -> bool:
        """Return whether the reading is no better than the mean of the data, or than a guess."""
        return not self.error < 1 if self.accuracy is None else self.accuracy <= chance


@dataclass(frozen=True)
class Known:
    """What is known of a network's reading before any trial on data.

    Attributes:
        base: its shape and layout, and, where ``given``, its range and normalisation.
        given: whether range and normalisation are known.
        by_user: whether the user states them, who may be wrong, and not the library.
        out: kind of the network's output; None: unknown.
        layout: order of colours and axes of its inputs; None: unknown.
    """

    base: Native
    given: bool = False
    by_user: bool = False
    out: Out | None = None
    layout: Layout | None = None


def words_for(native: Native) -> str:
    """Describe a reading in the words of the command line.

    Example:
        >>> words_for(Native((1,), 0, 1, (0.5,), (0.25,), "plain"))
        'range 0,1 with mean 0.5 and std 0.25, outputs without them'
    """
    said = f"range {native.low:g},{native.high:g}"
    if native.std:
        mean, std = (",".join(f"{value:.3g}" for value in part) for part in (native.mean, native.std))
        said += f" with mean {mean} and std {std}"
    said += "" if native.layout == "chw" else f", layout {native.layout}"
    end = {"same": "", "plain": ", outputs without them", "sigmoid": ", outputs logits"}[native.out]
    return said + end


def options_for(native: Native) -> str:
    """Write a reading as options of ``reinject import``.

    Example:
        >>> options_for(Native((1,), -1, 1, out="sigmoid", layout="bgr"))
        '--range -1,1 --outputs logits --layout bgr'
    """
    found = [f"--range {native.low:g},{native.high:g}"]
    for name, values in (("mean", native.mean), ("std", native.std)):
        found += [f"--{name} {','.join(f'{value:.6g}' for value in values)}"] if values else []
    found += [f"--outputs {OUTPUTS[native.out]}"] if native.out != "same" else []
    found += [f"--layout {native.layout}"] if native.layout != "chw" else []
    return " ".join(found)


def readings(role: Role, base: Native, x: Tensor, given: bool, out: Out | None = None) -> list[Native]:
    """List the readings to try, the usual ones first.

    Arguments:
        role: of the network.
        base: what is known: shape and layout, and, where ``given``, range and normalisation.
        x: images, (B, C, H, W) or (B, n), in [0, 1].
        given: whether the user states the range or the normalisation.
        out: kind of its output, if known.

    Example:
        >>> x = torch.rand(9, 1, 2, 2)
        >>> [words_for(one) for one in readings("autoencoder", Native((4,), -1, 1), x, given=True)]
        ['range -1,1', 'range -1,1, outputs logits']
    """
    outs: tuple[Out, ...] = ("same", "plain", "sigmoid") if role == "autoencoder" else ("same",)
    outs = outs if out is None else (out,)
    if given:
        return [replace(base, out=out) for out in outs if base.std or out != "plain"]
    plain = [replace(base, low=low, high=high, mean=(), std=()) for low, high in BOUNDS]
    normal = [replace(base, low=0.0, high=1.0, mean=mean, std=std) for mean, std in _moments(x)]
    found = [replace(one, out=out) for one in (*plain, *normal) for out in outs if one.std or out != "plain"]
    if role == "autoencoder" and "plain" in outs:  # inputs of another range, outputs in [0, 1]
        half = replace(base, low=0.0, high=1.0, mean=(0.5,), std=(0.5,), out="plain")
        found += [half, replace(half, mean=(0.0,), std=(1 / 255,))]
    return sorted(found, key=lambda one: one.out == "sigmoid")


def layouts_of(base: Native, shape: tuple[int, ...]) -> list[Layout]:
    """List the unusual layouts in which a network may take images of a shape, channels first.

    Example:
        >>> layouts_of(Native((3, 8, 8), 0, 1), (3, 8, 8)), layouts_of(Native((192,), 0, 1), (3, 8, 8))
        (['bgr'], ['hwc', 'bgr', 'hwc-bgr'])
    """
    if len(shape) != 3 or shape[0] == 1:
        return []
    flat = len(base.shape) == 1
    return [one for one in LAYOUTS[1:] if (flat or "hwc" not in one) and (shape[0] == 3 or "bgr" not in one)]


def _moments(x: Tensor) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Return mean and standard deviation of the data, one a channel, and for colours those of ImageNet."""
    if x.ndim != 4:
        return [((float(x.mean()),), (max(float(x.std()), 1e-6),))]
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3)).clamp(min=1e-6)
    found = [(tuple(map(float, mean)), tuple(map(float, std)))]
    return [*found, IMAGENET] if x.shape[1] == 3 else found


def attempt(loaded: Loaded, role: Role, native: Native, on: Evidence, gives: Gives) -> Tried:
    """Try one reading on data.

    Arguments:
        loaded: the network.
        role: autoencoder or classifier.
        native: the reading.
        on: the data.
        gives: kind of the network's output.
    """
    x = on.x
    network = Foreign(loaded, role, Inputs(tuple(x.shape[1:])), native, gives)
    with torch.no_grad():
        y = torch.cat([torch.as_tensor(network(part)) for part in torch.split(x, _ROWS)]).double()
    if not bool(torch.isfinite(y).all()):
        return Tried(native, 0.0 if role == "classifier" else None, float("inf"))
    if role == "autoencoder":
        spread = (x - x.mean(0)).double().square().mean().clamp(min=1e-12)
        return Tried(native, None, float(((y - x).square().mean() / spread).sqrt()))
    y, labels = y[on.y >= 0], on.y[on.y >= 0]
    if not len(labels):
        return Tried(native, 0.0, float("inf"))
    accuracy = float((y.argmax(1) == labels).double().mean())
    y, labels = y[labels < y.shape[1]], labels[labels < y.shape[1]]
    order, ordered = _order(y.argmax(1), labels, y.shape[1])
    return Tried(native, accuracy, float(torch.nn.functional.cross_entropy(y, labels)), order, ordered)


def _order(found: Tensor, y: Tensor, classes: int) -> tuple[tuple[int, ...], float]:
    """Return the most frequent class of each output, if they all differ, and the accuracy in that order."""
    table = torch.bincount(found * classes + y, minlength=classes**2).reshape(classes, classes)
    order = tuple(table.argmax(1).tolist())
    apart = len(set(order)) == classes
    return (order, float(table.max(1).values.sum()) / max(len(y), 1)) if apart else ((), 0.0)


def read_by(loaded: Loaded, role: Role, known: Known, on: Evidence, source: str, gives: Gives) -> tuple[Native, str]:
    """Choose the reading of a network with the best result on data; return it with a line of all results.

    Arguments:
        loaded, role: the network, and its role.
        known: what is known before the trial.
        on: the data.
        source: name for messages.
        gives: kind of the network's output.

    Raises:
        ArgumentError: the best result is near chance, or no better than the mean of the data. Also where the stated
            reading is far worse than another one, or the classes have another order than the data's.
    """
    given, out, layout = known.given, known.out, known.layout
    base = replace(known.base, layout=layout or known.base.layout)
    tried = _all(loaded, role, base, on, gives, given, out, layout is None)
    best = _best(tried, on)
    chance = on.chance if role == "classifier" else 0.0
    _check_order(tried, best, on, source, chance)
    hopeless = best.hopeless(chance)
    if not (hopeless or known.by_user):
        return best.native, _figures(tried, on)
    usual = replace(base, layout="chw")
    more = _all(loaded, role, usual, on, gives, False, None, True) if given or out or layout else []
    other = _best([*tried, *more], on)
    if hopeless:
        _check_order(more, other, on, source, chance)
    elif not _far_better(other, best, on):
        return best.native, _figures(tried, on)
    why = f"no better than the mean of {on.name}" if best.accuracy is None else f"near chance on {on.name}"
    if not other.hopeless(chance):
        why = why if hopeless else f"far from its best on {on.name}"
        raise ArgumentError(
            "--range",
            f"{source} is {why} as stated, {words_for(base)} ({_figures([*tried, *more], on)})",
            f"Give {options_for(other.native)}, or let --data find it out",
        )
    raise ArgumentError(
        "--range",
        f"{source} fits its data in no tried range; it is {why} ({_figures([*tried, *more], on)})",
        f"Give --range, or --mean and --std, and check its weights, and that it was trained on {on.name}",
    )


def _all(
    loaded: Loaded, role: Role, base: Native, on: Evidence, gives: Gives, given: bool, out: Out | None, layouts: bool
) -> list[Tried]:
    """Return all readings in the usual layout, and the best of them in other layouts."""
    tried = [attempt(loaded, role, native, on, gives) for native in readings(role, base, on.x, given, out)]
    others = layouts_of(base, tuple(on.x.shape[1:])) if layouts else []
    ranked = sorted(tried, key=lambda one: one.merit, reverse=True)[:_BEST]
    return tried + [
        attempt(loaded, role, replace(one.native, layout=how), on, gives) for how in others for one in ranked
    ]


def _best(tried: Sequence[Tried], on: Evidence) -> Tried:
    """Return the best reading; an unusual layout must be clearly better."""
    best = max(tried, key=lambda one: one.merit)
    usual = max((one for one in tried if one.native.layout == "chw"), key=lambda one: one.merit, default=best)
    if usual.accuracy is None or best.accuracy is None:
        return best if best.error < _CLEARLY * usual.error else usual
    return best if best.accuracy > usual.accuracy + 3 * (0.25 / len(on.y)) ** 0.5 else usual


def _far_better(other: Tried, best: Tried, on: Evidence) -> bool:
    """Return whether another reading is so much better than the stated one that the statement must be wrong."""
    if other.accuracy is None or best.accuracy is None:
        return other.error < min(_CLEARLY * best.error, best.error - _FAR)
    return other.accuracy > best.accuracy + max(_FAR, 3 * math.sqrt(0.25 / len(on.y)))


def _figures(tried: Sequence[Tried], on: Evidence) -> str:
    kind = "relative error" if tried[0].accuracy is None else "accuracy"
    ranked = sorted(tried, key=lambda one: one.merit, reverse=True)
    found = dict.fromkeys(f"{words_for(one.native)}: {one.figure}" for one in ranked)
    return f"{kind} on {on.name}: {'; '.join(list(found)[:6])}"


def _check_order(tried: Sequence[Tried], best: Tried, on: Evidence, source: str, chance: float) -> None:
    """Raise ArgumentError if the outputs fit the data much better in another order of the classes."""
    found = max(tried, key=lambda one: one.ordered, default=best)
    if found.ordered > max((best.accuracy or 0.0) + _OTHER_ORDER, chance, 0.5):
        names = ",".join(on.class_names[number] for number in found.order)
        raise ArgumentError(
            "--class-names",
            f"{source} has an accuracy of {best.figure} on {on.name}, and of {found.ordered:.1%} if its outputs are "
            f"{names} in this order",
            f"Give --class-names {names}",
        )
