"""Students of synthetic sets, of real data and of controls, trained side by side."""

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
from reinject.models.voting import Classifier, classify
from reinject.training.students import SOFT, Bench, Kind, Marks, workers_for


@dataclass(frozen=True)
class Students:
    """Who learns from the sets that are judged.

    Attributes:
        seeds: of the students, one a student and size, at least one.
        noise_seeds: of the noise control; None: those of the students.
        kind: what a student is: mlp, cnn, logistic, knn or boosting.
        beside: whether students also learn from n real rows beside n synthetic ones.
        device: where they train: cpu, cuda, mps or auto.

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
    """The utility of each set of samples, all against the same real and noise students.

    Arguments:
        tables: name -> samples and their labels.
        dataset: the real data.
        levels: how it is kept, in the units of the classifier.
        classifier: that labels the noise control and the reconstructions, where its weights are.
        students: who learns.
        r: the models, for the control of reconstructions; without them it is left out, as is that of soft labels for
            students that cannot learn from them.
        known: marks of students that were trained before, by name; grows with every student.
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
    """Sets without which the ratio says little: the classifier's own knowledge, on real and reconstructed inputs."""
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
    """The space that samples live in; "": pixels, or nothing that has a name."""
    return str(archive.manifest["parameters"].get("space", ""))


def check_match(archive: Archive, dataset: data.Dataset) -> None:
    """Raise DataError where an archive and a data set differ in space, shape or classes."""
    space = space_of(archive)
    if space != dataset.space:
        raise DataError(
            dataset.name,
            f"lives in {dataset.space or 'pixels'}, the archive {archive.folder} in {space or 'pixels'}",
            "Evaluate in one space: against the data that the models were trained on",
        )
    if archive.event_shape != dataset.shape:
        raise DataError(
            dataset.name,
            f"has images {dataset.shape}, the archive {archive.folder} samples {archive.event_shape}",
            "Evaluate against the data set that the models were trained on",
        )
    if archive.class_names and archive.class_names != dataset.class_names:
        raise DataError(
            dataset.name,
            f"has other classes than the archive {archive.folder}",
            "Evaluate against the data set that the models were trained on",
        )


def check_enough(archive: Archive, dataset: data.Dataset) -> None:
    """Raise ArchiveError where an archive has fewer samples with a label than there are real rows."""
    labelled = archive.rows - archive.manifest["counts"]["unlabelled"]
    if labelled < len(dataset.train):
        raise ArchiveError(
            str(archive.folder),
            f"{labelled} labelled samples, fewer than the {len(dataset.train)} real ones to compare at equal n",
            "Sample more walks",
        )
