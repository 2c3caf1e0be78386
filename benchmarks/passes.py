"""Quality against the passes of the network: precision, recall, coverage, Frechet distance, two-sample classifier.

As many samples as held-out rows, 5,000 at most, are compared with as many training rows; the classifier compares them
with held-out rows. Walks are independent falls of the noise: N levels, and the last thing that is kept.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reinject import data
from reinject.base.errors import ReinjectError
from reinject.data.sample_tables import Table
from reinject.evaluation.coverage import frechet, prdc
from reinject.evaluation.two_sample import classifier_test
from reinject.models.features import penultimate, pixels
from reinject.models.loading import Models, levels_of, load_models
from reinject.sampling.presets import Settings, falls
from reinject.walks.kernels.kernel import State
from reinject.walks.loop import spread

ROWS, PARTS, BLOCK = 5000, 5, 1000


class End(NamedTuple):
    """The end of a fall: r(x, level) by level, the state, the last level and the one before, and the generator."""

    r: Callable[[Tensor, float], Tensor]
    state: State
    level: float
    before: float
    generator: torch.Generator


def drawn(end: End) -> Tensor:
    """Add the noise of the last level to r once more, and remove it."""
    y = end.r(end.state.x, end.level)
    return end.r(y + end.level * torch.randn(y.shape, generator=end.generator), end.level)


def extrapolated(end: End) -> Tensor:
    """Extrapolate r from the last two levels to noise 0, linearly in the variance of the noise."""
    y, old = end.r(end.state.x, end.level), end.state.old
    assert old is not None
    return y + (y - old) * end.level**2 / (end.before**2 - end.level**2)


KEPT: dict[str, Callable[[End], Tensor]] = {
    "r": lambda end: end.r(end.state.x, end.level),
    "state": lambda end: end.state.x,
    "half": lambda end: (end.state.x + end.r(end.state.x, end.level)) / 2,
    "lower": lambda end: end.r(end.state.x, end.level / 2),
    "drawn": drawn,
    "extrapolated": extrapolated,
}


def samples(models: Models, settings: Settings, kept: Callable[[End], Tensor], count: int, seed: int) -> Tensor:
    """Walk one fall for each sample, and store what is kept as the archive does."""
    r, storage = models.ensemble(), levels_of(models.inputs)
    walker = settings.build(r, models.inputs.radius)
    kernel = spread(walker.kernel, settings.steps)
    found = []
    for first in range(0, count, BLOCK):
        generator = torch.Generator().manual_seed(1000 * seed + first)
        with torch.no_grad():
            x = walker.start.draw((min(BLOCK, count - first), *r.event_shape), generator)
            state = kernel.init(x)
            for _ in range(settings.steps):
                state, _ = kernel.step(state, generator)
            levels = [kernel.level(max(0, settings.steps - k)) for k in (0, 1)]
            found.append(storage.store(kept(End(r, state, *levels, generator)))[0])
    return torch.cat(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--models", type=Path, required=True, help="what reinject train made of the data set")
    parser.add_argument("--data-dir")
    parser.add_argument("--passes", type=int, nargs="*", default=[5, 8, 10, 20])
    parser.add_argument("--kernel", default="multistep", help="multistep or ancestral")
    parser.add_argument("--sigma", help="levels, as for reinject sample; default: those of --passes")
    parser.add_argument("--eta", default="1")
    parser.add_argument("--kept", nargs="*", default=["r"], choices=KEPT)
    parser.add_argument("--features", default="penultimate", choices=("penultimate", "pixels"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    models = load_models([options.models])
    dataset, levels = data.load(options.dataset, options.data_dir), levels_of(models.inputs)
    models.check_unseen(dataset)
    train, test = (Table.of(part.x, part.y, levels) for part in (dataset.train, dataset.test))
    extractor = pixels() if options.features == "pixels" else penultimate(models.C, "")  # type: ignore[arg-type]
    rows = min(ROWS, len(test), len(train))
    rng = np.random.default_rng(0)
    real, held_out = (extractor.rows(table, rng.permutation(len(table))[:rows]) for table in (train, test))

    def covered(features: Tensor) -> dict[str, float]:
        found = prdc(real, features)
        shares = {name: round(getattr(found, name), 3) for name in ("precision", "recall", "coverage")}
        return {**shares, "frechet": round(frechet(real, features), 1)}

    def recognised(features: Tensor) -> float:
        part = rows // PARTS
        starts = range(0, PARTS * part, part)
        return round(classifier_test([(held_out[k : k + part], features[k : k + part]) for k in starts]).value, 3)

    print(json.dumps({"set": "held-out rows", **covered(held_out)}), flush=True)
    for passes in options.passes:
        sigma = options.sigma or falls(passes, models.inputs.n).options["sigma"]
        settings = Settings(options.kernel, {"sigma": sigma, "eta": options.eta}, passes - 1, passes - 1)
        for name in options.kept:
            began = time.monotonic()
            x = samples(models, settings, KEPT[name], rows, options.seed)
            seconds = round(time.monotonic() - began)
            made = extractor.rows(Table.of(x, torch.zeros(rows, dtype=torch.int64), levels), np.arange(rows))
            row = {"passes": passes, "kept": name, **covered(made), "classifier": recognised(made), "seconds": seconds}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    try:
        main()
    except ReinjectError as error:
        sys.exit(str(error))
