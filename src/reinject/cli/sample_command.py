"""Define the command ``reinject sample``."""

import functools
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from reinject.base.errors import ArgumentError
from reinject.base.files import place_of
from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.label_options import (
    Abstain,
    Apart,
    ClassWeights,
    Confidence,
    Distinct,
    LabelSource,
    Private,
    Quota,
    Unlearned,
    Voters,
)
from reinject.cli.options import (
    ARCHIVE,
    BlockSize,
    Compile,
    Compression,
    DataDir,
    Device,
    Force,
    HalfPrecision,
    Images,
    Json,
    Overwrite,
    Seed,
    SplitSeed,
    Workers,
    advanced,
    numbers_of,
    weights_of,
)
from reinject.cli.walk_options import (
    Begin,
    Box,
    BurnIn,
    Classes,
    Data,
    Emitted,
    Given,
    Guidance,
    KernelName,
    Known,
    Latent,
    Limit,
    Mask,
    Measured,
    Passes,
    Preset,
    Rows,
    Steps,
    Thin,
    Walks,
)


def sample(
    context: typer.Context,
    models: Annotated[
        list[Path],
        typer.Argument(help="Model folders of reinject train or import. Walks are shared among several."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            parser=place_of,
            metavar="PLACE",
            help="Folder to make, or URL (s3://...).",
        ),
    ],
    preset: Preset = None,
    data: Data = None,
    rows: Rows = None,
    walks: Walks = None,
    passes: Passes = None,
    steps: Steps = None,
    burn_in: BurnIn = None,
    thin: Thin = None,
    kernel: KernelName = None,
    emit: Emitted = None,
    start: Begin = None,
    classes: Classes = None,
    guidance: Guidance = None,
    box: Box = None,
    limit: Limit = None,
    latent: Latent = None,
    known: Known = None,
    mask: Mask = None,
    measured: Measured = None,
    given: Given = None,
    labels: LabelSource = "classifier",
    classifier: Voters = None,
    abstain: Abstain = 0.0,
    confidence: Confidence = 0.0,
    unlearned: Unlearned = 1.0,
    class_weights: ClassWeights = None,
    quota: Quota = None,
    distinct: Distinct = None,
    private: Private = None,
    apart: Apart = None,
    store: Annotated[
        str | None,
        advanced("Stored values: uint8 or float.", panel=ARCHIVE, show_default="uint8 for images, float for vectors"),
    ] = None,
    images: Images = "png",
    compression: Compression = "zstd",
    block_size: BlockSize = None,
    chunk: Annotated[int | None, advanced("Most points in one network call; saves memory.")] = None,
    precision: HalfPrecision = "32-true",
    compiled: Compile = False,
    workers: Workers = None,
    on: Annotated[
        Literal["here", "ray"],
        advanced("Where to run: here, or ray (actors of a Ray cluster).", metavar="WHERE"),
    ] = "here",
    address: Annotated[
        str | None, advanced("Address of the Ray cluster; auto: this machine's.", show_default="a new one")
    ] = None,
    gpus: Annotated[float, advanced("GPUs for each Ray actor, such as 0.5.")] = 0.0,
    append: Annotated[
        bool, advanced("Add walks to the archive at --out; existing rows stay.", "--append", panel=ARCHIVE)
    ] = False,
    resume: Annotated[
        Literal["if-possible", "never", "always"],
        advanced("Resume: if-possible, never, or always (repairs shards).", panel=ARCHIVE, metavar="WHEN"),
    ] = "if-possible",
    data_dir: DataDir = None,
    device: Device = "cpu",
    seed: Seed = 0,
    split_seed: SplitSeed = 0,
    dry_run: Annotated[
        bool, advanced("Write nothing: predict time, memory and disk from a small run.", "--dry-run")
    ] = False,
    overwrite: Overwrite = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Sample a labelled synthetic data set. Run again to resume an interrupted run."""
    from reinject.archive.reading import Reading
    from reinject.models.loading import load_models
    from reinject.sampling.appending import reach_of
    from reinject.sampling.choosing import settings_for
    from reinject.sampling.constraints import resolve_constraint
    from reinject.sampling.data_starts import resolve
    from reinject.sampling.forecast import forecast
    from reinject.sampling.presets import classes_of
    from reinject.sampling.ray_workers import Cluster
    from reinject.sampling.sample import sample_models as run
    from reinject.sampling.sample_request import asked_by_command, sampled_already
    from reinject.sampling.sample_spec import Format, Parallel, SampleSpec, Writing
    from reinject.sampling.selection import Selection, resolve_private, usual_walks, walks_asked
    from reinject.sampling.table_sampling import TABLE_BLOCK
    from reinject.sampling.taught import taught
    from reinject.walks.execution import Execution
    from reinject.walks.specs import BLOCK

    labelled = labels != "none" or bool(classes)
    loaded = load_models(models, device, classifiers=classifier or (), labelled=labelled)
    block_size = block_size or (TABLE_BLOCK if loaded.table is not None else BLOCK)
    context.params["block_size"] = block_size
    asked = asked_by_command(context.params, context.obj, loaded)
    made = None if overwrite or append or resume == "always" else sampled_already(out, asked)
    if made is not None:
        finish(replace(made, failure="") if force else made, as_json)
    inputs, progress = loaded.inputs, for_this_terminal()
    reading = Reading(data_dir, split_seed, progress, loaded.splits)
    name, settings, choice = settings_for(
        loaded,
        preset,
        kernel,
        context.obj,
        dataset=data,
        seed=seed,
        reading=reading,
        passes=passes,
        steps=steps,
        burn_in=burn_in,
        thin=thin,
        emit=emit,
        start=start,
        classes=classes_of(classes, inputs.class_names),
        guidance=guidance,
        box=numbers_of("--box", box) if box else None,
        limit=limit,
        latent=latent,
        known=known,
        mask=mask,
        measured=measured,
        given=given,
    )
    selection = Selection(
        labels, abstain, confidence, unlearned, weights_of(class_weights), quota, distinct, private, apart
    )
    if rows is not None:
        walks, beyond = walks_asked(rows, walks, append, settings)
        selection = replace(selection, rows=beyond)
    walks = usual_walks(settings, table=loaded.table is not None) if walks is None else walks
    reach = reach_of(out, walks, block_size, append)
    spec = SampleSpec(
        name,
        settings=settings,
        choice=choice,
        start=resolve(settings.start, inputs, walks=reach, seed=seed, models=loaded, reading=reading),
        constraint=resolve_constraint(settings, inputs, most=block_size, reading=reading),
        selection=selection,
        private=resolve_private(selection, inputs, reading),
        splits=reading.splits,
        block_size=block_size,
        format=Format(store, images=images, compression=compression),
    )
    here = Execution(chunk, precision, compiled)
    if unlearned != 1:
        if dry_run:
            raise ArgumentError(
                "--dry-run", "writes nothing, but --unlearned trains a classifier", "Give one of the two"
            )
        loaded = taught(loaded, out, spec, seed=seed, parallel=Parallel(here), progress=progress)
    prepared = functools.partial(run, loaded, spec=spec, seed=seed)
    if dry_run:
        outcome = forecast(
            out,
            lambda place, few: prepared(
                place, walks=few, writing=Writing(judged=False, asked=asked), parallel=Parallel(here)
            ),
            walks=walks,
            block_size=block_size,
            workers=workers,
            replace=overwrite or append,
        )
        finish(outcome, as_json)
        return
    outcome = prepared(
        out,
        walks=walks,
        writing=Writing(overwrite, append, resume, asked=asked, progress=progress),
        parallel=Parallel(here, workers, Cluster(address, workers or 1, gpus) if on == "ray" else None),
    )
    finish(replace(outcome, failure="") if force else outcome, as_json)
