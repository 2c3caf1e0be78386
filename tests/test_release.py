"""What a release consists of agrees: one version, its date, why each dependency is there, what the workflow calls."""

import re
import tomllib
from datetime import date
from pathlib import Path

import reinject

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def field(name: str) -> str:
    found = re.findall(rf"^{name}: *(.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 1, name
    return str(found[0])


def test_the_version_stands_in_one_place() -> None:
    settings = tomllib.loads(PROJECT)
    assert settings["project"]["dynamic"] == ["version"]
    assert "version" not in settings["project"]
    source = ROOT / settings["tool"]["hatch"]["version"]["path"]
    written = re.findall(r'^__version__ = "([\d.]+)"', source.read_text(encoding="utf-8"), re.MULTILINE)
    assert written == [reinject.__version__]


def test_changelog_and_citation_are_of_this_version() -> None:
    sections = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    released = [name for name in sections if name != "Unreleased"]
    version, day = re.fullmatch(r"([\d.]+) \((\d{4}-\d\d-\d\d)\)", released[0]).groups()  # type: ignore[union-attr]
    assert version == reinject.__version__ == field("version")
    assert day == field("date-released") == date.fromisoformat(day).isoformat()


def test_every_core_dependency_says_why() -> None:
    needed = tomllib.loads(PROJECT)["project"]["dependencies"]
    for one in needed:
        assert re.search(rf'^    "{re.escape(one)}",  # .{{10,}}$', PROJECT, re.MULTILINE), one


def test_the_workflow_calls_targets_that_there_are() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    steps = [(ROOT / name).read_text(encoding="utf-8") for name in (".github/workflows/ci.yml", ".ci/run")]
    called = set(re.findall(r"^(?:.*run: )?make ([a-z-]+)", "\n".join(steps), re.MULTILINE))
    assert {"test-all", "test-lowest", "test-dist", "test", "lint", "docs"} <= called <= targets
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony
    assert targets <= set(phony[1].split())
