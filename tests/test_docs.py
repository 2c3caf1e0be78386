"""What the documentation shows is run: its commands, its Python, its notebooks; its reference has every public name."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from test_cli import run

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "howto").glob("*.md"))]
BLOCK = re.compile(r"^```(console|python)( title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page(page: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From above to below, in a folder with ``models``, if the page does not make its own."""
    if page.stem != "tutorial":
        shutil.copytree(models, tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    names: dict[str, object] = {"__name__": "example"}
    blocks = list(BLOCK.finditer(page.read_text(encoding="utf-8")))
    assert blocks
    for block in blocks:
        if block["title"]:
            (tmp_path / block["title"]).write_text(block["text"])
        elif block[1] == "python":
            exec(compile(block["text"], str(page), "exec"), names)
        else:
            for line in block["text"].splitlines():
                program, *words = shlex.split(line)
                assert program == "reinject"
                status, _, said = run(*words)
                assert status == 0, (line, said)


@pytest.mark.parametrize("path", sorted((DOCS / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks(path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "kept without outputs"
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()


def test_the_reference_has_every_room() -> None:
    shown = set(re.findall(r"^::: reinject\.(\w+)$", "".join(p.read_text() for p in DOCS.rglob("*.md")), re.MULTILINE))
    rooms = {
        path.stem
        for path in (ROOT / "src/reinject").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert shown == rooms - {"__init__", "cli"}  # the command line explains itself


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"[\w/]+\.(?:md|ipynb)", (ROOT / "mkdocs.yml").read_text().split("\nnav:")[1]))
    there = {path.relative_to(DOCS).as_posix() for kind in ("md", "ipynb") for path in DOCS.rglob(f"*.{kind}")}
    assert listed == {name for name in there if ".ipynb_checkpoints" not in name}


def test_links_between_files_of_the_repository() -> None:
    for page in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *DOCS.rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
