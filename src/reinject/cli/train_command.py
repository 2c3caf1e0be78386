"""Define the command ``reinject train``."""

from dataclasses import replace
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
    Moments,
    Overwrite,
    Seed,
    SplitSeed,
    advanced,
    dataset_names,
    numbers_of,
)
from reinject.cli.table_options import (
    Categorical,
    Columns,
    Drop,
    GradientSteps,
    HeldOut,
    Target,
    given_in,
    names_of,
    place_in,
    place_of_table,
)


def train(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help=DATASET, autocompletion=dataset_names)],
    out: Annotated[Path, typer.Option(help="Folder to make, with autoencoder/ and classifier/.")],
    target: Target = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="denoising, lossy (Prop. 1), contractive or reconstruction.",
            show_default="the autoencoder's; else denoising",
        ),
    ] = None,
    autoencoder: Annotated[
        str | None,
        typer.Option(
            help="mlp-denoiser, conv-denoiser, staged-denoiser, unet, mlp, conv, mlp-residual or conv-residual.",
            show_default="the objective's; else mlp-denoiser",
        ),
    ] = None,
    lam: Annotated[float | None, advanced("lambda of lossy and contractive, squared data units.")] = None,
    sigma: Annotated[float | None, advanced("Noise of denoising (median) or lossy, data units.")] = None,
    spread: Annotated[float | None, advanced("Denoising: standard deviation of log sigma; 0: one level.")] = None,
    log_det: Annotated[str | None, advanced("Log-determinant of lossy: exact, roulette or first-order.")] = None,
    classifier: Annotated[str, typer.Option(help="mlp, conv or deep (for features).")] = "mlp",
    epochs: Annotated[
        int | None, typer.Option(help="Passes of the autoencoder over the data.", show_default="the preset's", min=1)
    ] = None,
    batch: Annotated[
        int | None, advanced("Rows in a gradient step of the autoencoder.", show_default="128", min=1)
    ] = None,
    lr: Annotated[float | None, advanced("Highest learning rate.", show_default="0.001")] = None,
    classifier_epochs: Annotated[int | None, advanced("Passes of the classifier over the data.", min=1)] = None,
    classifier_sees: Annotated[str, advanced("Training inputs: images, or half reconstructions.")] = "images",
    augment: Annotated[str, advanced("Augmentation: none, shift or mirror (and shift).")] = "none",
    only: Annotated[
        Literal["autoencoder", "classifier"] | None, typer.Option(help="Train only this network.", show_default="both")
    ] = None,
    reconstructed_by: Annotated[str | None, advanced("Models that reconstruct, for --only classifier.")] = None,
    remember: Annotated[
        Path | None,
        typer.Option(help="Old models to remember: their labelled samples join the new data.", show_default="none"),
    ] = None,
    remember_rows: Annotated[
        int | None,
        advanced(
            "Samples of every old class; of a table, rows in all.",
            show_default="those of a new class; the old table's",
            min=1,
        ),
    ] = None,
    buffer: Annotated[
        str | None, advanced("Kept rows of old data, for --remember: a data set, or a table of the same columns.")
    ] = None,
    value_range: Annotated[str, advanced("LOW,HIGH: darkest and brightest pixel.")] = "0,1",
    test: HeldOut = None,
    categorical: Categorical = None,
    drop: Drop = None,
    columns: Columns = None,
    steps: GradientSteps = None,
    device: Device = "auto",
    precision: Annotated[
        str, advanced("32-true (default), 64-true, bf16-true, bf16-mixed, ...", show_default=False)
    ] = "32-true",
    devices: Annotated[int, advanced("Devices, one process each (data parallel).", min=1)] = 1,
    moments: Moments = True,
    data_dir: DataDir = None,
    seed: Seed = 0,
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Train an autoencoder and a classifier, or the autoencoder of a table. Run again to resume."""
    from reinject.base.errors import ArgumentError
    from reinject.training.plans import AutoencoderSpec, ClassifierSpec, Remember, plan_for

    if remember is None and not (remember_rows is None and buffer is None):
        name = "--remember-rows" if buffer is None else "--buffer"
        raise ArgumentError(name, "needs old models", "Give --remember MODELS, or leave it out")
    kept = None if remember is None else Remember(str(remember), remember_rows, buffer or "")
    table = place_of_table(dataset, data_dir, given_in(context))
    if table is not None:
        from reinject.continual.remember_table import train_table_remembering
        from reinject.training.table_fit import TableSpec
        from reinject.training.table_train import TableSource, train_table

        asked = {name: value for name, value in (("steps", steps), ("batch", batch), ("lr", lr)) if value is not None}
        if kept is not None and buffer:
            kept = replace(kept, buffer=str(place_in(buffer, data_dir)))
        source = TableSource(table, target, test, names_of(categorical), names_of(drop), columns, kept)
        spec = TableSpec(**asked)  # type: ignore[arg-type]
        seeds = {"seed": seed, "split_seed": split_seed}
        place, progress = "cpu" if device == "auto" else device, for_this_terminal()
        make = train_table if kept is None else train_table_remembering
        finish(make(source, out, spec, **seeds, device=place, overwrite=overwrite, progress=progress), as_json)
        return
    from reinject.training.fabric_spec import FabricSpec
    from reinject.training.objective_options import Numbers

    if kept is None:
        from reinject.training.train import train as run
    else:
        from reinject.continual.remember import train_remembering as run

    numbers = Numbers(sigma=sigma, spread=spread, lam=lam, log_det=log_det)  # type: ignore[arg-type]
    plan = plan_for(
        dataset,
        autoencoder=AutoencoderSpec(autoencoder, objective, numbers, epochs, batch, lr),
        classifier=ClassifierSpec(classifier, classifier_epochs, classifier_sees, augment, reconstructed_by or ""),
        only=only or "",
        value_range=numbers_of("--value-range", value_range),
        seed=seed,
        split_seed=split_seed,
        remember=kept,
    )
    outcome = run(
        plan,
        out,
        data_dir=data_dir,
        device=device,
        fabric=FabricSpec(precision, devices),
        moments=moments,
        overwrite=overwrite,
        progress=for_this_terminal(),
    )
    finish(outcome, as_json)
