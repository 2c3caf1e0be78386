"""Walk trained autoencoders, label the samples, write the archive: ``reinject sample``."""

import functools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from reinject import archive
from reinject.archive.reading import Reading
from reinject.archive.request import asked_for
from reinject.base.errors import ArgumentError
from reinject.base.files import is_remote, place_of
from reinject.base.outcome import Outcome
from reinject.base.progress import histogram
from reinject.base.random_streams import FIRST
from reinject.data.classes import check_names
from reinject.data.samples import Storage, usual_kind
from reinject.models.bundle import Bundle
from reinject.models.loading import Models
from reinject.models.table_model import table_model
from reinject.models.votes import Classifier, ready
from reinject.sampling.appending import check_same, new_range, ranges_with, scheme_for
from reinject.sampling.auto import Choice
from reinject.sampling.choosing import settings_in_memory, settled
from reinject.sampling.presets import Settings, Walker
from reinject.sampling.ray_workers import on_ray
from reinject.sampling.recipe import Recipe, block_sampler, blocks_in, prepare
from reinject.sampling.remarks import remarks
from reinject.sampling.sample_request import asked_of_networks, counts_of, sampled_already
from reinject.sampling.sample_spec import MadeBy, Parallel, SampleSpec, Writing
from reinject.sampling.selection import Selection, certain_classes, names_of, usual_walks, walks_asked
from reinject.sampling.summary import summary
from reinject.sampling.table_sampling import check_options, table_remarks
from reinject.sampling.workers import in_processes
from reinject.walks.classifier_outputs import Labeller
from reinject.walks.reconstruction import Ensemble, Reconstruction, ensemble_of


def sample(
    r: Reconstruction | Ensemble | Sequence[Reconstruction],
    C: Classifier | None,
    out: Path | str,
    *,
    walks: int | None = None,
    seed: int = 0,
    class_names: Sequence[str] = (),
    spec: SampleSpec | Settings | str = "auto",
    writing: Writing = Writing(),
) -> Outcome:
    """Sample an archive that r, C, the spec and the seed determine. Resume an interrupted run.

    Arguments:
        r: autoencoder of :func:`reinject.wrap`, or several.
        C: classifier that labels, x of shape (B, *event) -> logits (B, classes), probabilities, or one number for
            two classes; None: no labels.
        out: folder to make.
        walks: number of walks, >= 1; default: as many as give 100,000 samples, or 10,000 rows of a table.
        seed: seed of all randomness, >= 0.
        class_names: names of the classifier's outputs; default: those of the spec, or "0", "1", ...
        spec: name of a preset or kernel, settings, or a full spec. "auto": pilot walks choose.
        writing: how to treat an earlier archive at ``out``, whether to judge the new one, progress reporter.

    Returns:
        The folder, counts, seconds, samples a second.

    Raises:
        ReinjectError: a parameter is out of range, ``out`` is not empty, or a model is unusable.

    Example:
        >>> import tempfile
        >>> from reinject import wrap
        >>> r = wrap(lambda x: 0.9 * x, (1, 8, 8))
        >>> C = lambda x: x.flatten(1)[:, :2]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sample(r, C, folder + "/set", walks=100, class_names=("dark", "light")).result["rows"]
        1000
    """
    walks, seed = counts_of(walks, seed)
    asked = SampleSpec.of(spec)
    asked = replace(asked, class_names=class_names if len(class_names) else asked.class_names)
    return _Sampling(ensemble_of(r), C, place_of(out), asked, writing, MadeBy()).run(walks, seed)


def sample_models(
    models: Models,
    out: Path,
    spec: SampleSpec,
    *,
    walks: int | None = None,
    seed: int = 0,
    writing: Writing = Writing(),
    parallel: Parallel = Parallel(),
) -> Outcome:
    """Sample an archive from models on disk, as :func:`sample` does.

    Arguments:
        models: result of :func:`reinject.models.loading.load_models`.
        out, walks, seed, writing: see :func:`sample`.
        spec: see :func:`sample`; the models determine class names, range, radius and space.
        parallel: how to run networks, and in how many processes.
    """
    walks, seed = counts_of(walks, seed)
    inputs = models.inputs
    kept = replace(spec.format, value_range=(inputs.low, inputs.high), space=inputs.space)
    if spec.settings is None:
        reading = Reading(trained=models.splits, progress=writing.progress)
        spec = settled(models, spec, walks=walks, seed=seed, reading=reading)
    if models.table is not None:
        assert spec.settings is not None
        check_options(spec.settings, spec.selection, spec.format.kind)
    elif spec.settings is not None and spec.settings.given:
        raise ArgumentError("--given", "is for rows of a table; these models sample images or vectors", "Leave it out")
    own = replace(spec, class_names=inputs.class_names, radius=inputs.radius, format=kept)
    made_by = _made_by(models, out, parallel)
    whole = models.ensemble(parallel.execution)
    return _Sampling(whole, models.C, place_of(out), own, writing, made_by).run(walks, seed)


def _made_by(models: Models, out: Path, parallel: Parallel) -> MadeBy:
    described = {
        "autoencoders": [_described(bundle, out) for bundle in models.autoencoders],
        "classifiers": [_described(bundle, out) for bundle in models.classifiers],
        **({} if models.student is None else {"students": [_described(models.student, out)]}),
    }
    networks, judges = ([bundle.folder for bundle in bundles] for bundles in (models.autoencoders, models.classifiers))
    cluster, workers = parallel.cluster, parallel.workers
    place = str(models.ensemble().device)
    if cluster is not None:
        place = "cuda" if cluster.gpus else "cpu"

    def run(recipe: Recipe) -> archive.Run:
        prepared = functools.partial(prepare, networks, judges, place, parallel.execution, recipe)
        if cluster is not None:
            return on_ray(cluster, [*networks, *judges], prepared)
        assert workers is not None
        return in_processes(workers, prepared)

    student = None if models.student is None else models.student.network
    return MadeBy(described, student, models.table, None if cluster is None and workers is None else run, place)


def _described(bundle: Bundle, out: Path) -> dict[str, Any]:
    table = table_model(bundle.folder)
    return {
        "folder": (
            bundle.folder.resolve() if is_remote(out) else Path(os.path.relpath(bundle.folder, out))
        ).as_posix(),  # relative, so that both can be moved together
        "architecture": type(bundle.network).__name__,
        "sha256": bundle.sha256,
        **({} if table is None else {"encoder": table.sha256}),
        **({"split": bundle.split.as_json()} if bundle.split and bundle.split.rows else {}),
    }


@dataclass(frozen=True)
class _Planned:
    """Hold what determines the rows, before anything is written."""

    preset: str
    choice: Choice | None
    selection: Selection
    recipe: Recipe
    class_names: tuple[str, ...]
    ranges: Sequence[Mapping[str, Any]]
    base: Path | None


@dataclass(frozen=True)
class _Sampling:
    """Run one call of :func:`sample`."""

    r: Ensemble
    C: Classifier | None
    out: Path
    spec: SampleSpec
    writing: Writing
    made_by: MadeBy

    def run(self, walks: int | None, seed: int) -> Outcome:
        storage = self._storage()
        C = None if self.C is None else ready(self.C, self.r.device, self.r.event_shape, storage)
        asked = self.writing.asked or self._asked(walks, seed, C)
        if self.writing.looks and (made := sampled_already(self.out, asked)):
            return made
        planned = self._planned(walks, seed, storage, C)
        make_block, walker = block_sampler(self.r, C, planned.recipe, self.made_by.table)
        plan = self._plan(planned, walker)
        if planned.base is not None:
            check_same(planned.base, plan)
        began = time.monotonic()
        self._write(planned, plan, make_block, self._remarks(planned, walker, C, asked))
        done = summary(self.out, time.monotonic() - began)
        if C is not None and C.note:
            done = replace(done, lines=[f"the classifier {C.note}", *done.lines])
        choice = planned.choice
        return done if choice is None else replace(done, lines=[*choice.lines, *done.lines])

    def _storage(self) -> Storage:
        if self.made_by.table is not None:
            return Storage("table")
        anew = self.writing.overwrite or self.writing.resume == "never"
        begun = None if anew else archive.kind_begun(self.out)
        kept = self.spec.format
        return Storage(kept.kind or begun or usual_kind(self.r.event_shape), *kept.value_range)

    def _asked(self, walks: int | None, seed: int, C: Classifier | None) -> dict[str, Any]:
        """Describe the request as JSON values, by the names that all manifests use."""
        spec, kept = self.spec, self.spec.format
        names = ("kernel", "class_names", "preset", "settings", "radius", "rows", "block_size", "selection")
        given = {name: getattr(spec, name) for name in (*names, "private")}
        given |= {name: getattr(kept, name) for name in ("value_range", "space", "images", "compression")}
        given |= {
            "held": spec.constraint,
            "walks": walks,
            "seed": seed,
            "store": kept.kind,
            "splits": spec.splits or None,
        }
        given |= {"judged": self.writing.judged, "place": self.made_by.place, "given": dict(spec.options)}
        networks = asked_of_networks(self.r, C, self.made_by.student, self.made_by.described)
        return asked_for(given, begins=repr(spec.start), networks=networks)

    def _planned(self, walks: int | None, seed: int, storage: Storage, C: Labeller | None) -> _Planned:
        spec, writing, made_by = self.spec, self.writing, self.made_by
        preset, settings, choice = spec.preset, spec.settings, spec.choice
        if settings is None:
            begin = (self.r, C, storage, spec.radius, seed)
            preset, settings, choice = settings_in_memory(*begin, spec)
        chosen = spec.selection
        if spec.rows is not None:
            walks, beyond = walks_asked(spec.rows, None, writing.append, settings)
            chosen = replace(chosen, rows=beyond)
        elif walks is None:
            walks = usual_walks(settings, table=made_by.table is not None)
        base, ranges = (
            ranges_with(self.out, walks, spec.block_size) if writing.append else (None, [new_range(0, walks)])
        )
        spans = tuple(tuple(one["walks"]) for one in ranges)
        certain = certain_classes(self.r, C, settings)
        labels = chosen.labels_of(settings, certain) if C is not None or certain else None
        names: tuple[str, ...] = ()
        if labels is not None and C is not None:
            names = names_of(C, self.r, spec.class_names)
        elif labels is not None:
            names = check_names("class_names", spec.class_names or range(certain), certain)
        learner = None if made_by.student is None else ready(made_by.student, "cpu", self.r.event_shape, storage)
        block_size, blocks = spec.block_size, blocks_in(spans, spec.block_size)
        filters = chosen.filters(settings, names, block_size, seed, spec.private, blocks, learner)
        scheme = scheme_for(self.out, base, resume=writing.resume, overwrite=writing.overwrite)
        recipe = Recipe(
            settings,
            spans,
            seed,
            block_size,
            storage,
            spec.radius,
            spec.start,
            spec.constraint,
            labels,
            filters,
            scheme,
        )
        return _Planned(preset, choice, chosen, recipe, names, ranges, base)

    def _plan(self, planned: _Planned, walker: Walker) -> archive.Plan:
        spec, kept, recipe = self.spec, self.spec.format, planned.recipe
        settings = recipe.settings
        kind = torch.device(self.made_by.place or self.r.device).type
        parameters = {
            "preset": planned.preset,
            "kernel": repr(walker.kernel),
            "start": repr(walker.start),
            "walks": sum(last - first for first, last in recipe.ranges),
            "ranges": planned.ranges,
            "steps": settings.steps,
            "burn_in": settings.burn_in,
            "thin": settings.thin,
            "emit": settings.emit,
            "settings": json.loads(json.dumps(settings.as_json())),
            "selection": planned.selection.as_json(),
            "filters": [repr(one) for one in recipe.filters],
            "execution": asdict(self.r.members[0].execution),
            "seed": recipe.seed,
            "block_size": recipe.block_size,
            **({} if recipe.scheme == FIRST else {"streams": recipe.scheme}),
            **({"class_conditional": True} if recipe.labels is not None and recipe.labels.classes else {}),
            **({"space": kept.space} if kept.space else {}),
            **({"splits": {name: split.as_json() for name, split in spec.splits.items()}} if spec.splits else {}),
            **({} if kind == "cpu" else {"device": kind}),
        }
        return archive.Plan(
            self.r.event_shape,
            planned.class_names,
            recipe.storage,
            len(recipe.blocks),
            parameters,
            dict(self.made_by.described),
            kept.images,
            kept.compression,
            None if self.made_by.table is None else self.made_by.table.schema.as_json(),
        )

    def _remarks(
        self, planned: _Planned, walker: Walker, C: Classifier | None, asked: Mapping[str, Any]
    ) -> Callable[[archive.Archive], dict[str, Any]]:
        def said(written: archive.Archive) -> dict[str, Any]:
            request = {} if self.writing.append else {"asked": asked}  # another command asks for appended walks
            if not self.writing.judged:
                return request
            if self.made_by.table is not None:
                given = planned.recipe.settings.given
                return request | table_remarks(self.made_by.table, given, planned.choice, written)
            judging = (walker, planned.recipe.settings, self.r, C if planned.class_names else None, planned.choice)
            return request | remarks(*judging, written)

        return said

    def _write(
        self, planned: _Planned, plan: archive.Plan, make_block: archive.MakeBlock, said: archive.Remarks
    ) -> None:
        per_class = [0] * len(planned.class_names)
        effective = 0.0

        def on_shard(entry: dict[str, Any]) -> None:
            nonlocal effective
            per_class[:] = [a + b for a, b in zip(per_class, entry["per_class"], strict=True)]
            effective += entry["effective_labels"] or 0
            self.writing.progress.note(f"classes |{histogram(per_class)}|, {effective:,.0f} effective")

        run, recipe = self.made_by.run, planned.recipe
        with self.writing.progress.task("sampling", planned.selection.rows or recipe.rows, "samples") as advance:
            archive.write(
                self.out,
                plan,
                make_block,
                existing=archive.Existing(self.writing.overwrite, self.writing.resume, planned.base),
                listener=archive.Listener(advance, on_shard),
                run=None if run is None else run(recipe),
                remarks=said,
            )
