"""``reinject sample``: walk trained autoencoders, label what they visit, write the archive."""

import functools
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reinject import archive
from reinject.bundle import Bundle, as_reconstruction, load
from reinject.errors import ModelError, check_count
from reinject.execution import Execution
from reinject.jobs import Outcome
from reinject.jobs.workers import MakeBlock, in_processes
from reinject.presets import PRESETS, Held, Settings, Walker
from reinject.progress import Progress, Silent, histogram
from reinject.reconstruction import Ensemble, Reconstruction
from reinject.samples import Storage
from reinject.starts import Start
from reinject.synthesis import Classifier, ready, synthesise
from reinject.training import make_fabric
from reinject.walks import BLOCK, block_count


@dataclass(frozen=True)
class Models:
    """One or more autoencoders of one kind of input, and the classifier that labels."""

    autoencoders: tuple[Bundle, ...]
    classifier: Bundle

    def ensemble(self, execution: Execution | None = None) -> Ensemble:
        """The autoencoders as one r; where a kernel sets no noise level, they are held at that of lambda = 0.1."""
        return Ensemble(tuple(as_reconstruction(bundle, 0.1, execution) for bundle in self.autoencoders))


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
    r: Reconstruction | Ensemble,
    C: Classifier,
    out: Path | str,
    *,
    class_names: Sequence[str],
    preset: str = "paper",
    settings: Settings | None = None,
    radius: float = 1.0,
    value_range: tuple[float, float] = (0.0, 1.0),
    walks: int = 10_000,
    seed: int = 0,
    block_size: int = BLOCK,
    store: str = "uint8",
    described: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    start: Start | None = None,
    held: Held | None = None,
    run: archive.Run | None = None,
) -> Outcome:
    """Write the archive that r, C, settings and seed determine, going on with an earlier run that was cut.

    Arguments:
        r: the autoencoder, or an ensemble of them.
        C: the classifier that labels, x of shape (B, *event) -> logits (B, classes).
        out: folder to make.
        class_names: of the classifier's outputs.
        preset: name of the settings, for the manifest; and the settings, where none are given.
        settings: kernel, start and what is kept; default: those of the preset.
        radius: distance of a typical training input from their mean, data units; scales the ancestral kernel.
        value_range: values of levels 0 and 255 of what is stored, data units.
        walks: number of walks, >= 1.
        seed: of all randomness, >= 0.
        block_size: walks a block, >= 1; a block is a shard.
        store: "uint8" (levels of the value range) or "float" (as they are).
        described: what the manifest says of the models, JSON values; a part of what a run that goes on must agree in.
        overwrite: replace an archive at ``out``.
        progress: who is told.
        start: where walks begin, in place of the settings' start.
        held: wraps the kernel, to put back what is known: ``functools.partial(Clamped, known=..., mask=...)``.
        run: makes the shards in other processes (see :mod:`reinject.jobs.workers`).

    Returns:
        The folder, counts, seconds, samples a second.

    Raises:
        ReinjectError: a parameter out of range, the output holds something, a model cannot be used.

    Example:
        >>> import tempfile
        >>> from reinject import wrap
        >>> r = wrap(lambda x: 0.9 * x, (1, 8, 8))
        >>> C = lambda x: x.flatten(1)[:, :2]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sample(r, C, folder + "/set", class_names=("dark", "light"), walks=100).result["rows"]
        900
    """
    check_count("sample", "walks", walks)
    out = Path(out)
    progress = progress or Silent()
    settings = settings or PRESETS[preset]
    whole = r if isinstance(r, Ensemble) else Ensemble((r,))
    storage = Storage(store, *value_range)
    extent = Extent(walks, seed, block_size)
    C = ready(C, whole.device)
    make_block, walker = _maker(whole, C, settings, extent, storage, radius, start, held)
    parameters = {
        "preset": preset,
        "kernel": repr(walker.kernel),
        "start": repr(walker.start),
        "walks": walks,
        "steps": settings.steps,
        "burn_in": settings.burn_in,
        "thin": settings.thin,
        "emit": settings.emit,
        "settings": json.loads(json.dumps(settings.as_json())),
        "seed": seed,
        "block_size": block_size,
    }
    names = tuple(class_names)
    plan = archive.Plan(
        whole.event_shape, names, storage, block_count(walks, block_size), parameters, dict(described or {})
    )
    rows = walks * len(range(settings.burn_in, settings.steps + 1, settings.thin))
    began = time.monotonic()
    per_class = [0] * len(names)

    def on_shard(entry: dict[str, Any]) -> None:
        per_class[:] = [a + b for a, b in zip(per_class, entry["per_class"], strict=True)]
        progress.note(f"classes |{histogram(per_class)}|")

    with progress.task("sampling", rows, "samples") as advance:
        archive.write(out, plan, make_block, overwrite=overwrite, on_rows=advance, on_shard=on_shard, run=run)
    return _outcome(out, preset, names, time.monotonic() - began)


@dataclass(frozen=True)
class Extent:
    """How many walks, from which seed, in blocks of which size."""

    walks: int
    seed: int
    block_size: int


def _maker(
    r: Ensemble,
    C: Classifier,
    settings: Settings,
    extent: Extent,
    storage: Storage,
    radius: float,
    start: Start | None,
    held: Held | None,
) -> tuple[MakeBlock, Walker]:
    """What makes the rows of a block, after a look at whether it can."""
    walker = settings.build(r, radius, start=start, classifier=C, held=held)
    make = functools.partial(
        synthesise,
        walker.kernel,
        walker.start,
        C,
        walker.event_shape,
        walks=extent.walks,
        steps=settings.steps,
        burn_in=settings.burn_in,
        thin=settings.thin,
        seed=extent.seed,
        block_size=extent.block_size,
        emit=settings.emit,
        limit=settings.limit,
        seen=walker.seen,
        storage=storage,
        models=len(r.members),
        device=r.device,
    )
    make()  # checks the numbers before anything is written
    return lambda number: make(blocks=[number]), walker


def _prepare(
    autoencoders: Sequence[Path], classifier: Path, device: str, execution: Execution, *rest: Any
) -> MakeBlock:
    """As :func:`_maker`, in a worker process, which reads the models itself."""
    models = Models(tuple(load(folder, device) for folder in autoencoders), load(classifier, device))
    return _maker(models.ensemble(execution), models.classifier.network, *rest)[0]


def _outcome(out: Path, preset: str, names: tuple[str, ...], seconds: float) -> Outcome:
    counts = archive.Archive.open(out).manifest["counts"]
    result = {
        "archive": str(out),
        "preset": preset,
        "rows": counts["rows"],
        "per_class": dict(zip(names, counts["per_class"], strict=True)),
        "clipped_values": counts["clipped_values"],
        "stopped_walks": counts["stopped_walks"],
        "strayed_walks": counts["strayed_walks"],
        "seconds": round(seconds, 2),
        "samples_per_second": round(counts["rows"] / seconds),
    }
    lines = [
        f"{result['rows']:,} labelled samples in {out}, {result['samples_per_second']:,} a second",
        f"{result['stopped_walks']} walks stopped as non-finite, {result['strayed_walks']} as out of range, "
        f"{result['clipped_values']:,} values clipped",
        f"Next: reinject evaluate {out} --against DATASET",
    ]
    return Outcome(result, lines)


def sample_models(
    models: Models,
    out: Path,
    preset: str,
    settings: Settings,
    *,
    execution: Execution | None = None,
    workers: int | None = None,
    start: Start | None = None,
    held: Held | None = None,
    walks: int = 10_000,
    seed: int = 0,
    block_size: int = BLOCK,
    store: str = "uint8",
    **options: Any,
) -> Outcome:
    """As :func:`sample`, for models on disk, which say themselves what their inputs mean.

    Arguments:
        models: from :func:`load_models`.
        out, preset, settings, start, held, walks, seed, block_size, store, options: as for :func:`sample`.
        execution: how the autoencoders are run; part of what a run that goes on must agree in.
        workers: processes of one thread each; None: this process, with torch's threads. The archive is the same.
    """
    inputs = models.classifier.network.inputs
    radius, value_range = models.autoencoders[0].network.inputs.radius, (inputs.low, inputs.high)
    described = {
        "autoencoders": [_described(bundle, out) for bundle in models.autoencoders],
        "classifier": _described(models.classifier, out),
    }
    run = None
    if workers is not None:
        place = str(next(models.classifier.network.parameters()).device)
        folders = [bundle.folder for bundle in models.autoencoders]
        rest = (settings, Extent(walks, seed, block_size), Storage(store, *value_range), radius, start, held)
        prepare = functools.partial(_prepare, folders, models.classifier.folder, place, execution or Execution(), *rest)
        run = in_processes(workers, prepare)
    return sample(
        models.ensemble(execution),
        models.classifier.network,
        out,
        class_names=inputs.class_names,
        preset=preset,
        settings=settings,
        radius=radius,
        value_range=value_range,
        described=described,
        start=start,
        held=held,
        run=run,
        walks=walks,
        seed=seed,
        block_size=block_size,
        store=store,
        **options,
    )


def _described(bundle: Bundle, out: Path) -> dict[str, str]:
    return {
        "folder": Path(os.path.relpath(bundle.folder, out)).as_posix(),  # so that both can be moved together
        "architecture": type(bundle.network).__name__,
        "sha256": bundle.sha256,
    }
