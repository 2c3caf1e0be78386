"""``reinject sample``."""

from pathlib import Path
from typing import Annotated

import typer

from reinject.cli.app import finish
from reinject.cli.options import Device, Json, Overwrite, Seed
from reinject.progress import for_this_terminal


def sample(
    context: typer.Context,
    models: Annotated[
        list[Path],
        typer.Argument(help="Folders that reinject train made; with several, walks share their autoencoders."),
    ],
    out: Annotated[Path, typer.Option(help="Folder to make: Parquet shards, manifest, data set card.")],
    preset: Annotated[
        str | None, typer.Option(help="default (the best that we know) or paper (Algorithm 1 as printed).")
    ] = None,
    walks: Annotated[int, typer.Option(help="Number of walks, N_s.")] = 10_000,
    steps: Annotated[int | None, typer.Option(help="Steps a walk, R.", show_default="the preset's")] = None,
    burn_in: Annotated[
        int | None, typer.Option(help="First states left out, x_0 included.", show_default="the preset's")
    ] = None,
    thin: Annotated[
        int | None,
        typer.Option(
            help="Keep every so many-th state after the burn-in.",
            show_default="the preset's; 1 with --steps or --burn-in",
        ),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(help="The transition; reinject kernels lists them.", show_default="the preset's"),
    ] = None,
    emit: Annotated[
        str | None, typer.Option(help="What is kept: state or reconstruction.", show_default="the preset's")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="normal, normal:STD, uniform or uniform:LOW:HIGH, data units.", show_default="the preset's"),
    ] = None,
    store: Annotated[str, typer.Option(help="uint8 (levels of the value range) or float (as they are).")] = "uint8",
    block_size: Annotated[int, typer.Option(help="Walks a block; part of what samples are a function of.")] = 1024,
    chunk: Annotated[
        int | None, typer.Option(help="Most points in one call of the network, to save memory.", show_default="a block")
    ] = None,
    device: Device = "cpu",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Walk, label, write a labelled synthetic data set; run again after a cut to go on."""
    from reinject.jobs.sample import load_models
    from reinject.jobs.sample import sample_models as run
    from reinject.presets import choose

    name, settings = choose(
        preset, kernel, context.obj, steps=steps, burn_in=burn_in, thin=thin, emit=emit, start=start
    )
    outcome = run(
        load_models(models, device),
        out,
        name,
        settings,
        walks=walks,
        seed=seed,
        block_size=block_size,
        store=store,
        chunk=chunk,
        overwrite=overwrite,
        progress=for_this_terminal(),
    )
    finish(outcome, as_json)
