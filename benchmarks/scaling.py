"""Throughput of `sample --workers 2` over `--workers 1` (one thread each), start of the processes included."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from reinject.sampling.presets import DEFAULT
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Parallel, SampleSpec
from reinject.walks.specs import BLOCK
from untrained import models_in


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = models_in(folder)
        seconds = {}
        for workers in (1, 2):
            began = time.perf_counter()
            out = folder / str(workers)
            sample_models(
                models,
                out,
                SampleSpec(preset="default", settings=DEFAULT),
                walks=options.blocks * BLOCK,
                parallel=Parallel(workers=workers),
            )
            seconds[workers] = time.perf_counter() - began
        shards = [
            [path.read_bytes() for path in sorted((folder / str(workers) / "data").iterdir())] for workers in (1, 2)
        ]
    ratio = seconds[1] / seconds[2]
    result = {
        "seconds": {key: round(value, 1) for key, value in seconds.items()},
        "2 workers over 1": round(ratio, 2),
        "same bytes": shards[0] == shards[1],
    }
    print(json.dumps(result))
    sys.exit(0 if ratio >= 1.8 and shards[0] == shards[1] else 1)


if __name__ == "__main__":
    main()
