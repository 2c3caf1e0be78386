"""Gather the basis of judgements: real and synthetic rows, walks, features, models."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject import data
from reinject.archive import Archive
from reinject.base.devices import device_of
from reinject.base.errors import ArgumentError, DataError, ModelError
from reinject.base.files import fingerprint
from reinject.base.progress import Progress, Silent
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.data.splits import Split, check_unseen, split_of
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.evaluation.judgement import Draw, Sets, draws
from reinject.evaluation.memorisation import Neighbourhood, neighbourhood
from reinject.models.bundle import load
from reinject.models.features import NAMES, Extractor, convolutions, outputs, pca, penultimate, pixels, usual
from reinject.models.loading import Models, classifier_in
from reinject.models.votes import Classifier
from reinject.training.students import Bench, Marks, workers_for

MOST_NEAR = 10_000  # most samples in the search for neighbours


@dataclass(frozen=True)
class Evidence:
    """Hold the basis of all judgements.

    Attributes:
        train, test: real sets.
        synthetic: labelled samples, or all samples of an archive without labels.
        walk: numbers of their walks, int64, (N,).
        class_names: class names; none without labels.
        extractor: extractor of features.
        classifier: labelling classifier; None without labels.
        models: models that made the samples; None if not available.
        seed: seed of draws and students.
        device: device of students.
        shadows: whether to train autoencoders like the attacked one.
        progress: progress reporter.
        known: marks of trained students, by what determines them.
    """

    train: Table
    test: Table
    synthetic: Table
    walk: NDArray[np.int64]
    class_names: tuple[str, ...]
    extractor: Extractor
    classifier: Classifier | None
    models: Models | None
    seed: int = 0
    device: str = "cpu"
    shadows: bool = False
    progress: Progress = field(default_factory=Silent)
    known: dict[str, Marks] = field(default_factory=dict)

    @cached_property
    def draws(self) -> list[Draw]:
        """Draws of rows for all judgements that compare sets."""
        return draws(len(self.train), len(self.test), self.walk, seed=self.seed)

    @cached_property
    def parts(self) -> list[Sets]:
        """Features of each draw."""
        of = self.extractor.rows
        return [
            (of(self.train, one.reference), of(self.test, one.held_out), of(self.synthetic, one.synthetic))
            for one in self.draws
        ]

    @cached_property
    def some_near(self) -> NDArray[np.int64]:
        """Numbers of the samples in the search for neighbours."""
        return self.some(len(self.synthetic), MOST_NEAR)

    @cached_property
    def near(self) -> Neighbourhood:
        """Neighbours of these samples among real rows, in pixels."""
        of = pixels().rows
        train, test = (of(table, np.arange(len(table))) for table in (self.train, self.test))
        return neighbourhood(of(self.synthetic, self.some_near), train, test)

    @property
    def bench(self) -> Bench:
        """Bench that tests students."""
        workers = workers_for(device_of(self.device))
        return Bench(self.test, self.class_names, self.device, workers, known=self.known)

    def probabilities(self, table: Table, index: NDArray[np.int64]) -> Tensor:
        """Compute the classifier's probabilities of some rows, float64, (N, classes)."""
        assert self.classifier is not None
        found = []
        with torch.no_grad():
            for part in np.array_split(index, max(1, len(index) // 1024)):
                x = table.storage.load(torch.from_numpy(table.x[part]))
                found.append(self.classifier(x).cpu().double().softmax(1))
        return torch.cat(found)

    def some(self, rows: int, most: int) -> NDArray[np.int64]:
        """Draw at most ``most`` row numbers at random."""
        return np.random.default_rng(self.seed).permutation(rows)[:most]


def disjoint(dataset: data.Dataset) -> tuple[data.Dataset, int]:
    """Remove test images that are training images too; return the data set and the number removed.

    Raises:
        DataError: more than 1% of the test images, which suggests a wrong split.

    Example:
        >>> disjoint(data.load("digits"))[1]
        0
    """
    train = {image.tobytes() for image in dataset.train.x.numpy()}
    apart = torch.tensor([image.tobytes() not in train for image in dataset.test.x.numpy()])
    shared = int((~apart).sum())
    if shared > len(apart) / 100:
        raise DataError(
            dataset.name,
            f"{shared} of its {len(apart)} test images are training images too",
            "Give a split whose parts have no image in common",
        )
    return (replace(dataset, test=dataset.test.take(apart)) if shared else dataset), shared


def gather(
    archive: Archive,
    dataset: data.Dataset,
    C: Classifier | None,
    models: Models | None,
    spec: EvaluateSpec,
    progress: Progress,
) -> Evidence:
    """Gather the evidence from an archive and a data set.

    Arguments:
        archive: archive of synthetic samples.
        dataset: real data.
        C: labelling classifier; None without labels.
        models: models that made the samples; None if not available.
        spec: features, number of samples, seed, and device of students.
        progress: progress reporter.

    Raises:
        ReinjectError: the extractor is unknown, or does not fit.
    """
    levels = levels_for(dataset, archive)
    with progress.task("reading the samples", min(spec.most, archive.rows), "samples") as advance:
        x, y = archive.read(spec.most, spec.seed, advance)
    kept = (y >= 0) if archive.class_names else torch.ones(len(y), dtype=torch.bool)
    walk = archive.numbers("walk", spec.most, spec.seed)[kept.numpy()]
    train, test = (Table.of(part.x, part.y, levels) for part in (dataset.train, dataset.test))
    extractor = _extractor(spec.features, C, train)
    synthetic = Table.of(x[kept], y[kept], archive.storage)
    names = archive.class_names
    return Evidence(train, test, synthetic, walk, names, extractor, C, models, spec.seed, spec.device)


def _extractor(features: str | Path | None, C: Classifier | None, train: Table) -> Extractor:
    """Find an extractor by its name, or in a folder."""
    shape = tuple(train.x.shape[1:])
    if features is None:
        features = usual(C)
    if features in ("penultimate", "outputs"):
        if not isinstance(C, torch.nn.Module):
            raise ModelError("--features", f"{features} needs a classifier that is a torch module", "Use pixels")
        make = penultimate if features == "penultimate" else outputs
        return make(C, fingerprint(*C.state_dict().values()))
    simple: dict[str | Path, Callable[[], Extractor]] = {
        "pixels": pixels,
        "pca": lambda: pca(train),
        "convolutions": lambda: convolutions(shape),
    }
    if features in simple:
        return simple[features]()
    folder = Path(features)
    if not folder.is_dir():
        raise ArgumentError(
            "--features",
            f"{str(features)!r} is neither a name nor a folder",
            f"Use one of {', '.join(NAMES)}, or a folder",
        )
    bundle = load(classifier_in(folder))
    if bundle.network.inputs.shape != shape:
        raise ModelError(
            str(folder), f"takes {bundle.network.inputs.shape}, not {shape}", "Give a classifier for these inputs"
        )
    return penultimate(bundle.network, bundle.sha256)


def check_extractor(features: str | Path | None, split: Split) -> None:
    """Raise DataError if ``features`` is the folder of a classifier trained on held-out rows."""
    if features is not None and Path(features).is_dir():
        folder = classifier_in(Path(features))
        known = split_of(folder)
        if known is not None:
            check_unseen(str(folder), known, split)


def levels_for(dataset: data.Dataset, archive: Archive) -> Storage:
    """Choose the storage of real data whose values have the archive's meaning."""
    return dataset.levels(archive.storage.low, archive.storage.high)
