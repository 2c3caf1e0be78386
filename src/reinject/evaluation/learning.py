"""Train students of synthetic sets, of real data and of controls side by side."""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reinject import data
from reinject.archive import Archive
from reinject.base.devices import device_of
from reinject.base.errors import ArchiveError, DataError, check_count
from reinject.base.progress import Progress
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.evaluation.utility import Utility, reference, students_needed, utilities
from reinject.models.loading import Models
from reinject.models.votes import Classifier, classify
from reinject.training.students import SOFT, Bench, Kind, Marks, workers_for


@dataclass(frozen=True)
class Students:
    """Describe the students of the judged sets.

    Attributes:
        seeds: seeds of the students, at least one; one student for each seed and size.
        noise_seeds: seeds of the noise control; None: those of the students.
        kind: kind of the students: mlp, cnn, logistic, knn or boosting.
        beside: whether to train students also on n real rows with n synthetic ones.
        device: device of the students: cpu, cuda, mps or auto.

    Raises:
        ArgumentError: no seed.
    """

    seeds: Sequence[int]
    noise_seeds: Sequence[int] | None = None
    kind: Kind = "mlp"
    beside: bool = True
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_count("students", "number of seeds", len(self.seeds))


def judge(
    tables: Mapping[str, Table],
    dataset: data.Dataset,
    levels: Storage,
    classifier: Classifier,
    students: Students,
    *,
    r: Models | None = None,
    known: MutableMapping[str, Marks] | None = None,
    progress: Progress,
) -> dict[str, Utility]:
    """Judge the utility of each set of samples against the same real and noise students.

    Arguments:
        tables: name -> labelled samples.
        dataset: real data.
        levels: storage of the real data, in the classifier's units.
        classifier: classifier that labels the noise control and the reconstructions, on its own device.
        students: description of the students.
        r: models for the control of reconstructions; without models this control is left out. The control of soft
            labels is left out for students that cannot learn from them.
        known: cache of students' marks by name; grows with every student.
        progress: progress reporter.
    """
    train = Table.of(dataset.train.x, dataset.train.y, levels)
    seeds, kind, beside = students.seeds, students.kind, students.beside
    controls = _controls(train, classifier, r, kind)
    noises = seeds if students.noise_seeds is None else students.noise_seeds
    total = students_needed(len(train), len(tables), len(seeds), len(controls), len(noises), beside)
    with progress.task("training students", total, "students") as advance:
        place = device_of(students.device)
        test = Table.of(dataset.test.x, dataset.test.y, levels)
        marks = {} if known is None else known
        bench = Bench(test, dataset.class_names, students.device, workers_for(place), lambda: advance(1), marks)

        def label(x: Tensor) -> Tensor:
            return torch.cat([classify(classifier, part).argmax(1) for part in torch.split(x, 4096)])

        against = reference(bench, train, label, seeds, noise_seeds=noises, kind=kind, controls=controls)
        return utilities(against, tables, beside=beside)


def _controls(train: Table, classifier: Classifier, r: Models | None, kind: Kind) -> dict[str, Table]:
    """Make the controls of the ratio: the classifier's own knowledge, on real and reconstructed inputs."""
    parts = [train.storage.load(torch.from_numpy(train.x[k : k + 1024])) for k in range(0, len(train), 1024)]
    found = {}
    if kind in SOFT:
        soft = torch.cat([classify(classifier, x) for x in parts]).numpy()
        found["real inputs, soft labels"] = Table(train.x, soft, train.storage)
    if r is not None:
        ensemble = r.ensemble()
        with torch.no_grad():
            given = [train.storage.store(ensemble(x.to(ensemble.device)))[0].cpu() for x in parts]
        y = torch.cat([classify(classifier, train.storage.load(x)).argmax(1) for x in given])
        found["reconstructions of real inputs"] = Table.of(torch.cat(given), y, train.storage)
    return found


def space_of(archive: Archive) -> str:
    """Return the name of the samples' space; "": pixels, or an unnamed space."""
    return str(archive.manifest["parameters"].get("space", ""))


def check_match(archive: Archive, dataset: data.Dataset) -> None:
    """Raise DataError if an archive and a data set differ in space, shape or classes."""
    space = space_of(archive)
    if space != dataset.space:
        raise DataError(
            dataset.name,
            f"is in {dataset.space or 'pixels'}, the archive {archive.folder} in {space or 'pixels'}",
            "Evaluate in one space: against the models' training data",
        )
    if archive.event_shape != dataset.shape:
        raise DataError(
            dataset.name,
            f"has images {dataset.shape}, the archive {archive.folder} has samples {archive.event_shape}",
            "Evaluate against the models' training data",
        )
    if archive.class_names and archive.class_names != dataset.class_names:
        raise DataError(
            dataset.name,
            f"has other classes than the archive {archive.folder}",
            "Evaluate against the models' training data",
        )


def check_enough(archive: Archive, dataset: data.Dataset) -> None:
    """Raise ArchiveError if an archive has fewer labelled samples than the real data has rows."""
    labelled = archive.rows - archive.manifest["counts"]["unlabelled"]
    if labelled < len(dataset.train):
        raise ArchiveError(
            str(archive.folder),
            f"{labelled} labelled samples are fewer than the {len(dataset.train)} real rows, needed for equal n",
            "Sample more walks",
        )
