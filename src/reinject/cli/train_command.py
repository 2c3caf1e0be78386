"""``reinject train``."""

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
    dataset_names,
    numbers_of,
)


def train(
    dataset: Annotated[str, typer.Argument(help=DATASET, autocompletion=dataset_names)],
    out: Annotated[Path, typer.Option(help="Folder to make, with autoencoder/ and classifier/.")],
    objective: Annotated[
        str | None,
        typer.Option(
            help="denoising, lossy (Prop. 1 of the paper), contractive or reconstruction.",
            show_default="denoising, or what the autoencoder is for",
        ),
    ] = None,
    autoencoder: Annotated[
        str | None,
        typer.Option(
            help="mlp-denoiser, conv-denoiser, staged-denoiser (told the noise level; the last has convolutions for "
            "details only), mlp, conv (bottleneck), mlp-residual or conv-residual (full rank).",
            show_default="mlp-denoiser, or what the objective needs",
        ),
    ] = None,
    lam: Annotated[
        float | None,
        typer.Option(
            help="lambda of lossy and contractive, squared data units.", show_default="lossy: a quarter of the safe one"
        ),
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            help="Noise of denoising (the median level), or added to the data of lossy; data units.",
            show_default="0.12 times the distance of a typical input from the mean; 0.08 for staged-denoiser",
        ),
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(
            help="Of denoising: standard deviation of log sigma; 0 is one level.",
            show_default="0.9 for networks told the level, 1.3 for staged-denoiser, else 0",
        ),
    ] = None,
    log_det: Annotated[
        str | None,
        typer.Option(
            help="Of lossy: exact, roulette or first-order.", show_default="exact up to 16 dimensions, then first-order"
        ),
    ] = None,
    classifier: Annotated[str, typer.Option(help="mlp, conv or deep (the one to take features from).")] = "mlp",
    epochs: Annotated[
        int | None, typer.Option(help="Passes of the autoencoder over the data.", show_default="the preset's", min=1)
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Rows a gradient step of the autoencoder.", show_default="128", min=1)
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Highest learning rate of the autoencoder.", show_default="0.001")
    ] = None,
    classifier_epochs: Annotated[
        int | None, typer.Option(help="Passes of the classifier over the data.", show_default="the preset's", min=1)
    ] = None,
    classifier_sees: Annotated[
        str,
        typer.Option(
            help="images, or reconstructions (half of the images as the autoencoder gives them back), for samples that "
            "will be less sharp than the data."
        ),
    ] = "images",
    augment: Annotated[
        str, typer.Option(help="The classifier's images: none, shift (by up to 2 pixels) or mirror (and shift).")
    ] = "none",
    only: Annotated[
        Literal["autoencoder", "classifier"] | None, typer.Option(help="Train this alone.", show_default="both")
    ] = None,
    reconstructed_by: Annotated[
        str | None,
        typer.Option(
            help="With --only classifier --classifier-sees reconstructions: folder of models with the autoencoder.",
            show_default="the autoencoder that is trained",
        ),
    ] = None,
    value_range: Annotated[
        str, typer.Option(help="LOW,HIGH: values of the darkest and the brightest pixel, the data unit.")
    ] = "0,1",
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed, 16-mixed, bf16-true or 64-true.")] = "32-true",
    devices: Annotated[
        int, typer.Option(help="So many of the device, a process each: distributed data parallel.", min=1)
    ] = 1,
    moments: Moments = True,
    data_dir: DataDir = None,
    seed: Seed = 0,
    split_seed: SplitSeed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Train an autoencoder and a classifier; run again after a cut to go on from the last checkpoint."""
    from reinject.training.objective_options import Numbers
    from reinject.training.plans import plan_for
    from reinject.training.train import train as run

    plan = plan_for(
        dataset,
        seed=seed,
        split_seed=split_seed,
        autoencoder=autoencoder,
        classifier=classifier,
        objective=objective,
        numbers=Numbers(sigma=sigma, spread=spread, lam=lam, log_det=log_det),  # type: ignore[arg-type]
        epochs=epochs,
        batch=batch,
        lr=lr,
        classifier_epochs=classifier_epochs,
        sees=classifier_sees,
        augment=augment,
        only=only or "",
        reconstructed_by=reconstructed_by or "",
        value_range=numbers_of("--value-range", value_range),
    )
    outcome = run(
        plan,
        out,
        data_dir=data_dir,
        device=device,
        precision=precision,
        devices=devices,
        moments=moments,
        overwrite=overwrite,
        progress=for_this_terminal(),
    )
    finish(outcome, as_json)
