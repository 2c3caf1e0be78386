"""``reinject import`` and ``reinject inspect``."""

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

_KINDS = "FILE.safetensors, .pt, .pth, .ckpt or .bin for a Python class"
Weights = Annotated[Path | None, typer.Option(help=f"{_KINDS}.", show_default="its own")]


class _Role(StrEnum):
    autoencoder = "autoencoder"
    classifier = "classifier"


Arguments = Annotated[
    list[str] | None,
    typer.Option("--args", help="NAME=VALUE,...: of the constructor of a Python class; again and again."),
]


def import_(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="An autoencoder, a classifier, or one of each: FILE.onnx, FILE.skops, FILE.keras, FILE.pt2 "
            "(torch.export), FILE.pt (TorchScript, a whole module), a folder of diffusers or pythae, or "
            "PACKAGE.MODULE:NAME or FILE.py:NAME (an nn.Module, a pair of them, or what makes one).",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of models; its autoencoder/ and classifier/ are made.")] = Path(
        "models"
    ),
    roles: Annotated[
        list[_Role] | None,
        typer.Option(
            "--as",
            help="What the model is; of two, twice.",
            show_default="autoencoder; of two, as their outputs are shaped",
        ),
    ] = None,
    route: Annotated[
        str | None,
        advanced("module, torch-export, torchscript, pickle, onnx, diffusers, ..."),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="Of one input: CHANNELS,HEIGHT,WIDTH.", show_default="what the model says")
    ] = None,
    bounds: Annotated[
        str | None,
        typer.Option("--range", help="LOW,HIGH: darkest and brightest pixel.", show_default="found out, if it can be"),
    ] = None,
    units: Annotated[str | None, advanced("LOW,HIGH in the archives, converted from and to --range.")] = None,
    class_names: Annotated[
        str | None, typer.Option(help="A,B,...: of a classifier's outputs.", show_default="those of --data, or numbers")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="A[,B,C]: the network takes (x - mean) / std, x in --range.", show_default="none")
    ] = None,
    std: Annotated[str | None, typer.Option(help="A[,B,C]: see --mean.", show_default="none")] = None,
    outputs: Annotated[
        Literal["same", "plain", "logits"] | None,
        advanced("An autoencoder's: same as inputs, plain (no --mean) or logits.", metavar="KIND"),
    ] = None,
    layout: Annotated[
        Literal["chw", "hwc", "bgr", "hwc-bgr"] | None,
        advanced("Of colours: chw, hwc, bgr or hwc-bgr.", metavar="ORDER"),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help=f"{_KINDS}; of two, again, in the order of the models.", show_default="their own"),
    ] = None,
    arguments: Arguments = None,
    data: Annotated[str | None, typer.Option(help=f"What it was trained on: {DATASET}")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let it run code, now and later, with exactly this content.")
    ] = False,
    moments: Moments = True,
    data_dir: DataDir = None,
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Take models of other libraries in, after a look at whether they can be used."""
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
    )
    rest: dict[str, Any] = {"data_dir": data_dir, "overwrite": overwrite, "progress": for_this_terminal()}
    try:
        outcome = import_models(models, out, wanted, weights=weights, roles=said, **rest)
    except ReinjectError as error:
        if "--" in error.cure or error.owner == "import":
            with suppress(ReinjectError):  # what is wrong has been said
                typer.echo("\n".join(look_at(models, wanted, weights, said, out, error).lines), err=as_json)
        raise
    finish(outcome, as_json)


def try_(
    source: Annotated[str, typer.Argument(help="A file, a folder, or FILE.py:NAME.")],
    weights: Weights = None,
    arguments: Arguments = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run a FILE.py, to see which of its classes fits the weights.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a model file holds, and the command that imports it; nothing is run, and nothing is written."""
    from reinject.foreign.arguments import arguments_of
    from reinject.models.importing import Wanted
    from reinject.models.trying import look

    finish(look(source, Wanted(weights=weights, trust=trust, arguments=arguments_of(arguments or ()))), as_json)


def inspect(
    models: Annotated[Path, typer.Argument(help="Folder that reinject train or import made.")],
    against: Annotated[str | None, typer.Option(help="Their data set, for lambda.", show_default="none")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let its models run code, now and later, with exactly this content.")
    ] = False,
    data_dir: DataDir = None,
    split_seed: SplitSeed = 0,
    as_json: Json = False,
) -> None:
    """Say what the models in a folder are, whether they run, and whether the autoencoder loses anything."""
    from reinject.models.inspect import inspect as run

    where = {"data_dir": data_dir, "split_seed": split_seed, "progress": for_this_terminal()}
    finish(run(models, against=against, trusted=trust, **where), as_json)  # type: ignore[arg-type]
