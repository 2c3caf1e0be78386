"""The rooms: what may import what, how long they are, and that importing them does nothing."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "reinject"

# The table of docs/architecture.md. A room may import the rooms named here, and what those may import.
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "images": {"errors"},
    "classes": {"errors"},
    "samples": {"errors"},
    "progress": set(),
    "devices": {"errors"},
    "processes": set(),
    "execution": {"errors"},
    "outputs": {"errors"},
    "meaning": {"outputs"},
    "reconstruction": {"execution", "meaning"},
    "score": {"errors"},
    "densities": {"errors"},
    "schedules": {"errors"},
    "starts": {"schedules", "files"},
    "streams": {"errors"},
    "diagnostics": {"errors"},
    "kernels": {"score", "reconstruction", "schedules", "files", "streams"},
    "walks": {"kernels", "starts"},
    "objectives": {"kernels"},
    "theory": {"densities", "models", "objectives", "score", "walks"},
    "filters": {"samples", "files"},
    "synthesis": {"walks", "filters"},
    "building": {"kernels"},
    "presets": {"building", "synthesis"},
    "verdict": set(),
    "pilot": {"diagnostics", "presets", "verdict"},
    "auto": {"pilot"},
    "moments": {"starts"},
    "staging": {"files"},
    "archive": {"samples", "classes", "images", "staging", "diagnostics", "verdict", "streams"},
    "cluster": {"archive", "foreign"},
    "splits": {"files"},
    "arrays": {"classes"},
    "columns": {"arrays", "images"},
    "data": {"columns", "files", "progress", "samples", "splits"},
    "models": {"errors"},
    "foreign": {"models", "files", "meaning"},
    "bundle": {"reconstruction", "foreign", "score", "splits"},
    "training": {"errors"},
    "evaluation": {"data", "samples", "training", "models", "processes", "devices", "execution"},
    "figures": {"evaluation"},
    "report": {"figures", "verdict"},
    "explorer": {"presets", "report"},
    "jobs": {
        "archive", "auto", "bundle", "cluster", "data", "devices", "diagnostics", "evaluation", "explorer", "figures",
        "models", "moments", "objectives", "presets", "processes", "progress", "report", "score", "splits", "staging",
        "synthesis", "theory", "training",
    },
    "cli": {"building", "jobs", "presets", "processes", "progress", "files"},
}  # fmt: skip


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            base = node.module
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "reinject" else [base]
        found |= {name.split(".")[1] for name in names if name.startswith("reinject.")}
    return found - {"__version__"}


def allowed(name: str) -> set[str]:
    reached: set[str] = set()
    todo = list(MAY_IMPORT[name])
    while todo:
        one = todo.pop()
        if one not in reached:
            reached.add(one)
            todo.extend(MAY_IMPORT[one])
    return reached | {name}


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_table(path: Path) -> None:
    forbidden = imported_rooms(path) - allowed(room(path))
    assert not forbidden, f"{path.name} imports {forbidden}"


def test_sampling_half_never_reaches_the_data_half() -> None:
    half = {"synthesis", "archive", "data", "models", "bundle", "training", "evaluation", "jobs"}
    assert not allowed("walks") & half


def test_table_is_the_one_in_the_docs() -> None:
    rows = [line for line in (ROOT / "docs/architecture.md").read_text().splitlines() if line.startswith("| `")]
    documented = {
        cells[1].strip().strip("`/"): {name.strip(" `") for name in cells[3].split(",") if name.strip(" `-")}
        for cells in (row.split("|") for row in rows)
    }
    assert documented == MAY_IMPORT


def test_modules_are_short() -> None:
    lengths = [len(path.read_text().splitlines()) for path in MODULES]
    assert median(lengths) < 150
    assert max(lengths) <= 350


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
