"""Declare the options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from reinject.base.errors import ArgumentError
from reinject.base.files import place_of


def kernel_names() -> list[str]:
    """List names for the shell's completion."""
    from reinject.walks.kernels import KERNELS

    return list(KERNELS)


def dataset_names() -> list[str]:
    """List names for the shell's completion."""
    from reinject.data import NAMES

    return list(NAMES)


def judgement_names() -> list[str]:
    """List names for the shell's completion."""
    from reinject.evaluation.judgements import GROUPS, UTILITY

    return [UTILITY, *GROUPS]


ADVANCED = "Advanced"  # panel of options that few people need: one line each
WALK, HELD = f"{ADVANCED}: the walk (default: the preset's)", f"{ADVANCED}: classes and constraints"
ARCHIVE = f"{ADVANCED}: the archive"


def advanced(text: str, *flags: str, panel: str = ADVANCED, **rest: Any) -> Any:
    """Make an option in a panel below the main one.

    Arguments:
        text: help text, one line.
        flags: option names, if they differ from the argument's name.
        panel: title of the panel.
        rest: further arguments of ``typer.Option``.
    """
    return typer.Option(*flags, rich_help_panel=panel, help=text, **rest)


Images = Annotated[str, advanced("Images as png, or as array of numbers.", panel=ARCHIVE)]
Compression = Annotated[
    str, advanced("Compression of columns: zstd, snappy, gzip, brotli, lz4 or none.", panel=ARCHIVE)
]
BlockSize = Annotated[
    int | None,
    advanced("Walks in a block; samples depend on it.", panel=WALK, show_default="1024; tables: 8192", min=1),
]
Force = Annotated[bool, advanced("Exit with status 0 even if the verdict is 'broken'.", "--force")]
Moments = Annotated[
    bool, advanced("With data: store the moments of each class's codes.", "--moments/--no-moments", show_default=False)
]
HalfPrecision = Annotated[str, advanced("32-true; bf16-mixed or 16-mixed multiply in 16 bits.")]
Compile = Annotated[bool, advanced("Compile the autoencoder (torch.compile; CUDA graphs on a GPU).", "--compile")]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes, one thread each; the archive does not depend on it.", show_default="none, all threads"
    ),
]
Synthetic = Annotated[
    Path, typer.Argument(parser=place_of, metavar="SYNTHETIC", help="Archive of reinject sample: folder or URL.")
]
Judge = Annotated[
    list[str] | None,
    typer.Option(
        help="utility, coverage, two-sample, spurious, memorisation, membership, or none. Repeatable.",
        show_default="all that apply",
        autocompletion=judgement_names,
    ),
]
MadeBy = Annotated[
    list[Path] | None,
    typer.Option(help="Folder of the models that made the samples.", show_default="the manifest's"),
]
Students = Annotated[int, typer.Option(help="Students for each training set size.", min=1)]
Seed = Annotated[int, typer.Option(help="Seed of all randomness. The same seed gives the same result.", min=0)]
SplitSeed = Annotated[int, advanced("Seed that splits data without a test part.", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")]
DataDir = Annotated[str | None, advanced("Folder of data sets; default: the variable REINJECT_DATA.")]
Device = Annotated[str, typer.Option(help="Device: auto, cpu, cuda or mps.")]
DATASET = (
    "digits, mnist, fashion_mnist, cifar10, cifar100, a hub name (owner/name), a folder of Parquet, images or .npy, "
    "or a file (.parquet, .npz). A table: a .csv or .parquet file, or a folder with train.csv and test.csv."
)


def numbers_of(option: str, text: str) -> tuple[float, float]:
    """Read LOW,HIGH as two numbers; raise ArgumentError of ``option`` unless LOW < HIGH."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ArgumentError(option, f"{text!r} is not two numbers", "Give LOW,HIGH, such as -1,1") from error
    if not low < high:
        raise ArgumentError(option, f"{text!r} is not a range", "Give LOW,HIGH with LOW below HIGH")
    return low, high


def shape_of(text: str) -> tuple[int, ...]:
    """Read C,H,W as whole numbers; raise ArgumentError if one is not whole or is below 1."""
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ArgumentError("--shape", f"{text!r} are not whole numbers", "Give C,H,W, such as 1,28,28") from error
    if min(shape) < 1:
        raise ArgumentError("--shape", f"{text!r} has a length below 1", "Give C,H,W, such as 1,28,28")
    return shape


def weights_of(text: str | None) -> tuple[float, ...]:
    """Read W0,W1,... as numbers; () for no text. Raise ArgumentError if one is not a number."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise ArgumentError(
            "--class-weights", f"{text!r} are not numbers", "Give W0,W1,..., one for each class"
        ) from error


def floats_of(option: str, text: str | None) -> tuple[float, ...]:
    """Read A,B,... as numbers; () for no text. Raise ArgumentError of ``option`` if one is not a number."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise ArgumentError(
            option, f"{text!r} are not numbers", "Give A or A,B,C, one value for each channel"
        ) from error
