"""Print the lowest versions that pyproject.toml allows, as constraints for pip.

python tests/lowest.py            # the package's own dependencies
python tests/lowest.py torch      # without torch: which torch a machine can have is given elsewhere
"""

import re
import sys
import tomllib
from pathlib import Path

BOUND = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?>=([0-9.]+)$")


def lowest(project: str, without: tuple[str, ...] = ()) -> list[str]:
    """``name==version`` for every dependency of a pyproject.toml, each at its lower bound."""
    needed = tomllib.loads(project)["project"]["dependencies"]
    found = [BOUND.match(one) for one in needed]
    unbounded = [one for one, match in zip(needed, found, strict=True) if match is None]
    if unbounded:
        raise SystemExit(f"no lower bound: {', '.join(unbounded)}")
    return [f"{match[1]}=={match[2]}" for match in found if match and match[1] not in without]


if __name__ == "__main__":
    print("\n".join(lowest(Path("pyproject.toml").read_text(encoding="utf-8"), tuple(sys.argv[1:]))))
