"""Define the command ``reinject evaluate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from reinject.base.progress import for_this_terminal
from reinject.cli.app import finish
from reinject.cli.options import (
    DATASET,
    DataDir,
    Device,
    Json,
    Judge,
    MadeBy,
    Overwrite,
    Seed,
    SplitSeed,
    Students,
    Synthetic,
    advanced,
    dataset_names,
)


def evaluate(
    synthetic: Synthetic,
    against: Annotated[str, typer.Option(help=f"The real data: {DATASET}", autocompletion=dataset_names)],
    judge: Judge = None,
    features: Annotated[
        str | None,
        advanced("Features to compare: penultimate, outputs, pixels, pca, convolutions, a folder."),
    ] = None,
    student: Annotated[
        Literal["mlp", "cnn", "logistic", "knn", "boosting"],
        advanced("Student for the utility: mlp, cnn, logistic, knn or boosting.", metavar="KIND"),
    ] = "mlp",
    models: MadeBy = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to make: metrics.json, figures, report.html.", show_default="none")
    ] = None,
    seeds: Students = 3,
    most: Annotated[int, advanced("Most synthetic samples to read.", min=1)] = 300_000,
    shadows: Annotated[
        bool, advanced("Train 8 shadow autoencoders for a likelihood-ratio attack.", "--shadows")
    ] = False,
    device: Device = "cpu",
    data_dir: DataDir = None,
    seed: Seed = 0,
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Evaluate samples against real data: utility, coverage, copies, attacks."""
    from reinject.evaluation.evaluate_spec import EvaluateSpec
    from reinject.report.evaluated import evaluate as run

    spec = EvaluateSpec(
        judge or (),
        features,
        student,
        seeds,
        most,
        seed=seed,
        split_seed=split_seed,
        shadows=shadows,
        device=device,
        data_dir=data_dir,
    )
    outcome = run(
        synthetic,
        against,
        spec=spec,
        models=models or (),
        out=out,
        overwrite=overwrite,
        progress=for_this_terminal(),
    )
    finish(outcome, as_json)
