"""Exact log|det J_r| at n = 784 for a batch: chunked torch.func beside a loop over torch.autograd.functional.jacobian.

Both in one run, in turn; the ratio of the medians. The bound is for a batch of 16.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from reinject.models import Inputs, MLPResidual
from reinject.score import log_det


def timed(action: Callable[[], Tensor]) -> tuple[float, Tensor]:
    began = time.perf_counter()
    result = action()
    return time.perf_counter() - began, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=128)
    options = parser.parse_args()
    torch.manual_seed(0)
    r = MLPResidual(Inputs((784,)), lipschitz=0.9, width=options.width).eval()
    with torch.no_grad():
        r.gain.fill_(1.0)
    for parameter in r.parameters():
        parameter.requires_grad_(False)
    x = torch.rand(options.batch, 784)

    def loop() -> Tensor:
        rows = (torch.autograd.functional.jacobian(lambda one: r(one[None])[0], point) for point in x)
        return torch.stack([torch.linalg.slogdet(j)[1] for j in rows])

    def ours() -> Tensor:
        return log_det(r, x).value

    seconds: dict[str, list[float]] = {"loop": [], "ours": []}
    gap = 0.0
    for round_ in range(options.rounds + 1):
        (a, slow), (b, fast) = timed(loop), timed(ours)
        gap = max(gap, float((slow - fast).abs().max()))
        if round_:  # the first round warms up
            seconds["loop"].append(a)
            seconds["ours"].append(b)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    speed_up = medians["loop"] / medians["ours"]
    print(json.dumps({
        "seconds": {name: round(value, 4) for name, value in medians.items()},
        "speed_up": round(speed_up, 1),
        "largest_difference": gap,
        "batch": options.batch,
    }))  # fmt: skip
    sys.exit("slower than 10 x the loop" if speed_up < 10 else 0)


if __name__ == "__main__":
    main()
