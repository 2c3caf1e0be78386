"""Declare options of ``reinject sample`` for walks, classes and constraints."""

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
        help="auto (pilot walks choose), default, paper (Algorithm 1), or a file of reinject tune.",
        show_default="auto",
        autocompletion=lambda: ["auto", "default", "paper"],
    ),
]
Data = Annotated[
    str | None,
    typer.Option(help="Real data, if available (see reinject train --help). Walks begin among its codes."),
]
Walks = Annotated[
    int | None,
    typer.Option(help="Number of walks, N_s.", show_default="for 100,000 samples, or 10,000 rows of a table"),
]
Rows = Annotated[int | None, typer.Option(help="Number of samples before filters, in place of --walks.")]
KernelName = Annotated[
    str | None,
    typer.Option(
        help="Transition of the walks; reinject kernels lists them.",
        show_default="the preset's",
        autocompletion=kernel_names,
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(help="Classes to sample in turn: A,B,... by name or number; all balances them."),
]
Passes = Annotated[int | None, _walk("Calls of r for a sample, >= 2; chooses a walk.")]
Steps = Annotated[int | None, _walk("Steps in a walk, R.")]
BurnIn = Annotated[int | None, _walk("First states to leave out, x_0 included.")]
Thin = Annotated[int | None, _walk("Keep every n-th state; 1 with --steps or --burn-in.")]
Emitted = Annotated[str | None, _walk("What to keep: state or reconstruction.")]
Begin = Annotated[str | None, _walk("Start: normal, uniform, data:SET, fitted:SET, archive:FOLDER, points:FILE.")]
Box = Annotated[str | None, _walk("LOW,HIGH: bounds that reflect walks, data units.")]
Limit = Annotated[float | None, _walk("Stop walks that exceed this |value|, data units.")]
Latent = Annotated[bool | None, _walk("Walk among the codes of an autoencoder.", "--latent/--no-latent")]
Guidance = Annotated[float | None, _held("Weight of the classifier for --classes.")]
Known = Annotated[str | None, _held("Images to complete: an image, a .npy file, or a DATASET's test images.")]
Mask = Annotated[str | None, _held("Known values of --known: an image, a .npy file, or ROWS,COLUMNS (0:14,:).")]
Given = Annotated[
    str | None,
    _held("Of a table: COLUMN=VALUE,COLUMN=LOW:HIGH,... in every row."),
]
Measured = Annotated[str | None, _held("A .npz file with matrix (k, n) and values (k,): constrain M x = b.")]
