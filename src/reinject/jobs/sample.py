"""``reinject sample``: walk trained autoencoders, label what they visit, write the archive."""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reinject import archive
from reinject.bundle import Bundle, as_reconstruction, load
from reinject.errors import ModelError, check_count
from reinject.jobs import Outcome
from reinject.presets import Settings
from reinject.progress import Progress, Silent
from reinject.reconstruction import Ensemble
from reinject.samples import LabelledSamples, Storage
from reinject.synthesis import synthesise
from reinject.training import make_fabric
from reinject.walks import BLOCK, block_count


@dataclass(frozen=True)
class Models:
    """One or more autoencoders of one kind of input, and the classifier that labels."""

    autoencoders: tuple[Bundle, ...]
    classifier: Bundle

    def ensemble(self, lam: float, chunk: int | None = None) -> Ensemble:
        """The autoencoders as one r."""
        return Ensemble(tuple(as_reconstruction(bundle, lam, chunk) for bundle in self.autoencoders))


def load_models(folders: Sequence[Path], device: str = "cpu") -> Models:
    """Read FOLDER/autoencoder of every folder, and the classifier of the first.

    Raises:
        ModelError: a folder is not as ``reinject train`` makes it, or the models have different inputs.
    """
    place = make_fabric(device).device
    for folder in folders:
        if not folder.is_dir():
            raise ModelError(str(folder), "no such folder of models", "Make one with reinject train")
    autoencoders = tuple(load(folder / "autoencoder", place) for folder in folders)
    classifier = load(folders[0] / "classifier", place)
    wanted = classifier.network.inputs
    for bundle in autoencoders:
        inputs = bundle.network.inputs
        if (inputs.shape, inputs.low, inputs.high) != (wanted.shape, wanted.low, wanted.high):
            raise ModelError(
                str(bundle.folder),
                f"takes inputs {inputs.shape} in {inputs.low}..{inputs.high}, the classifier {wanted.shape} in "
                f"{wanted.low}..{wanted.high}",
                "Give models that were trained on the same data",
            )
    return Models(autoencoders, classifier)


def sample(
    models: Models,
    out: Path,
    preset: str,
    settings: Settings,
    *,
    walks: int = 10_000,
    seed: int = 0,
    block_size: int = BLOCK,
    store: str = "uint8",
    chunk: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Write the archive that models, settings and seed determine, going on with an earlier run that was cut.

    Returns:
        The folder, counts, seconds, samples a second.

    Raises:
        ReinjectError: a parameter out of range, the output holds something, a model cannot be used.
    """
    check_count("sample", "walks", walks)
    progress = progress or Silent()
    r = models.ensemble(settings.lam, chunk)
    inputs = models.classifier.network.inputs
    radius = models.autoencoders[0].network.inputs.radius
    kernel, start = settings.build(r, radius)
    storage = Storage(store, inputs.low, inputs.high)

    def make_block(number: int | None) -> Iterable[LabelledSamples]:
        return synthesise(
            kernel,
            start,
            models.classifier.network,
            inputs.shape,
            walks=walks,
            steps=settings.steps,
            burn_in=settings.burn_in,
            thin=settings.thin,
            seed=seed,
            block_size=block_size,
            emit=settings.emit,
            storage=storage,
            models=len(r.members),
            blocks=None if number is None else [number],
            device=r.device,
        )

    make_block(None)  # checks the numbers before anything is written
    plan = archive.Plan(
        event_shape=inputs.shape,
        class_names=inputs.class_names,
        storage=storage,
        blocks=block_count(walks, block_size),
        parameters={
            "preset": preset,
            "kernel": repr(kernel),
            "start": repr(start),
            "walks": walks,
            "steps": settings.steps,
            "burn_in": settings.burn_in,
            "thin": settings.thin,
            "emit": settings.emit,
            "seed": seed,
            "block_size": block_size,
        },
        models={
            "autoencoders": [_described(bundle, out) for bundle in models.autoencoders],
            "classifier": _described(models.classifier, out),
        },
    )
    rows = walks * len(range(settings.burn_in, settings.steps + 1, settings.thin))
    began = time.monotonic()
    with progress.task("sampling", rows, "samples") as advance:
        archive.write(out, plan, make_block, overwrite=overwrite, on_rows=advance)
    seconds = time.monotonic() - began
    counts = archive.Archive.open(out).manifest["counts"]
    result = {
        "archive": str(out),
        "preset": preset,
        "rows": counts["rows"],
        "per_class": dict(zip(inputs.class_names, counts["per_class"], strict=True)),
        "clipped_values": counts["clipped_values"],
        "stopped_walks": counts["stopped_walks"],
        "seconds": round(seconds, 2),
        "samples_per_second": round(counts["rows"] / seconds),
    }
    lines = [
        f"{result['rows']:,} labelled samples in {out}, {result['samples_per_second']:,} a second",
        f"{result['stopped_walks']} walks stopped as non-finite, {result['clipped_values']:,} values clipped",
        f"Next: reinject evaluate {out} --against DATASET",
    ]
    return Outcome(result, lines)


def _described(bundle: Bundle, out: Path) -> dict[str, str]:
    return {
        "folder": Path(os.path.relpath(bundle.folder, out)).as_posix(),  # so that both can be moved together
        "architecture": type(bundle.network).__name__,
        "sha256": bundle.sha256,
    }
