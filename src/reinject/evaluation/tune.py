"""Find a kernel and its noise for an unknown autoencoder: ``reinject tune``."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from reinject.archive.request import asked_for, made_already
from reinject.base.errors import ArchiveError, ArgumentError, DataError, ModelError, check_count
from reinject.base.files import fingerprint, write_json
from reinject.base.outcome import Outcome, command_line
from reinject.base.progress import Progress, Silent
from reinject.data import Dataset
from reinject.data.sample_tables import Table
from reinject.evaluation.candidates import Bench, Candidate, candidates
from reinject.models.codes import codes_of
from reinject.models.loading import Models, check_space, levels_of
from reinject.sampling.choosing import asked_of, read_settings
from reinject.sampling.data_starts import by_class
from reinject.sampling.pilot import WALKS
from reinject.sampling.presets import Settings
from reinject.sampling.summary import BROKEN
from reinject.score import estimate_lam
from reinject.walks.starts import Start

_METHODS: tuple[Literal["matched", "effective"], ...] = ("matched", "effective")  # the more reliable method first
_BEST = 6  # candidates with students
_REAL = 5_000  # most images for the test of students
_SHOWN = 10  # rows of the table


def check_tunable(models: Models) -> None:
    """Raise ArgumentError for models of a table."""
    if models.table is not None:
        cure = "Sample with several --passes N, and compare the archives by reinject evaluate ARCHIVE --against TABLE"
        raise ArgumentError("tune", "ranks walks of images and vectors, not of table rows", cure)


def tune(
    models: Models,
    *,
    dataset: Dataset | None = None,
    walks: int = WALKS,
    seed: int = 0,
    out: Path | None = None,
    overwrite: bool = False,
    data_dir: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Try kernels and noises on a few walks each. Rank them by verdict, then by merit or by utility.

    Without data, the merit of :func:`reinject.walks.verdict.merit` prefers samples of all classes with a certain label.
    Merit cannot tell whether samples look like data. With data, students train on samples of the best six candidates
    whose verdict is not "broken": up to 5,000 samples, from 20,000 steps in all. The utility is a student's accuracy on
    up to 5,000 training images. A candidate is dropped as soon as more than half of its walks diverge.

    Arguments:
        models: result of :func:`reinject.models.loading.load_models`.
        dataset: real data with the models' shape and classes, under its name for ``sample``.
        walks: walks for each candidate, >= 16.
        seed: seed of all randomness.
        out: JSON file for the best settings, for ``reinject sample --preset FILE``; default: no file.
        overwrite: replace an existing file.
        data_dir: folder of the data set, for the printed command.
        progress: progress reporter.

    Returns:
        All candidates, best first; a failure and no file if no candidate is sane.

    Raises:
        ArgumentError: a number out of range, or models of a table.
        DataError: the shape or classes of the data differ from the models', or the models were trained on its
            held-out rows.
        ArchiveError: ``out`` exists.
    """
    given = {"walks": walks, "seed": seed, "dataset": dataset and [dataset.name, fingerprint(dataset.train.x)]}
    check_tunable(models)
    hashes = [bundle.sha256 for bundle in (*models.autoencoders, *models.classifiers)]
    asked = asked_for(given, models=hashes)
    if out is not None and not overwrite and out.is_file() and asked_of(out) == asked:
        settings = read_settings(out)
        return made_already(out, Outcome(settings.as_json(), [_next(out, settings, models, data_dir, dataset)]))
    check_count("--walks", "walks", walks, 16)
    if out is not None and out.exists() and not overwrite:
        raise ArchiveError(str(out), "already exists", "Give another --out, or --overwrite")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
    progress = progress or Silent()
    real = None if dataset is None else _real(dataset, models, seed)
    lam, source = _lam(models, real)
    bench = Bench(models, *_begin(models, dataset), walks, seed, real)
    ranked = _screened(bench, list(candidates(models, lam)), progress)
    if real is not None:
        ranked = _taught(bench, ranked, progress)
    result = {
        "lam": lam,
        "lam_source": source,
        "agreement": agreement(ranked),
        "diverged": sum(one.diverged for one in ranked),
        "candidates": [one.as_json() for one in ranked],
    }
    lines = _lines(ranked, result)
    if not ranked[0].sane:
        reason = ranked[0].trial.verdict.reason
        why = f"tune: all {len(ranked)} candidates are broken. The best one: {reason}"
        return Outcome(result, lines, why, status=BROKEN)
    if out is not None:
        best = ranked[0].trial.settings
        write_json(out, {**best.as_json(), "asked": asked})
        lines.append(_next(out, best, models, data_dir, dataset))
    return Outcome(result, lines)


def _next(out: Path, settings: Settings, models: Models, data_dir: str | None, dataset: Dataset | None) -> str:
    """Name the file of settings, and the command that uses it."""
    split_seed = None if dataset is None else dataset.split_seed
    folders = [bundle.folder.parent for bundle in models.autoencoders]
    reads = settings.start.startswith(("codes:", "classes:"))
    given = {"data_dir": data_dir, "split_seed": split_seed or None} if reads else {}
    command = command_line("sample", *folders, preset=out, **given)
    return f"The best is in {out}. Next: {command} --out SYNTHETIC"


def _real(dataset: Dataset, models: Models, seed: int) -> Table:
    """Choose training images for the test of students; test images stay unused until ``reinject evaluate``."""
    inputs = models.inputs
    check_space(dataset, inputs, "the model")
    models.check_unseen(dataset)
    if dataset.shape != inputs.shape or dataset.class_names != inputs.class_names:
        raise DataError(
            dataset.name,
            f"has images {dataset.shape} of {len(dataset.class_names)} classes, the models take {inputs.shape} of "
            f"{len(inputs.class_names)}",
            "Give the models' training data with --data",
        )
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))[:_REAL]
    part = dataset.train.take(order)
    return Table.of(part.x, part.y, levels_of(inputs))


def _begin(models: Models, dataset: Dataset | None) -> tuple[Start | None, str]:
    """Choose the start of an unconditional denoiser among data, if known, and its name on a command line."""
    if models.ensemble().noise_conditioned:
        return None, "normal"
    moments = models.moments() if dataset is None else codes_of(models, dataset)
    if dataset is None or moments is not None:
        name = "codes" if dataset is None else f"codes:{dataset.name}"
        return None if moments is None else moments.start, name
    return by_class(dataset, models.inputs), f"classes:{dataset.name}"


def _lam(models: Models, real: Table | None) -> tuple[float | None, str]:
    """Estimate lambda of an unconditional denoiser, and name the method; None without data or an estimate."""
    r = models.ensemble()
    if r.noise_conditioned:
        return None, "noise-conditioned"
    if real is None:
        return None, "unknown"
    x = real.storage.load(torch.from_numpy(real.x[:1000]))
    for method in _METHODS:
        try:
            return estimate_lam(r, x.to(r.device), method).value, f"Stein's identity on real data, {method}"
        except ModelError:
            continue  # the returned text names the method that succeeds
    return None, "unknown"


def _screened(bench: Bench, grid: Sequence[Settings], progress: Progress) -> list[Candidate]:
    """Try all candidates without data; return them best first."""
    found = bench.automatic()
    with progress.task("tuning", len(found) + len(grid), "candidates") as advance:
        advance(len(found))
        for settings in grid:
            found.append(bench.tried(settings))
            advance(1)
    return sorted(found, key=lambda one: one.rank)


def _taught(bench: Bench, ranked: Sequence[Candidate], progress: Progress) -> list[Candidate]:
    """Add the utilities of the best sane candidates; return all best first."""
    best = [one for one in ranked if one.sane][:_BEST]
    with progress.task("training students", len(best), "students") as advance:
        taught = []
        for one in best:
            taught.append(bench.taught(one))
            advance(1)
    return sorted([*taught, *ranked[len(best) :]], key=lambda one: one.rank)


def agreement(found: Sequence[Candidate]) -> dict[str, Any] | None:
    """Compute Spearman's rank correlation of merit and utility; None for fewer than three candidates, or ties only.

    Example:
        >>> from reinject.sampling.auto import Trial
        >>> from reinject.sampling.presets import DEFAULT
        >>> from reinject.walks.verdict import Verdict
        >>> trials = [Trial(DEFAULT, None, Verdict("good"), k / 10) for k in range(3)]
        >>> agreement([Candidate(trial, utility=trial.merit / 2) for trial in trials])
        {'rank_correlation': 1.0, 'over': 3}
    """
    pairs = [(one.trial.merit, one.utility) for one in found if not math.isnan(one.utility)]
    if len(pairs) < 3 or any(len(set(values)) == 1 for values in zip(*pairs, strict=True)):
        return None
    from scipy.stats import spearmanr  # imported here: it takes a second

    return {"rank_correlation": round(float(spearmanr(pairs).statistic), 4), "over": len(pairs)}


def _lines(ranked: Sequence[Candidate], result: dict[str, Any]) -> list[str]:
    lines = _table(ranked[:_SHOWN])
    if len(ranked) > _SHOWN:
        lines.append(f"the best {_SHOWN} of {len(ranked)} candidates; --json lists all")
    if result["agreement"] is not None:
        value, over = result["agreement"].values()
        value = round(value, 1) + 0.0  # no -0.0
        lines.append(f"rank correlation of merit and utility: {value} over {over} candidates")
    diverged = result["diverged"]
    return [*lines, f"{diverged} candidate{'' if diverged == 1 else 's'} diverged"]


def _table(shown: Sequence[Candidate]) -> list[str]:
    """Write aligned columns under a header, with utilities if known, else merits."""
    by_utility = any(not math.isnan(one.utility) for one in shown)
    head = ("walk", "steps", "utility" if by_utility else "merit", "classes %", "start kept %", "verdict")
    rows = [head, *(_row(one, one.utility if by_utility else one.trial.merit) for one in shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ("<", ">", ">", ">", ">", "<")
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(one: Candidate, value: float) -> tuple[str, ...]:
    settings, figures = one.trial.settings, one.trial.figures
    words = [settings.kernel, *(f"--{name} {text}" for name, text in settings.options.items())]
    words += [] if settings.start == "normal" else [f"--start {settings.start}"]
    shares = () if figures is None else figures.shares
    kept = math.nan if figures is None else figures.remembered
    return (
        " ".join(words),
        str(settings.steps),
        "-" if math.isnan(value) else f"{value:.3f}",
        f"{100 * min(shares):.0f}-{100 * max(shares):.0f}" if shares else "-",
        "-" if math.isnan(kept) else str(round(100 * kept)),
        one.trial.verdict.level,
    )
