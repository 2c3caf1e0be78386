"""Diagnose the walks of an archive: ``reinject diagnose``."""

import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reinject.archive import Archive
from reinject.base.errors import ArchiveError, check_count
from reinject.base.files import finite
from reinject.base.outcome import Outcome
from reinject.models.loading import Models
from reinject.sampling.data_starts import resolve
from reinject.sampling.presets import Settings
from reinject.sampling.provenance import find_models, shares
from reinject.sampling.recipe import first_block
from reinject.score import lam_of_sigma, score
from reinject.walks.diagnostics import (
    Convergence,
    Discrepancy,
    class_entropy,
    convergence,
    label_switches,
    start_remembered,
    start_remembered_by_axis,
    stein_discrepancy,
)
from reinject.walks.loop import Visited, walk
from reinject.walks.reconstruction import Ensemble
from reinject.walks.specs import WalkSpec

_WITH_DATA = (
    "data:",
    "fitted:",
    "classes:",
    "archive:",
    "points:",
    "codes:",
)  # starts that cannot be drawn again from the manifest alone
_LEAST = 4  # draws of a walk that convergence needs
_AXES = 3  # leading principal axes to follow


def diagnose(folder: Path, *, models: Sequence[Path] = (), walks: int = 1000) -> Outcome:
    """Follow an archive's walks, and remake its first block to measure what remains of the start.

    Arguments:
        folder: the archive.
        models: folders of the models that made the archive, in order; default: the manifest's.
        walks: most walks to follow, >= 2.

    Returns:
        - ESS, R-hat and autocorrelation time of the energy proxy |r(x) - x|^2 / n, of the leading principal axes and
          of the class probabilities;
        - the least ESS a second of walking, without labelling and writing;
        - start remembered, over all and by axis;
        - label switches a step, class entropy and class shares;
        - the Stein discrepancy against the autoencoder's own score;
        - acceptance and asymmetry, for kernels that have them.

    Raises:
        ArchiveError: no archive, or one of table rows.
        ModelError: the models are not found.
        ArgumentError: fewer than two walks.
    """
    check_count("--walks", "walks", walks, 2)
    archive = Archive.open(folder)
    if archive.table is not None:
        cure = f"Judge its rows by reinject evaluate {folder} --against TABLE"
        raise ArchiveError(str(folder), "has one row of a table from each walk, so no chain to diagnose", cure)
    found = find_models(archive, models)
    r = found.ensemble()
    followed = _Followed(archive, walks)
    summaries = _followed(followed, r)
    began = time.monotonic()
    remembered = _remembered(archive, found, r, followed.axes)
    seconds = time.monotonic() - began
    result: dict[str, Any] = {
        "archive": str(folder),
        "walks_followed": len(followed.x),
        "draws_a_walk": followed.x.shape[1],
        "convergence": {name: value and _numbers(value) for name, value in summaries.items()},
        "start_remembered": remembered,
        "effective_samples_a_second": remembered and _effective(archive, summaries, followed, seconds),
        "label_switches": finite(label_switches(followed.label)) if archive.class_names else None,
        "class_entropy": class_entropy(followed.probabilities.flatten(0, 1)) if archive.class_names else None,
        "class_shares": shares(archive),
        "stein": own_stein(r, followed.x.flatten(0, 1), found.autoencoders[0].network.inputs.radius)._asdict(),
        **archive.manifest["kernel_notes"],
        "stopped_walks": archive.manifest["counts"]["stopped_walks"],
        "strayed_walks": archive.manifest["counts"]["strayed_walks"],
        "dropped": archive.manifest["counts"]["dropped"],
    }
    return Outcome(result, _lines(result))


class _Followed:
    """Hold the samples of complete walks, walk by walk and draw by draw, in data units."""

    def __init__(self, archive: Archive, walks: int) -> None:
        xs, columns, seen = [], [], 0
        for x, table in archive.shards():  # read only as many as necessary
            xs.append(x)
            columns.append(table.to_pydict())
            seen += len(set(columns[-1]["walk"]))
            if seen >= walks:
                break
        number, step = (np.concatenate([part[name] for part in columns]) for name in ("walk", "step"))
        order = np.lexsort((step, number))
        names, first, counts = np.unique(number[order], return_index=True, return_counts=True)
        whole = first[counts == counts.max()][:walks]
        if len(whole) < 2:
            raise ArchiveError(str(archive.folder), f"has {len(names)} walks", "Give an archive of at least two walks")
        rows = order[whole[:, None] + np.arange(counts.max())[None]]
        index = torch.from_numpy(rows)
        self.x: Tensor = archive.storage.load(torch.cat(xs)[index])
        self.label = torch.full(index.shape, -1)
        self.probabilities = torch.zeros((*index.shape, 0))
        if archive.class_names:
            self.label = torch.tensor(np.concatenate([part["label"] for part in columns]))[index]
            self.probabilities = torch.tensor(np.concatenate([part["probabilities"] for part in columns]))[index]
        flat = self.x.flatten(0, 1).flatten(1)
        self.axes = torch.pca_lowrank(flat, q=min(_AXES, *flat.shape), niter=4)[2].T.contiguous()


def _followed(walks: _Followed, r: Ensemble) -> dict[str, Convergence | None]:
    """Compute the convergence of every summary; None for walks that are too short."""
    flat = walks.x.flatten(0, 1)
    shape = walks.x.shape[:2]
    with torch.no_grad():
        energy = torch.cat([(r(part) - part).flatten(1).square().mean(1) for part in torch.split(flat, 1024)])
    summaries = {"energy": energy.reshape(shape)}
    for k, axis in enumerate(walks.axes):
        summaries[f"axis {k + 1}"] = (flat.flatten(1) @ axis).reshape(shape)
    for k in range(walks.probabilities.shape[2]):
        summaries[f"P(class {k})"] = walks.probabilities[..., k]
    return {name: convergence(v) if shape[1] >= _LEAST else None for name, v in summaries.items()}


def _remembered(archive: Archive, models: Models, r: Ensemble, axes: Tensor) -> dict[str, Any] | None:
    """Measure what the ends of the first block's walks keep of their starts; None without the start's data."""
    parameters = archive.manifest["parameters"]
    settings = Settings.from_json(parameters["settings"])
    if settings.start.startswith(_WITH_DATA) or settings.known or settings.measured:
        return None
    codes = None if models.moments() is None else resolve(settings.start, models.inputs, walks=1, models=models)
    walker = settings.build(r, models.autoencoders[0].network.inputs.radius, start=codes, classifier=models.C)
    parts = walk(
        walker.kernel,
        walker.start,
        walker.event_shape,
        WalkSpec(steps=settings.steps, thin=max(settings.steps, 1), limit=settings.limit),
        first_block(parameters),
        transform=walker.transform,
    )
    first, *rest = parts
    walks, ends = last_states(rest) if rest else (first.walk, first.x)
    start = first.x[torch.isin(first.walk, walks)]
    return {
        "steps": settings.steps,
        "share": finite(start_remembered(start, ends)),
        "by_axis": [finite(one) for one in start_remembered_by_axis(start, ends, axes)],
    }


def _effective(
    archive: Archive, summaries: dict[str, Convergence | None], followed: _Followed, seconds: float
) -> float | None:
    """Multiply draws a second of the remade first block by the least ESS a draw; None for short walks."""
    least = [value.ess for value in summaries.values() if value is not None and not math.isnan(value.ess)]
    if not least:
        return None
    draws = followed.label.numel()
    return float(archive.manifest["shards"][0]["rows"] / seconds * min(least) / draws)


def last_states(parts: Iterable[Visited]) -> tuple[Tensor, Tensor]:
    """Find the emitted walks of one block, ascending, and the last emission of each; ends may be at different steps.

    Arguments:
        parts: parts of one block, in the order of steps; at least one.

    Returns:
        Numbers of the walks, int64, (K,); states, (K, *event), data units.

    Example:
        >>> def part(step, walk, x):
        ...     return Visited(0, step, torch.tensor(walk), torch.tensor(walk), torch.tensor(x), 0)
        >>> last_states([part(0, [0, 1], [[1.0], [2.0]]), part(1, [1], [[3.0]])])
        (tensor([0, 1]), tensor([[1.],
                [3.]]))
    """
    ends: dict[int, Tensor] = {}
    for part in parts:
        ends.update(zip(part.walk.tolist(), part.x, strict=True))
    return torch.tensor(sorted(ends)), torch.stack([ends[k] for k in sorted(ends)])


def own_stein(
    r: Ensemble, x: Tensor, radius: float, *, lam: float = 0.1, points: int = 2000, seed: int = 0
) -> Discrepancy:
    """Compute the Stein discrepancy of samples against their autoencoder's own score.

    A noise-conditioned r has the score of the smoothed density, so the samples get that noise first.

    Arguments:
        r: autoencoder.
        x: samples, (N, *event), data units.
        radius: length of the discrepancy's kernel, data units.
        lam: lambda of an unconditional denoiser, squared data units.
        points: most samples to use, with all their pairs.
        seed: seed of the draw and of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    some = x[torch.randperm(len(x), generator=generator)[:points]]
    level = r.members[0].sigma
    if level is not None:
        some = some + level * torch.randn(some.shape, generator=generator).to(some.device)
        lam = lam_of_sigma(level)
    with torch.no_grad():
        return stein_discrepancy(some, score(r, some, lam), length=radius)


def _numbers(value: Convergence) -> dict[str, float | None] | None:
    """Return the numbers of a summary; None if it does not vary."""
    return None if math.isnan(value.ess) else {name: finite(one) for name, one in value._asdict().items()}


def _said(value: float | None, form: str) -> str:
    return "not defined" if value is None else format(value, form)


def _lines(result: dict[str, Any]) -> list[str]:
    lines = [f"followed {result['walks_followed']:,} walks of {result['draws_a_walk']} draws"]
    known = {name: value for name, value in result["convergence"].items() if value is not None}
    if result["draws_a_walk"] < _LEAST:
        why = "walks have fewer than 4 draws. Keep more of each walk (--steps, --thin)"
        if result["draws_a_walk"] == 1:
            why = "each walk gave one sample, and walks are independent"
        lines.append(f"no ESS and no R-hat: {why}")
    draws = result["walks_followed"] * result["draws_a_walk"]
    lines += [
        f"{name:12s} ESS {_said(value['ess'], '8.0f')} of {draws:,}   R-hat {_said(value['rhat'], '.3f')}   "
        f"autocorrelation time {_said(value['autocorrelation_time'], '.1f')}"
        for name, value in known.items()
    ]
    remembered = result["start_remembered"]
    if remembered is not None:
        axes = ", ".join(_said(value, "+.2f") for value in remembered["by_axis"])
        share = _said(remembered["share"], ".1%")
        lines.append(f"start remembered after {remembered['steps']} steps: {share}; correlation by axis {axes}")
    if result["effective_samples_a_second"] is not None:
        lines.append(f"effective samples a second of walking: {result['effective_samples_a_second']:.0f}")
    if result["label_switches"] is not None:
        lines.append(f"label switches from draw to draw: {result['label_switches']:.1%}")
    if result["class_entropy"] is not None:
        low, high = min(result["class_shares"]), max(result["class_shares"])
        lines.append(f"class entropy {result['class_entropy']:.3f} nats; shares {low:.1%} to {high:.1%}")
    stein = result["stein"]
    lines.append(f"Stein discrepancy {stein['value']:.3g} +- {stein['error']:.2g}")
    for name in ("accepted", "asymmetry"):
        if result[name] is not None:
            lines.append(f"{name} {result[name]:.3f}")
    lines.append(f"stopped walks: {result['stopped_walks']} non-finite, {result['strayed_walks']} out of range")
    if sum(result["dropped"].values()):
        lines.append("filters dropped samples: the followed walks are those with most samples left")
    return lines
