"""Judge an archive against real data; write numbers, figures and a page: ``reinject evaluate``."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reinject.archive.request import asked_for, contents, earlier, manifest_hash, note
from reinject.base.errors import ArgumentError
from reinject.base.files import place_of, write_json
from reinject.base.outcome import Outcome, command_line
from reinject.base.progress import Progress
from reinject.base.staging import check_free, partial_of, publish
from reinject.evaluation.evaluate import Examined, examine
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.models.votes import Classifier
from reinject.report.pages import write_page
from reinject.report.pictures import draw, judged_of
from reinject.report.table_evaluated import evaluate_table
from reinject.report.table_report import holds_table
from reinject.table_evaluation.judge_table import EvaluateTableSpec

METRICS = "metrics.json"


def evaluate(
    folder: Path | str,
    against: str,
    *,
    spec: EvaluateSpec | None = None,
    models: Sequence[Path] = (),
    classifier: Classifier | None = None,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Judge the archive in ``folder`` against a real data set.

    Arguments:
        folder: the archive.
        against: name of the data set, as for ``reinject train``.
        spec: judgements, students and device; default: ``EvaluateSpec()``, all judgements that apply.
        models: folders of the models that made the samples; default: the manifest's.
        classifier: labelling classifier, if it is not on disk: x (B, *event) -> logits (B, classes).
        out: folder for metrics.json, figures and report.html; default: no folder.
        overwrite: replace an earlier evaluation at ``out``.
        progress: progress reporter.

    Returns:
        The archive's verdict, faults, utility, judgements, class shares, confidence.

    Raises:
        ReinjectError: the archive, the data set or the classifier is missing; archive and data do not match; or the
            archive's models were trained on held-out rows.
    """
    spec = spec or EvaluateSpec()
    if holds_table(place_of(folder)):
        asked_of_table = table_spec_of(spec, models, classifier)
        real = table_place(against, spec.data_dir)
        return evaluate_table(folder, real, asked_of_table, out=out, overwrite=overwrite, progress=progress)
    asked = asked_for(
        {"against": against, **vars(spec), "classifier": classifier},
        archive=manifest_hash(place_of(folder)),
        data=contents(against, spec.data_dir),
        extractor=contents(spec.features),
    )
    began = time.monotonic()
    if out is not None:
        made = None if overwrite else earlier(out, asked)
        if made is not None:
            return made
        check_free(out, METRICS, overwrite)
    one = examine(folder, against, spec=spec, models=models, classifier=classifier, progress=progress)
    metrics = {**one.metrics, "seconds": round(time.monotonic() - began, 1)}
    outcome = Outcome(metrics, [*one.lines(), f"{metrics['seconds']} s"])
    if out is not None:
        command = command_line("evaluate", folder, against=against, **_options(spec, models), out=out)
        command += " --shadows" if spec.shadows else ""
        note(_write(out, metrics, one, command, spec.data_dir), asked, outcome)
        publish(partial_of(out), out)
    return outcome


def table_place(against: str, data_dir: str | None) -> str:
    """Return the place of a real table: in the folder of data sets, if it is there."""
    place = None if data_dir is None else Path(data_dir) / against
    return str(place) if place is not None and place.exists() else against


def table_spec_of(
    spec: EvaluateSpec, models: Sequence[Path] = (), classifier: Classifier | None = None
) -> EvaluateTableSpec:
    """Return what to judge of a table.

    Arguments:
        spec: what was asked for.
        models: folders of models that were given.
        classifier: classifier that was given.

    Raises:
        ArgumentError: an option that tables do not have.

    Example:
        >>> table_spec_of(EvaluateSpec(["shapes"])).judgements
        ('shapes',)
    """
    usual = EvaluateSpec()
    for name in ("features", "student", "seeds", "most", "shadows", "device"):
        if getattr(spec, name) != getattr(usual, name):
            raise ArgumentError(
                f"--{name}", "is for images and vectors, and the archive holds table rows", "Leave it out"
            )
    for name, given in (("--models", bool(models)), ("classifier", classifier is not None)):
        if given:
            raise ArgumentError(name, "is not needed for table rows", "Leave it out")
    return EvaluateTableSpec(spec.judgements, seed=spec.seed, split_seed=spec.split_seed)


def _options(spec: EvaluateSpec, models: Sequence[Path]) -> dict[str, Any]:
    """Make the command line options of the same request, without ``--shadows``, which has no value."""
    who = {"judge": spec.judgements, "features": spec.features, "student": spec.student, "models": models}
    split = {"split_seed": spec.split_seed} if spec.split_seed else {}
    return {**who, "seeds": spec.seeds, **split, "most": spec.most, "seed": spec.seed}


def _write(out: Path, metrics: dict[str, Any], one: Examined, command: str, data_dir: str | None) -> Path:
    """Fill the unfinished folder of ``out``; return its path."""
    partial = partial_of(out)
    found = {one.name: judged_of(one)}
    draw(partial / "figures", found, one.dataset)
    write_json(partial / METRICS, metrics)
    title = f"{one.archive.folder.name} against {one.dataset.name}"
    write_page(partial / "report.html", title, found, one.dataset, command, data_dir)
    return partial
