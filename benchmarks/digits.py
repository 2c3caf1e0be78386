"""Ratio and skill on digits: the whole way of `reinject demo`, mean over seeds of split, models, walks and students."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from reinject.base.progress import for_this_terminal
from reinject.experiments.demo import DemoPlan, demo
from reinject.training.labelling import SEES
from reinject.training.plans import TrainPlan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--classifier-sees", default=SEES[0], choices=SEES)
    options = parser.parse_args()
    seeds = options.seeds
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            plan = DemoPlan(TrainPlan("digits", seed=seed, split_seed=seed, sees=options.classifier_sees))
            runs.append(demo(plan, Path(folder) / str(seed), progress=for_this_terminal()).result)
    figures = {
        f"{preset} {name}": [run[key][name]["mean"] for run in runs]
        for preset, key in (("default", "utility"), ("paper", "utility_paper"))
        for name in ("ratio", "skill")
    }
    means = {name: round(float(np.mean(values)), 4) for name, values in figures.items()}
    print(json.dumps({"seeds": seeds, "mean": means, "each": figures, "seconds": [run["seconds"] for run in runs]}))
    sys.exit(0 if means["default ratio"] >= 0.98 and means["default skill"] >= 0.90 else 1)


if __name__ == "__main__":
    main()
