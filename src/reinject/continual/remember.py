"""Train models that remember old models too, without the old data: ``reinject train --remember``."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from reinject import data
from reinject.archive import Archive
from reinject.archive.request import asked_for, contents, earlier
from reinject.base.errors import ArgumentError, ModelError
from reinject.base.files import fingerprint, read_json
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent
from reinject.base.staging import check_free
from reinject.continual.mixing import Memory, mixed
from reinject.continual.union import united
from reinject.data.rehearsed import Rehearsed
from reinject.data.splits import Split
from reinject.data.table_files import is_table
from reinject.models.loading import Models, levels_of, load_models
from reinject.models.moments import digest_of
from reinject.sampling.auto import PASSES
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec, Writing
from reinject.training.fabric_spec import FabricSpec
from reinject.training.plans import Remember, TrainPlan
from reinject.training.train import hash_of, read, train_on
from reinject.walks.starts import Points, Start
from reinject.walks.verdict import Verdict

REHEARSAL = ".rehearsal"  # behind the name of the models' folder, until they are trained
_SPARE = 1.25  # rows of walks for a row to rehearse: classes are not visited evenly


def train_remembering(
    plan: TrainPlan,
    out: Path,
    *,
    data_dir: str | None = None,
    device: str = "auto",
    fabric: FabricSpec | None = None,
    moments: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Train both models on new data and on what the old models of ``plan.remember`` remember. Resume as ``train`` does.

    Walks of the old autoencoder are labelled by the old classifier, and keep its probabilities as labels. Every old
    class gets as many rows as a new class has on average. Classes of one name are one class. No old data is read.

    Arguments:
        plan: networks, data, recipes, and the old models.
        out, data_dir, device, fabric, moments, overwrite, progress: see :func:`reinject.training.train.train`.

    Returns:
        What ``train`` returns, with the classifier's accuracy on rehearsed rows that it was not trained on.

    Raises:
        ArgumentError: a plan without old models, or classes that do not unite by name.
        ModelError: old models without a classifier, or of another shape, range or space than the data.
        ReinjectError: as for ``train``.
    """
    if plan.remember is None:
        raise ArgumentError("train_remembering", "the plan remembers nothing", "Give plan_for(..., remember=...)")
    progress, fabric, remember = progress or Silent(), fabric or FabricSpec(), plan.remember
    _check_kind(plan.dataset)
    old = _old(Path(remember.models), device)
    given = {"plan": replace(plan, remember=replace(remember, models="")), "device": device, **vars(fabric)}
    files = {"dataset": contents(plan.dataset, data_dir), "buffer": contents(remember.buffer or None, data_dir)}
    asked = asked_for({**given, "moments": moments}, **files, seen=hash_of(plan.reconstructed_by), old=_digests(old))
    rehearsal = out.with_name(out.name + REHEARSAL)
    made = None if overwrite else earlier(out, asked)
    if made is not None:
        shutil.rmtree(rehearsal, ignore_errors=True)  # of a run that was killed after its last step
        return made
    check_free(out, f"{plan.only or 'autoencoder'}/config.json", overwrite)
    dataset = read(plan, data_dir, progress)
    _check_fits(old, dataset, plan)
    buffer = _buffer(remember, dataset, data_dir, progress)
    both, found = rehearse(plan, dataset, old, rehearsal, buffer, Writing(overwrite=overwrite, progress=progress))
    plan = replace(plan, remember=replace(remember, found=found))
    outcome = train_on(plan, both, out, device=device, fabric=fabric, moments=moments, asked=asked, progress=progress)
    shutil.rmtree(rehearsal)
    return outcome


def rehearse(
    plan: TrainPlan,
    dataset: data.Dataset,
    old: Models,
    folder: Path,
    buffer: data.Dataset | None = None,
    writing: Writing = Writing(),
) -> tuple[Rehearsed, dict[str, Any]]:
    """Walk the old models into an archive, and mix its rows with a new data set.

    Arguments:
        plan: plan with a seed and the number of rows a class.
        dataset: new data.
        old: old models with a classifier.
        folder: where the archive of the walks is; a complete one of the same request is read.
        buffer: kept rows; walks of an autoencoder without noise levels begin there.
        writing: how to treat an earlier archive; progress reporter.

    Returns:
        The mixed data set, and facts for ``training.json``.
    """
    assert plan.remember is not None
    owner, names = plan.remember.models or "the old models", old.inputs.class_names
    classes = united(names, dataset.class_names, owner)
    if buffer is not None:
        classes = united(classes, buffer.class_names, plan.remember.buffer)
    each = plan.remember.rows or round(len(dataset.train) / max(1, int(dataset.train.y.bincount().count_nonzero())))
    start = None
    if buffer is not None and not old.ensemble().noise_conditioned:  # others begin in noise that hides every start
        start = Points(levels_of(old.inputs).load(buffer.train.x))
    archive = walked(old, folder, each, seed=plan.seed, start=start, writing=writing)
    both, counts = mixed(dataset, Memory(archive, each), classes, buffer, plan.seed)
    verdict = Verdict(**archive.manifest["verdict"])
    if verdict.level == "broken":
        writing.progress.say(f"warning: what {owner} remembers is broken: {verdict.reason}")
    found = {
        "models": _digests(old),
        "classes": list(names),
        "rows": counts,
        "seed": plan.seed,
        "generation": 1 + generation_of(old),
        "verdict": verdict.as_json(),
        "splits": splits_behind(old),
        "start": archive.manifest["parameters"]["start"],
        "settings": archive.manifest["parameters"]["settings"],
    }
    if buffer is not None:
        found["buffer"] = {"rows": len(buffer.train), "fingerprint": fingerprint(buffer.train.x, buffer.train.y)}
    return both, found


def walked(
    old: Models, folder: Path, each: int, *, seed: int, start: Start | None = None, writing: Writing = Writing()
) -> Archive:
    """Walk old models into an archive: enough rows for ``each`` of every class, where walks visit them evenly.

    Arguments:
        old: old models with a classifier.
        folder: where the archive is; a complete one of the same request is read.
        each: rows of each class, >= 1.
        seed: seed of the walks.
        start: start of the walks; None: the automatic one.
        writing: how to treat an earlier archive; progress reporter.
    """
    names = old.inputs.class_names
    spec = SampleSpec(start=start, rows=max(200, round(_SPARE * each * len(names))), options=_walks_of(old))
    sample_models(old, folder, spec, seed=seed, writing=writing)
    return Archive.open(folder)


def _walks_of(old: Models) -> dict[str, Any]:
    """Return what differs from the automatic walk: in features, keep the state of the last level, with its noise.

    Features vary in every direction. Their reconstructions vary too little in most of them.
    """
    if not (old.inputs.space and old.ensemble().noise_conditioned):
        return {}
    return {"emit": "state", "steps": PASSES, "burn_in": PASSES}


def generation_of(models: Models) -> int:
    """Return how many trainings lie between these models and models of real data alone; 0 for the latter."""
    path = models.autoencoders[0].folder / "training.json"
    found: Any = read_json(path, ModelError) if path.is_file() else {}
    remembered = (found.get("plan") or {}).get("remember") or {}
    return int(remembered.get("found", {}).get("generation", 0))


def splits_behind(models: Models) -> list[dict[str, Any]]:
    """Return the splits behind models and behind those that they remember, as JSON values.

    A model without a split counts as one of unknown rows, so that a judgement says so.
    """
    bundles = (*models.autoencoders, *models.classifiers)
    splits = dict.fromkeys(one for bundle in bundles for one in (bundle.split or Split("", None)).behind)
    return [one.as_json() for one in splits]


def _old(folder: Path, device: str) -> Models:
    labelled = (folder / "classifier").is_dir()
    found = load_models([folder], device, labelled=labelled)
    if found.table is not None:
        raise ModelError(str(folder), "samples rows of a table, and the new data is none", "Give a CSV or Parquet file")
    if not labelled:
        problem = "has no classifier to label what its autoencoder remembers"
        raise ModelError(str(folder), problem, "Give models of reinject train or import with both networks")
    return found


def _digests(models: Models) -> dict[str, str]:
    autoencoder, classifier = models.autoencoders[0], models.classifiers[0]
    found = {
        "autoencoder": autoencoder.sha256,
        "classifier": classifier.sha256,
        "moments": digest_of(autoencoder.folder),
    }
    return {name: digest for name, digest in found.items() if digest}


def _check_kind(name: str) -> None:
    if is_table(name):
        cure = "Call reinject.continual.train_table_remembering"
        raise ArgumentError("train_remembering", f"{name} is a table", cure)


def _check_fits(old: Models, dataset: data.Dataset, plan: TrainPlan) -> None:
    """Raise ModelError unless new data has the shape, the space and the range of the old models' inputs."""
    inputs, owner = old.inputs, str(old.autoencoders[0].folder)
    if inputs.space != dataset.space:
        there, here = inputs.space or "pixels", dataset.space or "pixels"
        raise ModelError(owner, f"lives in {there}, {dataset.name} in {here}", "Give models and data of one space")
    if inputs.shape != dataset.shape:
        problem = f"takes inputs of shape {inputs.shape}, {dataset.name} has {dataset.shape}"
        raise ModelError(owner, problem, "Give models and data of one shape")
    ranged = dataset.levels().kind == "uint8"
    if ranged and (inputs.low, inputs.high) != (plan.low, plan.high):
        problem = f"takes pixels in {inputs.low:g}..{inputs.high:g}, the new models in {plan.low:g}..{plan.high:g}"
        raise ModelError(owner, problem, f"Give --value-range {inputs.low:g},{inputs.high:g}")


def _buffer(remember: Remember, dataset: data.Dataset, data_dir: str | None, progress: Progress) -> data.Dataset | None:
    """Read all rows of the buffer, which has no test part of its own."""
    if not remember.buffer:
        return None
    names, parts = data.read_parts(remember.buffer, data_dir, progress)
    x, y = (torch.cat([getattr(part, name) for part in parts.values()]) for name in ("x", "y"))
    if x.shape[1:] != dataset.train.x.shape[1:] or x.dtype != dataset.train.x.dtype:
        problem = f"{remember.buffer} has rows of shape {tuple(x.shape[1:])}, the new data {dataset.shape}"
        raise ArgumentError("--buffer", problem, "Give rows of its shape and kind")
    rows = data.LabelledImages(x, y)
    return data.Dataset(remember.buffer, rows, rows, names)
