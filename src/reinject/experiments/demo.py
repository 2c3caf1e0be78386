"""Run everything on embedded digits, from training to a report: ``reinject demo``."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from reinject import data
from reinject.archive import Archive
from reinject.archive.request import asked_for, earlier, note
from reinject.base.files import write_json
from reinject.base.outcome import Outcome, command_line
from reinject.base.progress import Advance, Progress, Silent
from reinject.base.staging import begin, check_free, partial_of, publish
from reinject.data.samples import Storage
from reinject.evaluation import findings, wording
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.evaluation.evidence import gather
from reinject.evaluation.judgements import GROUPS, closest
from reinject.evaluation.learning import Students, judge
from reinject.evaluation.standing import found_wrong, next_command, verdict_of
from reinject.models.loading import Models, load_models
from reinject.models.votes import classify
from reinject.report.evaluated import METRICS
from reinject.report.pages import write_page
from reinject.report.pictures import Judged, draw
from reinject.report.sample_pictures import film_strip, pca_plane
from reinject.sampling.presets import PRESETS
from reinject.sampling.provenance import shares
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec, Writing
from reinject.training.plans import TrainPlan
from reinject.training.train import train
from reinject.walks.diagnostics import start_remembered
from reinject.walks.kernels.kernel import Emit
from reinject.walks.loop import walk
from reinject.walks.specs import RunSpec, WalkSpec

ARCHIVES = {"default": "synthetic", "paper": "synthetic-paper"}
JUDGED = ("coverage", "memorisation")
ENDS = 1000
FRAMES = 16  # frames of the film strip


@dataclass(frozen=True)
class DemoPlan:
    """Hold what determines the demo: training, number of walks, seeds of students."""

    training: TrainPlan = field(default_factory=lambda: TrainPlan("digits"))
    walks: int = 10_000
    seeds: int = 3


def demo(
    plan: DemoPlan,
    out: Path,
    *,
    data_dir: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Train, sample with both presets, judge, draw, report. Resume an interrupted run.

    Arguments:
        plan: the training, the number of walks and the seeds of students.
        out: folder of everything that the demo writes.
        data_dir: where to look for data sets first.
        overwrite: whether an existing folder is replaced.
        progress: progress reporter.

    Returns:
        The contents of ``metrics.json``.

    Raises:
        ReinjectError: ``out`` is not empty, or a step fails.
    """
    asked = asked_for(locals())
    made = None if overwrite else earlier(out, asked)
    if made is not None:
        return made
    progress = progress or Silent()
    began = time.monotonic()
    check_free(out, METRICS, overwrite)
    partial = partial_of(out)
    begin(partial, {**json.loads(json.dumps(asdict(plan))), "training": plan.training.as_json()})
    seed, split_seed = plan.training.seed, plan.training.split_seed
    if not (partial / "models").exists():
        train(plan.training, partial / "models", data_dir=data_dir, device="cpu", progress=progress)
    models = load_models([partial / "models"])
    for preset, name in ARCHIVES.items():
        if not (partial / name).exists():
            sample_models(
                models,
                partial / name,
                SampleSpec(preset=preset, settings=PRESETS[preset]),
                walks=plan.walks,
                seed=seed,
                writing=Writing(progress=progress),
            )
    archives = {preset: Archive.open(partial / name) for preset, name in ARCHIVES.items()}
    dataset = data.load(plan.training.dataset, data_dir, split_seed, progress)
    C, found = models.labelling(), {}
    known = {
        name: gather(archive, dataset, C, models, EvaluateSpec(seed=seed), progress)
        for name, archive in archives.items()
    }
    tables, levels = {name: one.synthetic for name, one in known.items()}, known["default"].train.storage
    judged = judge(tables, dataset, levels, C, Students(range(seed, seed + plan.seeds)), progress=progress)
    with progress.task("judging", len(archives), "sets") as advance:
        for name, archive in archives.items():
            evidence = known[name]
            judgements = {group: GROUPS[group].make(evidence) for group in JUDGED}
            wrong = found_wrong(archive, judged[name], judgements, dataset)
            found[name] = Judged(archive, judged[name], judgements, closest(evidence), findings=wrong)
            advance(1)
    with progress.task("drawing", 3, "figures") as advance:
        remembered = _draw(partial / "figures", dataset, models, found, seed, advance)
    metrics = {
        "dataset": dataset.name,
        "seed": seed,
        "split": dataset.split.as_json(),
        "utility": judged["default"].as_json(),
        "utility_paper": judged["paper"].as_json(),
        "judgements": {
            name: {group: [made.as_json() for made in all_of] for group, all_of in one.judgements.items()}
            for name, one in found.items()
        },
        "class_shares": {name: shares(archive) for name, archive in archives.items()},
        "start_remembered": remembered,
        "seconds": round(time.monotonic() - began, 1),
    }
    write_page(
        partial / "report.html",
        f"Synthetic {dataset.name}, sampled from an autoencoder",
        found,
        dataset,
        command_line("demo", out=out, seed=seed, split_seed=split_seed or None, seeds=plan.seeds),
    )
    write_json(partial / METRICS, metrics)
    worst = findings.worst_first(verdict_of(archives["default"]), found["default"].findings)
    said = findings.standing_lines(worst, next_command(archives["default"], worst, [out / "models"]))
    lines = [*said, wording.headline(judged["default"]), *wording.text(judged)]
    outcome = Outcome(metrics, [*lines, f"{metrics['seconds']} s. Open {out / 'report.html'}"])
    note(partial, asked, outcome)
    publish(partial, out)
    return outcome


def _draw(
    figures: Path,
    dataset: data.Dataset,
    models: Models,
    found: dict[str, Judged],
    seed: int,
    advance: Advance,
) -> dict[str, float]:
    """Draw all figures; return the share of the start that remains at the end of each preset's walks."""
    inputs = models.inputs
    names = dataset.class_names
    draw(figures, found, dataset)
    advance(1)
    _draw_walk(figures / "walk.png", models, "default", seed)
    advance(1)
    ends, remembered = {}, {}
    for name in found:
        ends[name] = _visited(models, name, ENDS, seed, PRESETS[name].emit)[-1]
        first, *_, last = _visited(models, name, ENDS, seed, "state")
        remembered[name] = start_remembered(first, last)
    real = Storage("uint8", inputs.low, inputs.high).load(dataset.train.x)
    noise = torch.randn((ENDS, *inputs.shape), generator=torch.Generator().manual_seed(seed))
    points = {name: x.numpy() for name, x in ends.items()}
    pca_plane(figures / "plane.png", real.numpy(), dataset.train.y.numpy(), names, noise.numpy(), points)
    advance(1)
    return remembered


def _visited(models: Models, preset: str, walks: int, seed: int, emit: Emit) -> list[torch.Tensor]:
    """Collect x_0, ..., x_R of some walks, as states or reconstructions, each (walks, *event)."""
    settings = PRESETS[preset]
    r = models.ensemble()
    kernel, start, *_ = settings.build(r, models.autoencoders[0].network.inputs.radius)
    parts = walk(
        kernel,
        start,
        r.event_shape,
        WalkSpec(steps=settings.steps, emit=emit),
        RunSpec(walks=walks, seed=seed, block_size=walks),
    )
    return [part.x for part in parts]


def _draw_walk(path: Path, models: Models, preset: str, seed: int) -> None:
    inputs = models.inputs
    states, means = (
        torch.cat(_visited(models, preset, 1, seed, emit)[:FRAMES]) for emit in ("state", "reconstruction")
    )
    confidence, label = classify(models.labelling(), means).max(1)
    captions = [f"{inputs.class_names[int(k)]} ({float(p):.0%})" for k, p in zip(label, confidence, strict=True)]
    film_strip(path, states.numpy(), means.numpy(), captions, inputs.low, inputs.high)
