"""Ten million small samples on one machine: peak memory, rate, and what labelling and writing cost beside the walk."""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from reinject.archive import Archive, verify
from reinject.base.progress import for_this_terminal
from reinject.models.loading import load_models
from reinject.sampling.presets import PRESETS, Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Parallel, SampleSpec, Writing
from reinject.training.plans import plan_for
from reinject.training.train import train
from reinject.walks.loop import walk
from reinject.walks.specs import RunSpec

BOUND = 0.5  # labelling and writing over the walk, for images of MNIST's size


def forward_flops(models: Path) -> float:
    """Floating point operations of one forward pass of r, a sample."""
    loaded = load_models([models])
    r, x = loaded.ensemble(), torch.zeros(64, *loaded.inputs.shape)
    level = 0.1 if r.noise_conditioned else None
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):  # it does not count oneDNN's
        r(x, level)
    return float(counter.get_total_flops()) / len(x)


def walk_seconds(models: Path, settings: Settings, walks: int) -> float:
    """Of the walk alone, on the same number of threads."""
    loaded = load_models([models])
    walker = settings.build(loaded.ensemble(), loaded.inputs.radius)
    began = time.monotonic()
    for _ in walk(walker.kernel, walker.start, walker.event_shape, settings.walk, RunSpec(walks)):
        pass
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--models", type=Path, help="what reinject train made of it; default: trained here")
    parser.add_argument("--data-dir")
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--preset", default="default", choices=sorted(PRESETS))
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--scratch", type=Path, help="folder on a disk with room")
    options = parser.parse_args()
    progress = for_this_terminal()
    settings = PRESETS[options.preset]
    walks = -(-options.samples // len(range(settings.burn_in, settings.steps + 1, settings.thin)))
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        folder = Path(name)
        models = options.models or folder / "models"
        if options.models is None:
            train(plan_for(options.dataset), models, data_dir=options.data_dir, device="cpu", progress=progress)
        alone = [walk_seconds(models, settings, 2048)]
        began = time.monotonic()
        out = folder / "synthetic"
        sample_models(
            load_models([models]),
            out,
            SampleSpec(preset=options.preset, settings=settings),
            walks=walks,
            writing=Writing(progress=progress),
            parallel=Parallel(workers=options.workers),
        )
        seconds = time.monotonic() - began
        alone.append(walk_seconds(models, settings, 2048))
        peak = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        archive = Archive.open(out)
        faults = verify(out)
        flops = forward_flops(models)
        kept = len(range(settings.burn_in, settings.steps + 1, settings.thin))
        calls = (settings.steps + (settings.emit == "reconstruction")) / kept
        size = sum(shard["bytes"] for shard in archive.manifest["shards"])
        bare = sum(alone) / 2 / 2048 * walks
        beyond = seconds / bare - 1 if options.workers is None else None
        print(
            json.dumps(
                {
                    "dataset": options.dataset,
                    "preset": options.preset,
                    "samples": archive.rows,
                    "shards": len(archive.manifest["shards"]),
                    "seconds": round(seconds),
                    "samples a second": round(archive.rows / seconds),
                    "samples a second, walk alone": round(archive.rows / bare),
                    "labelling and writing over the walk": None if beyond is None else round(beyond, 2),
                    "forward flops": round(flops),
                    "forward passes a sample": round(calls, 2),
                    "Gflop/s, walk alone": round(flops * calls * archive.rows / bare / 1e9, 1),
                    "peak MiB": round(max(peak)),
                    "bytes a sample": round(size / archive.rows),
                    "faults": len(faults),
                    "processors": os.cpu_count(),
                }
            )
        )
    image = options.dataset == "mnist" and beyond is not None
    sys.exit("bound missed" if faults or (image and beyond > BOUND) else 0)


if __name__ == "__main__":
    main()
