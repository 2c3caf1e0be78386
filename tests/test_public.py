"""What a user's program sees of the package: names, their types, and the values that settings are given as."""

import ast
import contextlib
import inspect
import os
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

import reinject
from reinject.base.errors import ArgumentError
from reinject.cli import app
from reinject.walks import kernels

SOURCE = Path(__file__).parents[1] / "src"
PROGRAM = """
import torch
import reinject
from reinject import EvaluateSpec, Execution, plan_for

r = reinject.wrap(torch.nn.Linear(4, 4), 4, execution=Execution(precision="bf16-mixed"))
kernel = reinject.kernels.Langevin(r, lam=reinject.schedules.Linear(0.2, 0.1))
start = reinject.starts.Normal(std=2.0)
plan = plan_for("digits", classifier=reinject.ClassifierSpec("conv", epochs=3))
print(reinject.train(plan, __import__("pathlib").Path("models"), device="cpu").result["seed"])
done = reinject.evaluate("archive", "digits", spec=EvaluateSpec(["coverage"], seeds=1))
print(done.lines)
"""
WRONG = {
    'execution=Execution(precision="bf16-mixed")': 'precision="bf16-mixed"',
    'reinject.ClassifierSpec("conv", epochs=3)': '"conv"',
    "spec=EvaluateSpec(": "spec=dict(",
    "seeds=1": 'seeds="1"',
    "Langevin(r, lam=": "Langevin(r, lamb=",
    "std=2.0": 'std="2.0"',
    "done.lines": "done.lins",
    "reinject.train(": "reinject.trian(",
}


def test_every_public_name_is_listed_loaded_and_typed() -> None:
    tree = ast.parse((SOURCE / "reinject" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed == set(reinject.__all__) == {*reinject._PUBLIC, *reinject._MODULES}
    assert typed <= set(dir(reinject))
    assert all(getattr(reinject, name) is not None for name in typed)
    assert not {"Any", "TYPE_CHECKING", "import_module"} & set(dir(reinject))
    with pytest.raises(AttributeError, match="no attribute 'smaple'"):
        reinject.smaple  # noqa: B018


def test_the_listed_kernels_are_those_found_in_the_package() -> None:
    tree = ast.parse(Path(kernels.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        (node.module, alias.asname) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert typed == {(cls.__module__, name) for name, cls in kernels._CLASSES.items()}
    beside = {"KERNELS", "Info", "Kernel", "Named", "State", "Usage"}
    assert {name for _, name in typed} == set(kernels.__all__) - beside
    assert set(kernels.KERNELS.values()) <= {getattr(kernels, name) for _, name in typed}


@pytest.mark.parametrize("name", sorted(reinject._MODULES))
def test_a_module_lists_its_own_public_names(name: str) -> None:
    module = getattr(reinject, name)
    assert dir(module) == sorted(module.__all__)
    assert all(getattr(module, one) is not None for one in module.__all__)
    own = {one for one, value in vars(module).items() if getattr(value, "__module__", "").startswith(module.__name__)}
    assert {one for one in own if not one.startswith("_")} <= set(module.__all__)


def test_the_table_of_the_documentation_names_a_function_for_every_command() -> None:
    page = (SOURCE.parent / "docs" / "api.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \| [^|]+ \|$", page, re.MULTILINE))
    assert set(rows) == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for command, cell in rows.items():
        links = re.findall(r"\[`([\w.]+)`\]\[([\w.]*)\]", cell)
        assert links, command
        for shown, target in links:
            module, _, name = (target or shown).rpartition(".")
            function = getattr(import_module(module), name)
            assert inspect.isfunction(function), shown
            assert function.__module__ == module, f"{shown} is documented under {function.__module__}"
            assert "Arguments:" in function.__doc__ or not inspect.signature(function).parameters, shown
            if target:
                assert getattr(reinject, shown.removeprefix("reinject.")) is function


def ours(annotation: object) -> Iterator[type]:
    """The classes of the package in an annotation."""
    if inspect.isclass(annotation) and annotation.__module__.startswith("reinject"):
        yield annotation
    for part in typing.get_args(annotation):
        yield from ours(part)


def functions_of(value: object) -> list[Any]:
    if inspect.isfunction(value):
        return [value]
    members = inspect.getmembers(value, inspect.isfunction) if inspect.isclass(value) else []
    return [one for name, one in members if name == "__init__" or not name.startswith("_")]


def test_types_that_public_signatures_need_are_public() -> None:
    public = [getattr(reinject, name) for name in reinject.__all__]
    shown = [*public, *(getattr(one, name) for one in public if inspect.ismodule(one) for name in dir(one))]
    needed = set()
    for function in (one for value in public for one in functions_of(value)):
        with contextlib.suppress(NameError):  # torch's own classes, imported for type checkers only
            needed |= {one for hint in typing.get_type_hints(function).values() for one in ours(hint)}
    assert len(needed) > 20
    assert not [one for one in needed if not any(one is other for other in shown)]


@pytest.mark.slow
def test_type_checkers_refuse_wrong_arguments(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(PROGRAM)
    text = PROGRAM
    for good, bad in WRONG.items():
        assert good in text
        text = text.replace(good, bad, 1)
    wrong.write_text(text)
    cache = SOURCE.parent / ".mypy_cache" / "programs"  # the package is read once
    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), str(right), str(wrong)]
    env = {**os.environ, "MYPYPATH": str(SOURCE)}
    found = subprocess.run(words, capture_output=True, text=True, env=env, cwd=tmp_path, check=False).stdout
    lines = [line for line in found.splitlines() if ": error:" in line]
    assert all(line.startswith("wrong.py") for line in lines), found
    specs = ('"ClassifierSpec | None"', '"EvaluateSpec | None"')
    for said in (*specs, '"precision"', '"lins"', '"trian"', '"lamb"', '"Normal" has'):
        assert any(said in line for line in lines), f"{said} is not refused:\n{found}"


def test_an_old_keyword_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'judgements'"):
        reinject.evaluate(tmp_path, "digits", judgements=["coverage"])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'compiled'"):
        reinject.wrap(lambda x: x, 1, compiled=True)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"judgements": "coverage"}, r"'coverage' is a text. Give \['coverage'\]"),
        ({"student": "svm"}, "--student: 'svm' is not known. Use one of mlp, cnn, logistic, knn, boosting"),
        ({"seeds": 0}, "seeds = 0 is below 1"),
        ({"most": 0}, "most = 0 is below 1"),
        ({"seed": -1}, "seed = -1 is below 0"),
        ({"split_seed": -1}, "split_seed = -1 is below 0"),
    ],
)
def test_what_is_asked_of_an_evaluation_is_checked_once(given: dict, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        reinject.EvaluateSpec(**given)


@pytest.mark.parametrize(
    "given", [{"features": "pixels"}, {"student": "knn"}, {"most": 9}, {"shadows": True}, {"device": "cuda"}]
)
def test_a_report_refuses_what_it_does_not_change(given: dict, tmp_path: Path) -> None:
    from reinject.report.report import report

    with pytest.raises(ArgumentError, match=f"report: {next(iter(given))} = .* Call evaluate"):
        report(tmp_path / "none", tmp_path / "r.html", spec=reinject.EvaluateSpec(**given))
