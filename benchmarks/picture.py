"""The README's picture, from a demo's folder: real digits, synthetic ones, and one walk, as one small PNG."""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reinject import Archive, data, walk
from reinject.models.loading import load_models
from reinject.sampling.presets import DEFAULT
from reinject.walks.specs import RunSpec, WalkSpec

COLUMNS, SCALE, GAP = 20, 4, 2


def levels(x: torch.Tensor) -> NDArray[np.uint8]:
    return (x[:, 0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def strip(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images side by side, enlarged, on white."""
    large = images.repeat(SCALE, 1).repeat(SCALE, 2)
    framed = np.pad(large, ((0, 0), (GAP, GAP), (GAP, GAP)), constant_values=255)
    return np.concatenate(list(framed), axis=1)


def by_class(x: torch.Tensor, y: torch.Tensor) -> NDArray[np.uint8]:
    """Two of each class, in the order of the classes."""
    rows = [int(k) for c in range(10) for k in (y == c).nonzero().flatten()[:2]]
    return x[rows, 0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="folder that reinject demo made")
    parser.add_argument("--out", type=Path, default=Path("docs/demo.png"))
    options = parser.parse_args()
    real = data.load("digits").train
    x, y = Archive.open(options.demo / "synthetic").read(2000)
    models = load_models([options.demo / "models"])
    r = models.ensemble()
    kernel, start, *_ = DEFAULT.build(r, models.autoencoders[0].network.inputs.radius)
    states, means = (
        torch.cat(
            [
                v.x
                for v in walk(
                    kernel, start, r.event_shape, WalkSpec(steps=COLUMNS - 1, emit=emit), RunSpec(walks=1, seed=4)
                )
            ]
        )
        for emit in ("state", "reconstruction")
    )
    rows = [strip(by_class(real.x, real.y)), strip(by_class(x, y)), strip(levels(states)), strip(levels(means))]
    space = np.full((10, rows[0].shape[1]), 255, np.uint8)
    picture = np.concatenate([rows[0], rows[1], space, rows[2], rows[3]])
    Image.fromarray(picture).quantize(16).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
