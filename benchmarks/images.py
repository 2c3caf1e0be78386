"""`train` + `sample` + `evaluate` on a real image set, timed, with the default preset; the paper preset beside it."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from reinject.base.progress import for_this_terminal
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.models.loading import load_models
from reinject.report.evaluated import evaluate
from reinject.sampling.presets import PRESETS
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec, Writing
from reinject.training.plans import plan_for
from reinject.training.train import train

BOUNDS = {"mnist": 0.985}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--data-dir")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--walks", type=int, default=10_000)
    options = parser.parse_args()
    progress = for_this_terminal()
    seconds, results = {}, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.monotonic()
        plan = plan_for(options.dataset, seed=options.seed)
        trained = train(plan, folder / "models", data_dir=options.data_dir, device="cpu", progress=progress).result
        seconds["train"] = time.monotonic() - began
        for preset in ("default", "paper"):
            began = time.monotonic()
            out = folder / preset
            models = load_models([folder / "models"])
            made = sample_models(
                models,
                out,
                SampleSpec(preset=preset, settings=PRESETS[preset]),
                walks=options.walks,
                seed=options.seed,
                writing=Writing(progress=progress),
            ).result
            seconds[f"sample {preset}"] = time.monotonic() - began
            began = time.monotonic()
            judged = evaluate(
                out,
                options.dataset,
                spec=EvaluateSpec(["utility"], seed=options.seed, data_dir=options.data_dir),
                progress=progress,
            ).result
            seconds[f"evaluate {preset}"] = time.monotonic() - began
            results[preset] = {
                "rows": made["rows"],
                "ratio": judged["utility"]["ratio"],
                "skill": judged["utility"]["skill"],
                "class shares": [round(min(judged["class_shares"]), 3), round(max(judged["class_shares"]), 3)],
            }
    seconds["all, default"] = seconds["train"] + seconds["sample default"] + seconds["evaluate default"]
    print(
        json.dumps(
            {
                "dataset": options.dataset,
                "classifier": trained["classifier"]["test_accuracy"],
                **results,
                "seconds": {name: round(value) for name, value in seconds.items()},
            }
        )
    )
    bound = BOUNDS.get(options.dataset, 0.0)
    sys.exit(0 if results["default"]["ratio"]["mean"] >= bound and seconds["all, default"] < 600 else 1)


if __name__ == "__main__":
    main()
