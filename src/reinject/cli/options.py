"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from reinject.base.errors import ArgumentError
from reinject.base.files import place_of


def kernel_names() -> list[str]:
    """For the shell's completion."""
    from reinject.walks.kernels import KERNELS

    return list(KERNELS)


def dataset_names() -> list[str]:
    """For the shell's completion."""
    from reinject.data import NAMES

    return list(NAMES)


def judgement_names() -> list[str]:
    """For the shell's completion."""
    from reinject.evaluation.judgements import GROUPS, UTILITY

    return [UTILITY, *GROUPS]


ADVANCED = "Advanced"  # panel of options that few need: one line each
WALK, HELD = f"{ADVANCED}: the walk (default: as the preset says)", f"{ADVANCED}: what is asked for or known"
ARCHIVE = f"{ADVANCED}: the archive"


def advanced(text: str, *flags: str, panel: str = ADVANCED, **rest: Any) -> Any:
    """An option in a panel below the one that everybody reads.

    Arguments:
        text: one line.
        flags: names, where they are not those of the argument.
        panel: its title.
        rest: as for ``typer.Option``.
    """
    return typer.Option(*flags, rich_help_panel=panel, help=text, **rest)


Images = Annotated[str, advanced("png, or array: images as arrays of numbers.", panel=ARCHIVE)]
Compression = Annotated[str, advanced("Of columns: zstd, snappy, gzip, brotli, lz4 or none.", panel=ARCHIVE)]
BlockSize = Annotated[int, advanced("Walks a block; samples are a function of it.", panel=WALK)]
Force = Annotated[bool, advanced("Exit with status 0 even if the verdict is broken.", "--force")]
Moments = Annotated[
    bool, advanced("With data: keep moments of the codes of each class.", "--moments/--no-moments", show_default=False)
]
HalfPrecision = Annotated[str, advanced("32-true, or products in 16 bits: bf16-mixed, 16-mixed.")]
Compile = Annotated[bool, advanced("Compile the autoencoder (torch.compile; CUDA graphs on a GPU).", "--compile")]
Workers = Annotated[
    int | None,
    typer.Option(help="Processes, of one thread each; the archive is the same.", show_default="none, all threads"),
]
Synthetic = Annotated[
    Path, typer.Argument(parser=place_of, metavar="SYNTHETIC", help="Folder or URL that reinject sample made.")
]
Judge = Annotated[
    list[str] | None,
    typer.Option(
        help="utility, coverage, two-sample, spurious, memorisation, membership, or none; again and again.",
        show_default="all that can be judged",
        autocompletion=judgement_names,
    ),
]
MadeBy = Annotated[
    list[Path] | None,
    typer.Option(help="Folder with the models that made the samples.", show_default="as the manifest says"),
]
Students = Annotated[int, typer.Option(help="Students a size.", min=1)]
Seed = Annotated[int, typer.Option(help="Seed of all randomness; same seed, same result.", min=0)]
SplitSeed = Annotated[int, advanced("Of the split of data without a test part.", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run of this command left there.")]
DataDir = Annotated[str | None, advanced("Folder of data sets (or the variable REINJECT_DATA).")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
DATASET = (
    "digits, mnist, fashion_mnist, cifar10, cifar100, a hub name (owner/name), a folder of Parquet, images or .npy, "
    "or a file (.parquet, .npz)."
)


def numbers_of(option: str, text: str) -> tuple[float, float]:
    """The two numbers of LOW,HIGH; raises ArgumentError that names ``option`` where they are none, or not rising."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ArgumentError(option, f"{text!r} is not two numbers", "Give LOW,HIGH, such as -1,1") from error
    if not low < high:
        raise ArgumentError(option, f"{text!r} is no range", "Give LOW,HIGH with LOW below HIGH")
    return low, high


def shape_of(text: str) -> tuple[int, ...]:
    """The whole numbers of C,H,W; raises ArgumentError where one is none, or below 1."""
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ArgumentError("--shape", f"{text!r} are not whole numbers", "Give such as 1,28,28") from error
    if min(shape) < 1:
        raise ArgumentError("--shape", f"{text!r} has a length below 1", "Give such as 1,28,28")
    return shape


def weights_of(text: str | None) -> tuple[float, ...]:
    """The numbers of W0,W1,...; none without a text. Raises ArgumentError where one is no number."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise ArgumentError("--class-weights", f"{text!r} are not numbers", "Give W0,W1,..., one a class") from error


def floats_of(option: str, text: str | None) -> tuple[float, ...]:
    """The numbers of A,B,...; none without a text. Raises ArgumentError of ``option`` where one is no number."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise ArgumentError(option, f"{text!r} are not numbers", "Give A or A,B,C, one value a channel") from error
