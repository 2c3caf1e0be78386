"""Write the numbers of a report as text: a headline, four numbers, tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reinject.evaluation.judgement import Judgement
from reinject.evaluation.utility import Utility
from reinject.training.learning_curves import Figure

_UNDEFINED = "not defined"
_ALARM = 0.01  # p below which the report warns


def headline(judged: Utility) -> str:
    """Write the utility in two or three sentences."""
    carried = "Skill is not defined: real data teaches no more than labelled noise."
    if judged.skill is not None:
        carried = (
            f"At equal n, the samples teach {judged.skill.mean:.0%} of what real data teaches beyond labelled noise."
        )
    return (
        f"A classifier trained on {judged.n:,} synthetic samples alone reaches {judged.full.mean:.1%} on real test "
        f"data. This is {judged.ratio.mean:.3f} of its twin trained on the real data. {carried}"
    )


def pm(figure: Figure | None) -> str:
    """Write a mean and its standard error.

    Example:
        >>> pm(Figure((0.5, 0.7))), pm(None)
        ('0.600 ± 0.100', 'not defined')
    """
    if figure is None:
        return _UNDEFINED
    error = figure.standard_error
    return f"{figure.mean:.3f}" if error is None else f"{figure.mean:.3f} ± {error:.3f}"


def table(judged: Mapping[str, Utility]) -> list[list[str]]:
    """Make a header and a row for each set: accuracy at each n, all samples, ratio, skill."""
    one = next(iter(judged.values()))
    header = ["student trained on", *(f"n = {n:,}" for n in one.real.sizes), "all", "ratio", "skill"]
    twin = max(one.twin_epochs, one.twin_steps, key=lambda figure: figure.mean)
    rows = [["real data", *(f"{a:.3f}" for a in one.real.mean), f"{twin.mean:.3f}", "1", "1"]]
    for name, result in judged.items():
        rows.append(
            [
                f"synthetic, {name} preset",
                *(f"{a:.3f}" for a in result.synthetic.mean),
                f"{result.full.mean:.3f}",
                pm(result.ratio),
                pm(result.skill),
            ]
        )
    for name, curve, zero in (("noise like data", one.noise, "0"), ("noise N(0, I)", one.standard_noise, "")):
        rows.append([f"{name}, same labels' classifier", *(f"{a:.3f}" for a in curve.mean), "", "", zero])
    rows += [[name, *[""] * len(one.real.sizes), "", pm(value), ""] for name, value in one.controls.items()]
    return [header, *rows]


def text(judged: Mapping[str, Utility]) -> list[str]:
    """Write the table for a terminal, with aligned columns."""
    return aligned(table(judged), 1)


def aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Align cells in lines: the first ``left`` columns to the left, the others to the right.

    Example:
        >>> aligned([["", "value"], ["AUC", "0.9"]], 1)
        ['     value', 'AUC    0.9']
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(w) if k < left else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def judgement_rows(found: Mapping[str, Sequence[Judgement]]) -> list[list[str]]:
    """Make a header and a row for each judgement: group, name, value, null, interval, p."""
    header = ["", "judgement", "value", "if nothing were wrong", "95% interval", "p"]
    return [header] + [
        [
            group if k == 0 else "",
            one.name,
            f"{one.value:.4g}",
            f"{one.null:.4g}",
            f"{one.interval[0]:.4g} to {one.interval[1]:.4g}",
            "" if one.p is None else f"{one.p:.2g}",
        ]
        for group, judgements in found.items()
        for k, one in enumerate(judgements)
    ]


def judgement_lines(found: Mapping[str, Sequence[Judgement]]) -> list[str]:
    """Write the judgements for a terminal; no lines without judgements."""
    return aligned(judgement_rows(found), 2) if found else []


@dataclass(frozen=True)
class Number:
    """Hold one of the few numbers on the first screen.

    Attributes:
        name: name of the number.
        value: value as text.
        interval: 95% interval as text, or the reason for its absence.
        meaning: meaning of the number, and its value without a fault.
    """

    name: str
    value: str
    interval: str
    meaning: str


def numbers(judged: Utility | None, found: Mapping[str, Sequence[Judgement]]) -> list[Number]:
    """Choose the most important known numbers, four at most."""
    shown = []
    if judged is not None:
        shown = [
            _of_figure("ratio", judged.ratio, "accuracy of a student / accuracy of its real twin; 1: equal"),
            _of_figure("skill", judged.skill, "progress at equal n, from labelled noise (0) to real data (1)"),
        ]
    known = {one.name: one for group in found.values() for one in group}
    for name, meaning in (
        ("recall", "share of real data near a sample; for real data itself: {null}"),
        ("copies", "share of samples closer to training rows than by chance; for held-out data: {null}"),
        ("classifier", "accuracy of a classifier that tells samples from real data; by chance: {null}"),
        ("precision", "share of samples near real data; for real data itself: {null}"),
    ):
        if name in known and len(shown) < 4:
            one = known[name]
            ends = f"95%: {one.interval[0]:.3f} to {one.interval[1]:.3f}"
            shown.append(Number(name, f"{one.value:.3f}", ends, meaning.format(null=f"{one.null:.3f}")))
    return shown


def _of_figure(name: str, figure: Figure | None, meaning: str) -> Number:
    if figure is None:
        return Number(name, _UNDEFINED, "real data teaches no more than labelled noise", meaning)
    if figure.interval is None:
        return Number(name, f"{figure.mean:.3f}", "one seed: no interval", meaning)
    low, high = figure.interval
    return Number(name, f"{figure.mean:.3f}", f"95% over seeds, paired: {low:.3f} to {high:.3f}", meaning)


def alarms(found: Mapping[str, Sequence[Judgement]]) -> list[str]:
    """Write the alarms: copies, traces of training rows, visible differences.

    Example:
        >>> copied = Judgement("copies", "Any?", 0.1, 0.0, (0.08, 0.12), 1000, 1e-9)
        >>> alarms({"memorisation": [copied]})
        ['copies of training rows: 10.0% of the samples are closer to training rows than by chance (p = 1e-09)']
    """
    known = {one.name: one for group in found.values() for one in group}
    lines = []
    copied, told = known.get("copies"), known.get("classifier")
    if copied is not None and copied.p is not None and copied.p < _ALARM:
        lines.append(
            f"copies of training rows: {copied.value:.1%} of the samples are closer to training rows than by chance "
            f"(p = {copied.p:.1g})"
        )
    attacks = found.get("membership", ())
    telling = [one for one in attacks if one.p is not None and one.p * len(attacks) < _ALARM]
    if telling:
        worst = max(telling, key=lambda one: one.value)
        lines.append(
            f"training rows can be identified: the attack '{worst.name}' finds {worst.value:.1%} of them, "
            f"chance {worst.null:.1%}"
        )
    if told is not None and told.interval[0] > 0.75:
        lines.append(f"samples look unlike real data: a classifier tells them apart {told.value:.0%} of the time")
    return lines
