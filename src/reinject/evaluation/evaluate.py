"""Evaluate an archive against real data: ``reinject evaluate``."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reinject import data
from reinject.archive import Archive
from reinject.base.errors import ArchiveError, ArgumentError, DataError, ModelError, ReinjectError
from reinject.base.progress import Progress, Silent
from reinject.evaluation import findings, wording
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.evaluation.evidence import Evidence, check_extractor, disjoint, gather
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.judgements import GROUPS, UTILITY, wanted
from reinject.evaluation.learning import Students, check_enough, check_match, judge
from reinject.evaluation.shadows import plan_of
from reinject.evaluation.standing import found_wrong, next_command, verdict_of
from reinject.evaluation.utility import Utility
from reinject.models.bundle import load
from reinject.models.loading import Models, classifier_in
from reinject.models.votes import Classifier, Voting
from reinject.sampling.provenance import check_split, find_classifiers, find_models, shares
from reinject.walks.verdict import Verdict


@dataclass(frozen=True)
class Examined:
    """Hold the results of an evaluation.

    Attributes:
        name: name of the archive's preset.
        archive: the archive.
        dataset: the real data, without test rows that are training rows too.
        evidence: basis of the judgements.
        utility: utility of the archive; None: not judged.
        judgements: group -> other judgements.
        findings: faults from the comparison with the real data, worst first.
        models: given folders of the models that made the samples.
        metrics: all results as JSON values.
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
        """Write faults first, then ratio and skill, then every number."""
        worst = findings.worst_first(verdict_of(self.archive), self.findings)
        left = findings.unchecked(self.utility, self.judgements)
        return [
            *findings.standing_lines(worst, next_command(self.archive, worst, self.models)),
            *([wording.headline(self.utility)] if self.utility else []),
            *([left] if left else []),
            *(wording.text({self.name: self.utility}) if self.utility else []),
            *wording.judgement_lines(self.judgements),
            *self.metrics["notes"],
        ]


def examine(
    folder: Path | str,
    against: str,
    *,
    spec: EvaluateSpec | None = None,
    models: Sequence[Path] = (),
    classifier: Classifier | None = None,
    progress: Progress | None = None,
) -> Examined:
    """Evaluate as :func:`reinject.report.evaluated.evaluate` does, and return the results; write nothing."""
    spec = spec or EvaluateSpec()
    progress = progress or Silent()
    archive = Archive.open(folder)
    preset = str(archive.manifest["parameters"]["preset"])
    labelled = bool(archive.class_names)
    names = wanted(spec.judgements, labelled)
    C = (classifier or _classifier(archive, models)) if labelled else None
    made_by, notes = _made_by(archive, models)
    if spec.shadows:
        if made_by is None or "membership" not in names:
            raise ArgumentError(
                "--shadows", "needs --judge membership and the autoencoder", "Leave --shadows out, or give both"
            )
        plan_of(made_by)  # fail now rather than after an hour
    dataset = data.load(against, spec.data_dir, spec.split_seed, progress)
    check_match(archive, dataset)
    split = dataset.split
    notes += check_split(archive, dataset, made_by)
    check_extractor(spec.features, split)
    if UTILITY in names:
        with _left_out(UTILITY, spec.judgements, names, notes):
            check_enough(archive, dataset)
    dataset, shared = disjoint(dataset)
    notes += [f"{shared} test images are training images too; they are left out"] if shared else []
    evidence = gather(archive, dataset, C, made_by, spec, progress)
    evidence = replace(evidence, shadows=spec.shadows, progress=progress)
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
            with _left_out(name, spec.judgements, names, notes):
                found[name] = GROUPS[name].make(evidence)
            advance(1)
    judged: dict[str, Utility] = {}
    if UTILITY in names:
        assert C is not None
        students = Students(range(spec.seed, spec.seed + spec.seeds), kind=spec.student, device=spec.device)
        levels, tables, known = evidence.train.storage, {preset: evidence.synthetic}, evidence.known  # one was attacked
        with _left_out(UTILITY, spec.judgements, names, notes):
            judged = judge(tables, dataset, levels, C, students, r=made_by, known=known, progress=progress)
            metrics["utility"] = judged[preset].as_json()
    metrics["judgements"] = {name: [one.as_json() for one in group] for name, group in found.items()}
    wrong = found_wrong(archive, judged.get(preset), found, dataset)
    metrics["findings"] = [one.as_json() for one in wrong]
    return Examined(preset, archive, dataset, evidence, judged.get(preset), found, wrong, models, metrics)


@contextmanager
def _left_out(name: str, asked: Sequence[str], names: list[str], notes: list[str]) -> Iterator[None]:
    """Leave out a judgement that fails, and note the reason; if it was named, raise its error."""
    try:
        yield
    except (DataError, ArchiveError) as error:  # too few rows; other errors, such as a dead process, end the run
        if asked:
            raise
        names.remove(name)
        notes.append(f"{name} is left out: {error}")


def _classifier(archive: Archive, models: Sequence[Path]) -> Classifier:
    found = find_classifiers(archive, models)
    if archive.manifest["parameters"].get("class_conditional"):
        if not models:
            problem = "has the labels that its walks asked for, and no classifier to judge with"
            raise ModelError(str(archive.folder), problem, "Give --models FOLDER with a classifier of such images")
        found = tuple(load(classifier_in(folder)) for folder in models)
    return found[0].network if len(found) == 1 else Voting([bundle.network for bundle in found])


def _made_by(archive: Archive, models: Sequence[Path]) -> tuple[Models | None, list[str]]:
    """Find the models of an archive, or the reason why judgements of the autoencoder are left out."""
    try:
        found = find_models(archive, models)
    except ReinjectError as error:
        return None, [f"judgements of the autoencoder are left out: {error}"]
    return (
        (found, []) if found.autoencoders else (None, ["the autoencoder is not on disk: its judgements are left out"])
    )
