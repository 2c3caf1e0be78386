"""``reinject evaluate``: how far an archive can stand in for the real data."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reinject import data, report
from reinject.archive import Archive
from reinject.diagnostics import class_shares
from reinject.errors import ArchiveError, DataError, ReinjectError, check_count
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.students import SOFT, Bench, Kind, Table, workers_for
from reinject.evaluation.utility import Utility, reference, students_needed, utility
from reinject.figures import class_histogram, learning_curves, nearest_rows, samples_by_class
from reinject.files import write_json
from reinject.jobs import Outcome
from reinject.jobs.diagnose import diagnose
from reinject.jobs.evidence import Evidence, disjoint, gather, levels_for
from reinject.jobs.judgements import GROUPS, UTILITY, closest, wanted
from reinject.jobs.provenance import find_classifiers, find_models, shares
from reinject.jobs.recipe import Models
from reinject.progress import Progress, Silent
from reinject.samples import Storage
from reinject.staging import check_free, partial_of, publish
from reinject.synthesis import Classifier, Voting, classify, ready
from reinject.training import make_fabric

METRICS = "metrics.json"
MOST = 300_000


def evaluate(
    folder: Path | str,
    against: str,
    *,
    judgements: Sequence[str] = (),
    features: str | Path | None = None,
    student: Kind = "mlp",
    models: Sequence[Path] = (),
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
        judgements: some of utility, coverage, two-sample, spurious, memorisation, membership; default: all that can be
            made; what has too few rows is then left out, and said to be.
        features: what coverage, two-sample and spurious are judged in: a name of
            :data:`reinject.evaluation.features.NAMES`, or the folder of a classifier; default: the penultimate layer of
            the classifier that labelled, or pixels where nothing did.
        student: kind of the students of the utility.
        models: folders with the models that made the samples; default: where the manifest says they were.
        classifier: the one that labelled, where it is not on disk: x (B, *event) -> logits (B, classes).
        data_dir: where to look for the data set first.
        seeds: number of students a size; their mean and spread are reported.
        most: synthetic samples that are read at most, drawn at random; the number used is reported.
        seed: of the first student, of the draws, and of the split of a data set that has no test part.
        device: where students train.
        out: folder for metrics.json, figures and report.html; default: none is written.
        overwrite: replace an earlier evaluation at ``out``.

    Returns:
        Utility, judgements, class shares, confidence.

    Raises:
        ReinjectError: no archive, or no data set; they do not match; the classifier is not to be found.
    """
    check_count("--seeds", "seeds", seeds)
    progress = progress or Silent()
    began = time.monotonic()
    if out is not None:
        check_free(out, METRICS, overwrite)
    archive = Archive.open(folder)
    labelled = bool(archive.class_names)
    names = wanted(judgements, labelled)
    C = (classifier or _classifier(archive, models)) if labelled else None
    made_by, notes = _made_by(archive, models)
    dataset = data.load(against, data_dir, seed, progress)
    _check_match(archive, dataset)
    dataset, shared = disjoint(dataset)
    notes += [f"{shared} test images that are training images too were left out"] if shared else []
    evidence = gather(archive, dataset, C, made_by, features, most, seed, device, progress)
    metrics: dict[str, Any] = {
        "archive": str(folder),
        "against": against,
        "rows": archive.rows,
        "features": {"name": evidence.extractor.name, "sha256": evidence.extractor.sha256},
        "notes": notes,
    }
    judged: dict[str, Utility] = {}
    if labelled:
        metrics |= {"class_shares": shares(archive), "mean_confidence": archive.manifest["mean_confidence"]}
    if UTILITY in names:
        assert C is not None
        name = str(archive.manifest["parameters"]["preset"])
        options: dict[str, Any] = {"most": most, "device": device, "kind": student, "progress": progress}
        judged = judge({name: archive}, dataset, C, range(seed, seed + seeds), r=made_by, **options)
        metrics["utility"] = judged[name].as_json()
    groups = [name for name in names if name in GROUPS]
    found: dict[str, list[Judgement]] = {}
    with progress.task("judging", len(groups), "judgements") as advance:
        for name in groups:
            try:
                found[name] = GROUPS[name].make(evidence)
            except DataError as error:  # too few rows
                if judgements:
                    raise
                notes.append(f"{name} is left out: {error}")
            advance(1)
    metrics["seconds"] = round(time.monotonic() - began, 1)
    metrics["judgements"] = {name: [one.as_json() for one in group] for name, group in found.items()}
    if out is not None:
        _write(out, metrics, archive, dataset, judged, found, evidence, models)
    lines = [*(report.text(judged) if judged else []), *report.judgement_lines(found), *notes]
    return Outcome(metrics, [*lines, *(report.verdict(one) for one in judged.values()), f"{metrics['seconds']} s"])


def _classifier(archive: Archive, models: Sequence[Path]) -> Classifier:
    found = find_classifiers(archive, models)
    return found[0].network if len(found) == 1 else Voting([bundle.network for bundle in found])


def _made_by(archive: Archive, models: Sequence[Path]) -> tuple[Models | None, list[str]]:
    """The models of an archive, or why judgements of the autoencoder are left out."""
    try:
        found = find_models(archive, models)
    except ReinjectError as error:
        return None, [f"judgements of the autoencoder are left out: {error}"]
    return (found, []) if found.autoencoders else (None, ["the autoencoder is not on disk: nothing is said about it"])


def judge(
    archives: Mapping[str, Archive],
    dataset: data.Dataset,
    classifier: Classifier,
    seeds: Sequence[int],
    *,
    most: int = MOST,
    device: str = "cpu",
    kind: Kind = "mlp",
    r: Models | None = None,
    progress: Progress,
) -> dict[str, Utility]:
    """The utility of each archive, all against the same real and noise students.

    ``r``: the models, for the control of reconstructions; without them it is left out, as is that of soft labels for
    students that cannot learn from them.

    Raises:
        DataError, ArchiveError: an archive does not match the data set, or is smaller than it.
    """
    for archive in archives.values():
        _check_match(archive, dataset)
        _check_enough(archive, dataset)
    levels = levels_for(dataset, next(iter(archives.values())))
    rows = sum(min(most, archive.rows) for archive in archives.values())
    with progress.task("reading the samples", rows, "samples") as advance_rows:
        tables = {
            name: Table.of(*_labelled(*archive.read(most, seeds[0], advance_rows)), archive.storage)
            for name, archive in archives.items()
        }
    return judge_tables(tables, dataset, levels, classifier, seeds, device=device, kind=kind, r=r, progress=progress)


def judge_tables(
    tables: Mapping[str, Table],
    dataset: data.Dataset,
    levels: Storage,
    classifier: Classifier,
    seeds: Sequence[int],
    *,
    noise_seeds: Sequence[int] | None = None,
    device: str = "cpu",
    kind: Kind = "mlp",
    r: Models | None = None,
    progress: Progress,
) -> dict[str, Utility]:
    """As :func:`judge`, for samples from anywhere.

    Arguments:
        tables: name -> samples and their labels.
        dataset: the real data.
        levels: how it is kept, in the units of the classifier.
        classifier: that labels the noise control and the reconstructions.
        seeds: of the students.
        noise_seeds: of the noise control; default: those of the students.
        device, kind, r, progress: as there.
    """
    train = Table.of(dataset.train.x, dataset.train.y, levels)
    controls = _controls(train, classifier, r, kind)
    noises = seeds if noise_seeds is None else noise_seeds
    total = students_needed(len(train), len(tables), len(seeds), len(controls), len(noises))
    with progress.task("training students", total, "students") as advance:
        place = make_fabric(device).device
        test = Table.of(dataset.test.x, dataset.test.y, levels)
        bench = Bench(test, dataset.class_names, device, workers_for(place), lambda: advance(1))
        C = ready(classifier, place)

        @torch.no_grad()
        def label(x: Tensor) -> Tensor:
            return torch.cat([C(part.to(place)).argmax(1).cpu() for part in torch.split(x, 4096)])

        against = reference(bench, train, label, seeds, noise_seeds=noises, kind=kind, controls=controls)
        return {name: utility(against, table) for name, table in tables.items()}


def _labelled(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The samples that have a label."""
    return (x, y) if bool((y >= 0).all()) else (x[y >= 0], y[y >= 0])


def _controls(train: Table, classifier: Classifier, r: Models | None, kind: Kind) -> dict[str, Table]:
    """Sets without which the ratio says little: the classifier's own knowledge, on real and reconstructed inputs."""
    parts = [train.storage.load(torch.from_numpy(train.x[k : k + 1024])) for k in range(0, len(train), 1024)]
    found = {}
    if kind in SOFT:
        soft = torch.cat([classify(classifier, x) for x in parts]).cpu().numpy()
        found["real inputs, soft labels"] = Table(train.x, soft, train.storage)
    if r is not None:
        ensemble = r.ensemble()
        with torch.no_grad():
            given = [train.storage.store(ensemble(x))[0] for x in parts]
        y = torch.cat([classify(classifier, train.storage.load(x)).argmax(1).cpu() for x in given])
        found["reconstructions of real inputs"] = Table.of(torch.cat(given), y, train.storage)
    return found


def _check_match(archive: Archive, dataset: data.Dataset) -> None:
    space = archive.manifest["parameters"].get("space", "")
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


def _check_enough(archive: Archive, dataset: data.Dataset) -> None:
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
    found: Mapping[str, Sequence[Judgement]],
    evidence: Evidence,
    models: Sequence[Path],
) -> None:
    partial = partial_of(out)
    figures = partial / "figures"
    name = str(archive.manifest["parameters"]["preset"])
    if archive.class_names:
        if not dataset.space:
            samples_by_class(figures / "samples.png", pictured(dataset, {name: archive}), dataset.class_names, 0, 1)
        class_histogram(
            figures / "classes.png",
            {"real": class_shares(dataset.train.y, len(dataset.class_names)), name: metrics["class_shares"]},
            dataset.class_names,
        )
    for one in judged.values():
        learning_curves(
            figures / "curves.png", {"real": one.real, name: one.synthetic, "real + n": one.both, "noise": one.noise}
        )
    if "memorisation" in found and len(archive.event_shape) == 3:
        nearest_rows(figures / "nearest.png", *closest(evidence))
    write_json(partial / METRICS, metrics)
    report.write(
        partial / "report.html",
        title=f"{archive.folder.name} against {dataset.name}",
        judged=judged,
        judgements=found,
        notes=metrics["notes"],
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
