"""Conditions on columns of a constraint, as conditions on the columns that are learned in their place."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from reinject.base.errors import ArgumentError
from reinject.data.column_fit import plain_type
from reinject.data.table_constraints import gap_name, group_name, parts_of_combination
from reinject.data.table_encoder import TableEncoder

Given = Mapping[str, Any]


def with_constraints(encoder: TableEncoder, given: Given) -> Given:
    """Return conditions on the columns that are learned, in place of conditions on constrained columns.

    Conditions on members of a combination become the list of fitting combinations. A value of b with one of a, where a
    <= b, becomes their gap.

    Raises:
        ArgumentError: no combination fits, b lies below a, or a condition on a computed column or on b alone.
    """
    limits, left = encoder.constraints, dict(given)
    for name in limits.computed:
        if name in left:
            problem = f"{name} is computed from other columns"
            raise ArgumentError("given", problem, "Give conditions on these")
    for a, b in reversed(limits.ordered):
        if b in left:
            ends = left.get(a), left.pop(b)
            if ends[0] is None or any(isinstance(end, (tuple, list)) for end in ends):
                problem = f"{b} is learned as {gap_name(a, b)}"
                raise ArgumentError("given", problem, f"Give one value of {a} and one of {b}, or a range of the gap")
            if ends[0] > ends[1]:
                raise ArgumentError("given", f"{a} = {ends[0]} is above {b} = {ends[1]}", f"Give {a} <= {b}")
            left[gap_name(a, b)] = ends[1] - ends[0]
    for group in limits.combined:
        wanted = {name: left.pop(name) for name in group if name in left}
        if wanted:
            left[group_name(group)] = _combinations(encoder, group, wanted)
    return left


def _combinations(encoder: TableEncoder, group: Sequence[str], wanted: Given) -> list[str]:
    assert encoder.outer is not None
    texts = encoder.categories[group_name(group)].values.to_pylist()
    fitting = []
    for text in texts:
        parts = dict(zip(group, parts_of_combination(text), strict=True))
        kinds = {name: plain_type(encoder.outer.field(name).type) for name in wanted}
        values = {name: pa.scalar(parts[name], pa.string()).cast(kind).as_py() for name, kind in kinds.items()}
        if all(_fits(values[name], one) for name, one in wanted.items()):
            fitting.append(text)
    if not fitting:
        problem = f"no training row has {', '.join(f'{name} = {one!r}' for name, one in wanted.items())}"
        raise ArgumentError("given", problem, "Give a combination that occurs")
    return fitting


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, tuple):
        return value is not None and bool(wanted[0] <= value <= wanted[1])
    return bool(value in wanted if isinstance(wanted, list) else value == wanted)
