"""Copy a ``FILE.py`` with the files of its folder that it imports, and import them without a trace."""

import ast
import contextlib
import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from reinject.base.errors import ModelError, reason

_OTHERS = frozenset({*sys.stdlib_module_names, "torch", "numpy", "reinject", "safetensors"})  # never siblings
_PACKAGE = "_reinject_imported"


def imported_names(path: Path) -> list[str]:
    """List the top-level modules that a Python file imports, and its relative imports.

    Raises:
        ModelError: the file is not Python.
    """
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise ModelError(str(path), f"is not a Python file ({reason(error)})", "Give FILE.py:NAME") from error
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= dict.fromkeys(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found[node.module.partition(".")[0]] = None
        elif isinstance(node, ast.ImportFrom) and node.level == 1:  # from . import layers
            found |= dict.fromkeys(alias.name for alias in node.names)
    return list(found)


def siblings_of(path: Path) -> list[Path]:
    """List the files of its folder that a Python file imports, and those that they import in turn.

    A folder that is a package counts with all its Python files.

    Raises:
        ModelError: a file is not Python.
    """
    found: dict[Path, None] = {}
    todo = [path]
    while todo:
        for name in imported_names(todo.pop()):
            file, package = path.parent / f"{name}.py", path.parent / name
            if name in _OTHERS:
                continue
            inside = sorted(package.rglob("*.py")) if (package / "__init__.py").is_file() else []
            more = [one for one in ([file] if file.is_file() else inside) if one not in found and one != path]
            found |= dict.fromkeys(more)
            todo += more
    return list(found)


def copy_with_siblings(path: Path, folder: Path) -> tuple[str, ...]:
    """Copy a Python file and the files of its folder that it imports; return the names of these files."""
    beside = siblings_of(path)
    for file in (path, *beside):
        target = folder / file.relative_to(path.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return tuple(file.relative_to(path.parent).as_posix() for file in beside)


@contextlib.contextmanager
def only_here(folder: Path) -> Iterator[None]:
    """Make the Python files of a folder importable by name, then restore ``sys``."""
    names = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    names = (names - _OTHERS) | {_PACKAGE}

    def ours() -> dict[str, ModuleType]:
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in names}

    before, path, bytecode = ours(), list(sys.path), sys.dont_write_bytecode
    for name in before:
        del sys.modules[name]
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[_PACKAGE] = package
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True  # the folder's contents are hashed
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for name in ours():
            del sys.modules[name]
        sys.modules.update(before)
        sys.path[:], sys.dont_write_bytecode = path, bytecode


def run_file(path: Path) -> ModuleType:
    """Run a Python file as a module of a package made of its folder; call this inside :func:`only_here`.

    Raises:
        ImportError: the file is unreadable.
    """
    spec = importlib.util.spec_from_file_location(f"{_PACKAGE}.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot read {path.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for the module there
    spec.loader.exec_module(module)
    return module
