"""The student of ``--unlearned``, taught by a small set of the same walks; and whether an archive is of such walks."""

import json
import math
from pathlib import Path

from reinject.archive import Archive
from reinject.base.errors import ArgumentError, DataError
from reinject.base.files import is_remote
from reinject.base.progress import Progress
from reinject.base.staging import check_same
from reinject.models.loading import Models, with_student
from reinject.sampling.presets import Settings
from reinject.sampling.recipe import samples_per_walk
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Format, Parallel, SampleSpec, Writing
from reinject.sampling.selection import Selection
from reinject.training.plans import plan_for
from reinject.training.train import train

FIRST = 30_000  # samples of the set that teaches a student, who then says what it does not know yet


def taught(
    models: Models,
    out: Path,
    spec: SampleSpec,
    *,
    samples: int = FIRST,
    seed: int = 0,
    parallel: Parallel = Parallel(),
    progress: Progress,
) -> Models:
    """The models with a student whom a small set of these walks has taught; resumes what is there already.

    The set is ``OUT-first``: the first walks of ``out`` itself, all that they keep. The student is ``OUT-student``, the
    usual classifier.

    Arguments:
        models: without a student.
        out: where the archive will be.
        spec: of its walks, with settings; its selection is left out.
        samples: of the set, at least.
        seed: of its walks.
        parallel: how networks are run.
        progress: progress reporter.

    Raises:
        ArgumentError: ``out`` is a URL, beside which nothing is trained.
        DataError: the set that is there is of other walks, or there is a student without it.
    """
    if is_remote(out):
        raise ArgumentError("--unlearned", f"trains a classifier beside {out}", "Sample into a folder of this machine")
    first, student = (out.with_name(f"{out.name}-{what}") for what in ("first", "student"))
    settings = spec.settings
    assert settings is not None
    walks = math.ceil(samples / samples_per_walk(settings))
    if not first.is_dir():
        if student.is_dir():
            raise DataError(str(student), f"was taught by {first}, which is not there", "Remove it")
        everything = SampleSpec(
            spec.preset,
            settings=settings,
            start=spec.start,
            constraint=spec.constraint,
            splits=spec.splits,
            block_size=spec.block_size,
            format=Format(spec.format.kind),
        )
        writing = Writing(progress=progress)
        sample_models(models, first, everything, walks=walks, seed=seed, writing=writing, parallel=parallel)
    check_walked(first, models, settings, walks, seed, Selection())
    if not student.is_dir():
        inputs = models.inputs
        plan = plan_for(str(first), seed=seed, only="classifier", value_range=(inputs.low, inputs.high))
        train(plan, student, device=models.device.type, progress=progress)
    return with_student(models, student)


def check_walked(out: Path, models: Models, settings: Settings, walks: int, seed: int, selection: Selection) -> Archive:
    """The archive in a folder; raises DataError where it was made by others, or otherwise."""
    archive = Archive.open(out)
    made_by = {"autoencoders": models.autoencoders, "classifiers": models.classifiers}
    asked = {
        "settings": settings.as_json(),
        "walks": walks,
        "seed": seed,
        "selection": selection.as_json(),
        **{kind: [one.sha256 for one in bundles] for kind, bundles in made_by.items()},
    }
    by = {kind: [one["sha256"] for one in archive.manifest["models"][kind]] for kind in made_by}
    check_same(out, "walked", {**archive.manifest["parameters"], **by}, json.loads(json.dumps(asked)))
    return archive
