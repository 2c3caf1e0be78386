"""``reinject tune``: which kernel, with which noise, for an autoencoder that nobody knows anything about."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from reinject.data import Dataset
from reinject.diagnostics import class_entropy, label_switches, start_remembered
from reinject.errors import ArchiveError, DataError, ModelError, check_count
from reinject.evaluation.students import Student, marks
from reinject.evaluation.tables import Table
from reinject.files import write_json
from reinject.jobs import Outcome
from reinject.jobs.diagnose import last_states, own_stein
from reinject.jobs.recipe import Models, check_space, levels_of, rows_of
from reinject.presets import DEFAULT, Settings, settings_of
from reinject.progress import Progress, Silent
from reinject.samples import Storage
from reinject.score import estimate_lam, lam_of_sigma, sigma_of_lam
from reinject.synthesis import classify
from reinject.walks import Visited, walk

_NOISES = (0.03, 0.06, 0.12, 0.24)  # multiples of the data's radius, per value
_METHODS: tuple[Literal["matched", "effective"], ...] = ("matched", "effective")  # the surer first
_LAM = 0.1  # where nothing says more: the paper's
_SAMPLES = 10_000  # that a student is trained on
_REAL = 5_000  # images that it is tested on


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
        utility: accuracy on real images of a student trained on the samples; NaN where no real data is given.
        merit: what candidates are ranked by: the utility, or without real data
            information (1 - |remembered|) min(1, least stein / stein).
    """

    settings: Settings
    information: float
    remembered: float
    stein: float
    switches: float
    utility: float = math.nan
    merit: float = math.nan


@dataclass(frozen=True)
class Judges:
    """What candidates are judged by.

    Attributes:
        walks: a candidate, at least.
        seed: of all randomness.
        lam: of an autoencoder that is not told the noise level, squared data units.
        real: real images to test students on; None: there are none.
        samples: that a student is trained on.
    """

    walks: int
    seed: int
    lam: float
    real: Table | None = None
    samples: int = 0

    def walks_for(self, settings: Settings) -> int:
        """As many as give a student its samples, where there is one."""
        return max(self.walks, math.ceil(self.samples / rows_of(settings)))


def tune(
    models: Models,
    *,
    dataset: Dataset | None = None,
    walks: int = 256,
    seed: int = 0,
    out: Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Try kernels and noises on a few walks each; rank them by a criterion that needs no real data, or by utility.

    The criterion is the merit of :class:`Trial`. Without data a proxy: it prefers samples that the classifier is
    certain of, in all classes, that have forgotten their start and lie where r's score says. It cannot see whether they
    look like data. With data: the accuracy of a student trained on as many samples as there are training images,
    10,000 at most, tested on 5,000 training images at most.

    Lambda is that of r's own noise level where it is told one, and estimated on real data otherwise. Without either,
    nothing can say what it is: the samples of a walk with noise tau fulfil Stein's identity with lambda = tau^2,
    whatever r is. Stein discrepancies are then taken at the paper's .1, and only compare candidates.

    Arguments:
        models: from :func:`reinject.jobs.sample.load_models`.
        dataset: real data, of the models' shape and classes.
        walks: walks a candidate, >= 16; more where the student needs them.
        seed: of all randomness.
        out: JSON file for the best settings, which ``reinject sample --preset FILE`` takes; default: not written.
        overwrite: replace that file.
        progress: who is told.

    Returns:
        Lambda and how it is known; all candidates, best first.

    Raises:
        ArgumentError: a number out of range.
        DataError: data of another shape or other classes than the models'.
        ArchiveError: ``out`` exists.
        ModelError: no candidate gave a finite sample.
    """
    check_count("--walks", "walks", walks, 16)
    if out is not None and out.exists() and not overwrite:
        raise ArchiveError(str(out), "already exists", "Choose another --out, or replace it with --overwrite")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
    progress = progress or Silent()
    some = None if dataset is None else _some(dataset, models, seed)
    lam, source = _lam(models, None if some is None else some.storage.load(torch.from_numpy(some.x)))
    judges = Judges(walks, seed, lam, some, 0 if dataset is None else min(_SAMPLES, len(dataset.train)))
    grid = list(candidates(models, None if source == "unknown" else lam))
    trials = []
    with progress.task("tuning", len(grid), "candidates") as advance:
        for settings in grid:
            trials.append(_tried(models, settings, judges))
            advance(1)
    found = [trial for trial in trials if trial is not None]
    if not found:
        raise ModelError("tune", "no candidate gave finite samples", "Look at the autoencoder with estimate_lam")
    least = min(trial.stein for trial in found)
    ranked = sorted((replace(trial, merit=_merit(trial, least)) for trial in found), key=lambda trial: -trial.merit)
    result = {"lam": lam, "lam_source": source, "candidates": [_as_json(trial) for trial in ranked]}
    lines = [f"lambda = {lam:.3g} ({source})", *(_line(trial) for trial in ranked)]
    if out is not None:
        write_json(out, ranked[0].settings.as_json())
        lines.append(f"The best is in {out}. Next: reinject sample MODELS --preset {out} --out SYNTHETIC")
    return Outcome(result, lines)


def _some(dataset: Dataset, models: Models, seed: int) -> Table:
    """Training images that students are tested on; the test images stay unseen until ``reinject evaluate``."""
    inputs = models.inputs
    check_space(dataset, inputs, "the model")
    if dataset.shape != inputs.shape or dataset.class_names != inputs.class_names:
        raise DataError(
            dataset.name,
            f"has images {dataset.shape} of {len(dataset.class_names)} classes, the models take {inputs.shape} of "
            f"{len(inputs.class_names)}",
            "Give --data the data set that the models were trained on",
        )
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))[:_REAL]
    part = dataset.train.take(order)
    return Table.of(part.x, part.y, levels_of(inputs))


def _lam(models: Models, x: Tensor | None) -> tuple[float, str]:
    """Lambda of the autoencoders, and how it is known."""
    r = models.ensemble()
    level = r.members[0].sigma
    if level is not None:
        return lam_of_sigma(level), "of the noise level that the autoencoder is told"
    if x is None:
        return _LAM, "unknown"
    for method in _METHODS:
        try:
            return estimate_lam(r, x[:1000].to(r.device), method).value, f"by Stein's identity on real data, {method}"
        except ModelError:
            continue  # its source says which method had an answer
    return _LAM, "unknown"


def candidates(models: Models, lam: float | None = None) -> Iterator[Settings]:
    """What is tried: every kernel that these models can serve, single-noise kernels at four noises.

    Arguments:
        models: the models.
        lam: lambda where it is known: its noise is tried too where the autoencoder is not told one.
    """
    network = models.autoencoders[0].network
    sigmas = [noise * network.inputs.radius for noise in _NOISES]
    if network.noise_conditioned:
        yield DEFAULT
        yield replace(DEFAULT, steps=13, burn_in=13, options={"sigma": "geometric:1.4r:0.02r"}, thin=1)
        yield settings_of("annealed")
    else:
        sigmas += [] if lam is None else [sigma_of_lam(lam)]
        yield settings_of("self-tuning")
        yield settings_of("reinjection")
    if models.ensemble().has_code:
        for small in ("0.03", "0.1", "0.3"):
            yield replace(settings_of("tangent"), options={"sigma": small})
    for sigma in sigmas:
        for kernel in ("half-denoising", "walkback", "walk-jump"):
            yield replace(settings_of(kernel), options={"sigma": f"{sigma:.4g}"})
        step = f"{lam_of_sigma(sigma):.4g}"
        yield replace(settings_of("langevin"), options={"lam": step}, steps=30, burn_in=10, emit="reconstruction")
        yield replace(settings_of("underdamped"), options={"lam": step}, emit="reconstruction")


def _tried(models: Models, settings: Settings, judges: Judges) -> Trial | None:
    """One candidate's trial; None where walks went astray."""
    r, inputs = models.ensemble(), models.inputs
    walker, walks = settings.build(r, inputs.radius), judges.walks_for(settings)

    def visited(settings: Settings) -> list[Visited]:
        return list(
            walk(
                walker.kernel,
                walker.start,
                walker.event_shape,
                walks=walks,
                seed=judges.seed,
                block_size=walks,
                **settings.walking(),
            )
        )

    start = visited(replace(settings, steps=0, burn_in=0, emit="state"))[0].x
    parts = visited(settings)
    if not parts or any(part.stopped for part in parts):
        return None
    _, ends = last_states(parts)
    x = torch.cat([part.x for part in parts]).clamp(inputs.low, inputs.high)
    p = torch.cat([classify(models.labelling(), some) for some in torch.split(x, 1024)]).double()
    switches = math.nan
    if len(parts) > 1 and all(len(part.x) == walks for part in parts):  # walks that converge give one sample each
        switches = label_switches(p.argmax(1).reshape(len(parts), walks).T)
    information = (class_entropy(p.mean(0, keepdim=True)) - class_entropy(p)) / math.log(p.shape[1])
    found = own_stein(r, x, inputs.radius, lam=judges.lam, points=1000, seed=judges.seed)
    return Trial(
        settings,
        information,
        start_remembered(start, ends),
        max(found.value, found.error),  # below its error it says no more than its error
        switches,
        _utility(x, p, judges, inputs.class_names),
    )


def _utility(x: Tensor, p: Tensor, judges: Judges, class_names: tuple[str, ...]) -> float:
    if judges.real is None:
        return math.nan
    threads = torch.get_num_threads()
    try:
        table = Table.of(x.cpu(), p.argmax(1), Storage("float"))
        student = Student(judges.seed, min(judges.samples, len(x)))
        return marks(student, student.rows_of(table), judges.real, class_names, "cpu").accuracy
    finally:
        torch.set_num_threads(threads)  # the student set it


def _merit(trial: Trial, least: float) -> float:
    if not math.isnan(trial.utility):
        return trial.utility
    return trial.information * max(0.0, 1 - abs(trial.remembered)) * min(1.0, least / trial.stein)


def _as_json(trial: Trial) -> dict[str, Any]:
    values = {**asdict(trial), "settings": trial.settings.as_json()}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}


def _line(trial: Trial) -> str:
    options = " ".join(f"--{key} {value}" for key, value in trial.settings.options.items())
    utility = "" if math.isnan(trial.utility) else f"utility {trial.utility:.4f}  "
    return (
        f"{trial.merit:.3f}  {utility}information {trial.information:.2f}  start {trial.remembered:+.2f}  stein "
        f"{trial.stein:9.3g}  {trial.settings.kernel} {options} ({trial.settings.steps} steps)"
    )
