"""Unite tables of the same columns: names and kinds agree, types widen, categories and constraints of all stay."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from reinject.base.errors import DataError
from reinject.data.column_fit import as_declared, declared_in, plain_type
from reinject.data.table_columns import FEW, Column, Kind, describe, is_date, is_number, is_text
from reinject.data.table_constraints import Constraints

_FIXED = ("constant", "empty")  # kinds of columns that do not vary, which any other kind may
_UNLIKE = "Give both tables one kind of values"


def with_columns(table: pa.Table, names: Sequence[str], owner: str, old: str) -> pa.Table:
    """Return a table with columns in the order of the old ones.

    Arguments:
        table: new rows.
        names: columns of the old rows.
        owner, old: names of both, for messages.

    Raises:
        DataError: the table lacks a column, or has one more.

    Example:
        >>> with_columns(pa.table({"a": [1], "b": [2]}), ["b", "a"], "new.csv", "the models in old").column_names
        ['b', 'a']
    """
    for name in names:
        if name not in table.column_names:
            raise DataError(owner, f"has no column {name}, which {old} have", "Give all of their columns")
    for name in table.column_names:
        if name not in names:
            raise DataError(owner, f"has a column {name}, which {old} lack", f"Leave it out with --drop {name}")
    return table.select(list(names))


def united(tables: Mapping[str, pa.Table]) -> list[pa.Table]:
    """Return tables of the same columns with the same types; integers widen to floats, and categories unite.

    Arguments:
        tables: rows by their owner; the first table has the metadata of the result.

    Raises:
        DataError: a column holds numbers in one table, and text, dates or booleans in another.

    Example:
        >>> rows = united({"old": pa.table({"a": [1]}), "new": pa.table({"a": [0.5]})})
        >>> [one["a"].to_pylist() for one in rows]
        [[1.0], [0.5]]
        >>> united({"old": pa.table({"a": [1]}), "new": pa.table({"a": ["x"]})})
        Traceback (most recent call last):
        reinject.base.errors.DataError: new: column a holds string, and int64 in old. Give both tables one kind ...
    """
    first = next(iter(tables.values()))
    declared = {owner: declared_in(table) for owner, table in tables.items()}
    columns: dict[str, list[pa.Array]] = {owner: [] for owner in tables}
    fields = []
    for item in first.schema:
        name = item.name
        plain = _common(name, {owner: table.schema.field(name).type for owner, table in tables.items()})
        kinds = {table.schema.field(name).type for table in tables.values()}
        kind, values = plain, None
        if len(kinds) == 1 and pa.types.is_dictionary(item.type):
            parts = [one[name] for one in declared.values()]
            values = pa.chunked_array(parts, plain).unique()
            kind = item.type if len(values) < 2**7 else pa.dictionary(pa.int32(), plain, item.type.ordered)
        for owner, table in tables.items():
            array = _widened(_plain(table.column(name)), plain, f"column {name} of {owner}")
            columns[owner].append(as_declared(array, kind, values))
        fields.append(pa.field(name, kind))
    schema = pa.schema(fields, first.schema.metadata)
    return [pa.Table.from_arrays(arrays, schema=schema) for arrays in columns.values()]


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _widened(array: pa.Array, kind: pa.DataType, owner: str) -> pa.Array:
    try:
        return array.cast(kind)
    except pa.ArrowException as error:  # such as integers that a float would round
        raise DataError(owner, f"has values that {kind} does not hold", _UNLIKE) from error


def _common(name: str, types: Mapping[str, pa.DataType]) -> pa.DataType:
    """Return the type that holds the values of a column in all tables."""
    plain = {owner: plain_type(kind) for owner, kind in types.items()}
    there = {owner: kind for owner, kind in plain.items() if not pa.types.is_null(kind)}
    if not there:
        return pa.null()
    (old, found), *rest = there.items()
    for owner, kind in rest:
        unlike = DataError(owner, f"column {name} holds {kind}, and {found} in {old}", _UNLIKE)
        if _family(kind) != _family(found):
            raise unlike
        try:
            schemas = [pa.schema({name: one}) for one in (found, kind)]
            found = pa.unify_schemas(schemas, promote_options="permissive").field(name).type
        except pa.ArrowException as error:
            raise unlike from error
    return found


def _family(kind: pa.DataType) -> str:
    families = {"number": is_number, "date": is_date, "text": is_text, "boolean": pa.types.is_boolean}
    return next((name for name, is_one in families.items() if is_one(kind)), str(kind))


def united_kinds(
    old: Sequence[Column], new: Sequence[Column], sure: Collection[str], owners: tuple[str, str]
) -> dict[str, Kind]:
    """Return the kinds of the columns of old and new rows together, by name.

    A column with one value in one of the tables may have any kind in the other. A column of few numbers looks like
    categories: it takes the kind of the old rows unless the user states another.

    Arguments:
        old, new: columns of the old rows and of the new ones, of the same names.
        sure: names of columns whose kind in the new table the user states.
        owners: names of the new table and of the old models, for messages.

    Raises:
        DataError: a column has another kind.

    Example:
        >>> old, new = (describe(pa.table({"a": values})) for values in (range(5, 50), [1, 2] * 30))
        >>> old[0].kind, new[0].kind, united_kinds(old, new, (), ("new.csv", "the models in old"))
        ('number', 'category', {'a': 'number'})
    """
    found, kinds = {one.name: one for one in new}, {}
    for one in old:
        kind = _kind(one, found[one.name], one.name in sure)
        if kind is None:
            raise _another(one, found[one.name], owners)
        kinds[one.name] = kind
    return kinds


def with_kinds(table: pa.Table, kinds: Mapping[str, Kind]) -> tuple[Column, ...]:
    """Return the columns of a table with given kinds; those that were fixed have the kind that the table shows."""
    found = describe(table)
    return tuple(one if kinds[one.name] in _FIXED else replace(one, kind=kinds[one.name]) for one in found)


def _kind(old: Column, new: Column, sure: bool) -> Kind | None:
    """Return the kind of a column in both tables; None where they differ."""
    if old.kind == new.kind or new.kind in _FIXED:
        return old.kind
    if old.kind in _FIXED:
        return new.kind
    numbers = ("number", "date")
    few = new.kind in numbers and new.distinct <= FEW
    takes = (old.kind in numbers and new.kind == "category") or (old.kind == "category" and few)
    return old.kind if takes and not sure else None


def _another(old: Column, new: Column, owners: tuple[str, str]) -> DataError:
    owner, models = owners
    problem = f"column {old.name} has the kind {new.kind}, and the kind {old.kind} in {models}"
    cures = {"category": f"Give --categorical {old.name}"}
    return DataError(owner, problem, cures.get(old.kind, f"Give it the kind {old.kind} with --columns"))


def united_constraints(old: Constraints, new: Constraints) -> Constraints:
    """Return what holds in both tables: the constraints of both.

    Raises:
        DataError: two constraints contradict each other.

    Example:
        >>> both = united_constraints(Constraints(ordered=(("a", "b"),)), Constraints(computed={"c": "2 * a"}))
        >>> both.ordered, both.computed
        ((('a', 'b'),), {'c': '2 * a'})
    """
    for name in old.computed.keys() & new.computed.keys():
        if old.computed[name] != new.computed[name]:
            problem = f"{name} is {new.computed[name]}, and {old.computed[name]} in the old models"
            raise DataError("constraints", problem, "Give one formula")
    ordered, combined = (
        tuple(dict.fromkeys((*getattr(old, part), *getattr(new, part)))) for part in ("ordered", "combined")
    )
    return Constraints(ordered, combined, {**old.computed, **new.computed})


def check_holds(constraints: Constraints, table: pa.Table, owner: str) -> None:
    """Raise DataError, with the name of the rows, where they contradict a constraint."""
    try:
        constraints.reduced(table)
    except DataError as error:
        raise DataError(owner, error.problem, error.cure) from error
