"""Judge a walk without data: good, doubtful or broken, and the one reason that counts."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["good", "doubtful", "broken"]
LEVELS: tuple[Level, ...] = ("good", "doubtful", "broken")


@dataclass(frozen=True)
class Figures:
    """Measurements of a walk's samples, without data.

    Attributes:
        stopped: share of walks that became non-finite or left the range.
        clipped: share of values outside of the range by more than a tenth of it.
        spread: root mean square distance of a value from its mean over samples, in units of the range.
        noise_kept: share of small noise that r leaves: 1 for the identity, 0 for a constant.
        error: root of E|r(x) - x|^2 / E|x - E x|^2 at the samples.
        random: the same for two calls of r at one x; 0 for a deterministic r.
        repeated: share of samples whose nearest other sample lies within 1% of the typical distance.
        directions: number of directions in which samples vary (intrinsic dimension), from the distances of nearest
            neighbours.
        remembered: share of its start that a walk carries at its end; NaN where not measured.
        shares: of the classes, in the classifier's order; empty without a classifier.
        information: (H(mean p) - mean H(p)) / log(classes), p the classifier's probabilities; NaN without one.
        confidence: mean probability of the most probable class; NaN without a classifier.
        agreement: share of samples x with the same label as r(x); NaN without a classifier.
    """

    stopped: float
    clipped: float
    spread: float
    noise_kept: float
    error: float
    random: float
    repeated: float
    directions: float = math.inf
    remembered: float = math.nan
    shares: tuple[float, ...] = ()
    information: float = math.nan
    confidence: float = math.nan
    agreement: float = math.nan

    def as_json(self) -> dict[str, Any]:
        """Return JSON values, rounded to three decimals; None where not measured."""
        values = {**asdict(self), "shares": [round(share, 3) for share in self.shares]}
        return {k: _rounded(v) if isinstance(v, float) else v for k, v in values.items()}


def _rounded(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


@dataclass(frozen=True)
class Verdict:
    """How far to trust a walk.

    Attributes:
        level: "good", "doubtful" or "broken".
        reason: the one that counts; "" where the walk is good.
    """

    level: Level
    reason: str = ""

    @property
    def line(self) -> str:
        """Return the line to print: ``verdict: doubtful: REASON``."""
        return f"verdict: {self.level}" + (f": {self.reason}" if self.reason else "")

    def as_json(self) -> dict[str, str]:
        """Return JSON values."""
        return {"level": self.level, "reason": self.reason}


_CALLS = 1e-3  # error between two calls of one function: rounding
ABSENT = 0.05  # part of an even share, below which a class is missing
WALKS_A_CLASS = 5  # with fewer walks a class may be absent by chance
_FEW = 5.6  # least number of directions of good samples
_MERIT = 0.42  # chosen, as the other bounds, on half A of benchmarks/zoo.py


def judge(figures: Figures, walks: int = 10**9) -> Verdict:
    """Return the worst level that the figures show, and the first reason for it.

    Arguments:
        figures: of a walk's samples.
        walks: number of walks: with few walks a class may be absent by chance.

    Example:
        >>> from dataclasses import replace
        >>> fine = Figures(0.0, 0.0, 0.2, 0.3, 0.2, 0.0, 0.0, shares=(0.5, 0.5), information=0.9)
        >>> judge(fine).line, judge(replace(fine, stopped=0.5)).line
        ('verdict: good', 'verdict: broken: 50% of the walks diverged')
    """
    broken, doubtful = next(_broken(figures, walks), None), next(_doubtful(figures, walks), None)
    if broken is not None:
        return Verdict("broken", broken)
    return Verdict("good") if doubtful is None else Verdict("doubtful", doubtful)


def _broken(f: Figures, walks: int) -> Iterator[str]:
    if f.stopped > 0.1:
        yield f"{f.stopped:.0%} of the walks diverged"
    if f.random > _CALLS:
        yield "r returns different values at every call: put it in evaluation mode"
    if f.noise_kept > 0.95 and f.error < 0.05:
        yield f"r keeps {f.noise_kept:.0%} of small noise: it is close to the identity and has no score"
    if f.spread < 0.02:
        yield f"samples are nearly all the same (spread {f.spread:.1%} of the range): r contracts to one point"
    if f.clipped > 0.4:
        yield f"{f.clipped:.0%} of all values lie far outside of the range"
    if f.repeated > 0.5:
        yield f"{f.repeated:.0%} of the samples repeat another one"
    missing, classes = _missing(f, walks)
    if 2 * missing >= classes > 0:
        yield f"{missing} of {classes} classes are missing"
    if f.shares and merit(f) < 0.1:
        yield f"the classifier cannot tell the samples apart (information {f.information:.2f} of 1)"


def _doubtful(f: Figures, walks: int) -> Iterator[str]:
    missing, classes = _missing(f, walks)
    if missing:
        yield f"{missing} of {classes} classes are missing"
    if f.stopped > 0.01:
        yield f"{f.stopped:.1%} of the walks diverged"
    if f.clipped > 0.15:
        yield f"{f.clipped:.0%} of all values lie far outside of the range"
    if f.remembered > 0.3:
        yield f"walks carry {f.remembered:.0%} of their start at their end"
    if f.repeated > 0.05:
        yield f"{f.repeated:.0%} of the samples repeat another one"
    if f.directions < _FEW:
        yield f"samples vary in some {f.directions:.0f} directions only"
    if f.shares and merit(f) < _MERIT:
        uneven = max(f.shares) * len(f.shares) > 3
        why = f"one of them {max(f.shares):.0%}" if uneven else f"information {f.information:.2f} of 1"
        yield f"classes are uneven, {why}" if uneven else f"the classifier is unsure of the samples ({why})"
    if walks < WALKS_A_CLASS * len(f.shares):
        yield f"{walks} walks are too few to judge {len(f.shares)} classes"


def _missing(f: Figures, walks: int) -> tuple[int, int]:
    """Count the classes that are almost absent, and all classes; 0 of 0 where there are too few walks."""
    classes = len(f.shares)
    if classes < 2 or walks < WALKS_A_CLASS * classes:
        return 0, 0
    return sum(share * classes < ABSENT for share in f.shares), classes


def merit(figures: Figures) -> float:
    """Return a score of walks without data, in 0..1: information times the evenness of the classes.

    The evenness is H(shares) / log(classes). Without a classifier the score is 1 / (1 + error), which prefers samples
    that r keeps.

    Example:
        >>> round(merit(Figures(0.0, 0.0, 0.2, 0.3, 0.2, 0.0, 0.0, shares=(0.5, 0.5), information=0.9)), 3)
        0.9
        >>> merit(Figures(0.0, 0.0, 0.2, 0.3, 0.25, 0.0, 0.0))
        0.8
    """
    if math.isnan(figures.information) or len(figures.shares) < 2:
        return 1 / (1 + figures.error)
    even = sum(-share * math.log(share) for share in figures.shares if share > 0) / math.log(len(figures.shares))
    return max(0.0, figures.information * even)
