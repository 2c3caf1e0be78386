"""Seconds and peak memory of a table: fit, sample and judge.

    python benchmarks/tables.py train.csv test.csv --target income
    python benchmarks/tables.py train.csv test.csv --target income --rows 100000

Printed as JSON: seconds of each task, peak memory in GiB. The bounds are 300 s to fit, and 60 s for 100,000 rows.
"""

import argparse
import json
import resource
import sys
import time

from reinject import tables
from reinject.data.table_files import read_table
from reinject.table_evaluation.judge_table import judge_table

BOUNDS = {"fit": 300.0, "sample": 60.0}  # seconds; sample: for 100,000 rows
ROWS = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--target", required=True)
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    real = read_table(options.train, test=options.test)
    seconds, clock = {}, time.monotonic()

    def lap(name: str) -> None:
        nonlocal clock
        seconds[name], clock = round(time.monotonic() - clock, 1), time.monotonic()

    fitted = tables.fit(real.train, target=options.target)
    lap("fit")
    rows = read_table(fitted.sample(options.rows)).train
    lap("sample")
    judged = judge_table(real.train, real.test, rows.slice(0, len(real.train)), options.target)
    lap("judge")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print("\n".join(judged.lines()), file=sys.stderr)
    print(json.dumps({"rows": options.rows, "seconds": seconds, "peak GiB": round(peak, 2)}))
    met = seconds["fit"] <= BOUNDS["fit"] and seconds["sample"] <= BOUNDS["sample"] * options.rows / ROWS
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
