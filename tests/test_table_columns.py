"""What the columns of a table are, and what is refused."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reinject.base.errors import DataError
from reinject.data.table_columns import Column, columns_of, describe

N = 400
ROWS = np.arange(N)
TEXT = [f"row {k} says something" for k in ROWS]
KINDS: dict[str, tuple[Any, str]] = {
    "float": (ROWS / 3, "number"),
    "whole": (ROWS * 7 % 391, "number"),
    "few": (ROWS % 5, "category"),
    "flag": (ROWS % 2 == 0, "category"),
    "letters": ([f"c{k % 40}" for k in ROWS], "category"),
    "day": ([dt.date(2020, 1, 1) + dt.timedelta(int(k) * 3) for k in ROWS], "date"),
    "one": (["x"] * N, "constant"),
    "none": (pa.nulls(N), "empty"),
    "row": (ROWS + 1, "counter"),
    "user_id": (ROWS * 17 + 4, "identifier"),
    "token": ([f"{k:08x}" for k in ROWS], "identifier"),
    "remark": (TEXT, "text"),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_are_found(name: str) -> None:
    values, kind = KINDS[name]
    (column,) = describe(pa.table({name: values}))
    assert (column.name, column.kind) == (name, kind)
    assert Column.from_json(column.as_json()) == column


def test_a_category_may_be_said() -> None:
    table = pa.table({"token": KINDS["token"][0], "whole": KINDS["whole"][0]})
    assert [c.kind for c in columns_of(table, categorical=["token", "whole"])] == ["category"] * 2
    assert [c.name for c in columns_of(table, drop=["token"])] == ["whole"]


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        (
            {"user_id": ROWS * 17, "remark": TEXT, "a": ROWS % 3},
            {},
            r"user_id \(identifier, 400 distinct\), remark .*--drop",
        ),
        ({"a": ROWS % 3}, {"target": "b"}, "--target: there is no column 'b'. Give some of a"),
        ({"a": ROWS % 3}, {"drop": ["b"]}, "--drop: there is no column 'b'"),
        ({"a": ROWS % 3, "b": [None, *ROWS[1:]]}, {"target": "b"}, "b: the target is missing in 1 of 400 rows"),
        ({"a": ["x"] * N}, {"target": "a"}, "a: the target has one value in all rows"),
        ({"a": [1.0, np.inf]}, {}, "a: 1 values are infinite"),
        ({"a": [[1], [2]]}, {}, "a: has the type list.* --drop a"),
        ({"a": pa.array([], pa.int64())}, {}, "has 0 rows of 1 columns"),
    ],
)
def test_refused(table: dict[str, Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        columns_of(pa.table(table), **options)


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.table([pa.array([1, 2]), pa.array([1, 2])], names=["a", "a"])
    with pytest.raises(DataError, match="several columns named a"):
        describe(table)


@pytest.mark.parametrize(
    ("values", "decimals"), [([0.5, 1.25], 2), ([1 / 3], None), ([1.0, 2.0], 0), ([1e15, 0.1], None)]
)
def test_decimals_are_counted(values: list[float], decimals: int | None) -> None:
    for kind in (pa.float64(), pa.float32()):
        (column,) = describe(pa.table({"a": pa.array([*values, -7.0, None], kind)}))
        assert column.decimals == decimals
        assert column.missing == 1
