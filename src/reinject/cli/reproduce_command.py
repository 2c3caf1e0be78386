"""Define the command ``reinject reproduce``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import DataDir, Device, Json, Seed


def reproduce(
    targets: Annotated[
        list[str],
        typer.Argument(help="figure1, figure2, figure3, curves, table, or all of these; replay; generations; tables."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results; finished ones are kept.")] = Path("results"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Experiment of curves and table: digits, mnist, fashion_mnist, "
            "cifar10-features, cifar100-own-features, cifar100-features, cifar10-pixels, cifar10-pixels-untold. "
            "Protocol of replay: split-digits, split-mnist, split-fashion_mnist, split-cifar10-features, "
            "split-cifar100-features, split-cifar100-efficientnet, cancer-textures, adult-occupations. "
            "Set of tables: adult, default, magic, beijing. "
            "Repeatable.",
            show_default="all but those of digits, cancer and efficientnet",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds of networks, walks, peers and students.", min=1)] = 3,
    samples: Annotated[int, typer.Option(help="Samples in each synthetic set.", min=1)] = 90_000,
    precision: Annotated[
        str, typer.Option(help="Precision of networks and walks: 32-true, bf16-mixed or 16-mixed.")
    ] = "32-true",
    student: Annotated[
        Literal["mlp", "cnn", "logistic", "knn", "boosting"],
        typer.Option(help="Kind of the students; cnn sees details of images.", metavar="KIND"),
    ] = "mlp",
    device: Device = "cpu",
    data_dir: DataDir = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Reproduce the paper's figures and claim, protocols of replay, and tables, beside peers."""
    from reinject.experiments.experiment_spec import ExperimentSpec
    from reinject.experiments.reproduce import reproduce as run

    result = run(
        targets,
        out,
        only=only or (),
        spec=ExperimentSpec(seeds, samples, precision, device, seed, student),
        data_dir=data_dir,
        progress=for_this_terminal(),
    )
    finish(result, as_json)
