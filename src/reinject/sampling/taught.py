"""Train the student of ``--unlearned`` on a small set of the same walks."""

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

FIRST = 30_000  # samples of the student's training set


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
    """Train a student on a small set of these walks, and add it to the models. Resume from existing results.

    The set is ``OUT-first``: the first walks of ``out``, without filters. The student is ``OUT-student``, the default
    classifier.

    Arguments:
        models: models without a student.
        out: folder of the archive to make.
        spec: spec of the walks, with settings; its selection does not apply to the set.
        samples: least number of samples in the set.
        seed: seed of the walks.
        parallel: how to run networks.
        progress: progress reporter.

    Raises:
        ArgumentError: ``out`` is a URL.
        DataError: the existing set has other walks, or a student exists without its set.
    """
    if is_remote(out):
        raise ArgumentError(
            "--unlearned", f"trains a classifier beside {out}, which is a URL", "Sample into a folder of this machine"
        )
    first, student = (out.with_name(f"{out.name}-{what}") for what in ("first", "student"))
    settings = spec.settings
    assert settings is not None
    walks = math.ceil(samples / samples_per_walk(settings))
    if not first.is_dir():
        if student.is_dir():
            raise DataError(str(student), f"was trained on {first}, which is not there", f"Remove {student}")
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
    """Open an archive; raise DataError unless these models and settings made it."""
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
