"""docs/words.py finds every word of its list, long sentences, and a README that is too long."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("words", ROOT / "docs" / "words.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["words"] = module
    spec.loader.exec_module(module)
    return module


words = load()
BAD = {
    "Keeps samples the rather, the nearer they lie to a border.": "prefer",
    "Keeps a share, rather what\nis near others.": "prefer",
    "Is the network told the noise level?": "noise-conditioned",
    "A denoiser that is untold.": "unconditional denoiser",
    "The level is what is told.": "the noise level",
    "An earlier run is gone on with.": "resume",
    "What is there already is kept.": "existing results",
    "Such that so many are kept.": "number",
    "Every so many-th state.": "n-th",
    "A user to whom it matters.": "without it",
    "Data that is to be had.": "available",
    "The default had .97.": "reached",
    "A network that nobody knows.": "unknown",
    "The rooms of the package.": "packages",
    "It is called again\n  and again.": "repeatedly",
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_bad_sentence(sentence: str) -> None:
    found = list(words.words_to_avoid(f"Fine.\n{sentence}", "page.md"))
    assert any(BAD[sentence] in hit.fault for hit in found), found
    assert all(hit.place == "page.md:2" for hit in found)


def test_every_rule_has_a_bad_sentence() -> None:
    unused = {better for pattern, better in words._RULES if not any(pattern.search(one) for one in BAD)}
    assert not unused


@pytest.mark.parametrize(
    "sentence",
    [
        "Prefer samples near class borders.",
        "Resume from existing results; the noise-conditioned network is available.",
        "`cifar10-pixels-untold` is an experiment, and `--whom` an option.",
        "The sampler cifar10-pixels-untold told him that the shadow hadron whomever.",
        "```text\nwhat it had, to whom\n```",
        "Read:\n\n    had, untold\n\nEnd.",
    ],
)
def test_what_is_no_hit(sentence: str) -> None:
    assert not list(words.words_to_avoid(words.without_code(sentence), "page.md"))


def test_long_sentences_are_counted_outside_of_code_and_tables() -> None:
    long = " ".join(["word"] * (words.LONG + 1)) + "."
    assert words.long_sentences(f"Short one. {long}") == [long]
    assert not words.long_sentences(long.split(" ", 1)[1])
    assert not words.long_sentences(f"| {long} |\n\n## {long}\n\n```\n{long}\n```\n")
    half = " ".join(["word"] * (words.LONG - 1))
    assert not words.long_sentences(f"- {half}\n- {half}\n\n{half}. {half}.")


def project(folder: Path, readme: str, source: str = "") -> Path:
    (folder / "docs").mkdir()
    (folder / "src").mkdir()
    (folder / "README.md").write_text(readme)
    (folder / "src" / "module.py").write_text(source)
    return folder


def test_the_length_of_the_readme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path, "line\n" * words.README_LINES)
    assert words.main([], root) == 0
    (root / "README.md").write_text("line\n" * (words.README_LINES + 1))
    assert words.main([], root) == 1
    assert "121 lines" in capsys.readouterr().out


def test_a_bad_page_fails_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = project(tmp_path, "Fine.\n")
    (root / "docs" / "page.md").write_text("Fine.\n\nThose whom it helps.\n")
    assert words.main([], root) == 1
    assert 'docs/page.md:3: "whom"' in capsys.readouterr().out


def test_code_is_counted_and_fails_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = '"""A module whom nobody reads."""\n\ndef check_told(r):\n    raise E(f"{r} is untold")  # whom\n'
    root = project(tmp_path, "Fine.\n", source)
    assert words.main([], root) == 0
    assert "3 in src" in capsys.readouterr().out
    assert words.main(["--src"], root) == 1
    shown = capsys.readouterr().out
    for fault in ("module.py:1", "require_noise_conditioned", 'module.py:4: "untold"'):
        assert fault in shown


def test_long_sentences_of_code_are_those_of_texts_without_doctests() -> None:
    long = " ".join(["word"] * (words.LONG + 1))
    short = " ".join(["word"] * (words.LONG - 1))
    assert words.long_in_code(f'"""Do it.\n\n{long}.\n"""\n') == [f"{long}."]
    assert words.long_in_code(f"x = f'{long} {{y}}'\n")
    fields = f'"""Do it.\n\n    Arguments:\n        a: {short}\n        b: {short}\n"""\n'
    assert not words.long_in_code(fields)
    assert not words.long_in_code(f'"""Do it.\n\n    Example:\n        >>> {long}\n        {long}\n"""\n')
