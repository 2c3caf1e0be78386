"""Two runs beside each other: how long each takes beside one run alone.

    python benchmarks/neighbours.py               # train digits: alone, then two at once
    python benchmarks/neighbours.py --rounds 3

Printed: seconds alone, seconds of the slower of two at once, and their ratio, of every round; on 2 cores a ratio of
2 is two runs that share fairly. Each round is in the environment as it is, and with OMP_NUM_THREADS=1.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("reinject")


def seconds(runs: int, words: Sequence[str], settings: Mapping[str, str]) -> float:
    """How long so many runs of one command take, begun together; until the last has ended."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        started = [
            subprocess.Popen(
                [PROGRAM, *words, "--out", f"{folder}/{k}"],
                env={**os.environ, **settings},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for k in range(runs)
        ]
        failed = [one for one in started if one.wait() != 0]
        if failed:
            raise SystemExit(f"{len(failed)} of {runs} runs failed: reinject {' '.join(words)}")
        return time.monotonic() - began


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--command", default="train digits", help="of reinject, without --out")
    options = parser.parse_args(given)
    words = options.command.split()
    print(f"{'threads':12} {'alone':>8} {'two':>8} {'ratio':>6}")
    for _ in range(options.rounds):
        for name, settings in (("as chosen", {}), ("one", {"OMP_NUM_THREADS": "1"})):
            alone, two = seconds(1, words, settings), seconds(2, words, settings)
            print(f"{name:12} {alone:7.1f}s {two:7.1f}s {two / alone:6.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
