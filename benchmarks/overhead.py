"""What walking and the whole of `sample` cost over bare forward passes of the same network, interleaved in one run.

Bare is the network as PyTorch runs it. Untrained networks of MNIST's shape: time does not depend on what the weights
are. Each ratio is to the mean of the passes just before and just after it; medians over rounds, of which a preset with
short walks has more, so that all presets are measured over about as many calls.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}  # as the command line does

import torch

from reinject.sampling.presets import PRESETS
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.walks.loop import walk
from reinject.walks.specs import BLOCK, RunSpec, WalkSpec
from untrained import INPUTS, models_in


def timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="Of the preset with the longest walks.")
    parser.add_argument("--walks", type=int, default=BLOCK)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = models_in(folder)
        r, network = models.ensemble(), models.autoencoders[0].network.eval()
        ratios: dict[str, list[float]] = {}
        longest = max(settings.steps for settings in PRESETS.values())
        for preset, settings in PRESETS.items():
            kernel, start, *_ = settings.build(r, INPUTS.radius)
            calls = (settings.steps + (settings.emit == "reconstruction")) * (options.walks // BLOCK)
            x, level = torch.rand(BLOCK, *INPUTS.shape), torch.full((BLOCK,), 0.5)

            def bare(calls: int = calls, x: torch.Tensor = x, level: torch.Tensor = level) -> None:
                with torch.no_grad():
                    for _ in range(calls):
                        network(x, level)

            def walking(kernel=kernel, start=start, settings=settings) -> None:  # type: ignore[no-untyped-def]
                parts = walk(
                    kernel,
                    start,
                    INPUTS.shape,
                    WalkSpec(steps=settings.steps, burn_in=settings.burn_in, thin=settings.thin, emit=settings.emit),
                    RunSpec(walks=options.walks),
                )
                for _ in parts:
                    pass

            def whole(out: Path, preset=preset, settings=settings) -> None:  # type: ignore[no-untyped-def]
                sample_models(models, out, SampleSpec(preset=preset, settings=settings), walks=options.walks)

            for round_ in range(1 + options.rounds * longest // settings.steps):
                before = timed(bare)
                out = folder / f"{preset}{round_}"
                for what, action in (("walk", walking), ("sample", partial(whole, out))):
                    seconds = timed(action)
                    after = timed(bare)
                    if round_:  # the first round warms up
                        ratios.setdefault(f"{preset} {what}", []).append(2 * seconds / (before + after))
                    before = after
                shutil.rmtree(out)
    medians = {name: round(statistics.median(values), 3) for name, values in ratios.items()}
    print(json.dumps({"ratio to bare forward passes, median": medians, "rounds": options.rounds}))
    bad = [n for n, v in medians.items() if v > (1.10 if n.endswith("walk") else 1.8)]
    sys.exit(f"over the bound: {', '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
