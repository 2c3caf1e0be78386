"""Define the command ``reinject evaluate``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

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
from reinject.cli.table_options import Categorical, HeldOut, names_of


def evaluate(
    synthetic: Synthetic,
    against: Annotated[
        str, typer.Option("--against", "--data", help=f"The real data: {DATASET}", autocompletion=dataset_names)
    ],
    target: Annotated[
        str | None, typer.Option(help="Of a file of rows: the column to predict.", show_default="none")
    ] = None,
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
    test: HeldOut = None,
    categorical: Categorical = None,
    seed: Seed = 0,
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Evaluate samples against real data: utility, coverage, copies, attacks. SYNTHETIC may be a file of rows."""
    from reinject.base.errors import ArgumentError
    from reinject.data.table_files import is_table
    from reinject.evaluation.evaluate_spec import EvaluateSpec
    from reinject.report.evaluated import evaluate as run
    from reinject.report.evaluated import table_place, table_spec_of
    from reinject.report.table_evaluated import evaluate_rows, evaluate_table
    from reinject.report.table_report import holds_table

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
    how: dict[str, Any] = {"test": test, "out": out, "overwrite": overwrite, "progress": for_this_terminal()}
    if synthetic.is_file() or (not synthetic.exists() and is_table(synthetic)):
        asked = replace(table_spec_of(spec, models or ()), categorical=names_of(categorical))
        finish(evaluate_rows(synthetic, table_place(against, data_dir), target, asked, **how), as_json)
        return
    for name, value in (("target", target), ("categorical", categorical)):
        if value is not None:
            raise ArgumentError(f"--{name}", f"is for a file of rows, and {synthetic} is none", "Leave it out")
    if holds_table(synthetic):
        real = table_place(against, data_dir)
        finish(evaluate_table(synthetic, real, table_spec_of(spec, models or ()), **how), as_json)
        return
    if test is not None:
        raise ArgumentError("--test", f"is for table rows, and {synthetic} holds none", "Leave it out")
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
