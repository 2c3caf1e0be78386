"""The rooms: what may import what, that no file name stands twice, how long files are, what importing does."""

import ast
import json
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "reinject"
FILES = {
    ".".join(("reinject", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py"
}
LARGEST = 0.15  # of the code, in one room
MOST = 8  # parameters of a function outside of the command line, whose options are its parameters


def rooms() -> list[str]:
    """The packages, bottom up, as the table of docs/architecture.md has them."""
    rows = [line for line in (ROOT / "docs/architecture.md").read_text().splitlines() if "/` |" in line]
    return [name for row in rows for name in row.split("|")[1].strip().replace("`", "").replace("/", "").split(", ")]


def room(module: str) -> str:
    return module.split(".")[1]


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, at whatever place in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in FILES else node.module for name in names}
    return found & FILES.keys()


def test_table_names_the_packages_that_are_there() -> None:
    there = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists())
    assert sorted(rooms()) == there
    assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("module", FILES)
def test_imports_go_up_the_table_only(module: str) -> None:
    order = rooms()
    later = {name for name in imported(FILES[module]) if order.index(room(name)) > order.index(room(module))}
    assert not later, f"{module} imports {later}, of rooms below its own in the table"


def test_files_have_no_cycles() -> None:
    graph = {name: imported(path) - {name} for name, path in FILES.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a cycle of imports: {' -> '.join(error.args[1])}")


def test_no_file_name_stands_twice() -> None:
    names = Counter(path.stem for path in FILES.values() if path.name != "__init__.py")
    assert not [name for name, times in names.items() if times > 1]


def test_no_room_holds_much_of_the_code() -> None:
    lines: Counter[str] = Counter()
    for name, path in FILES.items():
        lines[room(name)] += len(path.read_text().splitlines())
    assert max(lines.values()) <= LARGEST * lines.total(), lines


def test_modules_are_short() -> None:
    lengths = [len(path.read_text().splitlines()) for path in FILES.values()]
    assert median(lengths) < 150
    assert max(lengths) <= 350


def parameters(tree: ast.AST, owner: str = "") -> dict[str, int]:
    """Functions and methods of a module, by their names, and how many parameters each has, self and cls left out."""
    found = {}
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            one = node.args
            named = [*one.posonlyargs, *one.args, *one.kwonlyargs, *filter(None, (one.vararg, one.kwarg))]
            bound = bool(owner) and bool(named) and named[0].arg in ("self", "cls")
            found[f"{owner}{node.name}"] = len(named) - bound
        inner = f"{node.name}." if isinstance(node, ast.ClassDef) else owner
        found |= parameters(node, inner)
    return found


def test_parameters_are_counted() -> None:
    code = "class A:\n  def f(self, a, /, b, *c, d=1, **e):\n    def g(self, x): ...\ndef h(): ..."
    assert parameters(ast.parse(code)) == {"A.f": 5, "A.g": 1, "h": 0}


def test_signatures_are_read_in_one_glance() -> None:
    """A function takes values that say what a thing is, not their fields one by one."""
    long = {
        f"{module}.{name}": count
        for module, path in FILES.items()
        if room(module) != "cli"
        for name, count in parameters(ast.parse(path.read_text())).items()
        if count > MOST
    }
    assert not long


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, reinject.cli; print([m for m in ('torch', 'datasets', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sampling_loads_nothing_that_only_training_and_judging_need(small_models: Path, tmp_path: Path) -> None:
    sampled = (
        f"['sample', {str(small_models)!r}, '--out', {str(tmp_path / 's')!r}, '--walks', '5', '--json', '--force']"
    )
    late = ("lightning_fabric", "torch._dynamo", "scipy", "sklearn", "matplotlib")  # datasets writes the schema
    code = f"""
import sys
from reinject.cli import app
app({sampled}, standalone_mode=False)
print([m for m in {late} if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *printed, loaded = done.stdout.splitlines()
    assert json.loads("\n".join(printed))["rows"] > 0  # it sampled, or the list would say nothing
    assert loaded == "[]"
