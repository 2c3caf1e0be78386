"""Constraints between columns, kept by a change of columns: a <= b, combinations that occur, computed columns."""

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reinject.base.errors import DataError
from reinject.data.column_fit import as_declared, plain_type
from reinject.data.table_columns import dates_of, decimals_of, integers_of, is_date, is_number

_JOIN, _NONE = "\x1f", "\x00"
_SHOWN = 5
_OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}


@dataclass(frozen=True)
class Constraints:
    """What holds between the columns of every row.

    Attributes:
        ordered: pairs of columns (a, b) with a <= b in every row. b is learned as the gap b - a >= 0.
        combined: groups of columns whose combinations all occur in the training rows. A group is one category.
        computed: formulas by the name of a column, such as ``{"total": "price * amount"}``, with + - * / and numbers.
            Names that are no identifiers stand in backticks. The column is not learned, but computed.

    Raises:
        DataError: a column stands in two constraints, or a formula is not understood.

    Example:
        >>> table = pa.table({"low": [1, 5], "high": [2, 5]})
        >>> constraints = Constraints(ordered=(("low", "high"),))
        >>> less = constraints.reduced(table)
        >>> less.column_names, less.column("high - low").to_pylist()
        (['low', 'high - low'], [1, 0])
        >>> constraints.restored(less, table.schema).equals(table)
        True
    """

    ordered: tuple[tuple[str, str], ...] = ()
    combined: tuple[tuple[str, ...], ...] = ()
    computed: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ordered", tuple((str(a), str(b)) for a, b in self.ordered))
        object.__setattr__(self, "combined", tuple(tuple(group) for group in self.combined))
        told = [*(b for _, b in self.ordered), *(name for group in self.combined for name in group), *self.computed]
        twice = sorted({name for name in told if told.count(name) > 1})
        apart = [a for a, _ in self.ordered if a in self.computed or any(a in group for group in self.combined)]
        if twice or apart:
            raise DataError("constraints", f"{[*twice, *apart][0]} stands in two of them", "Give it one constraint")
        for name, formula in self.computed.items():
            _parsed(name, formula)

    def as_json(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        combined = [list(group) for group in self.combined]
        return {"ordered": [list(pair) for pair in self.ordered], "combined": combined, "computed": dict(self.computed)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Constraints":
        """Make constraints from the values of :meth:`as_json`."""
        pairs = tuple((pair[0], pair[1]) for pair in values["ordered"])
        return cls(pairs, tuple(tuple(group) for group in values["combined"]), dict(values["computed"]))

    def reduced(self, table: pa.Table) -> pa.Table:
        """Return a table with the columns that are learned, after a check of every row.

        Raises:
            DataError: rows contradict a constraint, which names them; or a constraint does not fit a column.
        """
        for name in self._names():
            if name not in table.column_names:
                raise DataError("constraints", f"there is no column {name!r}", f"Give some of {table.column_names}")
        for name, formula in self.computed.items():
            _check_computed(table, name, formula)
        added = {gap_name(a, b): _gap(table, a, b) for a, b in self.ordered}
        added |= {group_name(group): _joined(table, group) for group in self.combined}
        replaced = {b: gap_name(a, b) for a, b in self.ordered}
        replaced |= {group[0]: group_name(group) for group in self.combined}
        left_out = {*self.computed, *(name for group in self.combined for name in group[1:])}
        columns = {}
        for name in table.column_names:
            if name in replaced:
                columns[replaced[name]] = added[replaced[name]]
            elif name not in left_out:
                columns[name] = table.column(name)
        fields = [pa.field(n, c.type) if n in added else table.schema.field(n) for n, c in columns.items()]
        return pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields, table.schema.metadata))

    def restored(
        self, table: pa.Table, schema: pa.Schema, dictionaries: Mapping[str, pa.Array] | None = None
    ) -> pa.Table:
        """Return a reduced table with all columns of a schema, in which the constraints hold.

        Arguments:
            table: a reduced table.
            schema: of the whole table.
            dictionaries: declared categories of columns with a dictionary type, by name.
        """
        columns = {name: table.column(name) for name in table.column_names}
        for group in self.combined:
            columns |= _split(columns.pop(group_name(group)), group, schema, dictionaries or {})
        waiting = list(self.ordered)
        while waiting:  # a chain a <= b <= c in any order
            a, b = next(pair for pair in waiting if pair[0] in columns)
            waiting.remove((a, b))
            columns[b] = _raised(columns[a], columns.pop(gap_name(a, b)), schema.field(b).type)
        for name, formula in self.computed.items():
            values, missing = _value(_parsed(name, formula), columns)
            columns[name] = _as_type(values, missing, schema.field(name).type, None)
        return pa.Table.from_arrays([columns[item.name] for item in schema], schema=schema)

    def _names(self) -> list[str]:
        pairs = [name for pair in self.ordered for name in pair]
        inside = [n for name, text in self.computed.items() for n in _names_in(_parsed(name, text))]
        return [*pairs, *(name for group in self.combined for name in group), *self.computed, *inside]


def gap_name(a: str, b: str) -> str:
    """Return the name of the column b - a."""
    return f"{b} - {a}"


def group_name(group: Sequence[str]) -> str:
    """Return the name of the column of combinations."""
    return " & ".join(group)


def parts_of_combination(text: str) -> list[str | None]:
    """Return the texts of the values in one combination."""
    return [None if part == _NONE else part for part in text.split(_JOIN)]


def _rows(wrong: NDArray[np.bool_]) -> str:
    places = np.flatnonzero(wrong)
    more = ", ..." if len(places) > _SHOWN else ""
    return f"{len(places):,} rows (" + ", ".join(map(str, places[:_SHOWN])) + f"{more})"


def _numbers(column: pa.ChunkedArray | pa.Array, name: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a column as numbers, dates as integers, and which are missing."""
    array = _piece(column)
    if not (is_date(array.type) or is_number(array.type)):
        raise DataError("constraints", f"{name} is {array.type}, which has no difference", "Give numbers or dates")
    array = integers_of(array) if is_date(array.type) else array
    array = array.cast(pa.float64()) if pa.types.is_decimal(array.type) else array
    missing: NDArray[np.bool_] = array.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
    return pc.fill_null(array, 0).to_numpy(zero_copy_only=False), missing


def _piece(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _decimals(*columns: pa.ChunkedArray | pa.Array) -> int | None:
    """Return the decimals that write all numbers of some columns; None where they have no end."""
    found = [0 if is_date(one.type) else decimals_of(_piece(one)) for one in columns]
    return None if None in found else max(one for one in found if one is not None)


def _gap(table: pa.Table, a: str, b: str) -> pa.Array:
    if is_date(table.schema.field(a).type) and table.schema.field(a).type != table.schema.field(b).type:
        raise DataError("constraints", f"{a} and {b} have different types", "Give both columns one type")
    (low, none), (high, never) = (_numbers(table.column(name), name) for name in (a, b))
    rule = f"{a} <= {b}"
    if (none | never).any():
        problem = f"{rule} needs both values, but {_rows(none | never)} lack one"
        raise DataError("constraints", problem, "Fill them in, or leave the constraint out")
    if (low > high).any():
        raise DataError("constraints", f"{rule} does not hold in {_rows(low > high)}", "Correct or remove these rows")
    found = _decimals(*(table.column(name) for name in (a, b)))
    gap = high - low
    if found is not None and gap.dtype.kind == "f":
        gap = np.round(gap, found)
    return pa.array(gap)


def _raised(low: pa.ChunkedArray, gap: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    values = _numbers(low, "a")[0] + _numbers(gap, "b")[0]
    decimals = _decimals(low, gap) if values.dtype.kind == "f" else None
    return _as_type(values, np.zeros(len(values), np.bool_), kind, decimals)


def _as_type(values: NDArray[Any], missing: NDArray[np.bool_], kind: pa.DataType, decimals: int | None) -> pa.Array:
    if is_date(kind):
        return dates_of(values.astype(np.int64), kind, missing)
    if pa.types.is_integer(kind):
        return pa.array(np.rint(values).astype(np.int64), pa.int64(), mask=missing).cast(kind)
    values = values.astype(np.float64)
    values = values if decimals is None else np.round(values, decimals)
    made = pa.array(values, pa.float64(), mask=missing)
    return made if made.type == kind else made.cast(kind, safe=False)


def _joined(table: pa.Table, group: Sequence[str]) -> pa.Array:
    texts = []
    for name in group:
        column = table.column(name)
        plain = column.cast(plain_type(column.type)) if pa.types.is_dictionary(column.type) else column
        texts.append(pc.fill_null(plain.cast(pa.string()), _NONE))
    return pc.binary_join_element_wise(*texts, _JOIN).combine_chunks()


def _split(
    column: pa.ChunkedArray, group: Sequence[str], schema: pa.Schema, dictionaries: Mapping[str, pa.Array]
) -> dict[str, pa.Array]:
    coded = column.combine_chunks().dictionary_encode()
    parts = [parts_of_combination(text) for text in coded.dictionary.to_pylist()]
    found = {}
    for at, name in enumerate(group):
        kind = schema.field(name).type
        values = pa.array([part[at] for part in parts], pa.string()).cast(plain_type(kind)).take(coded.indices)
        found[name] = as_declared(values, kind, dictionaries.get(name))
    return found


def _parsed(name: str, formula: str) -> ast.expr:
    """Return a formula as a tree of names, numbers and + - * /; raise DataError for anything else."""
    quoted: list[str] = re.findall(r"`([^`]+)`", formula)
    plain = re.sub(r"`([^`]+)`", lambda found: f"_quoted_{quoted.index(found[1])}", formula)
    try:
        tree = ast.parse(plain, mode="eval").body
    except SyntaxError as error:
        raise DataError("constraints", f"{name} = {formula} is not understood", "Write it as in Python") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id.startswith("_quoted_"):
            node.id = quoted[int(node.id.removeprefix("_quoted_"))]
        number = isinstance(node, ast.Constant) and isinstance(node.value, (int, float))
        if not number and not isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Name, ast.Load, *_OPERATORS)):
            problem = f"{name} = {formula} has more than names, numbers and + - * /"
            raise DataError("constraints", problem, "Compute such a column after sampling")
    return tree


def _names_in(tree: ast.expr) -> list[str]:
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def _value(tree: ast.expr, columns: Mapping[str, Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the values of a formula, and which are missing."""
    missing: list[NDArray[np.bool_]] = []

    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            values, none = _numbers(columns[node.id], node.id)
            missing.append(none)
            return values.astype(np.float64)
        if isinstance(node, ast.BinOp):
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp):
            return _OPERATORS[type(node.op)](value(node.operand))
        assert isinstance(node, ast.Constant)
        return node.value

    with np.errstate(all="ignore"):
        values = np.asarray(value(tree), np.float64)
    none = np.logical_or.reduce(missing) if missing else np.zeros(values.shape, np.bool_)
    return np.nan_to_num(values), none | ~np.isfinite(values)


def _check_computed(table: pa.Table, name: str, formula: str) -> None:
    tree = _parsed(name, formula)
    own = [one for one in _names_in(tree) if one == name]
    if own or not _names_in(tree):
        raise DataError("constraints", f"{name} = {formula} does not compute it from other columns", "Name columns")
    values, none = _value(tree, {one: table.column(one) for one in table.column_names})
    there, missing = _numbers(table.column(name), name)
    decimals = _decimals(table.column(name))
    near = 0.5 * 10.0 ** -(8 if decimals is None else decimals) + 1e-9 * np.abs(there.astype(np.float64))
    wrong = (none != missing) | (~missing & (np.abs(there - values) > near))
    if wrong.any():
        problem = f"{name} = {formula} does not hold in {_rows(wrong)}"
        raise DataError("constraints", problem, "Correct these rows, or leave the constraint out")
