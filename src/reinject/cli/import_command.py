"""Define the commands ``reinject import``, ``try`` and ``inspect``."""

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reinject.base.errors import ReinjectError
from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import (
    DATASET,
    DataDir,
    Json,
    Moments,
    Overwrite,
    SplitSeed,
    advanced,
    floats_of,
    numbers_of,
    shape_of,
)

if TYPE_CHECKING:
    from reinject.foreign import Role

_KINDS = "Weights of a Python class: .safetensors, .pt, .pth, .ckpt or .bin"
Weights = Annotated[Path | None, typer.Option(help=f"{_KINDS}.", show_default="the class's own")]


class _Role(StrEnum):
    autoencoder = "autoencoder"
    classifier = "classifier"


Arguments = Annotated[
    list[str] | None,
    typer.Option("--args", help="NAME=VALUE,...: constructor arguments of a Python class. Repeatable."),
]


def import_(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="An autoencoder, a classifier, or one of each. Files: .onnx, .skops, .keras, .pt2 (torch.export), "
            ".pt (TorchScript, whole module). Folders: diffusers, pythae; OWNER/NAME: diffusers on the hub. "
            "Python: PACKAGE.MODULE:NAME or FILE.py:NAME (an nn.Module, a pair of them, or a function that makes one).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of models to make, with autoencoder/ and classifier/.")] = Path(
        "models"
    ),
    roles: Annotated[
        list[_Role] | None,
        typer.Option(
            "--as",
            help="Role of the model: autoencoder or classifier. For two models, give it twice.",
            show_default="autoencoder; of two, by the shape of outputs",
        ),
    ] = None,
    route: Annotated[
        str | None,
        advanced("Import route: module, torch-export, torchscript, pickle, onnx, diffusers, ..."),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="Shape of one input: CHANNELS,HEIGHT,WIDTH.", show_default="the model's")
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option("--range", help="LOW,HIGH: darkest and brightest pixel.", show_default="detected, if possible"),
    ] = None,
    units: Annotated[str | None, advanced("LOW,HIGH: range in archives, converted from and to --range.")] = None,
    class_names: Annotated[
        str | None,
        typer.Option(help="A,B,...: names of a classifier's outputs.", show_default="those of --data, or numbers"),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(help="A[,B,C]: the network takes (x - mean) / std, with x in --range.", show_default="none"),
    ] = None,
    std: Annotated[str | None, typer.Option(help="A[,B,C]: see --mean.", show_default="none")] = None,
    outputs: Annotated[
        Literal["same", "plain", "logits"] | None,
        advanced("Outputs of an autoencoder: same as inputs, plain (no --mean) or logits.", metavar="KIND"),
    ] = None,
    layout: Annotated[
        Literal["chw", "hwc", "bgr", "hwc-bgr"] | None,
        advanced("Layout of colours: chw, hwc, bgr or hwc-bgr.", metavar="ORDER"),
    ] = None,
    noise_conditioned: Annotated[
        bool, advanced("The model is called as (x, sigma) and returns E[x_0 given x].", "--noise-conditioned")
    ] = False,
    levels: Annotated[str | None, advanced("LOW,HIGH: noise levels of --noise-conditioned.")] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help=f"{_KINDS}. For two models, give it twice, in their order.", show_default="the class's own"),
    ] = None,
    arguments: Arguments = None,
    data: Annotated[str | None, typer.Option(help=f"Training data of the model: {DATASET}")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Allow the model to run code, now and later, while its content is the same.")
    ] = False,
    moments: Moments = True,
    data_dir: DataDir = None,
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Import models of other libraries, after checks that they work."""
    from reinject.foreign.arguments import arguments_of
    from reinject.models.importing import Wanted, import_models
    from reinject.models.trying import look_at

    weights = weights or []
    said: list[Role] = ["autoencoder" if role is _Role.autoencoder else "classifier" for role in roles or ()]
    wanted = Wanted(
        said[0] if len(said) == 1 else "autoencoder",
        route,
        shape_of(shape) if shape else None,
        numbers_of("--range", bounds) if bounds else None,
        numbers_of("--units", units) if units else None,
        tuple(class_names.split(",")) if class_names else (),
        None,
        data,
        trust,
        arguments_of(arguments or ()),
        floats_of("--mean", mean),
        floats_of("--std", std),
        moments,
        split_seed,
        None if outputs is None else "sigmoid" if outputs == "logits" else outputs,
        layout,
        noise_conditioned or levels is not None,
        numbers_of("--levels", levels) if levels else None,
    )
    rest: dict[str, Any] = {"data_dir": data_dir, "overwrite": overwrite, "progress": for_this_terminal()}
    try:
        outcome = import_models(models, out, wanted, weights=weights, roles=said, **rest)
    except ReinjectError as error:
        if "--" in error.cure or error.owner == "import":
            with suppress(ReinjectError):  # the first error is raised below
                typer.echo("\n".join(look_at(models, wanted, weights, said, out, error).lines), err=as_json)
        raise
    finish(outcome, as_json)


def try_(
    source: Annotated[str, typer.Argument(help="A file, a folder, or FILE.py:NAME.")],
    weights: Weights = None,
    arguments: Arguments = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run a FILE.py to find the class that fits the weights.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Describe a model file, and print the command that imports it. Runs and writes nothing."""
    from reinject.foreign.arguments import arguments_of
    from reinject.models.importing import Wanted
    from reinject.models.trying import look

    finish(look(source, Wanted(weights=weights, trust=trust, arguments=arguments_of(arguments or ()))), as_json)


def inspect(
    models: Annotated[Path, typer.Argument(help="Model folder of reinject train or import.")],
    against: Annotated[
        str | None, typer.Option(help="Data set of the models, to estimate lambda.", show_default="none")
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Allow the models to run code, now and later, while their content is the same."),
    ] = False,
    data_dir: DataDir = None,
    split_seed: SplitSeed = 0,
    as_json: Json = False,
) -> None:
    """Describe the models in a folder: whether they run, and whether the autoencoder is lossy."""
    from reinject.models.inspect import inspect as run

    where = {"data_dir": data_dir, "split_seed": split_seed, "progress": for_this_terminal()}
    finish(run(models, against=against, trusted=trust, **where), as_json)  # type: ignore[arg-type]
