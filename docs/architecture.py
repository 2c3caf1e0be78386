"""Draw the packages and their imports, from the code.

python docs/architecture.py            # writes docs/architecture.svg
python docs/architecture.py --check    # status 1 where the picture is not that of the code
"""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "reinject"
PICTURE = ROOT / "docs" / "architecture.svg"
_WIDTH, _STEP, _TOP = 760, 34, 40


def rooms() -> list[str]:
    """The packages, bottom up, as the table of architecture.md has them."""
    rows = [line for line in (ROOT / "docs/architecture.md").read_text().splitlines() if "/` |" in line]
    return [row.split("`")[1].rstrip("/") for row in rows]


def measured() -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Lines of each package; and, for a pair of packages, how many files of the first import the second."""
    lines: Counter[str] = Counter()
    arrows: Counter[tuple[str, str]] = Counter()
    for path in PACKAGE.rglob("*.py"):
        here = path.relative_to(PACKAGE).parts[0]
        text = path.read_text()
        lines[here] += len(text.splitlines())
        modules = [node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
        there = {name.split(".")[1] for name in modules if name and name.startswith("reinject.")}
        arrows.update((here, one) for one in there - {here})
    return lines, arrows


def drawn() -> str:
    """The picture: a line a package, its lines as a bar, its imports as dots under the packages that it imports."""
    order = rooms()
    lines, arrows = measured()
    left, cell = 260, (_WIDTH - 270) // len(order)
    height = _TOP + _STEP * len(order) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="20" fill="#555">a dot: files of the row import the column; its size: how many</text>',
    ]
    most = max(lines[name] for name in order)
    for k, name in enumerate(order):
        y = _TOP + _STEP * k
        long = 120 * lines[name] / most
        parts.append(f'<text x="8" y="{y + 18}" fill="black">{name}</text>')
        parts.append(f'<rect x="110" y="{y + 6}" width="{long:.0f}" height="16" fill="#7a9cc6"/>')
        parts.append(f'<text x="{114 + long:.0f}" y="{y + 18}" fill="#555" font-size="11">{lines[name]:,}</text>')
        for j, other in enumerate(order[: k + 1]):
            x = left + 14 + cell * j
            many = arrows[name, other]
            if j == k:
                parts.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle" font-size="10">{name}</text>')
            elif many:
                size = 2 + 7 * min(1, many / 20)
                parts.append(
                    f'<circle cx="{x}" cy="{y + 14}" r="{size:.1f}" fill="#c65d3b">'
                    f"<title>{name} imports {other}: {many} files</title></circle>"
                )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(drawn())
