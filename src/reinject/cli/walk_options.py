"""Options of ``reinject sample`` that say what a walk is, and what is asked for or known of its samples."""

from typing import Annotated

import typer

from reinject.cli.options import DATASET, HELD, WALK, kernel_names

Preset = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=WALK,
        help="auto (chosen by pilot walks), default (for noise-conditioned networks), paper (Algorithm 1 as "
        "printed), or a file of reinject tune.",
        show_default="auto",
        autocompletion=lambda: ["auto", "default", "paper"],
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=WALK,
        help=f"Real data, if it is at hand: walks begin where the codes of its training rows lie. {DATASET}",
    ),
]
Steps = Annotated[int | None, typer.Option(rich_help_panel=WALK, help="Steps a walk, R.", show_default="the preset's")]
BurnIn = Annotated[
    int | None,
    typer.Option(rich_help_panel=WALK, help="First states left out, x_0 included.", show_default="the preset's"),
]
Thin = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=WALK,
        help="Keep every so many-th state after the burn-in.",
        show_default="the preset's; 1 with --steps or --burn-in",
    ),
]
KernelName = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=WALK,
        help="The transition; reinject kernels lists them.",
        show_default="the preset's",
        autocompletion=kernel_names,
    ),
]
Emitted = Annotated[
    str | None,
    typer.Option(rich_help_panel=WALK, help="What is kept: state or reconstruction.", show_default="the preset's"),
]
Begin = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=WALK,
        help="normal, normal:STD, uniform, uniform:LOW:HIGH (data units), data:DATASET (training points), "
        "fitted:DATASET (a Gaussian fitted to them), archive:FOLDER (go on where its walks ended) or points:FILE "
        "(an image, or a .npy file of points).",
        show_default="the preset's",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=HELD,
        help="Ask for classes: names or numbers, A,B,... for walk after walk, or all, which balances.",
    ),
]
Guidance = Annotated[
    float | None,
    typer.Option(rich_help_panel=HELD, help="Weight of the classifier.", show_default="the preset's"),
]
Box = Annotated[
    str | None,
    typer.Option(rich_help_panel=WALK, help="LOW,HIGH: reflect walks there, data units.", show_default="no walls"),
]
Limit = Annotated[
    float | None,
    typer.Option(rich_help_panel=WALK, help="Stop walks beyond this |value|, data units.", show_default="none"),
]
Latent = Annotated[
    bool | None,
    typer.Option(
        "--latent/--no-latent",
        rich_help_panel=WALK,
        help="Walk among the codes of an autoencoder that has an encoder.",
        show_default="the preset's",
    ),
]
Known = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=HELD,
        help="What is known, to be filled in: an image, a .npy file (one or many), a DATASET's test images; walk "
        "k of a block has the k-th.",
    ),
]
Mask = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=HELD,
        help="Which values of it: an image (bright), a .npy file, or ROWS,COLUMNS such as 0:14,:",
    ),
]
Measured = Annotated[
    str | None,
    typer.Option(rich_help_panel=HELD, help="A .npz file with matrix (k, n) and values (k,): hold M x = b."),
]
Walks = Annotated[int | None, typer.Option(rich_help_panel=WALK, help="Number of walks, N_s.", show_default="10000")]
Rows = Annotated[
    int | None,
    typer.Option(
        rich_help_panel=WALK, help="Number of samples before filters, in place of --walks.", show_default="by --walks"
    ),
]
