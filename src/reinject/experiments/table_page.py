"""Write the comparison of methods on tables as Markdown."""

from collections.abc import Mapping
from typing import Any

from reinject.experiments.table_sets import SOURCE, TABLE_SETS


def table_rows(one: Mapping[str, Any]) -> list[str]:
    """Write the results of one set, line by line: quality, then privacy, then what is left out.

    Arguments:
        one: result of :func:`reinject.experiments.table_comparison.compare_tables`.
    """
    name, score = one["table"], one["score"]
    seeds = f"{len(one['seeds'])} seeds" if len(one["seeds"]) > 1 else "one seed"
    what = f"{score} of the target{' in logarithms' if TABLE_SETS[name].log else ''}"
    lines = [
        f"{one['rows']:,} training rows, as many synthetic rows, {seeds}, boosting of {one['engine']}.",
        "",
        f"| rows | {what} | C2ST | pair trends | beta-recall |",
        "| --- | --- | --- | --- | --- |",
        _quality("real rows", one["real"], score),
        *(_quality(method, found["numbers"], score) for method, found in one["methods"].items()),
    ]
    for method, known in TABLE_SETS[name].published.items():
        c2st = "" if known.c2st is None else f"{known.c2st:.2f}"
        lines.append(f"| {method} (published) | {known.score:.3f} | {c2st} | | |")
    lines += [
        "",
        f"Published: {SOURCE}, five models each, judged by XGBoost. Compare them with our judgements with care.",
        "",
        "| rows, of one half | nearer to training | singling out | attribute inference | seconds |",
        "| --- | --- | --- | --- | --- |",
        *(_privacy(method, found) for method, found in one["methods"].items()),
        "",
        "Nearer to training: share of rows nearer to training rows than to equally many held-out rows, without a leak",
        "1/2. Attacks: success on training rows, beside success on held-out rows. Seconds: from training rows to all",
        "synthetic rows.",
    ]
    if one["left out"]:
        lines += ["", f"Left out: {'; '.join(f'{method} ({why})' for method, why in one['left out'].items())}."]
    return [*lines, "", f"`{one['command']}`"] if "command" in one else lines


def _quality(method: str, numbers: Mapping[str, Any], score: str) -> str:
    cells = (_figure(numbers.get(key)) for key in (f"{score}, boosting", "C2ST", "pair trends", "beta-recall"))
    return f"| {method} | {' | '.join(cells)} |"


def _figure(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return ""
    error = value["standard_error"]
    return f"{value['mean']:.3f}" if error is None else f"{value['mean']:.3f} ± {error:.3f}"


def _privacy(method: str, found: Mapping[str, Any]) -> str:
    known = found["privacy"]
    near = known.get("nearer to training")
    cells = ["" if near is None else f"{near['value']:.3f} ({near['interval'][0]:.3f} to {near['interval'][1]:.3f})"]
    cells += [
        f"{known[name]['value']:.3f}, {known[name]['null']:.3f}" if name in known else ""
        for name in ("singling out, three columns", "attribute inference")
    ]
    seconds = found["numbers"].get("seconds")
    return f"| {method} | {' | '.join(cells)} | {'' if seconds is None else format(seconds['mean'], '.0f')} |"
