"""Find what is wrong with a set, worst first, and describe its walk in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reinject.evaluation.judgement import Judgement
from reinject.evaluation.utility import Utility
from reinject.evaluation.wording import alarms
from reinject.walks.verdict import ABSENT, LEVELS, WALKS_A_CLASS, Verdict

_GOOD, _LITTLE = 0.9, 0.5  # ratios: below the first a set is doubtful, below the second broken
_ASKED = {
    "utility": "accuracy of a student",
    "coverage": "coverage of the real data",
    "two-sample": "differences from the real data",
    "spurious": "spurious samples",
    "memorisation": "copies of training rows",
    "membership": "identification of training rows",
}


@dataclass(frozen=True)
class Classes:
    """Hold the shares of the classes in a set and in the real data.

    Attributes:
        names: names of the classes.
        shares: shares in the set.
        real: shares in the real data.
        walks: number of walks of the set.
    """

    names: Sequence[str] = ()
    shares: Sequence[float] = ()
    real: Sequence[float] = ()
    walks: int = 0

    @property
    def missing(self) -> list[str]:
        """Classes of the real data that the set lacks; none if the walks are too few to tell.

        Example:
            >>> Classes(("cat", "dog"), (1.0, 0.0), (0.5, 0.5), 100).missing
            ['dog']
        """
        return [
            name
            for name, share, real in zip(self.names, self.shares, self.real, strict=True)
            if real * self.walks >= WALKS_A_CLASS and share < ABSENT * real
        ]


def findings(judged: Utility | None, found: Mapping[str, Sequence[Judgement]], classes: Classes) -> list[Verdict]:
    """List the faults that a comparison with real data finds, worst first.

    Arguments:
        judged: utility of the set; None: not judged.
        found: group -> other judgements.
        classes: shares of the classes.

    Example:
        >>> findings(None, {}, Classes(("cat", "dog"), (1.0, 0.0), (0.5, 0.5), 100))[0].line
        'verdict: broken: 1 of 2 classes is missing: dog'
    """
    wrong = [Verdict("doubtful", line) for line in alarms(found)]
    missing = classes.missing
    if missing:
        level = LEVELS[2] if 2 * len(missing) >= len(classes.names) else LEVELS[1]
        named = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        verb = "is" if len(missing) == 1 else "are"
        wrong.append(Verdict(level, f"{len(missing)} of {len(classes.names)} classes {verb} missing: {named}"))
    if judged is not None and not judged.ratio.mean >= _GOOD:
        level = LEVELS[1] if judged.ratio.mean >= _LITTLE else LEVELS[2]
        reason = "a student trained on the samples is less accurate than its twin trained on real data"
        wrong.append(Verdict(level, f"the ratio is {judged.ratio.mean:.3f}: {reason}"))
    return worst_first(None, wrong)


def worst_first(verdict: Verdict | None, found: Sequence[Verdict]) -> list[Verdict]:
    """Sort a set's own verdict and the faults of a comparison, worst first; "good" stays only without faults.

    Arguments:
        verdict: verdict that needs no real data; None: no verdict.
        found: faults of a comparison with real data; they precede a verdict of the same level.

    Example:
        >>> [one.line for one in worst_first(Verdict("good"), [Verdict("doubtful", "copies")])]
        ['verdict: doubtful: copies']
    """
    wrong = sorted((*found, *([] if verdict is None else [verdict])), key=lambda one: -LEVELS.index(one.level))
    return [one for k, one in enumerate(wrong) if k == 0 or one.level != "good"]


def unchecked(judged: Utility | None, found: Mapping[str, Sequence[Judgement]]) -> str:
    """List the omitted comparisons with real data as ``not checked: ...``; "" if none is missing.

    Example:
        >>> unchecked(None, {name: () for name in ("coverage", "two-sample", "spurious", "memorisation")})
        'not checked: accuracy of a student (utility), identification of training rows (membership)'
    """
    done = {*found, *(["utility"] if judged is not None else [])}
    left = [f"{what} ({name})" for name, what in _ASKED.items() if name not in done]
    return f"not checked: {', '.join(left)}" if left else ""


def standing_lines(worst: Sequence[Verdict], command: str) -> list[str]:
    """Write the verdict, further faults and the next command for a terminal.

    Arguments:
        worst: result of :func:`worst_first`.
        command: command to try next; "": none.

    Example:
        >>> standing_lines([Verdict("broken", "50% of the walks diverged")], "reinject inspect MODELS")
        ['verdict: broken: 50% of the walks diverged', 'next: reinject inspect MODELS']
    """
    first = [worst[0].line] if worst else []
    return [*first, *(f"also: {one.reason}" for one in worst[1:]), *([f"next: {command}"] if command else [])]


def figure_rows(figures: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """Write the measured figures of a manifest in plain words, name -> value.

    Example:
        >>> figure_rows({"shares": [0.4, 0.6], "clipped": 0.012, "information": None}, ("cat", "dog"))
        {'rarest class': 'cat: 40.0%', 'most frequent class': 'dog: 60.0%', 'values far outside the range': '1.2%'}
    """
    rows = {}
    shares = dict(zip(names, figures.get("shares") or (), strict=False))
    if shares:
        for what, name in (
            ("rarest class", min(shares, key=shares.__getitem__)),
            ("most frequent class", max(shares, key=shares.__getitem__)),
        ):
            rows[what] = f"{name}: {shares[name]:.1%}"
    for key, what, form in (
        ("stopped", "walks that diverged", "{:.1%}"),
        ("clipped", "values far outside the range", "{:.1%}"),
        ("repeated", "repeated samples", "{:.1%}"),
        ("remembered", "start kept at the end", "{:.0%}"),
        ("information", "information of labels, 0 to 1", "{:.2f}"),
        ("confidence", "mean confidence", "{:.2f}"),
        ("directions", "directions of variation", "{:.0f}"),
    ):
        if figures.get(key) is not None:
            rows[what] = form.format(figures[key])
    return rows


@dataclass(frozen=True)
class Chosen:
    """Hold the reason for a chosen walk.

    Attributes:
        settings: settings as options of the command line.
        because: reason.
        trials: one row for each pilot: settings, merit, verdict.
    """

    settings: str
    because: str
    trials: Sequence[Sequence[str]] = ()

    @classmethod
    def of(cls, settings: str, chosen: Mapping[str, Any]) -> "Chosen":
        """Read the choice from a manifest.

        Example:
            >>> Chosen.of("--kernel ancestral", {"because": "r is noise-conditioned", "trials": []}).because
            'r is noise-conditioned'
        """
        trials = [
            [_options(one["settings"]), f"{one['merit']:.2f}", one["verdict"]["level"]] for one in chosen["trials"]
        ]
        return cls(settings, chosen["because"], trials)


def _options(settings: Mapping[str, Any]) -> str:
    options = settings.get("options")
    named = options.items() if isinstance(options, dict) else ()
    return " ".join([str(settings.get("kernel", "")), *(f"--{name} {value}" for name, value in named)])
