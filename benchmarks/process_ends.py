"""How many processes are aborted as they end, just after they have read shards of an archive.

Each process reads the shards and ends at once. They are opened as :mod:`reinject.archive` opens them, by path and from
a file system elsewhere, and as Python's files, for comparison. Two processes run at a time, so that threads wait for a
core.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import reinject

_SOURCE = Path(reinject.__file__).parent / "archive" / "source.py"
_WAYS = {
    "path": "source.arrow_file(Path(name))",
    "elsewhere": "source.arrow_file(place_of(f'file://{name}'))",
    "python file": "open(name, 'rb')",
}
_READ = """
import importlib.util, sys
from pathlib import Path
import pyarrow.parquet as pq
from reinject.base.files import is_remote, place_of
spec = importlib.util.spec_from_file_location("source", {source!r})  # without torch, which takes seconds
source = importlib.util.module_from_spec(spec)
spec.loader.exec_module(source)
for name in sys.argv[1:]:
    with {way} as file:
        pq.read_table(file)
"""


def ends(way: str, shards: list[str], count: int) -> dict[str, int]:
    """Exit statuses of so many processes, and how often each came."""
    code = _READ.format(source=str(_SOURCE), way=_WAYS[way])

    def status(_: int) -> int:
        return subprocess.run([sys.executable, "-c", code, *shards], capture_output=True).returncode

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(status, range(count)))
    return {str(one): found.count(one) for one in sorted(set(found))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ends", type=int, default=200)
    parser.add_argument("--ways", nargs="*", default=list(_WAYS), choices=list(_WAYS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shards = []
        for number in range(4):
            values = np.random.default_rng(number).integers(0, 256, (9216, 140), np.uint8)
            files = pa.array([{"bytes": value.tobytes(), "path": None} for value in values])
            shards.append(f"{folder}/{number}.parquet")
            pq.write_table(pa.table({"image": files, "label": np.arange(9216)}), shards[-1], row_group_size=1024)
        found = {way: ends(way, shards, options.ends) for way in options.ways}
    print(json.dumps({"exit statuses": found}))
    sys.exit(any(set(found[way]) != {"0"} for way in found if way != "python file"))


if __name__ == "__main__":
    main()
