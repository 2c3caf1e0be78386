"""``reinject extract``: write the features of a data set from a frozen network, as a data set of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from reinject import data
from reinject.archive.request import asked_for, contents, earlier, note
from reinject.base.errors import DataError, ModelError
from reinject.base.files import fingerprint
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent
from reinject.base.staging import begin, check_free, partial_of, publish
from reinject.data.splits import Split, check_unseen
from reinject.foreign import Foreign
from reinject.foreign.backbone import Backbone, load_backbone
from reinject.foreign.efficientnet import is_efficientnet, load_efficientnet
from reinject.models.bundle import load
from reinject.models.features import penultimate, usual
from reinject.models.loading import classifier_in, values_for
from reinject.networks import CLASSIFIERS

Layer = Literal["penultimate", "output"]
BACKBONE = "hf:"
_CHUNK = 256


def extract(
    dataset: str,
    extractor: Path | str,
    out: Path,
    *,
    layer: Layer = "penultimate",
    data_dir: str | None = None,
    split_seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Write a data set of features: (f(x) - mean) / std, by feature, with the moments of the training part.

    Models and samples of these features live in their space. The space's name holds the extractor's hash, the layer and
    the moments; data and models of other spaces do not mix with it.

    Arguments:
        dataset: name of the data set.
        extractor: folder of a classifier (or with one), ours or imported. Or hf:NAME, a vision backbone of
            transformers, from the hub or a folder. Or efficientnet-lite0[:SIDE], for images of 224 or SIDE pixels. Its
            weights stay fixed.
        out: folder to make; its name becomes the name of the data set.
        layer: the inputs of the last linear layer, or the outputs, for a module whose output is its features.
        data_dir: where to look for the data set first.
        split_seed: of the split of a data set that has no test part.
        overwrite: replace an existing folder.
        progress: progress reporter.

    Returns:
        The folder, the number of features, the space.

    Raises:
        ReinjectError: no classifier there, a classifier for other inputs, or one trained on held-out rows; ``out``
            holds something.
    """
    given = locals()
    progress = progress or Silent()
    if str(extractor).startswith(BACKBONE):
        taken = _backbone(load_backbone(str(extractor).removeprefix(BACKBONE)))
    elif is_efficientnet(str(extractor)):
        taken = _backbone(load_efficientnet(str(extractor)))
    else:
        taken = _classifier(Path(extractor), layer)
    asked = asked_for(given, extractor=taken.sha256, data=contents(dataset, data_dir))
    made = None if overwrite else earlier(out, asked)
    if made is not None:
        return made
    check_free(out, data.FEATURES_CONFIG, overwrite)
    found = data.load(dataset, data_dir, split_seed, progress)
    if taken.split is not None:
        check_unseen(str(extractor), taken.split, found.split)
    rows = len(found.train) + len(found.test)
    features = {}
    with progress.task("extracting", rows, "inputs") as advance:
        for part in ("train", "test"):
            features[part] = _features(taken.of, taken.inputs_of(found, part), advance)
    mean = features["train"].mean(0)
    std = features["train"].std(0).clamp_min(1e-6)
    space = f"{taken.layer} of {taken.sha256[:16]}, {fingerprint(mean, std)}"
    parts = [data.LabelledImages((features[name] - mean) / std, getattr(found, name).y) for name in ("train", "test")]
    partial = partial_of(out)
    described: dict[str, Any] = {"dataset": dataset, "extractor": taken.sha256, "layer": taken.layer}
    described["split"] = found.split.as_json()
    begin(partial, described)
    data.write_features(partial, data.Dataset(out.name, parts[0], parts[1], found.class_names, space), described)
    count = int(mean.numel())
    outcome = Outcome(
        {"features": str(out), "rows": rows, "width": count, "space": space},
        [f"{count} features of {rows:,} inputs in {out}", f"Next: reinject train {out} --out MODELS"],
    )
    note(partial, asked, outcome)
    publish(partial, out)
    return outcome


class _Taken(NamedTuple):
    """The source of features: a function of inputs, its identity, its layer, and the inputs of a data set.

    ``split`` is the split that the network was trained on, where known.
    """

    of: Callable[[Tensor], Tensor]
    sha256: str
    layer: str
    inputs_of: Callable[[data.Dataset, str], Tensor]
    split: Split | None = None


def _classifier(folder: Path, layer: Layer) -> _Taken:
    bundle = load(classifier_in(folder))
    network = bundle.network
    foreign = isinstance(network, Foreign) and network.role == "classifier"
    if type(network) not in CLASSIFIERS.values() and not foreign:
        raise ModelError(
            str(bundle.folder), f"{type(network).__name__} is not a classifier", "Give a classifier's folder"
        )
    of = network
    if layer == "penultimate":
        if usual(network) != "penultimate":
            problem = "has no linear layer to take features from"
            raise ModelError(str(bundle.folder), problem, "Give --layer output, or another classifier")
        of = penultimate(network, bundle.sha256).of  # type: ignore[assignment]

    def inputs_of(found: data.Dataset, part: str) -> Tensor:
        return values_for(found, network.inputs, f"the extractor {folder}", part)

    return _Taken(of, bundle.sha256, layer, inputs_of, bundle.split)


def _backbone(backbone: Backbone) -> _Taken:
    def inputs_of(found: data.Dataset, part: str) -> Tensor:
        images: Tensor = getattr(found, part).x
        if found.space or images.ndim != 4:
            raise DataError(found.name, "has no images for a vision backbone", "Extract from images")
        return images  # levels: scaled to [0, 1] part by part

    def of(levels: Tensor) -> Tensor:
        return backbone(levels.float() / 255)  # type: ignore[no-any-return]

    return _Taken(of, fingerprint(*backbone.state_dict().values()), "pooled", inputs_of)


def _features(of: nn.Module | Any, x: Tensor, advance: Any) -> Tensor:
    found = []
    with torch.no_grad():
        for part in torch.split(x, _CHUNK):
            found.append(of(part).float().flatten(1).cpu())
            advance(len(part))
    return torch.cat(found)
