"""Seconds and peak memory of `reinject evaluate`, all judgements, on 100,000 samples."""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLES = 100_000
BOUNDS = (360, 4.0)  # seconds, GiB


def reinject(*arguments: object) -> None:
    command = [sys.executable, "-c", "from reinject.cli import main; main()"]
    subprocess.run([*command, *map(str, arguments)], check=True, stdout=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--models", type=Path, required=True, help="what reinject train made of the data set")
    parser.add_argument("--data-dir")
    options = parser.parse_args()
    where = ("--data-dir", options.data_dir) if options.data_dir else ()
    with tempfile.TemporaryDirectory() as folder:
        synthetic = Path(folder) / "synthetic"
        reinject("sample", options.models, "--walks", -(-SAMPLES // 9), "--out", synthetic)
        began = time.monotonic()
        reinject("evaluate", synthetic, "--against", options.dataset, *where, "--out", Path(folder) / "judged")
        seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # of the largest process
    print(json.dumps({"samples": SAMPLES, "seconds": round(seconds), "peak GiB": round(peak, 2)}))
    sys.exit(0 if seconds <= BOUNDS[0] and peak <= BOUNDS[1] else 1)


if __name__ == "__main__":
    main()
