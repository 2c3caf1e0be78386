"""Conditions on rows of a table, as a command line gives them: ``--given sex=Female,age=30:40``."""

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from reinject.base.errors import ArgumentError
from reinject.base.random_streams import stream
from reinject.data.table_columns import is_number
from reinject.data.table_conditions import Conditions, conditions_of
from reinject.data.table_encoder import TableEncoder
from reinject.models.table_model import TableModel
from reinject.sampling.algorithm1 import MakeRows
from reinject.sampling.given_rows import given_rows
from reinject.sampling.presets import Constraint

_STREAM = 2**32  # of the known values, beside the streams of blocks
_AND = re.compile(r",(?=[^,=]+=)")  # a comma before the next COLUMN=


def parse_given(text: str, encoder: TableEncoder) -> dict[str, Any]:
    """Read conditions on columns: ``sex=Female,age=30:40,job=cook|baker,gap=``.

    A value stands alone. A range has both ends: ``LOW:HIGH`` for numbers, ``LOW..HIGH`` for every kind. Categories may
    be a list, with bars between. Nothing behind the sign of equality asks for a missing value.

    Arguments:
        text: conditions, with commas between.
        encoder: of the table, which knows the types of the columns.

    Raises:
        ArgumentError: text without a sign of equality, an unknown column, or two conditions on one column.
    """
    schema = encoder.decoded
    given: dict[str, Any] = {}
    names = schema.names
    for part in _AND.split(text):
        name, equal, value = part.partition("=")
        name = name.strip()
        if not equal:
            raise ArgumentError("--given", f"{part!r} is no condition", "Give COLUMN=VALUE or COLUMN=LOW:HIGH")
        if name not in names:
            known = ", ".join(names[:20])
            raise ArgumentError("--given", f"{name!r} is no column", f"Its columns are {known}")
        if name in given:
            raise ArgumentError("--given", f"two conditions on {name}", "Give one for each column")
        given[name] = _wanted(value, schema.field(name).type, name in encoder.categories)
    return given


def _wanted(text: str, kind: pa.DataType, is_category: bool) -> Any:
    if not text:
        return None
    ends = text.split("..")
    if len(ends) == 2:
        return tuple(ends)
    ends = text.split(":")
    if is_number(kind) and len(ends) == 2:
        return tuple(ends)
    values = text.split("|")
    return values if is_category and len(values) > 1 else text


def given_of(table: TableModel, text: str, block_size: int, seed: int) -> tuple[Constraint, MakeRows]:
    """Return the wrapper of kernels whose rows meet conditions, and the function that decodes such rows.

    Arguments:
        table: the encoder, and the network that walks.
        text: conditions, see :func:`parse_given`.
        block_size: walks in a block; row k of each block has the same known values.
        seed: of the draw of known values.

    Raises:
        ArgumentError: a condition that cannot hold.
    """
    conditions = _conditions(table, parse_given(text, table.encoder))
    known, mask = conditions.rows(table.encoder, block_size, stream((seed, _STREAM)))
    constraint = given_rows(table.one_network, known, mask, conditions.allowed)
    return constraint, lambda x, walk: conditions.met(table.rows(x, walk))


def _conditions(table: TableModel, given: Mapping[str, Any]) -> Conditions:
    try:
        return conditions_of(table.encoder, given)
    except ArgumentError as error:
        raise ArgumentError("--given", error.problem, error.cure) from error
