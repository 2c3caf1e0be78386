"""What the documentation shows is run: its commands, its Python, its notebooks; its reference has every public name."""

import io
import re
import shlex
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest

from reinject.walks.verdict import Figures, Verdict, judge
from test_cli import run
from test_verdict import GOOD

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [DOCS / "tutorial.md", DOCS / "verdict.md", *sorted((DOCS / "howto").glob("*.md"))]
BLOCK = re.compile(
    r"^```(console|python|text)( title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


SLOW = ("conditions", "diffusion", "features", "judging", "sharing", "tables")  # of ten seconds and more each
EXAMPLES = [pytest.param(page, marks=[pytest.mark.slow] * (page.stem in SLOW), id=page.stem) for page in PAGES]


@pytest.mark.usefixtures("quick_students")
@pytest.mark.parametrize("page", EXAMPLES)
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
    printed = ""
    for block in blocks:
        if block["title"]:
            (tmp_path / block["title"]).write_text(block["text"])
        elif block[1] == "python":
            with redirect_stdout(io.StringIO()) as shown:
                exec(compile(block["text"], str(page), "exec"), names)
            printed = shown.getvalue()
        elif (
            block[1] == "text"
        ):  # lines of what the block before prints; numbers differ between machines, verdicts do not
            verdicts = {line for line in block["text"].splitlines() if line.startswith("verdict:")}
            assert verdicts <= set(printed.splitlines())
        else:
            printed = ""
            for line in block["text"].splitlines():
                program, *words = shlex.split(line)
                assert program == "reinject"
                status, out, said = run(*words)
                assert status == 0, (line, said)
                printed += out


BOUND = re.compile(r"(?:`(\w+)` )?(above|below) ([\d.]+)")
FIGURES = re.compile(r"^\| (?:`(\w+)`|(merit)) \| [^|]* \|([^|]*)\|([^|]*)\|$", re.MULTILINE)


def changed(**values: float) -> Figures:
    """Good figures but for some; merit is the information of even classes."""
    if "merit" in values:
        values = {"information": values["merit"], "shares": (0.25,) * 4}  # type: ignore[dict-item]
    return replace(GOOD, **values)  # type: ignore[arg-type]


def test_the_bounds_of_the_verdict_are_those_of_its_page() -> None:
    page = (DOCS / "verdict.md").read_text(encoding="utf-8")
    rows = [(row[1] or row[2], (row[3], row[4])) for row in FIGURES.finditer(page)]
    assert len(rows) == 9
    for row, cells in rows:
        for level, cell in zip(("doubtful", "broken"), cells, strict=True):
            bounds = [(name or row, side, float(bound)) for name, side, bound in BOUND.findall(cell)]
            beyond, inside = (
                {n: b * (1 + k * (0.01 if s == "above" else -0.01)) for n, s, b in bounds} for k in (1, -1)
            )
            if bounds:
                assert judge(changed(**beyond)).level == level, (row, cell)
            for name in inside:
                assert judge(changed(**{**beyond, name: inside[name]})).level != level, (row, cell)
    least = int(re.search(r"less than (\d+)% of an even share", page)[1]) / 100  # type: ignore[index]
    walks = int(re.search(r"fewer than (\d+) walks a class", page)[1]) * 3  # type: ignore[index]
    for share, level in ((1.01 * least / 3, "good"), (0.99 * least / 3, "doubtful")):
        assert judge(replace(GOOD, shares=(0.5, 0.5 - share, share)), walks).level == level
        assert "too few" in judge(replace(GOOD, shares=(0.5, 0.5 - share, share)), walks - 1).reason


def test_every_reason_of_the_verdict_is_on_its_page() -> None:
    def form(text: str) -> str:
        return re.sub(r"(\d+(\.\d+)?|…)%?", "…", text)

    page = (DOCS / "verdict.md").read_text(encoding="utf-8")
    there = {form(heading) for heading in re.findall(r"^### `(.*)`$", page, re.MULTILINE)}
    reasons: set[Verdict] = {
        judge(changed(**values))
        for values in (
            *({"stopped": v} for v in (0.05, 0.5)),
            *({"clipped": v} for v in (0.3, 0.9)),
            *({"repeated": v} for v in (0.2, 0.9)),
            {"noise_kept": 1.0, "error": 0.0},
            *({name: v} for name, v in (("random", 1.0), ("spread", 0.0), ("remembered", 0.9), ("directions", 1.0))),
            *({"merit": v} for v in (0.0, 0.3)),
        )
    } | {judge(replace(GOOD, shares=shares)) for shares in ((0.5, 0.5, 0.0), (0.91, 0.03, 0.03, 0.03))}
    reasons.add(judge(GOOD, walks=4))
    assert {form(one.reason) for one in reasons} == there


NOTEBOOKS = [  # one in every run, all every night
    pytest.param(path, marks=[pytest.mark.slow] * (path.stem != "scores"), id=path.stem)
    for path in sorted((DOCS / "notebooks").glob("*.ipynb"))
]


@pytest.mark.parametrize("path", NOTEBOOKS)
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
