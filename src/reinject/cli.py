"""The command line: options in, jobs called, results printed; no logic of its own."""

import errno
import functools
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from reinject import __version__
from reinject.errors import ArgumentError, ReinjectError
from reinject.jobs import Outcome

app = typer.Typer(
    name="reinject",
    help="Sample from any autoencoder: a labelled synthetic data set from a trained autoencoder and classifier.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Seed = Annotated[int, typer.Option(help="Seed of all randomness; same seed, same result.", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run of this command left there.")]
DataDir = Annotated[
    str | None, typer.Option(help="Where to look for data sets first.", show_default="the variable REINJECT_DATA")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
DATASET = "digits, mnist, fashion_mnist, cifar10, cifar100, a hub name (owner/name), or a folder of Parquet or images."

_DISK = (  # what a user's choice of folder, or a full disk, can cause
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
)


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Turn every failure that a user can cause into one sentence on standard error and an exit status that is not 0."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            _fail("interrupted. What is finished is kept; run the same command again to go on.", 130)
        except ReinjectError as error:
            _fail(str(error), 1)
        except OSError as error:
            if error.errno not in _DISK:
                raise
            place = error.filename or "the output folder"
            why = os.strerror(error.errno)
            _fail(f"{place}: {why}. Free space or choose another --out, then run the same command again.", 1)

    return run


def _fail(sentence: str, status: int) -> None:
    print(f"reinject: {sentence}", file=sys.stderr)
    raise typer.Exit(status)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Sample from any autoencoder."""
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
@_guarded
def demo(
    out: Annotated[Path, typer.Option(help="Folder to make: models, archives, figures, metrics.json, report.html.")],
    seed: Seed = 0,
    seeds: Annotated[int, typer.Option(help="Students a size, for the bands.", min=1)] = 3,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """From scikit-learn's digits to a report: train, sample (default preset and the paper's), judge, draw."""
    from reinject.jobs.demo import DemoPlan
    from reinject.jobs.demo import demo as run
    from reinject.jobs.train import TrainPlan

    plan = DemoPlan(TrainPlan("digits", seed=seed), seeds=seeds)
    outcome = run(plan, out, overwrite=overwrite, progress=_progress())
    _finish(outcome, as_json)


@app.command()
@_guarded
def train(
    dataset: Annotated[str, typer.Argument(help=DATASET)],
    out: Annotated[Path, typer.Option(help="Folder to make, with autoencoder/ and classifier/.")],
    autoencoder: Annotated[
        str, typer.Option(help="mlp-denoiser, conv-denoiser (told the noise level), mlp or conv (bottleneck).")
    ] = "mlp-denoiser",
    classifier: Annotated[str, typer.Option(help="mlp or conv.")] = "mlp",
    epochs: Annotated[
        int | None, typer.Option(help="Passes of the autoencoder over the data.", show_default="the preset's", min=1)
    ] = None,
    classifier_epochs: Annotated[
        int | None, typer.Option(help="Passes of the classifier over the data.", show_default="the preset's", min=1)
    ] = None,
    value_range: Annotated[
        str, typer.Option(help="LOW,HIGH: values of the darkest and the brightest pixel, the data unit.")
    ] = "0,1",
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed, 16-mixed, bf16-true or 64-true.")] = "32-true",
    data_dir: DataDir = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Train an autoencoder and a classifier; run again after a cut to go on from the last checkpoint."""
    from reinject.jobs.train import plan_for
    from reinject.jobs.train import train as run

    plan = plan_for(
        dataset,
        seed=seed,
        autoencoder=autoencoder,
        classifier=classifier,
        epochs=epochs,
        classifier_epochs=classifier_epochs,
        value_range=_numbers("--value-range", value_range),
    )
    outcome = run(
        plan, out, data_dir=data_dir, device=device, precision=precision, overwrite=overwrite, progress=_progress()
    )
    _finish(outcome, as_json)


@app.command()
@_guarded
def sample(
    models: Annotated[
        list[Path],
        typer.Argument(help="Folders that reinject train made; with several, walks share their autoencoders."),
    ],
    out: Annotated[Path, typer.Option(help="Folder to make: Parquet shards, manifest, data set card.")],
    preset: Annotated[
        str | None, typer.Option(help="default (the best that we know) or paper (Algorithm 1 as printed).")
    ] = None,
    walks: Annotated[int, typer.Option(help="Number of walks, N_s.")] = 10_000,
    steps: Annotated[int | None, typer.Option(help="Steps a walk, R.", show_default="the preset's")] = None,
    burn_in: Annotated[
        int | None, typer.Option(help="First states left out, x_0 included.", show_default="the preset's")
    ] = None,
    thin: Annotated[
        int | None,
        typer.Option(
            help="Keep every so many-th state after the burn-in.",
            show_default="the preset's; 1 with --steps or --burn-in",
        ),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(help="langevin or ancestral.", show_default="the preset's; langevin with --lam or --noise"),
    ] = None,
    lam: Annotated[
        float | None, typer.Option(help="lambda of the langevin kernel, squared data units.", show_default="0.1")
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(help="Of the langevin kernel: matched (sqrt(lambda)), printed (lambda), or a number, data units."),
    ] = None,
    emit: Annotated[
        str | None, typer.Option(help="What is kept: state or reconstruction.", show_default="the preset's")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="normal, normal:STD, uniform or uniform:LOW:HIGH, data units.", show_default="the preset's"),
    ] = None,
    store: Annotated[str, typer.Option(help="uint8 (levels of the value range) or float (as they are).")] = "uint8",
    block_size: Annotated[int, typer.Option(help="Walks a block; part of what samples are a function of.")] = 1024,
    chunk: Annotated[
        int | None, typer.Option(help="Most points in one call of the network, to save memory.", show_default="a block")
    ] = None,
    device: Device = "cpu",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Walk, label, write a labelled synthetic data set; run again after a cut to go on."""
    from reinject.jobs.sample import load_models
    from reinject.jobs.sample import sample_models as run
    from reinject.presets import choose

    name, settings = choose(
        preset, kernel, steps=steps, burn_in=burn_in, thin=thin, lam=lam, noise=_noise(noise), emit=emit, start=start
    )
    outcome = run(
        load_models(models, device),
        out,
        name,
        settings,
        walks=walks,
        seed=seed,
        block_size=block_size,
        store=store,
        chunk=chunk,
        overwrite=overwrite,
        progress=_progress(),
    )
    _finish(outcome, as_json)


@app.command()
@_guarded
def evaluate(
    synthetic: Annotated[Path, typer.Argument(help="Folder that reinject sample made.")],
    against: Annotated[str, typer.Option(help=f"The real data: {DATASET}")],
    models: Annotated[
        Path | None, typer.Option(help="Folder with the classifier that labelled.", show_default="as the manifest says")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to make: metrics.json, figures, report.html.", show_default="none")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Students a size.", min=1)] = 3,
    most: Annotated[int, typer.Option(help="Synthetic samples read at most.", min=1)] = 300_000,
    device: Device = "cpu",
    data_dir: DataDir = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Say how far the samples can stand in for the real data: ratio and skill, with their controls."""
    from reinject.jobs.evaluate import evaluate as run

    outcome = run(
        synthetic,
        against,
        models=models,
        data_dir=data_dir,
        seeds=seeds,
        most=most,
        seed=seed,
        device=device,
        out=out,
        overwrite=overwrite,
        progress=_progress(),
    )
    _finish(outcome, as_json)


def _progress() -> Any:
    from reinject.progress import for_this_terminal

    return for_this_terminal()


def _numbers(option: str, text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ArgumentError(option, f"{text!r} is not two numbers", "Give LOW,HIGH, such as -1,1") from error
    return low, high


def _noise(text: str | None) -> str | float | None:
    if text is None or text in ("matched", "printed"):
        return text
    try:
        return float(text)
    except ValueError as error:
        raise ArgumentError("--noise", f"{text!r}", "Give matched, printed or a number >= 0") from error


def _finish(outcome: Outcome, as_json: bool) -> None:
    print(json.dumps(outcome.result, indent=1) if as_json else "\n".join(outcome.lines))


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries; the failure itself is ours to tell
    app()
