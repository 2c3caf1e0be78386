"""What is wrong with a set, the worst first; what its manifest says of its walk, in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reinject.evaluation.judgement import Judgement
from reinject.evaluation.utility import Utility
from reinject.evaluation.wording import alarms
from reinject.walks.verdict import ABSENT, LEVELS, WALKS_A_CLASS, Verdict

_GOOD, _LITTLE = 0.9, 0.5  # ratios: below the first a set is doubtful, below the second broken
_ASKED = {
    "utility": "what a student learns",
    "coverage": "coverage of the real data",
    "two-sample": "likeness to the real data",
    "spurious": "spurious samples",
    "memorisation": "copies of training rows",
    "membership": "traces of who was in the training data",
}


@dataclass(frozen=True)
class Classes:
    """The shares of the classes in a set and in the real data.

    Attributes:
        names: of the classes.
        shares: in the set.
        real: in the real data.
        walks: that the set comes from.
    """

    names: Sequence[str] = ()
    shares: Sequence[float] = ()
    real: Sequence[float] = ()
    walks: int = 0

    @property
    def missing(self) -> list[str]:
        """Classes that the real data has and the set lacks; none where few walks cannot say.

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
    """What a comparison with real data finds wrong, the worst first; nothing where nothing is found.

    Arguments:
        judged: how a student learns from the set; None: not judged.
        found: group -> what else was judged.
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
        reason = "a student of the samples is less accurate than one of real data"
        wrong.append(Verdict(level, f"the ratio is {judged.ratio.mean:.3f}: {reason}"))
    return worst_first(None, wrong)


def worst_first(verdict: Verdict | None, found: Sequence[Verdict]) -> list[Verdict]:
    """A set's own verdict among what a comparison found: the worst first, and good only where nothing is wrong.

    Arguments:
        verdict: from what needs no data; None: there is none.
        found: what a comparison with real data found; it comes before a verdict of its level.

    Example:
        >>> [one.line for one in worst_first(Verdict("good"), [Verdict("doubtful", "copies")])]
        ['verdict: doubtful: copies']
    """
    wrong = sorted((*found, *([] if verdict is None else [verdict])), key=lambda one: -LEVELS.index(one.level))
    return [one for k, one in enumerate(wrong) if k == 0 or one.level != "good"]


def unchecked(judged: Utility | None, found: Mapping[str, Sequence[Judgement]]) -> str:
    """What has not been compared with real data, as ``not checked: ...``; "" where everything was.

    Example:
        >>> unchecked(None, {name: () for name in ("coverage", "two-sample", "spurious", "memorisation")})
        'not checked: what a student learns (utility), traces of who was in the training data (membership)'
    """
    done = {*found, *(["utility"] if judged is not None else [])}
    left = [f"{what} ({name})" for name, what in _ASKED.items() if name not in done]
    return f"not checked: {', '.join(left)}" if left else ""


def standing_lines(worst: Sequence[Verdict], command: str) -> list[str]:
    """The verdict for a terminal, what else is wrong, and what to try next.

    Arguments:
        worst: from :func:`worst_first`.
        command: to try next; "": none.

    Example:
        >>> standing_lines([Verdict("broken", "50% of the walks diverged")], "reinject inspect MODELS")
        ['verdict: broken: 50% of the walks diverged', 'next: reinject inspect MODELS']
    """
    first = [worst[0].line] if worst else []
    return [*first, *(f"also: {one.reason}" for one in worst[1:]), *([f"next: {command}"] if command else [])]


def figure_rows(figures: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """The figures of a manifest in plain words, name -> value, without those that were not measured.

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
        ("repeated", "samples that repeat another", "{:.1%}"),
        ("remembered", "start kept at the end", "{:.0%}"),
        ("information", "information, of 1", "{:.2f}"),
        ("confidence", "mean confidence", "{:.2f}"),
        ("directions", "directions of variation", "{:.0f}"),
    ):
        if figures.get(key) is not None:
            rows[what] = form.format(figures[key])
    return rows


@dataclass(frozen=True)
class Chosen:
    """Why a walk was chosen.

    Attributes:
        settings: as options of the command line.
        because: the reason.
        trials: pilot walks, a row each: settings, merit, verdict.
    """

    settings: str
    because: str
    trials: Sequence[Sequence[str]] = ()

    @classmethod
    def of(cls, settings: str, chosen: Mapping[str, Any]) -> "Chosen":
        """From what a manifest says.

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
