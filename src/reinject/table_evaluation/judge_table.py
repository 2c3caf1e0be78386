"""Judge a synthetic table against real tables, of any tool: utility, likeness, privacy, controls."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from reinject.base.errors import ArgumentError, DataError, check_count
from reinject.base.files import finite
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.wording import aligned
from reinject.table_evaluation.table_coding import Coding, is_class
from reinject.table_evaluation.table_controls import make_controls
from reinject.table_evaluation.table_distance import MEANING
from reinject.table_evaluation.table_evidence import GROUPS, UTILITY, Numbers, TableEvidence
from reinject.table_evaluation.table_findings import table_findings
from reinject.table_evaluation.table_shapes import Likeness
from reinject.table_evaluation.table_utility import Target
from reinject.walks.verdict import Verdict


@dataclass(frozen=True)
class EvaluateTableSpec:
    """Describe how to judge a table.

    Attributes:
        judgements: some of utility, two-sample, shapes, recall, privacy and attacks; (): all. A judgement that cannot
            be made is left out, with a note.
        categorical: names of numeric columns whose values are categories.
        log: judge the logarithm of a numeric target, clipped to 1..20,000.
        controls: judge independent columns and a Gaussian for each class too.
        most: most rows of each table for neighbours and attacks, >= 1, drawn at random.
        seed: seed of learners and draws, >= 0.
        split_seed: seed of the split of a real table without a test part, >= 0: that of an archive's models.

    Raises:
        ArgumentError: an unknown judgement, a number out of range.

    Example:
        >>> EvaluateTableSpec(["shapes"]).judgements
        ('shapes',)
    """

    judgements: Sequence[str] = ()
    categorical: Sequence[str] = ()
    log: bool = False
    controls: bool = True
    most: int = 50_000
    seed: int = 0
    split_seed: int = 0

    def __post_init__(self) -> None:
        for name in ("judgements", "categorical"):
            value = getattr(self, name)
            if isinstance(value, str):
                raise ArgumentError(name, f"{value!r} is a text", f"Give [{value!r}]")
            object.__setattr__(self, name, tuple(value))
        for one in self.judgements:
            if one not in GROUPS:
                raise ArgumentError("--judge", f"{one!r} is not known", f"Use some of {', '.join(GROUPS)}")
        check_count("--most", "most", self.most)
        check_count("--seed", "seed", self.seed, 0)
        check_count("--split-seed", "split_seed", self.split_seed, 0)

    def asks(self, name: str) -> bool:
        """Return whether a group of judgements is wanted."""
        return not self.judgements or name in self.judgements


@dataclass(frozen=True)
class JudgedTable:
    """Hold the results for one table.

    Attributes:
        target: name of the target; "": none.
        rows: number of rows of the tables: train, test, synthetic.
        judgements: group -> judgements.
        controls: name of a control -> name of a judgement -> value.
        alike: likeness of columns and pairs; None: not judged.
        findings: faults, worst first; or one "good" verdict.
        real: group -> name of a judgement -> value of real rows, for further calls with the same real tables.
        notes: what was left out, and why.
    """

    target: str
    rows: Mapping[str, int]
    judgements: Mapping[str, Sequence[Judgement]]
    controls: Mapping[str, Mapping[str, float]]
    alike: Likeness | None
    findings: Sequence[Verdict]
    real: Mapping[str, Numbers] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "target": self.target,
            "rows": dict(self.rows),
            "findings": [one.as_json() for one in self.findings],
            "judgements": {name: [one.as_json() for one in group] for name, group in self.judgements.items()},
            "controls": {name: {k: finite(v) for k, v in each.items()} for name, each in self.controls.items()},
            "notes": list(self.notes),
        }

    def table(self) -> list[list[str]]:
        """Make a header and a row for each judgement: name, this table, real rows, both controls."""
        rows = [["", "this table", "real rows", *self.controls]]
        for one in (one for group in self.judgements.values() for one in group):
            beside = (_number(each.get(one.name)) for each in self.controls.values())
            rows.append([one.name, _with_interval(one), _number(one.null), *beside])
        return rows

    def lines(self) -> list[str]:
        """Write faults first, then every number beside its controls, then notes."""
        first, *others = self.findings
        lines = [first.line, *(f"also: {one.reason}" for one in others)]
        if self.judgements:
            lines += aligned(self.table(), 1)
        if self.alike is not None:
            hardest = ", ".join(f"{name} {value:.3f}" for name, value in self.alike.hardest())
            pairs = ", ".join(f"{a} and {b} {value:.3f}" for a, b, value in self.alike.hardest_pairs())
            lines += [f"hardest columns: {hardest}", *([f"hardest pairs: {pairs}"] if pairs else [])]
        return [*lines, *([MEANING] if "privacy" in self.judgements else []), *self.notes]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _with_interval(one: Judgement) -> str:
    low, high = one.interval
    return f"{one.value:.3f}" if finite(low) is None else f"{one.value:.3f} ({low:.3f} to {high:.3f})"


def judge_table(
    train: pa.Table,
    test: pa.Table | None,
    synthetic: pa.Table,
    target: str | None = None,
    spec: EvaluateTableSpec | None = None,
    *,
    real: Mapping[str, Numbers] | None = None,
) -> JudgedTable:
    """Judge a synthetic table of any tool against the real rows that the tool learned from, and held-out rows.

    Arguments:
        train: real rows that the tool learned from.
        test: real rows that the tool did not see; None: judgements that need them are left out.
        synthetic: synthetic rows with the columns of ``train``. Columns that only one of them has are not judged.
        target: column to predict; a class if it is text, a boolean, or a number with at most ten distinct values.
            None: utility is left out.
        spec: what to judge, and how; default: ``EvaluateTableSpec()``.
        real: :attr:`JudgedTable.real` of an earlier call with the same real tables and seed, to save time.

    Raises:
        DataError: no common columns, a column of another type, an infinite value, an empty table; or no judgement can
            be made.
        ArgumentError: no such target, or a name of ``spec.categorical`` that no real column has.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(3, 500))
        >>> train, test, fake = (pa.table({"x": one, "y": one > 0}) for one in x)
        >>> judged = judge_table(train, test, fake, "y", EvaluateTableSpec(["shapes"], controls=False))
        >>> judged.findings[0].line, list(judged.judgements)
        ('verdict: good', ['shapes'])
    """
    spec = spec or EvaluateTableSpec()
    held_out = train.slice(0, 0) if test is None else test
    for name in spec.categorical:
        if name not in train.schema.names:
            raise ArgumentError("categorical", f"the real table has no column {name!r}", "Name some of its columns")
    names, notes = _common(train, held_out, synthetic, target)
    tables = [part.select(names) for part in (train, held_out, synthetic)]
    classes = [target] if target is not None and is_class(train[target]) else []
    coding = Coding.of(tables, [name for name in (*spec.categorical, *classes) if name in names])
    aim = None if target is None else Target(coding, target, spec.log)
    a, b, c = (coding.code(part) for part in tables)
    evidence = TableEvidence(coding, aim, a, b, c, spec.most, spec.seed)
    known = dict(real or {})
    found: dict[str, list[Judgement]] = {}
    for name in _wanted(spec, target, test is not None, notes):
        try:
            known[name] = known.get(name) or GROUPS[name].real(evidence, name)
            found[name] = GROUPS[name].make(evidence, known[name])
        except DataError as error:  # too few rows
            notes.append(f"{name} is left out: {error}")
    if not found:
        raise DataError("judge_table", "nothing can be judged", " ".join(note.rstrip(".") + "." for note in notes)[:-1])
    beside = _controls(evidence, target, found) if spec.controls else {}
    sizes = {"train": len(train), "test": len(held_out), "synthetic": len(synthetic)}
    alike = evidence.alike if "shapes" in found else None
    return JudgedTable(target or "", sizes, found, beside, alike, table_findings(found, beside), known, notes)


def _common(train: pa.Table, test: pa.Table, synthetic: pa.Table, target: str | None) -> tuple[list[str], list[str]]:
    """Return the columns that all tables have, and a note on the others."""
    if min(len(train), len(synthetic)) == 0:
        raise DataError(
            "judge_table", f"{len(train)} real and {len(synthetic)} synthetic rows", "Give tables with rows"
        )
    for table, what in ((train, "real"), (test, "held-out"), (synthetic, "synthetic")):
        twice = {name for name in table.schema.names if table.schema.names.count(name) > 1}
        if twice:
            raise DataError(f"the {what} table", f"has two columns {min(twice)!r}", "Rename one of them")
        if target is not None and target not in table.schema.names:
            raise ArgumentError("--target", f"the {what} table has no column {target!r}", "Name one of its columns")
    names = [n for n in train.schema.names if n in synthetic.schema.names and n in test.schema.names]
    if not names:
        raise DataError("judge_table", "the tables have no common column", "Give tables with equal columns")
    left = [n for n in dict.fromkeys([*train.schema.names, *synthetic.schema.names]) if n not in names]
    return names, [f"not in all tables, and not judged: {', '.join(left)}"] if left else []


def _wanted(spec: EvaluateTableSpec, target: str | None, held_out: bool, notes: list[str]) -> list[str]:
    """Choose the groups to make; note those that need held-out rows or a target."""
    chosen = []
    for name, group in GROUPS.items():
        if not spec.asks(name):
            continue
        if name == UTILITY and target is None:
            notes.append("utility is left out: it needs a target")
        elif group.held_out and not held_out:
            notes.append(f"{name} is left out: it needs held-out rows")
        else:
            chosen.append(name)
    return chosen


def _controls(e: TableEvidence, target: str | None, groups: Iterable[str]) -> dict[str, dict[str, float]]:
    """Measure the controls by every group that has such numbers."""
    made = make_controls(e.coding, e.train, target, len(e.synthetic), e.seed)
    found: dict[str, dict[str, float]] = {name: {} for name in made}
    for group in groups:
        measure = GROUPS[group].measure
        if measure is not None:
            for name, rows in made.items():
                found[name] |= measure(e, e.train, rows)
    return found
