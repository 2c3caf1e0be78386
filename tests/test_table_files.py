"""Tables as other people have written them: encodings, separators, types, parts; and a sentence for each fault."""

import codecs
import datetime
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reinject.base.errors import DataError
from reinject.data import table_files
from reinject.data.table_files import is_table, read_table
from reinject.data.table_parts import load_table, row_hashes

PEOPLE = "age,job,pay\n31,Maler,1.5\n7,,2.25\n45,Köchin,\n"


def csv(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def column(folder: Path, *values: str, categorical: bool = False) -> pa.ChunkedArray:
    """A column of a CSV file with these values, as it is read."""
    rows = "".join(f"{value};0\n" for value in values)
    return read_table(csv(folder, f"c;d\n{rows}"), categorical=["c"] if categorical else []).train.column("c")


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("cp1252", "Windows-1252"),
    ],
)
@pytest.mark.parametrize(
    ("separator", "name"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
def test_encoding_and_separator_are_found_and_said(
    tmp_path: Path, encoding: str, said: str, separator: str, name: str
) -> None:
    read = read_table(csv(tmp_path, PEOPLE.replace(",", separator).encode(encoding)))
    assert read.train.to_pydict() == {"age": [31, 7, 45], "job": ["Maler", None, "Köchin"], "pay": [1.5, 2.25, None]}
    assert read.notes == (f"t.csv: {said} text, values separated by {name}",)


def test_bytes_that_windows_does_not_have_are_latin_1(tmp_path: Path) -> None:
    read = read_table(csv(tmp_path, "a,b\n\x81,é\n".encode("latin-1")))
    assert read.train["a"].to_pylist() == ["\x81"]
    assert "LATIN-1" in read.notes[0]


def test_separators_inside_quotes_and_lines_inside_values(tmp_path: Path) -> None:
    read = read_table(csv(tmp_path, 'a,b\n"x;y;z","1\n2"\n"p;q;r",s\n'))
    assert read.train.to_pydict() == {"a": ["x;y;z", "p;q;r"], "b": ["1\n2", "s"]}


def test_compressed_files_and_one_column(tmp_path: Path) -> None:
    assert read_table(csv(tmp_path, gzip.compress(PEOPLE.encode()), "t.csv.gz")).train.num_rows == 3
    assert read_table(csv(tmp_path, "a\n1\n\n3\n")).train["a"].to_pylist() == [1, None, 3]


DAY, CLOCK = datetime.date(2020, 2, 29), datetime.time(9, 30)
STAMP = datetime.datetime(2020, 2, 29, 9, 30)


@pytest.mark.parametrize(
    ("texts", "kind", "first"),
    [
        (("1", "-2", "+3"), pa.int64(), 1),
        (("123456789012345678", "0"), pa.int64(), 123456789012345678),
        (("1.50", "2", "1e-3"), pa.float64(), 1.5),
        (("1,5", "2"), pa.float64(), 1.5),
        (("true", "false"), pa.bool_(), True),
        (("2020-02-29", "1999-01-01"), pa.date32(), DAY),
        (("29.2.2020", "1.1.1999"), pa.date32(), DAY),
        (("29/02/2020", "01/01/1999"), pa.date32(), DAY),
        (("02/29/2020", "01/13/1999"), pa.date32(), DAY),
        (("2020-02-29 09:30", "1999-01-01 00:00"), pa.timestamp("us"), STAMP),
        (("2020-02-29T09:30:00.5", "1999-01-01T00:00:00"), pa.timestamp("us"), STAMP.replace(microsecond=500000)),
        (("2020-02-29 11:30:00+02:00", "1999-01-01 00:00:00Z"), pa.timestamp("us", "UTC"), STAMP),
        (("09:30", "23:59:59"), pa.time64("us"), CLOCK),
        (("9:30", "23:59"), pa.time64("us"), CLOCK),
        (("007", "123"), pa.string(), "007"),
        (("1234567890123456789", "3"), pa.string(), "1234567890123456789"),
        (("a", "1"), pa.string(), "a"),
        ((" x", "y "), pa.string(), " x"),
        (("", "NA"), pa.null(), None),
    ],
)
def test_a_column_has_the_first_type_that_fits_all_values(
    tmp_path: Path, texts: tuple[str, ...], kind: pa.DataType, first: object
) -> None:
    found = column(tmp_path, *texts, "")
    assert found.type == kind
    value = found[0].as_py()
    assert (value.replace(tzinfo=None) if kind == pa.timestamp("us", "UTC") else value) == first
    assert found[len(texts)].as_py() is None


def test_types_that_change_what_is_written_are_said(tmp_path: Path) -> None:
    rows = "zip,day,pay\n" + '007,1/2/2020,"1,5"\n008,3/4/2020,"2,5"\n'
    said = " ".join(read_table(csv(tmp_path, rows)).notes)
    for remark in ("zip: kept as text, because of leading zeros", "day: dates, the month first", "pay: decimal commas"):
        assert remark in said


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(10**17), 10**17)),
            st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            st.one_of(st.none(), st.dates(datetime.date(1700, 1, 1), datetime.date(2200, 1, 1))),
            st.one_of(st.none(), st.sampled_from(["a", "b c", 'q"uote', "sep,;|\tarators", "line\nbreak", " é "])),
        ),
        min_size=2,
        max_size=20,
    )
)
def test_what_arrow_writes_as_csv_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple]) -> None:
    from pyarrow import csv as arrow_csv

    kinds = {"whole": pa.int64(), "real": pa.float64(), "day": pa.date32(), "text": pa.string()}
    columns = dict(zip(kinds, zip(*rows, strict=True), strict=True))
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in kinds.items()})
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    arrow_csv.write_csv(table, path)
    read = read_table(path).train
    for name, kind in kinds.items():
        got = read[name]
        assert got.to_pylist() == table[name].to_pylist(), name
        whole = name == "real" and all(v is None or (v == int(v) and abs(v) < 1e15) for v in columns["real"])
        assert got.type == kind or pa.types.is_null(got.type) or whole


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda f: f / "none.csv", r"none\.csv: no such file\. Give a CSV or Parquet file"),
    "an empty file": (lambda f: csv(f, ""), r"t\.csv: is empty\."),
    "blank lines": (lambda f: csv(f, "\n \n"), r"t\.csv: is empty\."),
    "a header only": (lambda f: csv(f, "a,b\n"), r"t\.csv: has no rows\."),
    "no header": (lambda f: csv(f, "1,2\n3,4\n"), r"has no line of names: its first line is 1, 2\."),
    "names twice": (lambda f: csv(f, "a,b,a\n1,2,3\n"), r"has several columns of the name a\. Give every column"),
    "the index of pandas": (lambda f: csv(f, ",a\n0,1\n"), r"column 1 has no name\. Name it, or write .* without the"),
    "a long line": (lambda f: csv(f, "a,b\n1,2\n3,4,5\n"), r"cannot be read \(ArrowInvalid: .*Expected 2 columns"),
    "no text": (lambda f: csv(f, b"PK\x03\x04\0\0"), r"is not a text file: it holds zero bytes\. Save it as CSV"),
    "a spreadsheet": (lambda f: csv(f, b"PK", "t.xlsx"), r"t\.xlsx: is a file of an unknown kind\. Give a CSV"),
    "mixed types": (
        lambda f: csv(f, "age,b\n" + "".join(f"{k},0\n" for k in range(30)) + "?,0\nold,0\n"),
        r"column age holds numbers, but 2 of 32 values are none \('\?', 'old'\)\. Correct .*--categorical age\.",
    ),
    "a date that is none": (
        lambda f: csv(f, "when,b\n" + "".join(f"2020-01-{k:02},0\n" for k in range(1, 29)) + "2021-02-29,0\n"),
        r"column when holds dates, but 1 of 29 values are none \('2021-02-29'\)",
    ),
    "an empty folder": (lambda f: f, "holds no CSV or Parquet file"),
    "no Parquet": (lambda f: csv(f, "a,b", "t.parquet"), r"t\.parquet: is no Parquet file"),
    "a number": (lambda _: 7, r"the data frame: is a int\. Give"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_file_is_one_sentence(tmp_path: Path, fault: str) -> None:
    make, sentence = FAULTS[fault]
    with pytest.raises(DataError, match=sentence) as caught:
        read_table(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_categories_may_be_numbers_and_text_and_columns_can_be_dropped(tmp_path: Path) -> None:
    values = [*map(str, range(30)), "old"]
    assert column(tmp_path, *values, categorical=True).type == pa.string()
    assert column(tmp_path, "1", "2", categorical=True).type == pa.int64()
    file = csv(tmp_path, "a,b,c\n1,2,3\n")
    assert read_table(file, drop=["b"]).train.column_names == ["a", "c"]
    with pytest.raises(DataError, match=r"--drop: 'd' is no column of .*t\.csv\. Its columns are a, b, c\."):
        read_table(file, drop=["d"])
    with pytest.raises(DataError, match="leaves no column"):
        read_table(file, drop=["a", "b", "c"])


def test_a_folder_has_two_parts_of_one_type(tmp_path: Path) -> None:
    csv(tmp_path, "x,job\n1,a\n2,b\n", "train.csv")
    csv(tmp_path, "job;x\nb;2.5\nc;1\n", "test.csv")
    read = read_table(tmp_path)
    assert read.train.to_pydict() == {"x": [1.0, 2.0], "job": ["a", "b"]}
    assert read.test is not None
    assert read.test.to_pydict() == {"x": [2.5, 1.0], "job": ["b", "c"]}
    assert read.test.schema.equals(read.train.schema)
    assert "job: 1 test rows have categories that no training row has, kept as unknown: 'c'" in read.notes
    csv(tmp_path, "job,y\nb,1\n", "test.csv")
    with pytest.raises(DataError, match=r"the test part of .* it has also y and lacks x\. Give both"):
        read_table(tmp_path)


def test_parquet_in_pieces_and_its_types(tmp_path: Path) -> None:
    kinds = {
        "when": pa.timestamp("ms", "Europe/Berlin"),
        "price": pa.decimal128(9, 2),
        "level": pa.dictionary(pa.int8(), pa.string(), ordered=True),
        "few": pa.int16(),
    }
    rows = {"when": [STAMP, None], "price": [1, 2], "level": ["a", "b"], "few": [1, None]}
    table = pa.table({name: pa.array(rows[name], kind) for name, kind in kinds.items()})
    for number in range(2):
        pq.write_table(table, tmp_path / f"piece-{number}.parquet", row_group_size=1)
    read = read_table(tmp_path).train
    assert read.to_pydict() == pa.concat_tables([table, table]).to_pydict()
    assert [read.schema.field(name).type for name in kinds] == list(kinds.values())
    pq.write_table(table.drop_columns(["few"]), tmp_path / "piece-1.parquet")
    with pytest.raises(DataError, match=r"piece-1\.parquet: has other columns than piece-0\.parquet"):
        read_table(tmp_path)


def test_data_frames(tmp_path: Path) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]}, index=pandas.Index([5, 6], name="number"))
    read = read_table(frame.astype({"a": "Int64"}))
    assert read.train.to_pydict() == {"a": [1, 2], "b": ["x", None]}
    assert read.train.to_pandas()["a"].dtype == "Int64"
    assert "index number of the data frame is left out" in read.notes[0]
    assert read_table(polars.DataFrame({"a": [1, 2], "b": ["x", None]})).train.to_pydict() == read.train.to_pydict()
    with pytest.raises(DataError, match="column m holds values of different types"):
        read_table(pandas.DataFrame({"m": [1, "x"]}))
    with pytest.raises(DataError, match="several columns of the name a"):
        read_table(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="lacks b"):
        read_table(frame, test=frame[["a"]])
    assert is_table(csv(tmp_path, PEOPLE))
    assert not is_table("digits")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_larger_than_memory_gives_some_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    rows = 20_000
    table = pa.table({"x": np.random.default_rng(0).normal(size=rows), "n": np.arange(rows)})
    path = tmp_path / f"t{suffix}"
    if suffix == ".csv":
        from pyarrow import csv as arrow_csv

        arrow_csv.write_csv(table, path)
    else:
        pq.write_table(table, path, row_group_size=1000)
    whole = read_table(path).train
    groups = [] if suffix == ".csv" else [pq.read_metadata(path).row_group(k) for k in range(rows // 1000)]
    size = sum(group.total_byte_size for group in groups) or path.stat().st_size
    monkeypatch.setattr(table_files, "memory", lambda: 2 * size)  # a quarter of the rows fits
    read = read_table(path, seed=1)
    assert abs(len(read.train) - rows / 4) < 4 * (rows * 3 / 16) ** 0.5
    assert f"{len(read.train):,} of 20,000 rows are used, drawn at random" in read.notes[0]
    assert read.train.equals(read_table(path, seed=1).train)
    assert not read.train.equals(read_table(path, seed=2).train)
    assert set(read.train["n"].to_pylist()) < set(whole["n"].to_pylist())


def test_a_table_without_a_test_part_is_split_by_its_own_seed() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"x": rng.normal(size=400), "y": rng.choice(["a", "b", "c"], 400, p=[0.8, 0.15, 0.05])})
    parts = load_table(table, target="y", split_seed=3)
    assert (len(parts.train), len(parts.test), parts.split.seed) == (300, 100, 3)
    shares = [part["y"].to_pylist().count("c") / len(part) for part in (parts.train, parts.test)]
    assert abs(shares[0] - shares[1]) < 0.01
    shuffled = load_table(table, target="y", split_seed=4)
    assert shuffled.split.rows == parts.split.rows
    assert shuffled.split.held_out != parts.split.held_out
    assert not set(row_hashes(parts.train)) & set(row_hashes(parts.test))
    assert load_table(table, target="x").split_seed == 0  # numbers are not stratified
    with pytest.raises(DataError, match=r"--target: 'z' is no column of the data frame\. Its columns are x, y"):
        load_table(table, target="z")
    with pytest.raises(DataError, match="has 3 rows, too few to hold some out"):
        load_table(table[:3])
    own = load_table(parts.train, test=parts.test, target="y")
    assert own.split_seed is None
    assert (own.split.rows, own.split.held_out) == (parts.split.rows, parts.split.held_out)


def test_files_with_a_mark_keep_their_first_name(tmp_path: Path) -> None:
    assert read_table(csv(tmp_path, codecs.BOM_UTF8 + b"a,b\n1,2\n")).train.column_names == ["a", "b"]
