"""Read CSV files as text: find their encoding, separator and header, then yield their rows in batches."""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from reinject.base.errors import DataError, reason

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz")
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "<NA>", "None")  # texts of a missing value
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SAMPLE = 1 << 18  # bytes that show the separator
_BLOCK = 1 << 22  # bytes of a batch
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_OTHERS = ("cp1252", "latin-1")  # tried in this order where a file is not UTF-8


@dataclass(frozen=True)
class CsvForm:
    """How a CSV file is written.

    Attributes:
        path: the file.
        encoding: Python's name of its encoding.
        separator: character between two values.
        names: names of its columns, from its first line.
    """

    path: Path
    encoding: str
    separator: str
    names: tuple[str, ...]

    @property
    def said(self) -> str:
        """Return one line about the encoding and the separator."""
        encoding = self.encoding.removesuffix("-sig").upper().replace("CP", "Windows-")
        return f"{self.path.name}: {encoding} text, values separated by {_SEPARATORS[self.separator]}"


def form_of(path: Path) -> CsvForm:
    """Find the encoding, the separator and the header of a CSV file.

    The encoding is that of the byte order mark, else UTF-8 if all bytes fit, else Windows-1252 or Latin-1. The
    separator is the one of comma, semicolon, tab and bar that gives most lines the same number of values.

    Raises:
        DataError: an empty file, a file that is no text, a header that is missing, has blank or repeated names.
    """
    encoding = _encoding(path)
    with _opened(path) as file:
        head = file.read(_SAMPLE)
    text = codecs.getincrementaldecoder(encoding)().decode(head)
    if not text.strip():
        raise DataError(str(path), "is empty", "Give a file with a line of names and a line for each row")
    whole = text if len(head) < _SAMPLE else text[: text.rfind("\n") + 1] or text
    separator = _separator(whole)
    names = tuple(next(csv.reader(io.StringIO(whole), delimiter=separator)))
    check_column_names(str(path), names)
    if all(_is_number(name) for name in names):
        raise DataError(
            str(path), f"has no line of names: its first line is {', '.join(names[:5])}", "Write one as the first line"
        )
    return CsvForm(path, encoding, separator, names)


def check_column_names(owner: str, names: Sequence[str]) -> None:
    """Raise DataError where names of columns are blank or repeated."""
    blank = [number for number, name in enumerate(names, 1) if not name.strip()]
    if blank:
        cure = "Name it" + (", or write the file without the index" if blank[0] == 1 else "")
        raise DataError(owner, f"column {blank[0]} has no name", cure)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            owner, f"has several columns of the name {', '.join(twice[:5])}", "Give every column its own name"
        )


def batches(form: CsvForm, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a CSV file in batches of some megabytes; every value is text, or missing.

    Arguments:
        form: of the file.
        columns: names of the columns to read.

    Raises:
        DataError: a line with another number of values, or bytes that the encoding does not have.
    """
    read = arrow_csv.ReadOptions(
        column_names=list(form.names),
        skip_rows=1,
        encoding=form.encoding.removesuffix("-sig").replace("utf-8", "utf8"),
        block_size=_BLOCK,
    )
    parse = arrow_csv.ParseOptions(
        delimiter=form.separator, newlines_in_values=True, ignore_empty_lines=len(form.names) > 1
    )
    convert = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(form.names, pa.string()),
        null_values=list(MISSING),
        strings_can_be_null=True,
        include_columns=list(columns),
    )
    try:
        with _opened(form.path) as file, arrow_csv.open_csv(file, read, parse, convert) as reader:
            yield from reader
    except (pa.ArrowInvalid, UnicodeError) as error:
        if "Empty CSV" in str(error):
            return
        raise DataError(str(form.path), f"cannot be read ({reason(error)})", "Correct this line") from error


def _opened(path: Path) -> Any:
    """Open a file, decompressed where its name says that it is compressed."""
    return pa.input_stream(str(path), compression="detect")


def _encoding(path: Path) -> str:
    with _opened(path) as file:
        head = file.read(4)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    for name in ("utf-8", *_OTHERS):
        if _fits(path, name):
            return name
    raise AssertionError  # latin-1 has all bytes


def _fits(path: Path, encoding: str) -> bool:
    """Return whether all bytes of a file belong to an encoding; raise DataError if the file is no text."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with _opened(path) as file:
        while block := file.read(_BLOCK):
            if b"\0" in block:
                raise DataError(str(path), "is not a text file: it holds zero bytes", "Save it as CSV or Parquet")
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return False
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _separator(text: str) -> str:
    """Return the separator under which most lines have as many values as the first line, and at least two."""
    scores = {}
    for separator in _SEPARATORS:
        lengths = [len(line) for line in csv.reader(io.StringIO(text), delimiter=separator) if line][:200]
        agree = sum(length == lengths[0] for length in lengths) / len(lengths)
        scores[separator] = (agree, lengths[0]) if lengths[0] > 1 else (0.0, 0)
    return max(scores, key=lambda separator: scores[separator])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
