"""``reinject evaluate``: how far an archive can stand in for the real data."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reinject import data, report
from reinject.archive import Archive
from reinject.errors import ArchiveError, ArgumentError, DataError, ReinjectError, check_count
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.students import Kind
from reinject.evaluation.utility import Utility
from reinject.files import place_of, write_json
from reinject.jobs import Outcome, command_line
from reinject.jobs.again import asked_for, contents, earlier, manifest_hash, note
from reinject.jobs.evidence import Evidence, check_extractor, disjoint, gather
from reinject.jobs.judgements import GROUPS, UTILITY, closest, wanted
from reinject.jobs.pages import write_page
from reinject.jobs.pictures import Judged, draw
from reinject.jobs.provenance import check_split, find_classifiers, find_models, shares
from reinject.jobs.recipe import Models
from reinject.jobs.shadows import plan_of
from reinject.jobs.standing import found_wrong, next_command, verdict_of
from reinject.jobs.utility import MOST, check_enough, check_match, judge
from reinject.progress import Progress, Silent
from reinject.report.sprites import drawable
from reinject.staging import check_free, partial_of, publish
from reinject.synthesis import Classifier, Voting
from reinject.verdict import Verdict

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
            :data:`reinject.evaluation.features.NAMES`, or the folder of a classifier; default: the penultimate layer of
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


@dataclass(frozen=True)
class Examined:
    """What was found of an archive.

    Attributes:
        name: of its preset.
        archive: the archive.
        dataset: the real data, without what its parts have in common.
        evidence: what the judgements were made from.
        utility: how a student learns from it; None: not judged.
        judgements: group -> what else was judged.
        findings: what the comparison with the real data found wrong, the worst first.
        models: folders with the models that made the samples, where they were given.
        metrics: all of it, as JSON values.
    """

    name: str
    archive: Archive
    dataset: data.Dataset
    evidence: Evidence
    utility: Utility | None
    judgements: Mapping[str, Sequence[Judgement]]
    findings: Sequence[Verdict]
    models: Sequence[Path]
    metrics: dict[str, Any]

    def lines(self) -> list[str]:
        """Print what is wrong first, then ratio and skill, then every number."""
        worst = report.worst_first(verdict_of(self.archive), self.findings)
        left = report.unchecked(self.utility, self.judgements)
        return [
            *report.standing_lines(worst, next_command(self.archive, worst, self.models)),
            *([report.headline(self.utility)] if self.utility else []),
            *([left] if left else []),
            *(report.text({self.name: self.utility}) if self.utility else []),
            *report.judgement_lines(self.judgements),
            *self.metrics["notes"],
        ]

    def judged(self) -> Judged:
        """As a page shows it."""
        near = "memorisation" in self.judgements and drawable(self.archive.event_shape)
        return Judged(
            self.archive,
            self.utility,
            self.judgements,
            closest(self.evidence) if near else None,
            self.models,
            self.metrics["notes"],
            self.findings,
        )


def examine(
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
    progress: Progress | None = None,
) -> Examined:
    """As :func:`evaluate`, for who goes on with what is found; nothing is written."""
    check_count("--seeds", "seeds", seeds)
    progress = progress or Silent()
    archive = Archive.open(folder)
    preset = str(archive.manifest["parameters"]["preset"])
    labelled = bool(archive.class_names)
    names = wanted(judgements, labelled)
    C = (classifier or _classifier(archive, models)) if labelled else None
    made_by, notes = _made_by(archive, models)
    if shadows:
        if made_by is None or "membership" not in names:
            raise ArgumentError("--shadows", "needs --judge membership and the autoencoder", "Leave it out")
        plan_of(made_by)  # refused now, not after an hour
    dataset = data.load(against, data_dir, split_seed, progress)
    check_match(archive, dataset)
    split = dataset.split
    notes += check_split(archive, dataset, made_by)
    check_extractor(features, split)
    if UTILITY in names:
        with _left_out(UTILITY, judgements, names, notes):
            check_enough(archive, dataset)
    dataset, shared = disjoint(dataset)
    notes += [f"{shared} test images that are training images too were left out"] if shared else []
    evidence = gather(archive, dataset, C, made_by, features, most, seed, device, progress)
    evidence = replace(evidence, shadows=shadows, progress=progress)
    metrics: dict[str, Any] = {
        "archive": str(folder),
        "against": against,
        "split": split.as_json(),
        "rows": archive.rows,
        "verdict": archive.manifest.get("verdict"),
        "features": {"name": evidence.extractor.name, "sha256": evidence.extractor.sha256},
        "notes": notes,
    }
    if labelled:
        metrics |= {"class_shares": shares(archive), "mean_confidence": archive.manifest["mean_confidence"]}
    groups = [name for name in names if name in GROUPS]
    found: dict[str, list[Judgement]] = {}
    with progress.task("judging", len(groups), "judgements") as advance:
        for name in groups:
            with _left_out(name, judgements, names, notes):
                found[name] = GROUPS[name].make(evidence)
            advance(1)
    judged: dict[str, Utility] = {}
    if UTILITY in names:
        assert C is not None
        options: dict[str, Any] = {"device": device, "kind": student, "r": made_by, "progress": progress}
        levels, tables = evidence.train.storage, {preset: evidence.synthetic}
        seeds_of = range(seed, seed + seeds)
        with _left_out(UTILITY, judgements, names, notes):
            judged = judge(tables, dataset, levels, C, seeds_of, known=evidence.known, **options)  # one was attacked
            metrics["utility"] = judged[preset].as_json()
    metrics["judgements"] = {name: [one.as_json() for one in group] for name, group in found.items()}
    wrong = found_wrong(archive, judged.get(preset), found, dataset)
    metrics["findings"] = [one.as_json() for one in wrong]
    return Examined(preset, archive, dataset, evidence, judged.get(preset), found, wrong, models, metrics)


@contextmanager
def _left_out(name: str, asked: Sequence[str], names: list[str], notes: list[str]) -> Iterator[None]:
    """Leave a judgement out that cannot be made, and note why; what is asked for by name has to be made."""
    try:
        yield
    except (DataError, ArchiveError) as error:  # too few rows; all else, such as a process that died, ends the run
        if asked:
            raise
        names.remove(name)
        notes.append(f"{name} is left out: {error}")


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


def _write(out: Path, metrics: dict[str, Any], one: Examined, command: str, data_dir: str | None) -> Path:
    """Fill the unfinished folder of ``out``; where that is."""
    partial = partial_of(out)
    found = {one.name: one.judged()}
    draw(partial / "figures", found, one.dataset)
    write_json(partial / METRICS, metrics)
    title = f"{one.archive.folder.name} against {one.dataset.name}"
    write_page(partial / "report.html", title, found, one.dataset, command, data_dir)
    return partial
