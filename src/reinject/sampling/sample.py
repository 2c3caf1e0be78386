"""``reinject sample``: walk trained autoencoders, label what they visit, write the archive."""

import functools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reinject import archive
from reinject.base.errors import ArgumentError, check_count
from reinject.base.files import is_remote, place_of
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent, histogram
from reinject.base.streams import FIRST
from reinject.data.samples import Storage, usual_kind
from reinject.data.splits import Split
from reinject.models.bundle import Bundle
from reinject.models.loading import Models
from reinject.models.voting import Classifier, ready
from reinject.sampling.appending import check_same, new_range, ranges_with, scheme_for
from reinject.sampling.auto import Choice
from reinject.sampling.choosing import settings_in_memory
from reinject.sampling.presets import Held, Settings
from reinject.sampling.ray_cluster import Cluster, on_ray
from reinject.sampling.recipe import Recipe, blocks_in, maker, prepare
from reinject.sampling.remarks import remarks
from reinject.sampling.sample_request import asked_of_networks, sampled_already
from reinject.sampling.selection import Selection, names_of, walks_asked
from reinject.sampling.summary import summary
from reinject.sampling.workers import in_processes
from reinject.walks.execution import Execution
from reinject.walks.reconstruction import Ensemble, Reconstruction, ensemble_of
from reinject.walks.specs import BLOCK
from reinject.walks.starts import Start


def sample(
    r: Reconstruction | Ensemble | Sequence[Reconstruction],
    C: Classifier | None,
    out: Path | str,
    *,
    kernel: str | None = None,
    class_names: Sequence[str] = (),
    preset: str = "auto",
    settings: Settings | None = None,
    choice: Choice | None = None,
    radius: float = 1.0,
    value_range: tuple[float, float] = (0.0, 1.0),
    walks: int = 10_000,
    rows: int | None = None,
    seed: int = 0,
    block_size: int = BLOCK,
    store: str | None = None,
    space: str = "",
    images: str = "png",
    compression: str = "zstd",
    described: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    start: Start | None = None,
    held: Held | None = None,
    selection: Selection | None = None,
    private: Tensor | None = None,
    student: Classifier | None = None,
    splits: Mapping[str, Split] | None = None,
    append: bool = False,
    resume: archive.Resume = "if-possible",
    judged: bool = True,
    run: Callable[[Recipe], archive.Run] | None = None,
    place: str | None = None,
    asked: Mapping[str, Any] | None = None,
    **given: Any,
) -> Outcome:
    """Write the archive that r, C, settings and seed determine, going on with an earlier run that was cut.

    Arguments:
        r: the autoencoder of :func:`reinject.wrap`, or several.
        C: the classifier that labels, x of shape (B, *event) -> logits (B, classes), probabilities, or one number for
            two classes; None: samples get no labels.
        out: folder to make.
        kernel: name of the kernel, as on the command line, in place of a preset.
        class_names: of the classifier's outputs; default: "0", "1", ...
        preset: name of the settings, for the manifest; and the settings, where none are given. "auto": chosen by
            pilot walks (:func:`reinject.sampling.auto.choose_settings`); "paper": Algorithm 1 as printed.
        settings: kernel, start and what is kept; default: those of the preset.
        choice: why these settings were chosen, where they were.
        radius: distance of a typical training input from their mean, data units; scales the ancestral kernel.
        value_range: values of levels 0 and 255 of what is stored, data units.
        walks: number of walks, >= 1.
        rows: number of samples before filters, in place of ``walks``.
        seed: of all randomness, >= 0.
        block_size: walks a block, >= 1; a block is a shard.
        store: "uint8" (levels of the value range) or "float" (as they are); default: that of the run that is gone on
            with or added to, else levels for images and floats for vectors.
        space: that the samples live in; "": pixels, or nothing that has a name.
        images: "png" or "array", for images of uint8 levels.
        compression: of the columns: "zstd", "snappy", "gzip", "brotli", "lz4" or "none".
        described: what the manifest says of the models, JSON values; a part of what a run that goes on must agree in.
        overwrite: replace an archive at ``out``.
        progress: who is told.
        start: where walks begin, in place of the settings' start.
        held: wraps the kernel, to put back what is known: ``functools.partial(Clamped, known=..., mask=...)``.
        selection: where labels come from, and which samples are kept.
        private: points that samples must keep away from, by the selection's distance, (N, *event), data units.
        student: the classifier that the selection's ``unlearned`` asks (:func:`.taught.taught`); x -> logits as C.
        splits: of the data sets that were read for start, ``held`` and ``private``, by their names.
        append: add the walks to the archive at ``out``, as a new range of walks; its rows stay as they are.
        resume: whether an earlier run is gone on with, see :func:`reinject.archive.write`.
        judged: whether the set gets a verdict, for which 128 more walks are made.
        run: makes the shards in other processes (see :mod:`reinject.sampling.workers`).
        place: the device of those processes; default: that of r. Another kind of device draws other noise.
        asked: what is asked for, JSON values; default: these arguments. Where an archive at ``out`` was made for the
            same, nothing is done.
        given: ``steps``, ``burn_in``, ``thin``, ``emit``, and options of the kernel, such as ``sigma=0.5``, in place of
            those of the preset or the kernel.

    Returns:
        The folder, counts, seconds, samples a second.

    Raises:
        ReinjectError: a parameter out of range, the output holds something, a model cannot be used.

    Example:
        >>> import tempfile
        >>> from reinject import wrap
        >>> r = wrap(lambda x: 0.9 * x, (1, 8, 8))
        >>> C = lambda x: x.flatten(1)[:, :2]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sample(r, C, folder + "/set", class_names=("dark", "light"), walks=100).result["rows"]
        1000
    """
    arguments = locals()
    check_count("sample", "walks", walks)
    out = place_of(out)
    progress = progress or Silent()
    whole = ensemble_of(r)
    begun = None if overwrite or resume == "never" else archive.kind_begun(out)
    storage = Storage(store or begun or usual_kind(whole.event_shape), *value_range)
    ready_C = None if C is None else ready(C, whole.device, whole.event_shape, storage)
    asked = asked or asked_of_networks(arguments, whole, ready_C)
    if not (overwrite or append or resume == "always") and (made := sampled_already(out, asked)):
        return made
    if settings is None:
        begin = (whole, ready_C, storage, radius, seed)
        preset, settings, choice = settings_in_memory(*begin, preset, kernel, given)
    elif kernel or given:
        raise ArgumentError("sample", f"settings, and {kernel or ', '.join(given)}", "Give one of the two")
    learner = None if student is None else ready(student, "cpu", whole.event_shape, storage)
    chosen = selection or Selection()
    if rows is not None:
        walks, beyond = walks_asked(rows, None, append, settings)
        chosen = replace(chosen, rows=beyond)
    base, ranges = ranges_with(out, walks, block_size) if append else (None, [new_range(0, walks)])
    scheme = scheme_for(out, base, resume=resume, overwrite=overwrite)
    spans = tuple(tuple(one["walks"]) for one in ranges)
    labels = chosen.labels_of(settings) if C is not None else None
    names = names_of(ready_C, whole, class_names) if ready_C is not None and labels is not None else ()
    recipe = Recipe(
        settings,
        spans,
        seed,
        block_size,
        storage,
        radius,
        start,
        held,
        labels,
        chosen.filters(settings, names, block_size, seed, private, blocks_in(spans, block_size), learner),
        scheme,
    )
    make_block, walker = maker(whole, ready_C, recipe)
    kind = torch.device(place or whole.device).type
    parameters = {
        "preset": preset,
        "kernel": repr(walker.kernel),
        "start": repr(walker.start),
        "walks": sum(last - first for first, last in spans),
        "ranges": ranges,
        "steps": settings.steps,
        "burn_in": settings.burn_in,
        "thin": settings.thin,
        "emit": settings.emit,
        "settings": json.loads(json.dumps(settings.as_json())),
        "selection": chosen.as_json(),
        "filters": [repr(one) for one in recipe.filters],
        "execution": asdict(whole.members[0].execution),
        "seed": seed,
        "block_size": block_size,
        **({} if scheme == FIRST else {"streams": scheme}),
        **({"space": space} if space else {}),
        **({"splits": {name: split.as_json() for name, split in splits.items()}} if splits else {}),
        **({} if kind == "cpu" else {"device": kind}),
    }
    plan = archive.Plan(
        whole.event_shape,
        names,
        recipe.storage,
        len(recipe.blocks),
        parameters,
        dict(described or {}),
        images,
        compression,
    )
    if base is not None:
        check_same(base, plan)
    began = time.monotonic()
    per_class = [0] * len(names)
    effective = 0.0

    def on_shard(entry: dict[str, Any]) -> None:
        nonlocal effective
        per_class[:] = [a + b for a, b in zip(per_class, entry["per_class"], strict=True)]
        effective += entry["effective_labels"] or 0
        progress.note(f"classes |{histogram(per_class)}|, {effective:,.0f} effective")

    def said(written: archive.Archive) -> dict[str, Any]:
        request = {} if append else {"asked": asked}  # walks that are added are asked for by another command
        judging = (walker, settings, whole, ready_C if names else None, choice)
        return request | (remarks(*judging, written) if judged else {})

    with progress.task("sampling", chosen.rows or recipe.rows, "samples") as advance:
        archive.write(
            out,
            plan,
            make_block,
            existing=archive.Existing(overwrite, resume, base),
            listener=archive.Listener(advance, on_shard),
            run=None if run is None else run(recipe),
            remarks=said,
        )
    done = summary(out, time.monotonic() - began)
    if ready_C is not None and ready_C.note:
        done = replace(done, lines=[f"the classifier {ready_C.note}", *done.lines])
    return done if choice is None else replace(done, lines=[*choice.lines, *done.lines])


def sample_models(
    models: Models,
    out: Path,
    preset: str,
    settings: Settings,
    *,
    execution: Execution | None = None,
    workers: int | None = None,
    cluster: Cluster | None = None,
    start: Start | None = None,
    held: Held | None = None,
    walks: int = 10_000,
    seed: int = 0,
    block_size: int = BLOCK,
    store: str | None = None,
    **options: Any,
) -> Outcome:
    """As :func:`sample`, for models on disk, which say themselves what their inputs mean.

    Arguments:
        models: from :func:`load_models`.
        out, preset, settings, start, held, walks, seed, block_size, options: as for :func:`sample`.
        store: as there.
        execution: how the autoencoders are run; part of what a run that goes on must agree in.
        workers: processes of one thread each; None: this process, with torch's threads. The archive is the same.
        cluster: a Ray cluster, in place of processes. The archive is the same.
    """
    inputs = models.inputs
    described = {
        "autoencoders": [_described(bundle, out) for bundle in models.autoencoders],
        "classifiers": [_described(bundle, out) for bundle in models.classifiers],
        **({} if models.student is None else {"students": [_described(models.student, out)]}),
    }
    networks, judges = ([bundle.folder for bundle in bundles] for bundles in (models.autoencoders, models.classifiers))
    place = str(models.ensemble().device)
    if cluster is not None:
        place = "cuda" if cluster.gpus else "cpu"

    def run(recipe: Recipe) -> archive.Run:
        prepared = functools.partial(prepare, networks, judges, place, execution or Execution(), recipe)
        if cluster is not None:
            return on_ray(cluster, [*networks, *judges], prepared)
        assert workers is not None
        return in_processes(workers, prepared)

    return sample(
        models.ensemble(execution),
        models.C,
        out,
        class_names=inputs.class_names,
        preset=preset,
        settings=settings,
        radius=inputs.radius,
        value_range=(inputs.low, inputs.high),
        described=described,
        start=start,
        held=held,
        run=None if cluster is None and workers is None else run,
        place=place,
        student=None if models.student is None else models.student.network,
        walks=walks,
        seed=seed,
        block_size=block_size,
        store=store,
        space=inputs.space,
        **options,
    )


def _described(bundle: Bundle, out: Path) -> dict[str, Any]:
    return {
        "folder": (
            bundle.folder.resolve() if is_remote(out) else Path(os.path.relpath(bundle.folder, out))
        ).as_posix(),  # relative, so that both can be moved together
        "architecture": type(bundle.network).__name__,
        "sha256": bundle.sha256,
        **({"split": bundle.split.as_json()} if bundle.split and bundle.split.rows else {}),
    }
