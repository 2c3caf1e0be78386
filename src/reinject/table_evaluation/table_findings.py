"""Find what is wrong with a table, worst first, in plain words."""

from collections.abc import Mapping, Sequence

from reinject.evaluation.findings import worst_first
from reinject.evaluation.judgement import Judgement
from reinject.walks.verdict import Level, Verdict

_GOOD, _LITTLE = 0.9, 0.5  # shares of the twin's gain: doubtful below the first, broken below the second
_TOLD = 0.5  # C2ST below which a table is doubtful
_SHAPE = 0.9  # likeness of a column below which the table is doubtful
_KEPT = 0.1  # part of the way from independent columns to real rows, below which the dependence is lost
_ALARM = 0.01  # p of a leak
_NEARER = 0.01  # excess of nearer rows that is worth a line


def table_findings(
    found: Mapping[str, Sequence[Judgement]], controls: Mapping[str, Mapping[str, float]]
) -> list[Verdict]:
    """List the faults of a table, worst first; one "good" verdict if there are none.

    Leaks precede low quality. A table is broken if its learner gains less than half of what its twin gains.

    Arguments:
        found: group -> judgements.
        controls: name of a control -> name of a judgement -> value.

    Example:
        >>> told = Judgement("C2ST", "?", 0.2, 0.99, (0.1, 0.3), 100, 0.0)
        >>> table_findings({"two-sample": [told]}, {})[0].line
        'verdict: doubtful: a classifier tells synthetic from real rows (C2ST 0.20, by chance 0.99)'
    """
    known = {one.name: one for group in found.values() for one in group}
    wrong = [*_leaks(known), *_quality(known, controls)]
    return worst_first(None, wrong) or [Verdict("good")]


def _leaks(known: Mapping[str, Judgement]) -> list[Verdict]:
    wrong = []
    copied, nearer = known.get("copies"), known.get("nearer to training")
    if copied is not None and _is_alarm(copied):
        share = f"{copied.value:.1%} of the rows are closer to training rows than by chance (p = {copied.p:.1g})"
        wrong.append(Verdict("doubtful", f"copies of training rows: {share}"))
    if nearer is not None and nearer.interval[0] > nearer.null + _NEARER:
        share = f"{nearer.value:.1%} of the rows are nearer to training rows than to held-out rows"
        wrong.append(Verdict("doubtful", f"{share}, by chance {nearer.null:.0%}"))
    attacks = [one for name, one in known.items() if name.startswith(("singling out", "attribute inference"))]
    for one in attacks:
        if one.p is not None and one.p * len(attacks) < _ALARM and one.value > one.null:
            against = f"{one.value:.1%} on training rows, {one.null:.1%} on held-out rows"
            wrong.append(Verdict("doubtful", f"training rows can be attacked by {one.name}: {against}"))
    return wrong


def _is_alarm(one: Judgement) -> bool:
    return one.p is not None and one.p < _ALARM and one.value > one.null


def _quality(known: Mapping[str, Judgement], controls: Mapping[str, Mapping[str, float]]) -> list[Verdict]:
    wrong = []
    learned = known.get("AUC, boosting") or known.get("RMSE, boosting")
    share = None if learned is None else learned.detail["share"]
    if learned is not None and isinstance(share, float) and share < _GOOD:
        reason = f"a learner of synthetic rows gains {share:.0%} of what its twin of real rows gains ({learned.name}"
        level: Level = "broken" if share < _LITTLE else "doubtful"
        wrong.append(Verdict(level, f"{reason} {learned.value:.3f}, twin {learned.null:.3f})"))
    told, shapes, trends = (known.get(name) for name in ("C2ST", "column shapes", "pair trends"))
    if told is not None and told.value < _TOLD:
        score = f"C2ST {told.value:.2f}, by chance {told.null:.2f}"
        wrong.append(Verdict("doubtful", f"a classifier tells synthetic from real rows ({score})"))
    bad = {} if shapes is None else _columns_below(shapes)
    if bad:
        worst = ", ".join(f"{name} {value:.2f}" for name, value in list(bad.items())[:3])
        word = "column is" if len(bad) == 1 else "columns are"
        wrong.append(Verdict("doubtful", f"{len(bad)} {word} unlike the real ones: {worst}"))
    lost = controls.get("independent columns", {}).get("pair trends")
    if trends is not None and lost is not None and trends.value <= lost + _KEPT * (trends.null - lost):
        compared = f"pair trends {trends.value:.3f}, independent columns {lost:.3f}"
        wrong.append(Verdict("broken", f"columns depend on each other no better than independent columns ({compared})"))
    return wrong


def _columns_below(shapes: Judgement) -> dict[str, float]:
    each = shapes.detail["columns"]
    assert isinstance(each, Mapping)
    return {name: v for name, v in sorted(each.items(), key=lambda one: one[1] or 0) if v is not None and v < _SHAPE}
