"""Reproduce the paper's figures and claim, with all numbers: ``reinject reproduce``."""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from reinject import data
from reinject.base.devices import device_of
from reinject.base.errors import ArgumentError
from reinject.base.files import read_json, write_json
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent
from reinject.base.staging import PLAN, begin, partial_of, publish
from reinject.data.samples import Storage
from reinject.evaluation.plane import inside
from reinject.experiments.catalogue import EXPERIMENTS
from reinject.experiments.comparison import run
from reinject.experiments.domain_protocols import DOMAINS
from reinject.experiments.domain_replay import run_domains
from reinject.experiments.experiment_spec import ExperimentSpec
from reinject.experiments.generations import generation_rows, run_generations
from reinject.experiments.replay_protocols import PROTOCOLS
from reinject.experiments.replay_table import protocol_rows, run_protocol
from reinject.experiments.table_comparison import compare_tables
from reinject.experiments.table_page import table_rows
from reinject.experiments.table_sets import TABLE_SETS
from reinject.report import plane_picture as plane
from reinject.report.sample_pictures import learning_curves
from reinject.training.learning_curves import Curve
from reinject.walks.execution import Execution

METRICS = "metrics.json"
PAGE = "results.md"
NOISE = 1000  # drawn points of N(0, I), as in the paper
_COUNTED = 10_000  # points for the share
_RANGES = ((-1.0, 1.0), (0.0, 1.0))
_FIGURES = {"figure1": ("mnist", "<= .35"), "figure2": ("cifar10", ">= .95"), "figure3": ("cifar100", ">= .95")}


def draw_plane(name: str, folder: Path, *, data_dir: str | None, seed: int, progress: Progress) -> dict[str, Any]:
    """Draw one of Figures 1 to 3, with pixels in [-1, 1] and in [0, 1]; return its numbers."""
    dataset = data.load(_FIGURES[name][0], data_dir, progress=progress)
    found: dict[str, Any] = {"dataset": dataset.name, "expected": _FIGURES[name][1], "n": len(dataset.train)}
    noise = torch.randn((_COUNTED, *dataset.shape), generator=torch.Generator().manual_seed(seed)).flatten(1).numpy()
    panels = {}
    with progress.task("measuring the plane", len(_RANGES), "ranges") as advance:
        for low, high in _RANGES:
            load = Storage("uint8", low, high).load
            train, test, points = plane.projected(load(dataset.train.x).numpy(), load(dataset.test.x).numpy(), noise)
            one = inside(train, test, points)
            text = f"pixels in [{low:g}, {high:g}]"
            found[text] = {"share": one.share, "interval": list(one.interval)}
            panels[f"{text}: {one.share:.2f} inside"] = (train, points[:NOISE])
            advance(1)
    plane.noise_in_plane(folder / f"{name}.png", panels, dataset.train.y.numpy(), dataset.class_names)
    return found


TARGETS = (*_FIGURES, "curves", "table")
_REPLAY = (*PROTOCOLS, *DOMAINS)
_BY_NAME = ("split-digits", "cancer-textures", "split-cifar100-efficientnet")  # quick looks; needs an extra
BEYOND = ("replay", "generations", "tables")  # beyond the paper: "all" leaves them out


def reproduce(
    targets: Sequence[str],
    out: Path,
    *,
    only: Sequence[str] = (),
    spec: ExperimentSpec | None = None,
    data_dir: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Make the targets in a folder, and a page of all results. Resume from existing results.

    Arguments:
        targets: some of :data:`TARGETS`, or "all" of them; or some of :data:`BEYOND`.
        out: folder of the results.
        only: experiments of the curves and the table, protocols of the replay, sets of the tables; default: all but
            those of data inside scikit-learn, and the one that needs the extra ``replay``.
        spec: seeds, size, precision and device; a resumed run must have the same samples, precision and device.
            Default: three seeds, 90,000 samples, 32 bits, the CPU.
        data_dir: folder to search for data sets first.
        progress: progress reporter.

    Raises:
        ArgumentError: an unknown target or experiment, or a run that differs from existing results.
        DataError: a data set is not available.
    """
    progress = progress or Silent()
    spec = spec or ExperimentSpec()
    wanted = list(TARGETS) if "all" in targets else list(dict.fromkeys(targets))
    _check("reproduce", wanted, (*TARGETS, *BEYOND))
    of_paper = [] if set(wanted) <= set(BEYOND) else list(EXPERIMENTS)
    beyond = [*(_REPLAY if "replay" in wanted else ()), *(TABLE_SETS if "tables" in wanted else ())]
    _check("--only", only, of_paper + beyond)
    for name in wanted:
        if name in _FIGURES and not (out / name).is_dir():
            _figure(name, out / name, data_dir, spec.seed, progress)
    if {"curves", "table"} & set(wanted):
        chosen = only or [name for name in EXPERIMENTS if name != "digits"]
        for name in (one for one in chosen if one in EXPERIMENTS):
            _experiment(name, out / name, spec, data_dir, progress)
    if "replay" in wanted:
        for name in [one for one in only or _REPLAY if one in _REPLAY and (only or one not in _BY_NAME)]:
            run_one = run_domains if name in DOMAINS else run_protocol
            found = run_one(name, out / name, spec, data_dir=data_dir, progress=progress)
            _note(out / name, found, f"replay --only {name}", spec)
    if "generations" in wanted:
        found = run_generations(out / "generations", spec, data_dir=data_dir, progress=progress)
        _note(out / "generations", found, "generations", spec)
    for name in [one for one in only or TABLE_SETS if one in TABLE_SETS] if "tables" in wanted else ():
        found = compare_tables(name, out / name, spec, data_dir=data_dir, progress=progress)
        _note(out / name, found, f"tables --only {name}", spec)
    known = {path.parent.name: read_json(path, ArgumentError) for path in sorted(out.glob(f"*/{METRICS}"))}
    if "curves" in wanted:
        _draw_curves(out, known)
    order = (*_FIGURES, *EXPERIMENTS, *_REPLAY, "generations", *TABLE_SETS)
    lines = page({name: known[name] for name in order if name in known})
    (out / PAGE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Outcome(known, [*lines, "", f"{out / PAGE}"])


def _check(owner: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if not known:
            raise ArgumentError(owner, f"{name!r} was given, and no target has parts", "Leave it out")
        if name not in known:
            raise ArgumentError(owner, f"{name!r} is not known", f"Use some of {', '.join(known)}")


def _figure(name: str, folder: Path, data_dir: str | None, seed: int, progress: Progress) -> None:
    partial = partial_of(folder)
    begin(partial, {"target": name, "seed": seed})
    began = time.monotonic()
    found = draw_plane(name, partial, data_dir=data_dir, seed=seed, progress=progress)
    seconds = round(time.monotonic() - began, 1)
    command = f"reinject reproduce {name}" + (f" --seed {seed}" if seed else "")
    write_json(partial / METRICS, {**found, "command": command, "seed": seed, "seconds": seconds})
    publish(partial, folder)


def _experiment(name: str, folder: Path, spec: ExperimentSpec, data_dir: str | None, progress: Progress) -> None:
    """Run the missing parts of an experiment with this number of samples, precision and device."""
    kind = device_of(spec.device).type
    plan = {"experiment": name, "samples": spec.samples, "precision": spec.precision, "device": kind}
    plan["student"] = spec.student
    if (folder / PLAN).is_file():
        older = {"precision": Execution().precision, "device": "cpu", "student": "mlp"}
        there = {**older, **read_json(folder / PLAN, ArgumentError)}
        for what, value in plan.items():
            if there[what] != value:
                raise ArgumentError(
                    f"--{what}", f"{value} differs from {there[what]} in {folder}", "Give another --out"
                )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, plan)
    found = run(name, folder, spec, data_dir=data_dir, progress=progress)
    command = f"reinject reproduce table --only {name} --seeds {spec.seeds} --samples {spec.samples}"
    command += f" --seed {spec.seed}" if spec.seed else ""
    command += f" --precision {spec.precision}" if spec.execution != Execution() else ""
    command += f" --device {kind}" if kind != "cpu" else ""
    command += f" --student {spec.student}" if spec.student != "mlp" else ""
    write_json(folder / METRICS, {**found, "command": command})


def _note(folder: Path, found: Mapping[str, Any], target: str, spec: ExperimentSpec) -> None:
    """Write what a target of :data:`BEYOND` found, and its command."""
    seed = f" --seed {spec.seed}" if spec.seed else ""
    write_json(folder / METRICS, {**found, "command": f"reinject reproduce {target} --seeds {spec.seeds}{seed}"})


def _draw_curves(out: Path, known: Mapping[str, Any]) -> None:
    for name, one in known.items():
        if "curves" in one:
            shown = {key: value for key, value in one["curves"].items() if key in ("real", "noise") or "ours" in key}
            curves = {key: Curve(tuple(one["sizes"]), tuple(map(tuple, value))) for key, value in shown.items()}
            learning_curves(out / name / "curves.png", curves)


def page(known: Mapping[str, Any]) -> list[str]:
    """Write all results as Markdown, line by line."""
    lines = ["# Results", "", "Every number with its interval (95%), its command and its time on two cores."]
    figures = {name: one for name, one in known.items() if name in _FIGURES}
    if figures:
        lines += ["", "## Figures 1 to 3", "", *_figure_rows(figures)]
    for name, one in known.items():
        rows = protocol_rows if name in _REPLAY else _experiment_rows if name in EXPERIMENTS else None
        rows = generation_rows if name == "generations" else table_rows if name in TABLE_SETS else rows
        if rows is not None:
            lines += ["", f"## {name}", "", *rows(one)]
    return lines


def _experiment_rows(one: Mapping[str, Any]) -> list[str]:
    goal = f" Goal: ratio {one['goal'][0]}, skill {one['goal'][1]}." if one["goal"] else ""
    times = ", ".join(f"{name} {seconds:.0f}" for name, seconds in one["seconds"].items())
    seeds = f"{len(one['seeds'])} seeds" if len(one["seeds"]) > 1 else "one seed"
    lines = [
        f"{one['rows']:,} real rows, {one['samples']:,} samples of each set, {seeds} of networks,",
        f"walks, peers and students; accuracy of the real twin {one['twin']:.4f}, on labelled noise {one['noise']:.4f}."
        + goal,
        "",
        "| set | ratio | 95% | skill | 95% | seconds, from the data to the set |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, numbers in one["sets"].items():
        cells = [cell for number in ("ratio", "skill") for cell in _cells(numbers[number])]
        known = numbers.get("seconds")  # missing in results of earlier versions
        seconds = f"{known['mean']:.0f}" if known else ""
        lines.append(f"| {name} | {' | '.join(cells)} | {seconds} |")
    return [*lines, "", f"`{one['command']}`; seconds: {times}."]


def _cells(number: Mapping[str, Any] | None) -> tuple[str, str]:
    if number is None:
        return "", ""
    return f"{number['mean']:.4f}", _span(number["interval"]) if len(number["values"]) > 1 else ""


def _figure_rows(figures: Mapping[str, Any]) -> list[str]:
    texts = [f"pixels in [{low:g}, {high:g}]" for low, high in _RANGES]
    lines = [
        "Share of points of N(0, I) inside the region of the plane of the first two principal components that",
        "holds 75% of the held-out data (kernel density). The paper's figures show that noise is apart from MNIST and",
        "overlaps the CIFARs; it does not say how pixels are scaled.",
        "",
        f"| figure | data | {' | '.join(texts)} | expected in [-1, 1] | command | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, one in figures.items():
        shares = (f"{one[text]['share']:.3f} ({_span(one[text]['interval'])})" for text in texts)
        cells = [name, f"{one['dataset']}, {one['n']:,}", *shares, one["expected"], f"`{one['command']}`"]
        lines.append(f"| {' | '.join(cells)} | {one['seconds']} |")
    return lines


def _span(interval: Sequence[float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"
