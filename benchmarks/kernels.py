"""Every kernel on digits: cost of a step in forward passes, effective samples a second, and a film strip of one walk.

Costs are ratios to bare forward passes of the same network on the same batch, timed in turn, medians of five.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from reinject import data
from reinject.models.loading import load_models
from reinject.sampling.presets import Walker, settings_of
from reinject.training.objective_options import Numbers
from reinject.training.plans import AutoencoderSpec, plan_for
from reinject.training.train import train
from reinject.walks.diagnostics import convergence
from reinject.walks.kernels import KERNELS
from reinject.walks.loop import walk
from reinject.walks.reconstruction import Ensemble
from reinject.walks.specs import RunSpec, WalkSpec

WALKS, DRAWS, FRAMES = 512, 60, 14
BLIND = ("tangent", "self-tuning")  # kernels that want another network: one that is not told the noise level


def timed(function, rounds: int = 5) -> list[float]:  # type: ignore[no-untyped-def]
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return times[1:]


def cost(walker: Walker, r: Ensemble) -> float:
    """Seconds of 10 steps over those of 10 calls of r."""
    kernel = walker.kernel
    x = walker.start.draw((WALKS, *walker.event_shape), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)

    def steps() -> None:
        state = kernel.init(x)
        with torch.no_grad():
            for _ in range(10):
                state, _ = kernel.step(state, generator)

    def bare() -> None:
        with torch.no_grad():
            for _ in range(10):
                r(x, 0.5)

    return statistics.median(a / b for a, b in zip(timed(steps), timed(bare), strict=True))


def effective(walker: Walker, emit: str, burn_in: int, axis: torch.Tensor) -> tuple[float, float, torch.Tensor]:
    """ESS of the leading principal axis over all walks, seconds, and the first walk's frames."""
    began = time.perf_counter()
    parts = list(
        walk(
            walker.kernel,
            walker.start,
            walker.event_shape,
            WalkSpec(steps=burn_in + DRAWS, emit=emit),
            RunSpec(walks=WALKS),
        )  # type: ignore[arg-type]
    )
    seconds = time.perf_counter() - began
    frames = torch.cat([part.x[part.walk == 0] for part in parts])
    whole = [part.x for part in parts if part.step > burn_in and len(part.x) == WALKS]
    if len(whole) < DRAWS:
        return float(WALKS), seconds, frames  # walks that converge: one sample each
    values = torch.stack([x.flatten(1) @ axis for x in whole], 1)
    return convergence(values).ess, seconds, frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where digits.png goes")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    real = data.load("digits").train.x.float() / 255
    axis = torch.pca_lowrank(real.flatten(1), q=1)[2][:, 0]
    rows, strips = {}, []
    with tempfile.TemporaryDirectory() as name:
        folders = {"told": Path(name) / "told", "blind": Path(name) / "blind"}
        train(plan_for("digits"), folders["told"], device="cpu")
        train(
            plan_for("digits", autoencoder=AutoencoderSpec("mlp", "denoising", Numbers(spread=0.9))),
            folders["blind"],
            device="cpu",
        )
        for kernel in KERNELS:
            models = load_models([folders["blind" if kernel in BLIND else "told"]])
            r, radius = models.ensemble(), models.autoencoders[0].network.inputs.radius
            settings = settings_of(kernel)
            burn_in = 13 if kernel in ("ancestral", "multistep") else 40
            if kernel == "multistep":  # falls repeatedly, as the ancestral kernel does
                settings = replace(settings, options=KERNELS["ancestral"].usage.values)
            if kernel == "annealed":  # held at the end of its fall, where it is a walk
                settings = replace(settings, options={"sigma": "cycles:1.4r:0.06r:40:0.06r:1"})
            walker = settings.build(r, radius)
            ess, seconds, frames = effective(walker, settings.emit, burn_in, axis)
            price = cost(walker, r)
            rows[kernel] = {
                "forward passes a step": round(price, 2),
                "ESS": round(ess),
                "ESS a second": round(ess / seconds),
                "ESS a 1,000 steps": round(1000 * ess / (WALKS * (burn_in + DRAWS)), 1),
            }
            chosen = frames[torch.linspace(0, len(frames) - 1, FRAMES).long()].clamp(0, 1)
            strips.append(np.hstack((chosen[:, 0].numpy() * 255).astype(np.uint8)))
    Image.fromarray(np.vstack(strips)).resize((FRAMES * 32, len(strips) * 32), 0).save(options.out / "digits.png")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
