"""Options of ``reinject sample`` that say what a walk is, and what is asked for or known of its samples."""

from typing import Annotated, Any

import typer

from reinject.cli.options import HELD, WALK, advanced, kernel_names


def _walk(text: str, *flags: str) -> Any:
    return advanced(text, *flags, panel=WALK, show_default=False)


def _held(text: str, **rest: Any) -> Any:
    return advanced(text, panel=HELD, show_default=False, **rest)


Preset = Annotated[
    str | None,
    typer.Option(
        help="auto (chosen by pilot walks), default, paper (Algorithm 1), or a file of reinject tune.",
        show_default="auto",
        autocompletion=lambda: ["auto", "default", "paper"],
    ),
]
Data = Annotated[
    str | None,
    typer.Option(help="Real data, if at hand (see reinject train --help): walks begin among its codes."),
]
Walks = Annotated[int | None, typer.Option(help="Number of walks, N_s.", show_default="10000")]
Rows = Annotated[int | None, typer.Option(help="Number of samples before filters, in place of --walks.")]
KernelName = Annotated[
    str | None,
    typer.Option(
        help="The transition; reinject kernels lists them.", show_default="the preset's", autocompletion=kernel_names
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(help="Ask for classes: A,B,... by name or number, walk after walk, or all, which balances."),
]
Steps = Annotated[int | None, _walk("Steps a walk, R.")]
BurnIn = Annotated[int | None, _walk("First states left out, x_0 included.")]
Thin = Annotated[int | None, _walk("Keep every so many-th state; 1 with --steps or --burn-in.")]
Emitted = Annotated[str | None, _walk("What is kept: state or reconstruction.")]
Begin = Annotated[str | None, _walk("normal, uniform, data:SET, fitted:SET, archive:FOLDER or points:FILE.")]
Box = Annotated[str | None, _walk("LOW,HIGH: reflect walks there, data units.")]
Limit = Annotated[float | None, _walk("Stop walks beyond this |value|, data units.")]
Latent = Annotated[bool | None, _walk("Walk among the codes of an autoencoder.", "--latent/--no-latent")]
Guidance = Annotated[float | None, _held("Weight of the classifier for --classes.")]
Known = Annotated[str | None, _held("Images to fill in: an image, a .npy file, or a DATASET's test images.")]
Mask = Annotated[str | None, _held("Which values of --known: an image, a .npy file, or ROWS,COLUMNS (0:14,:).")]
Measured = Annotated[str | None, _held("A .npz file with matrix (k, n) and values (k,): hold M x = b.")]
