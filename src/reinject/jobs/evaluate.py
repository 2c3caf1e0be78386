"""``reinject evaluate``: how far an archive can stand in for the real data."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reinject import data, report
from reinject.archive import Archive
from reinject.diagnostics import class_shares
from reinject.errors import ArchiveError, DataError, ReinjectError, check_count
from reinject.evaluation.students import Bench, Table
from reinject.evaluation.utility import Utility, reference, students_needed, utility
from reinject.figures import class_histogram, learning_curves, samples_by_class
from reinject.files import write_json
from reinject.jobs import Outcome
from reinject.jobs.diagnose import diagnose
from reinject.jobs.provenance import find_classifiers, shares
from reinject.progress import Progress, Silent
from reinject.samples import Storage
from reinject.staging import check_free, partial_of, publish
from reinject.synthesis import Classifier, Voting, ready
from reinject.training import make_fabric

METRICS = "metrics.json"
MOST = 300_000


def evaluate(
    folder: Path | str,
    against: str,
    *,
    models: Path | None = None,
    classifier: Classifier | None = None,
    data_dir: str | None = None,
    seeds: int = 3,
    most: int = MOST,
    seed: int = 0,
    device: str = "cpu",
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Judge the archive in ``folder`` against a real data set.

    Arguments:
        folder: the archive.
        against: name of the data set, as for ``reinject train``.
        models: folder with the classifier that labelled; default: where the manifest says it was.
        classifier: the one that labelled, where it is not on disk: x (B, *event) -> logits (B, classes).
        data_dir: where to look for the data set first.
        seeds: number of students a size; their mean and spread are reported.
        most: synthetic samples that are read at most, drawn at random; the number used is reported.
        seed: of the first student, of the draw, and of the split of a data set that has no test part.
        device: where students train.
        out: folder for metrics.json, figures and report.html; default: none is written.
        overwrite: replace an earlier evaluation at ``out``.

    Returns:
        Utility, class shares, confidence.

    Raises:
        ReinjectError: no archive, or no data set; they do not match; the classifier is not to be found.
    """
    check_count("--seeds", "seeds", seeds)
    progress = progress or Silent()
    if out is not None:
        check_free(out, METRICS, overwrite)
    archive = Archive.open(folder)
    C = classifier or _classifier(archive, models)
    dataset = data.load(against, data_dir, seed, progress)
    name = str(archive.manifest["parameters"]["preset"])
    judged = judge({name: archive}, dataset, C, range(seed, seed + seeds), most=most, device=device, progress=progress)
    metrics = {
        "archive": str(folder),
        "against": against,
        "rows": archive.rows,
        "utility": judged[name].as_json(),
        "class_shares": shares(archive),
        "mean_confidence": archive.manifest["mean_confidence"],
    }
    if out is not None:
        _write(out, metrics, archive, dataset, judged, [] if models is None else [models])
    return Outcome(metrics, [*report.text(judged), report.verdict(judged[name])])


def _classifier(archive: Archive, models: Path | None) -> Classifier:
    found = find_classifiers(archive, () if models is None else (models,))
    if not found:
        raise ArchiveError(str(archive.folder), "has no labels to learn from", "Sample with a classifier")
    return found[0].network if len(found) == 1 else Voting([bundle.network for bundle in found])


def judge(
    archives: Mapping[str, Archive],
    dataset: data.Dataset,
    classifier: Classifier,
    seeds: Sequence[int],
    *,
    most: int = MOST,
    device: str = "cpu",
    progress: Progress,
) -> dict[str, Utility]:
    """The utility of each archive, all against the same real and noise students.

    Raises:
        DataError, ArchiveError: an archive does not match the data set, or is smaller than it.
    """
    for archive in archives.values():
        _check_match(archive, dataset)
    storage = next(iter(archives.values())).storage
    levels = Storage("uint8", storage.low, storage.high)
    rows = sum(min(most, archive.rows) for archive in archives.values())
    with progress.task("reading the samples", rows, "samples") as advance_rows:
        tables = {
            name: Table.of(*_labelled(*archive.read(most, seeds[0], advance_rows)), archive.storage)
            for name, archive in archives.items()
        }
    total = students_needed(len(dataset.train), len(archives), len(seeds))
    with progress.task("training students", total, "students") as advance:
        place = make_fabric(device).device
        test = Table.of(dataset.test.x, dataset.test.y, levels)
        workers = (os.cpu_count() or 1) if place.type == "cpu" else 1
        bench = Bench(test, dataset.class_names, device, workers, lambda: advance(1))
        C = ready(classifier, place)

        @torch.no_grad()
        def label(x: Tensor) -> Tensor:
            return torch.cat([C(part.to(place)).argmax(1).cpu() for part in torch.split(x, 4096)])

        train = Table.of(dataset.train.x, dataset.train.y, levels)
        against = reference(bench, train, label, seeds)
        return {name: utility(against, table) for name, table in tables.items()}


def _labelled(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The samples that have a label."""
    return (x, y) if bool((y >= 0).all()) else (x[y >= 0], y[y >= 0])


def _check_match(archive: Archive, dataset: data.Dataset) -> None:
    if archive.event_shape != dataset.shape:
        raise DataError(
            dataset.name,
            f"has images {dataset.shape}, the archive {archive.folder} samples {archive.event_shape}",
            "Evaluate against the data set that the models were trained on",
        )
    if archive.class_names != dataset.class_names:
        raise DataError(
            dataset.name,
            f"has other classes than the archive {archive.folder}",
            "Evaluate against the data set that the models were trained on",
        )
    labelled = archive.rows - archive.manifest["counts"]["unlabelled"]
    if labelled < len(dataset.train):
        raise ArchiveError(
            str(archive.folder),
            f"{labelled} labelled samples, fewer than the {len(dataset.train)} real ones to compare at equal n",
            "Sample more walks",
        )


def _write(
    out: Path,
    metrics: dict[str, Any],
    archive: Archive,
    dataset: data.Dataset,
    judged: Mapping[str, Utility],
    models: Sequence[Path],
) -> None:
    partial = partial_of(out)
    figures = partial / "figures"
    ((name, one),) = judged.items()
    samples_by_class(figures / "samples.png", pictured(dataset, {name: archive}), dataset.class_names, 0, 1)
    class_histogram(
        figures / "classes.png",
        {"real": class_shares(dataset.train.y, len(dataset.class_names)), name: metrics["class_shares"]},
        dataset.class_names,
    )
    learning_curves(figures / "curves.png", {"real": one.real, name: one.synthetic, "noise": one.noise})
    write_json(partial / METRICS, metrics)
    report.write(
        partial / "report.html",
        title=f"{archive.folder.name} against {dataset.name}",
        judged=judged,
        figures=figures,
        walks={name: _walks(archive.folder, models)},
        provenance=archive.manifest["parameters"],
        command=f"reinject evaluate {archive.folder} --against {dataset.name}",
    )
    publish(partial, out)


def _walks(folder: Path, models: Sequence[Path]) -> Sequence[str]:
    """What diagnose says of the archive, or why it says nothing."""
    try:
        return diagnose(folder, models=models).lines
    except ReinjectError as error:  # models that are not on disk, or fewer folders than autoencoders
        return [f"not followed: {error}"]


def pictured(dataset: data.Dataset, archives: Mapping[str, Archive]) -> dict[str, Any]:
    """Images in [0, 1] and labels of the real and each synthetic set, some thousand of each, for the figures."""
    unit = Storage()
    sets = {"real": (unit.load(dataset.train.x[:5000]).numpy(), dataset.train.y[:5000].numpy())}
    for name, archive in archives.items():
        x, y = _labelled(*archive.read(5000, seed=0))
        storage = archive.storage
        values = (storage.load(x) - storage.low) / (storage.high - storage.low)
        mixed = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))  # neighbours share a walk
        sets[name] = (values[mixed].numpy(), y[mixed].numpy())
    return sets
