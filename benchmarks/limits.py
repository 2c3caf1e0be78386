"""What bounds the utility of any synthetic set: the classifier's labels, and the blur of the autoencoder.

Accuracy of students on real inputs and on reconstructions of them, with true labels and with the classifier's, over
that of their twin on the real set; same recipe, all training inputs.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from reinject import data
from reinject.base.progress import for_this_terminal
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.models.loading import load_models
from reinject.models.votes import classify
from reinject.training.students import Bench

CHUNK = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--models", type=Path, required=True, help="what reinject train made of the data set")
    parser.add_argument("--data-dir")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--noise", type=float, default=0.02, help="before a reconstruction, multiple of the radius")
    options = parser.parse_args()
    dataset = data.load(options.dataset, options.data_dir, progress=for_this_terminal())
    models = load_models([options.models])
    models.check_unseen(dataset)
    r, inputs = models.ensemble(), models.inputs
    levels = Storage("uint8", inputs.low, inputs.high)
    sigma = options.noise * inputs.radius
    generator = torch.Generator().manual_seed(0)

    def given_back(x: Tensor) -> Tensor:
        with torch.no_grad():
            y = r(x + sigma * torch.randn(x.shape, generator=generator), sigma if r.noise_conditioned else None)
        return levels.store(y)[0]

    def labels(x: Tensor) -> Tensor:
        return classify(models.labelling(), levels.load(x)).argmax(1)

    parts = torch.split(dataset.train.x, CHUNK)
    reconstructions = torch.cat([given_back(levels.load(part)) for part in parts])
    sets = {
        "real inputs, true labels": (dataset.train.x, dataset.train.y),
        "real inputs, the classifier's": (dataset.train.x, torch.cat([labels(part) for part in parts])),
        "reconstructions, true labels": (reconstructions, dataset.train.y),
        "reconstructions, the classifier's": (
            reconstructions,
            torch.cat([labels(part) for part in torch.split(reconstructions, CHUNK)]),
        ),
    }
    bench = Bench(Table.of(dataset.test.x, dataset.test.y, levels), dataset.class_names, workers=2)
    found = {name: bench.whole(Table.of(x, y, levels), range(options.seeds)).mean for name, (x, y) in sets.items()}
    twin = found["real inputs, true labels"]
    print(json.dumps({name: round(value / twin, 4) for name, value in found.items()}, indent=1))


if __name__ == "__main__":
    main()
