"""Find the type of a column of text: booleans, whole numbers, numbers, dates, times, or text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from reinject.base.errors import DataError

_MANY = 20  # more distinct numbers or dates than this are no codes of categories
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
_DAY_FIRST, _MONTH_FIRST = "%d/%m/%Y", "%m/%d/%Y"


@dataclass(frozen=True)
class _Form:
    """A way of writing values.

    Attributes:
        what: name of such values, plural.
        pattern: regular expression of the whole text.
        parse: text without blanks around it -> values; None where a text has the pattern but no value.
        remark: what to say of a column in this form; "": nothing.
    """

    what: str
    pattern: str
    parse: Callable[[pa.Array], pa.Array]
    remark: str = ""


def typed(owner: str, name: str, column: pa.ChunkedArray, *, categorical: bool = False) -> tuple[pa.ChunkedArray, str]:
    """Return a column of text with its type, and what to say about it.

    A column has the first of these types that fits all of its values: boolean, int64, double, date, timestamp (with a
    zone where the text has one), time. A column whose numbers have leading zeros stays text, as does every other
    column. A column of only missing values has the type null.

    Arguments:
        owner: name of the file, for messages.
        name: of the column.
        column: text, (N,); None for a missing value.
        categorical: whether the column holds categories, which may look like numbers or not.

    Returns:
        The column, (N,), and a remark or "".

    Raises:
        DataError: a column of numbers, or of dates, with other texts among them; dates that do not exist.

    Example:
        >>> ages = pa.chunked_array([["31", None, "7"]])
        >>> typed("people.csv", "age", ages)[0].type, typed("people.csv", "zip", pa.chunked_array([["007"]]))
        (DataType(int64), (..., 'zip: kept as text, because of leading zeros'))
    """
    codes = column.combine_chunks().dictionary_encode()
    texts, remark = codes.dictionary, ""
    if not len(texts):
        return pa.chunked_array([pa.nulls(len(column))]), ""
    trimmed = pc.utf8_trim_whitespace(texts)
    if pc.any(pc.match_substring_regex(trimmed, r"^[+-]?0\d+$")).as_py():
        if pc.all(pc.match_substring_regex(trimmed, rf"^{_NUMBER}$")).as_py():
            remark = f"{name}: kept as text, because of leading zeros"
        return column, remark
    for form in _forms(trimmed):
        fitting = pc.match_substring_regex(trimmed, f"^({form.pattern})$")
        if pc.all(fitting).as_py():
            values = form.parse(trimmed)
            _check_all(owner, name, form.what, codes, pc.is_valid(values))
            taken = values.take(codes.indices)
            return pa.chunked_array([taken]), f"{name}: {form.remark}" if form.remark else ""
        many = not categorical and pc.sum(fitting).as_py() > _MANY
        if many and _rows(codes, fitting) > (len(column) - column.null_count) / 2:
            _check_all(owner, name, form.what, codes, fitting)
    return column, ""


def _forms(texts: pa.Array) -> Iterator[_Form]:
    yield _Form("booleans", "true|false|True|False|TRUE|FALSE", lambda text: pc.equal(pc.utf8_lower(text), "true"))
    if pc.all(pc.match_substring_regex(texts, r"^[+-]?\d+$")).as_py():
        yield _Form("whole numbers", r"[+-]?\d{1,18}", lambda text: pc.utf8_ltrim(text, "+").cast(pa.int64()))
        if pc.any(pc.greater(pc.utf8_length(texts), 18)).as_py():  # identifiers, which a float would round
            return
    infinite = "|".join(f"[+-]?{word}" for word in ("inf", "Inf", "infinity", "Infinity", "INF"))
    yield _Form("numbers", f"{_NUMBER}|{infinite}", _numbers)
    comma = r"[+-]?\d+(,\d+)?"
    yield _Form("numbers", comma, lambda text: _numbers(pc.replace_substring(text, ",", ".")), "decimal commas")
    yield _Form("dates", r"\d{4}-\d{2}-\d{2}", _strptime("%Y-%m-%d"))
    stamp = r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?"
    yield _Form("times", stamp, _stamps)
    yield _Form("times", stamp + r"(Z|[+-]\d{2}(:?\d{2})?)", _zoned, "times with a zone, kept in UTC")
    yield _Form("times of day", _CLOCK, _clock)
    yield _Form("dates", r"\d{1,2}\.\d{1,2}\.\d{4}", _strptime("%d.%m.%Y"), "dates, written as 2000-12-31 from now on")
    slashed = r"\d{1,2}/\d{1,2}/\d{4}"
    if pc.all(pc.match_substring_regex(texts, f"^{slashed}$")).as_py():
        first = pc.max(pc.list_element(pc.split_pattern(texts, "/"), 0).cast(pa.int64())).as_py()
        order, form = ("day", _DAY_FIRST) if first > 12 else ("month", _MONTH_FIRST)
        yield _Form("dates", slashed, _strptime(form), f"dates, the {order} first; written as 2000-12-31 from now on")


def _numbers(texts: pa.Array) -> pa.Array:
    return pc.utf8_ltrim(texts, "+").cast(pa.float64())


def _strptime(form: str) -> Callable[[pa.Array], pa.Array]:
    def parse(texts: pa.Array) -> pa.Array:
        stamps = pc.strptime(texts, format=form, unit="s", error_is_null=True)
        same = pc.equal(pc.day(stamps), _day(texts, form))  # strptime takes February 31 for March 3
        return pc.if_else(same, stamps.cast(pa.date32(), safe=False), pa.scalar(None, pa.date32()))

    return parse


def _day(texts: pa.Array, form: str) -> pa.Array:
    """Return the day of the month as the text has it."""
    separator = form[2]
    at = form.split(separator).index("%d")
    return pc.list_element(pc.split_pattern(texts, separator), at).cast(pa.int64())


def _stamps(texts: pa.Array) -> pa.Array:
    fine = pc.match_substring_regex(texts, r"\.\d{7,}$")
    unit = "ns" if pc.any(fine).as_py() else "us"
    return _each(texts, pa.timestamp(unit))


def _zoned(texts: pa.Array) -> pa.Array:
    return _each(texts, pa.timestamp("us", "UTC"))


def _clock(texts: pa.Array) -> pa.Array:
    short = pc.match_substring_regex(texts, r"^\d:")
    padded = pc.if_else(short, pc.binary_join_element_wise("0", texts, ""), texts)
    return _each(pc.binary_join_element_wise("1970-01-01", padded, " "), pa.timestamp("us")).cast(pa.time64("us"))


def _each(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cast all texts, or one by one where one of them has no value."""
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        return pa.concat_arrays([_one(texts[k : k + 1], kind) for k in range(len(texts))])


def _one(text: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        return pa.nulls(1, kind)


def _rows(codes: pa.DictionaryArray, fitting: pa.Array) -> int:
    """Count the rows whose text fits."""
    return int(pc.sum(fitting.take(codes.indices)).as_py() or 0)


def _check_all(owner: str, name: str, what: str, codes: pa.DictionaryArray, fitting: pa.Array) -> None:
    """Raise DataError unless all texts fit; name some of those that do not."""
    if pc.all(fitting).as_py():
        return
    some = codes.dictionary.filter(pc.invert(fitting))[:3].to_pylist()
    there = len(codes) - codes.null_count
    wrong = there - _rows(codes, fitting)
    shown = ", ".join(map(repr, some))
    raise DataError(
        owner,
        f"column {name} holds {what}, but {wrong:,} of {there:,} values are none ({shown})",
        f"Correct these values, leave them blank, or read the column as text with --categorical {name}",
    )
