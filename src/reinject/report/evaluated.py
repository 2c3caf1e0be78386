"""``reinject evaluate``: judge an archive against real data; write the numbers, the figures and a page."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reinject.archive.request import asked_for, contents, earlier, manifest_hash, note
from reinject.base.files import place_of, write_json
from reinject.base.outcome import Outcome, command_line
from reinject.base.progress import Progress
from reinject.base.staging import check_free, partial_of, publish
from reinject.evaluation.evaluate import Examined, examine
from reinject.evaluation.learning import MOST
from reinject.models.voting import Classifier
from reinject.report.pages import write_page
from reinject.report.pictures import draw, judged_of
from reinject.training.students import Kind

METRICS = "metrics.json"


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
    split_seed: int = 0,
    shadows: bool = False,
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
            :data:`reinject.models.features.NAMES`, or the folder of a classifier; default: the penultimate layer of
            the classifier that labelled, or pixels where nothing did.
        student: kind of the students of the utility.
        models: folders with the models that made the samples; default: where the manifest says they were.
        classifier: the one that labelled, where it is not on disk: x (B, *event) -> logits (B, classes).
        data_dir: where to look for the data set first.
        seeds: number of students a size; their mean and spread are reported.
        most: synthetic samples that are read at most, drawn at random; the number used is reported.
        seed: of the first student and of the draws.
        split_seed: of the split of a data set that has no test part: that by which the models were trained.
        shadows: train eight autoencoders like the one that made the samples, on random halves of the rows, for the
            likelihood ratio attack on it.
        device: where students train.
        out: folder for metrics.json, figures and report.html; default: none is written.
        overwrite: replace an earlier evaluation at ``out``.

    Returns:
        The archive's verdict, what is wrong, utility, judgements, class shares, confidence.

    Raises:
        ReinjectError: no archive, or no data set; they do not match; the archive's models have seen rows that are held
            out; the classifier is not to be found.
    """
    asked = asked_for(
        locals(),
        *("folder", "models"),
        archive=manifest_hash(place_of(folder)),
        data=contents(against, data_dir),
        extractor=contents(features),
    )
    began = time.monotonic()
    if out is not None:
        made = None if overwrite else earlier(out, asked)
        if made is not None:
            return made
        check_free(out, METRICS, overwrite)
    one = examine(
        folder,
        against,
        judgements=judgements,
        features=features,
        student=student,
        models=models,
        classifier=classifier,
        data_dir=data_dir,
        seeds=seeds,
        most=most,
        seed=seed,
        split_seed=split_seed,
        shadows=shadows,
        device=device,
        progress=progress,
    )
    metrics = {**one.metrics, "seconds": round(time.monotonic() - began, 1)}
    outcome = Outcome(metrics, [*one.lines(), f"{metrics['seconds']} s"])
    if out is not None:
        options = {"judge": judgements, "features": features, "student": student, "models": models, "seeds": seeds}
        options |= {"split_seed": split_seed} if split_seed else {}
        command = command_line("evaluate", folder, against=against, **options, most=most, seed=seed, out=out)
        command += " --shadows" if shadows else ""
        note(_write(out, metrics, one, command, data_dir), asked, outcome)
        publish(partial_of(out), out)
    return outcome


def _write(out: Path, metrics: dict[str, Any], one: Examined, command: str, data_dir: str | None) -> Path:
    """Fill the unfinished folder of ``out``; where that is."""
    partial = partial_of(out)
    found = {one.name: judged_of(one)}
    draw(partial / "figures", found, one.dataset)
    write_json(partial / METRICS, metrics)
    title = f"{one.archive.folder.name} against {one.dataset.name}"
    write_page(partial / "report.html", title, found, one.dataset, command, data_dir)
    return partial
