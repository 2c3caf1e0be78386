"""What Arrow reads is Arrow's own: its threads let go of it when the interpreter may have ended."""

import ast
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reinject.base.arrow import arrow_file
from reinject.base.files import place_of

PACKAGE = Path(__file__).parents[1] / "src" / "reinject"
READERS = {
    f"{module}.{name}"
    for module, names in {
        "pq": ("read_table", "ParquetFile", "ParquetDataset", "read_schema", "read_metadata"),
        "pa": ("PythonFile", "BufferReader", "py_buffer", "foreign_buffer", "input_stream"),
        "ipc": ("open_file", "open_stream"),
        "pa.ipc": ("open_file", "open_stream", "read_schema"),
    }.items()
    for name in names
}


def of_python(path: Path) -> list[str]:
    """Where a file gives Arrow something to read that is neither a path nor opened by ``arrow_file``."""
    tree = ast.parse(path.read_text())
    opened = {
        ast.unparse(item.optional_vars)
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        for item in node.items
        if item.optional_vars is not None and ast.unparse(item.context_expr).startswith("arrow_file(")
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) in READERS]
    given = [(call.lineno, ast.unparse(call.args[0])) for call in calls]
    return [
        f"{path.name}:{line}"
        for line, what in given
        if what not in opened and not what.startswith(("str(", "arrow_memory("))
    ]


def test_arrow_is_given_no_file_of_pythons() -> None:
    files = sorted(set(PACKAGE.rglob("*.py")) - {PACKAGE / "base" / "arrow.py"})
    assert [place for path in files for place in of_python(path)] == []


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pq.write_table(pa.table({"x": [1, 2, 3]}), tmp_path / "a=1.parquet")
    return tmp_path / "a=1.parquet"


def test_a_file_of_this_machine_is_opened_by_its_path(table: Path) -> None:
    with arrow_file(table) as file:
        assert type(file) is pa.OSFile
        assert pq.read_table(file).column_names == ["x"]


def test_a_file_elsewhere_is_copied_into_arrows_memory(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[bool] = []

    class Bytes(bytes):
        def __del__(self) -> None:
            gone.append(True)

    place = place_of("memory://source/a.parquet")
    monkeypatch.setattr(type(place), "read_bytes", lambda _: Bytes(table.read_bytes()))
    with arrow_file(place) as file:
        assert gone == [True]
        assert pq.read_table(file).column("x").to_pylist() == [1, 2, 3]
