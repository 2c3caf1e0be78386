"""Guided sampling on a real image set: share of the asked class by an independent classifier, reach and balance."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import torch

from reinject.archive import Archive
from reinject.base.progress import for_this_terminal
from reinject.models.bundle import load
from reinject.models.loading import load_models
from reinject.models.votes import classify
from reinject.sampling.presets import choose
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.training.plans import AutoencoderSpec, ClassifierSpec, plan_for
from reinject.training.train import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--models", type=Path, required=True, help="what reinject train made of the data set")
    parser.add_argument("--data-dir")
    parser.add_argument("--walks", type=int, default=2000)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--judge", type=Path, help="a folder with another classifier; default: one is trained")
    options = parser.parse_args()
    progress = for_this_terminal()
    with tempfile.TemporaryDirectory() as name:
        judge = options.judge or Path(name) / "judge"
        if not judge.is_dir():
            plan = plan_for(
                options.dataset,
                autoencoder=AutoencoderSpec(epochs=1),
                classifier=ClassifierSpec("conv", epochs=3),
                seed=1,
            )
            train(plan, judge, data_dir=options.data_dir, device="cpu", writing=Writing(progress=progress))
        models = load_models([options.models])
        names = models.inputs.class_names
        asked = tuple(range(len(names)))
        _, settings = choose(
            None,
            "half-denoising",
            {"sigma": "geometric:1:0.3"},
            steps=100,
            burn_in=100,
            classes=asked,
            guidance=options.guidance,
        )
        sample_models(
            models,
            Path(name) / "set",
            SampleSpec(preset="custom", settings=settings),
            walks=options.walks,
            writing=Writing(progress=progress),
        )
        archive = Archive.open(Path(name) / "set")
        x, label = archive.read()
        network = load(judge / "classifier").network
        x = archive.storage.load(x)
        judged = torch.cat([classify(network, part).argmax(1) for part in torch.split(x, 1000)])
        walk = torch.cat([torch.from_numpy(t["walk"].to_numpy().copy()) for t in archive.tables(["walk"])])
        wanted = walk % 1024 % len(asked)  # row of the block, class after class
        right = (judged == wanted).double()
        per_class = [round(float(right[wanted == k].mean()), 3) for k in asked]
        shares = torch.bincount(label, minlength=len(asked)).double() / len(label)
        result = {
            "samples": len(x),
            "guidance": options.guidance,
            "asked class, by the independent classifier": round(float(right.mean()), 4),
            "per class": per_class,
            "asked class, by the guiding one": round(float((label == wanted).double().mean()), 4),
            "shares": [round(float(shares.min()), 4), round(float(shares.max()), 4)],
        }
    print(json.dumps(result))
    even = abs(shares * len(asked) - 1).max() <= 0.02
    sys.exit(0 if right.mean() >= 0.95 and min(per_class) > 0 and even else 1)


if __name__ == "__main__":
    main()
