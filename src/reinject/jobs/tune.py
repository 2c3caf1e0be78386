"""``reinject tune``: which kernel, with which noise, for an autoencoder that nobody knows anything about."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from reinject.diagnostics import class_entropy, label_switches, start_remembered
from reinject.errors import ArchiveError, ModelError, check_count
from reinject.files import write_json
from reinject.jobs import Outcome
from reinject.jobs.diagnose import last_states, own_stein
from reinject.jobs.sample import Models
from reinject.kernels.base import Emit
from reinject.presets import DEFAULT, Settings, settings_of
from reinject.progress import Progress, Silent
from reinject.score import lam_of_sigma
from reinject.synthesis import classify
from reinject.walks import Visited, walk

_NOISES = ("0.03r", "0.06r", "0.12r", "0.24r")  # multiples of the data's radius, per value


@dataclass(frozen=True)
class Trial:
    """A candidate and what came of it.

    Attributes:
        settings: the candidate.
        information: (H(mean p) - mean H(p)) / log(classes), p the classifier's probabilities: 1 where samples are
            certain and classes even, 0 where every sample gets the same probabilities.
        remembered: share of the start that is left at the end.
        stein: Stein discrepancy of the samples against r's score.
        switches: share of successive samples of a walk with different labels; NaN where a walk gives one.
        merit: information (1 - |remembered|) min(1, least stein / stein): what candidates are ranked by.
    """

    settings: Settings
    information: float
    remembered: float
    stein: float
    switches: float
    merit: float = math.nan


def tune(
    models: Models,
    *,
    walks: int = 256,
    seed: int = 0,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Try kernels and noises on a few walks each, rank them by a criterion that needs no real data.

    The criterion is the merit of :class:`Trial`. A proxy: it prefers samples that the classifier is certain of, in all
    classes, that have forgotten their start and lie where r's score says. It cannot see whether they look like data.

    Arguments:
        models: from :func:`reinject.jobs.sample.load_models`.
        walks: walks a candidate, >= 16.
        seed: of all randomness.
        out: JSON file for the best settings, which ``reinject sample --preset FILE`` takes; default: not written.
        overwrite: replace that file.
        progress: who is told.

    Returns:
        All candidates, best first.

    Raises:
        ArgumentError: a number out of range.
        ArchiveError: ``out`` exists.
        ModelError: no candidate gave a finite sample.
    """
    check_count("--walks", "walks", walks, 16)
    if out is not None and out.exists() and not overwrite:
        raise ArchiveError(str(out), "already exists", "Choose another --out, or replace it with --overwrite")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
    progress = progress or Silent()
    grid = list(candidates(models))
    trials = []
    with progress.task("tuning", len(grid), "candidates") as advance:
        for settings in grid:
            trials.append(_tried(models, settings, walks, seed))
            advance(1)
    found = [trial for trial in trials if trial is not None]
    if not found:
        raise ModelError("tune", "no candidate gave finite samples", "Look at the autoencoder with estimate_lam")
    least = min(trial.stein for trial in found)
    ranked = sorted((replace(trial, merit=_merit(trial, least)) for trial in found), key=lambda trial: -trial.merit)
    rows = [{**asdict(trial), "settings": trial.settings.as_json()} for trial in ranked]
    for row in rows:
        row["switches"] = None if math.isnan(row["switches"]) else row["switches"]
    lines = [_line(trial) for trial in ranked]
    if out is not None:
        write_json(out, ranked[0].settings.as_json())
        lines.append(f"The best is in {out}. Next: reinject sample MODELS --preset {out} --out SYNTHETIC")
    return Outcome(rows, lines)


def candidates(models: Models) -> Iterator[Settings]:
    """What is tried: every kernel that these models can serve, single-noise kernels at four noises."""
    network = models.autoencoders[0].network
    if network.noise_conditioned:
        yield DEFAULT
        yield replace(DEFAULT, steps=13, options={"sigma": "geometric:1.4r:0.02r"}, thin=1)
        yield settings_of("annealed")
    else:
        yield settings_of("self-tuning")
        yield settings_of("reinjection")
    if models.ensemble().has_code:
        for sigma in ("0.03", "0.1", "0.3"):
            yield replace(settings_of("tangent"), options={"sigma": sigma})
    for noise in _NOISES:
        value = f"{float(noise[:-1]) * network.inputs.radius:.4g}"
        lam = f"{lam_of_sigma(float(value)):.4g}"
        for kernel in ("half-denoising", "walkback", "walk-jump"):
            yield replace(settings_of(kernel), options={"sigma": value})
        yield replace(settings_of("langevin"), options={"lam": lam}, steps=30, burn_in=10, emit="reconstruction")
        yield replace(settings_of("underdamped"), options={"lam": lam}, emit="reconstruction")


def _tried(models: Models, settings: Settings, walks: int, seed: int) -> Trial | None:
    """One candidate's trial; None where walks went astray."""
    r, inputs = models.ensemble(), models.autoencoders[0].network.inputs
    walker = settings.build(r, inputs.radius)

    def visited(steps: int, emit: Emit) -> list[Visited]:
        return list(
            walk(
                walker.kernel,
                walker.start,
                walker.event_shape,
                walks=walks,
                steps=steps,
                seed=seed,
                block_size=walks,
                emit=emit,
            )
        )

    start = visited(0, "state")[0].x
    parts = visited(settings.steps, settings.emit)
    if not parts or any(part.stopped for part in parts):
        return None
    _, ends = last_states(parts)
    kept = [part for part in parts if part.step in _steps(settings) or len(part.x) < walks]
    x = torch.cat([part.x for part in kept]).clamp(inputs.low, inputs.high)
    p = torch.cat([classify(models.classifier.network, some) for some in torch.split(x, 1024)]).double()
    switches = math.nan
    if len(kept) > 1 and all(len(part.x) == walks for part in kept):  # walks that converge give one sample each
        switches = label_switches(p.argmax(1).reshape(len(kept), walks).T)
    information = (class_entropy(p.mean(0, keepdim=True)) - class_entropy(p)) / math.log(p.shape[1])
    found = own_stein(r, x, inputs.radius, points=1000, seed=seed)
    stein = max(found.value, found.error)  # below its error it says no more than its error
    return Trial(settings, information, start_remembered(start, ends), stein, switches)


def _steps(settings: Settings) -> range:
    return range(settings.burn_in, settings.steps + 1, settings.thin)


def _merit(trial: Trial, least: float) -> float:
    return trial.information * max(0.0, 1 - abs(trial.remembered)) * min(1.0, least / trial.stein)


def _line(trial: Trial) -> str:
    options = " ".join(f"--{key} {value}" for key, value in trial.settings.options.items())
    return (
        f"{trial.merit:.3f}  information {trial.information:.2f}  start {trial.remembered:+.2f}  stein "
        f"{trial.stein:9.3g}  {trial.settings.kernel} {options} ({trial.settings.steps} steps)"
    )


def read_settings(path: Path) -> Settings:
    """The settings that :func:`tune` wrote.

    Raises:
        ArchiveError: no such file, or not such a one.
    """
    try:
        return Settings.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ArchiveError(str(path), "no such file", "Make one with reinject tune --out") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ArchiveError(str(path), f"is no preset ({error!r})", "Make one with reinject tune --out") from error
