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
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.models.voting import Classifier
from reinject.report.pages import write_page
from reinject.report.pictures import draw, judged_of

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
        spec: what is judged, by which students, and where; default: ``EvaluateSpec()``, all judgements that can be
            made.
        models: folders with the models that made the samples; default: where the manifest says they were.
        classifier: the one that labelled, where it is not on disk: x (B, *event) -> logits (B, classes).
        out: folder for metrics.json, figures and report.html; default: none is written.
        overwrite: replace an earlier evaluation at ``out``.
        progress: progress reporter.

    Returns:
        The archive's verdict, what is wrong, utility, judgements, class shares, confidence.

    Raises:
        ReinjectError: no archive, or no data set; they do not match; the archive's models have seen rows that are held
            out; the classifier is not to be found.
    """
    spec = spec or EvaluateSpec()
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


def _options(spec: EvaluateSpec, models: Sequence[Path]) -> dict[str, Any]:
    """The options of the command line that ask for the same; ``--shadows`` has no value."""
    who = {"judge": spec.judgements, "features": spec.features, "student": spec.student, "models": models}
    split = {"split_seed": spec.split_seed} if spec.split_seed else {}
    return {**who, "seeds": spec.seeds, **split, "most": spec.most, "seed": spec.seed}


def _write(out: Path, metrics: dict[str, Any], one: Examined, command: str, data_dir: str | None) -> Path:
    """Fill the unfinished folder of ``out``; where that is."""
    partial = partial_of(out)
    found = {one.name: judged_of(one)}
    draw(partial / "figures", found, one.dataset)
    write_json(partial / METRICS, metrics)
    title = f"{one.archive.folder.name} against {one.dataset.name}"
    write_page(partial / "report.html", title, found, one.dataset, command, data_dir)
    return partial
