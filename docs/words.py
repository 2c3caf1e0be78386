"""Check how the documentation speaks: words to avoid, long sentences, the length of the README.

python docs/words.py            # status 1 where a page has a word of the list, or the README is too long
python docs/words.py --src      # docstrings, string literals and names in src too
python docs/words.py --long     # list the long sentences, which are only counted otherwise; with --src those in src too
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
README_LINES = 120
LONG = 30  # words of a sentence that is counted; the aim is 20

# Words to avoid, and what to write in their place.
WORDS = {
    r"the rather": '"prefer"',
    r"rather what": '"prefer what"',
    r"told (?:(?:the|its|a|no) (?:noise level|noise|level)|sigma)": '"noise-conditioned"',
    r"untold": '"unconditional denoiser"',
    r"(?:what|which) is told": '"the noise level"',
    r"(?:gone|goes|go|going|went) on (?:with|from|where|when)|(?:goes|going) on": '"resume"',
    r"what is there already": '"existing results"',
    r"so many": "the number, in a sentence of its own",
    r"so many-th": '"every n-th"',
    r"whom": "a sentence without it",
    r"(?:is|are|was|were) to be had": '"is available"',
    r"had": 'the present tense, or "reached"',
    r"nobody knows": '"unknown"',
    r"rooms": '"packages"',
    r"again and again": '"repeatedly", or "repeatable"',
}

# Names of functions and classes to avoid, and better ones.
NAMES = {
    "check_told": "require_noise_conditioned",
    "Held": "Constraint",
    "known": "observed, or cache",
    "seen": "transform",
    "lend": "to_memmap",
    "Lent": "to_memmap",
    "opened": "open_table",
    "maker": "block_sampler",
    "rows_of": "samples_per_walk",
    "told": "report_errors",
}

_RULES = [
    (re.compile(rf"(?<![\w-])(?:{words.replace(' ', chr(92) + 's+')})(?![\w-])", re.IGNORECASE), better)
    for words, better in WORDS.items()
]
_FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)(?:(?: {4}|\t).*\n)+")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_INLINE = re.compile(r"(`+)(?!`)[^`]*?(?:\n[^`\n]+?)?\1(?!`)")
_DOCTEST = re.compile(r"^ *>>>.*(?:\n(?! *$).*)*", re.MULTILINE)
_FIELD = re.compile(r"^ *([\w, ]+): ", re.MULTILINE)  # an argument of a docstring begins a sentence
_NOT_PROSE = re.compile(r"^ *(?:\||#|!\[|:::|---).*$", re.MULTILINE)


class Hit(NamedTuple):
    """One fault: where, and what to do."""

    place: str
    fault: str


def blank(pattern: re.Pattern[str], text: str, filler: str = " ") -> str:
    """Replace what matches by fillers; lines keep their numbers."""
    return pattern.sub(lambda found: re.sub(r"[^\n]", filler, found[0]), text)


def without_code(text: str) -> str:
    """The page without code blocks, comments and inline code."""
    for pattern in (_FENCE, _COMMENT, _INDENTED):
        text = blank(pattern, text)
    return blank(_INLINE, text, "_")


def words_to_avoid(text: str, place: str, first: int = 1) -> Iterator[Hit]:
    """The words of the list that stand in a text; ``first`` is the number of its first line."""
    for pattern, better in _RULES:
        for found in pattern.finditer(text):
            line = first + text.count("\n", 0, found.start())
            yield Hit(f"{place}:{line}", f'"{" ".join(found[0].split())}": write {better}')


def sentences(text: str) -> Iterator[str]:
    """The sentences of a page, outside of code, tables and headings."""
    prose = blank(_NOT_PROSE, without_code(text))
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    prose = re.sub(r"^ *(?:[-*+]|\d+\.) ", "\n\n", prose, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", prose):
        yield from (one for one in re.split(r"(?<=[.!?:])[*_)\"]*\s+", " ".join(paragraph.split())) if one)


def long_sentences(text: str) -> list[str]:
    """Those of more than ``LONG`` words."""
    return [one for one in sentences(text) if len(re.findall(r"[\w.,'-]*\w[\w'-]*", one)) > LONG]


def too_long(readme: str) -> Iterator[Hit]:
    """A README of more than ``README_LINES`` lines."""
    lines = len(readme.splitlines())
    if lines > README_LINES:
        yield Hit("README.md", f"{lines} lines: move some to docs/, {README_LINES} are the most")


def code_to_avoid(source: str, place: str) -> Iterator[Hit]:
    """Words in the string literals and docstrings of a module, and names of its functions and classes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from words_to_avoid(blank(_INLINE, node.value, "_"), place, node.lineno)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name in NAMES:
            yield Hit(f"{place}:{node.lineno}", f'"{node.name}": name it {NAMES[node.name]}')


def long_in_code(source: str) -> list[str]:
    """The long sentences of the string literals and docstrings of a module, without doctests."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "_" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        prose = _FIELD.sub(r"\n\n\1: ", inspect.cleandoc(_DOCTEST.sub("\n", text)))
        found += long_sentences(prose)
    return found


def pages(root: Path = ROOT) -> list[Path]:
    """The pages that are checked."""
    own = [root / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md")]
    return [page for page in own if page.is_file()] + sorted((root / "docs").rglob("*.md"))


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Print every fault, then the counts; 1 where there is a fault."""
    texts = {str(page.relative_to(root)): page.read_text(encoding="utf-8") for page in pages(root)}
    hits = [hit for place, text in texts.items() for hit in words_to_avoid(without_code(text), place)]
    hits += too_long(texts.get("README.md", ""))
    modules = {
        str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in sorted(root.glob("src/**/*.py"))
    }
    code = [hit for place, source in modules.items() for hit in code_to_avoid(source, place)]
    for hit in hits + (code if "--src" in arguments else []):
        print(f"{hit.place}: {hit.fault}")
    long = [(place, one) for place, text in texts.items() for one in long_sentences(text)]
    if "--src" in arguments:
        long += [(place, one) for place, source in modules.items() for one in long_in_code(source)]
    for place, one in long if "--long" in arguments else []:
        print(f"{place}: {len(one.split())} words: {one}")
    print(f"words: {len(hits)} to change in {len(texts)} pages, {len(code)} in src (--src lists them)")
    print(f"sentences of more than {LONG} words: {len(long)} (--long lists them)")
    return int(bool(hits or (code and "--src" in arguments)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
