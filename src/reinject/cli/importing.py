"""``reinject import`` and ``reinject inspect``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from reinject.cli.app import finish
from reinject.cli.options import DATASET, DataDir, Json, Overwrite, numbers_of, shape_of
from reinject.progress import for_this_terminal


def import_(
    source: Annotated[
        str,
        typer.Argument(
            help="FILE.onnx, FILE.skops, FILE.keras, FILE.pt2 (torch.export), a folder of diffusers or pythae, or "
            "PACKAGE.MODULE:NAME or FILE.py:NAME (an nn.Module, a pair of them, or what makes one)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of models; its autoencoder/ or classifier/ is made.")],
    role: Annotated[Literal["autoencoder", "classifier"], typer.Option("--as", help="What it is.")] = "autoencoder",
    route: Annotated[
        str | None,
        typer.Option(
            help="module, torch-export, onnx, diffusers, pythae, sklearn or keras.",
            show_default="by what it looks like",
        ),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="Of one input: CHANNELS,HEIGHT,WIDTH.", show_default="what the model says")
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option("--range", help="LOW,HIGH: darkest and brightest pixel.", show_default="found out, if it can be"),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(help="LOW,HIGH in the archives, converted from and to the range.", show_default="the range"),
    ] = None,
    class_names: Annotated[
        str | None, typer.Option(help="A,B,...: of a classifier's outputs.", show_default="those of --data, or numbers")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="FILE.safetensors for a Python class.")] = None,
    data: Annotated[str | None, typer.Option(help=f"What it was trained on: {DATASET}")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let it run code, now and later, with exactly this content.")
    ] = False,
    data_dir: DataDir = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Take a model of another library in, after a look at whether it can be used."""
    from reinject.jobs.importing import Wanted, import_model

    wanted = Wanted(
        role,
        route,
        shape_of(shape) if shape else None,
        numbers_of("--range", bounds) if bounds else None,
        numbers_of("--units", units) if units else None,
        tuple(class_names.split(",")) if class_names else (),
        weights,
        data,
        trust,
    )
    progress = for_this_terminal()
    finish(import_model(source, out, wanted, data_dir=data_dir, overwrite=overwrite, progress=progress), as_json)


def inspect(
    models: Annotated[Path, typer.Argument(help="Folder that reinject train or import made.")],
    against: Annotated[str | None, typer.Option(help="Their data set, for lambda.", show_default="none")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let its models run code, now and later, with exactly this content.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say what the models in a folder are, whether they run, and whether the autoencoder loses anything."""
    from reinject.jobs.inspect import inspect as run

    finish(run(models, against=against, trusted=trust, data_dir=data_dir, progress=for_this_terminal()), as_json)
