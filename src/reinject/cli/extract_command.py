"""Define the command ``reinject extract``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import DATASET, DataDir, Json, Overwrite, SplitSeed


def extract(
    dataset: Annotated[str, typer.Argument(help=DATASET)],
    extractor: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="FOLDER|hf:NAME|efficientnet-lite0",
            help="Folder of a classifier, trained or imported; a vision backbone; a network of ImageNet.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to make: a data set of features.")],
    layer: Annotated[
        Literal["penultimate", "output"], typer.Option(help="Input or output of the last linear layer.")
    ] = "penultimate",
    data_dir: DataDir = None,
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Turn a data set into features of a frozen network, to train and sample there."""
    from reinject.models.extract import extract as run

    outcome = run(
        dataset,
        extractor,
        out,
        layer=layer,
        data_dir=data_dir,
        split_seed=split_seed,
        overwrite=overwrite,
        progress=for_this_terminal(),
    )
    finish(outcome, as_json)
