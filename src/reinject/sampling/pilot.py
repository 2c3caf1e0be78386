"""Run short walks and measure their samples, for the choice of settings and for verdicts."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from reinject.data.samples import Storage
from reinject.models.votes import Classifier, classify
from reinject.sampling.presets import Settings, Walker
from reinject.walks.diagnostics import class_entropy, start_remembered
from reinject.walks.loop import Visited, walk
from reinject.walks.reconstruction import Autoencoder
from reinject.walks.specs import RunSpec
from reinject.walks.verdict import Figures

WALKS = 128
POINTS = 1000  # samples to measure
_LEAST = 16  # walks and samples, of any size
_MEMORY = 2**22  # values of all pilot walks at one step
_FAR = 1e3  # a walk this many ranges from the middle has diverged
_SMALL = 0.02  # noise that r should remove, units of the range
_TOLD = 0.6  # the same for a noise-conditioned r: at a low noise level it rightly keeps most of the noise
_TWICE = 64  # samples for a second call of r, which shows whether r is deterministic
_NEAR = 0.01  # of the typical distance: closer samples are repetitions
_AMONG_DATA = ("codes", "classes", "fitted")  # starts
_MARGIN = 0.1  # of the range: values beyond are far outside
_MANY = 32  # least number of values of a sample for which few directions are a fault


def far_from(storage: Storage) -> float:
    """Return the largest |value| of a walk that has not diverged, data units.

    Example:
        >>> far_from(Storage())
        1001.0
    """
    return _FAR * (storage.high - storage.low) + max(abs(storage.low), abs(storage.high))


def walks_for(values: int) -> int:
    """Choose the number of pilot walks for samples with ``values`` values: 128, or fewer to stay below about 300 MB.

    Example:
        >>> walks_for(784), walks_for(3 * 256 * 256)
        (128, 21)
    """
    return max(_LEAST, min(WALKS, _MEMORY // values))


def points_for(values: int) -> int:
    """Choose the number of samples to measure, each with ``values`` values: 1,000, or fewer large ones.

    Example:
        >>> points_for(784), points_for(3 * 256 * 256)
        (1000, 170)
    """
    return max(_LEAST, min(POINTS, 8 * _MEMORY // values))


def visit(walker: Walker, settings: Settings, storage: Storage, *, walks: int = WALKS, seed: int = 0) -> list[Visited]:
    """Run walks in one block, within bounds, and return the visited states.

    Arguments:
        walker: kernel and start, from ``settings.build``.
        settings: length and emission of the walks.
        storage: storage of samples; its range defines divergence.
        walks: number of walks, >= 2.
        seed: seed of all randomness.
    """
    bounded = replace(settings.walk, limit=min(settings.limit, far_from(storage)))
    run = RunSpec(walks, seed, block_size=walks)
    return list(walk(walker.kernel, walker.start, walker.event_shape, bounded, run, transform=walker.transform))


def remembered(
    walker: Walker, settings: Settings, parts: Sequence[Visited], *, walks: int = WALKS, seed: int = 0
) -> float:
    """Measure the share of the start that remains in walks of :func:`visit` at the last step.

    NaN for fewer than two walks, and for starts from a law of data, which walks may remember.

    Arguments:
        walker, settings, walks, seed: arguments of :func:`visit`.
        parts: result of :func:`visit`.
    """
    last = parts[-1]
    if len(last.x) < 2 or settings.start.partition(":")[0] in _AMONG_DATA:
        return math.nan
    still = replace(settings, steps=0, burn_in=0, emit="state", limit=math.inf)
    (start,) = visit(walker, still, Storage("float", -1e30, 1e30), walks=walks, seed=seed)
    rows = torch.isin(start.walk, last.walk)
    begin = start.x[rows.to(start.x.device)]
    return start_remembered(begin, last.x) if begin.shape == last.x.shape else math.nan


def figures(
    x: Tensor,
    r: Autoencoder,
    C: Classifier | None,
    storage: Storage,
    *,
    stopped: float = 0.0,
    clipped: float | None = None,
    remembered: float = math.nan,
    seed: int = 0,
) -> Figures:
    """Measure samples: spread, classes, and the outputs of r and C.

    Arguments:
        x: samples, (N, *event), data units; at most 1,000 of them, drawn by the seed, are measured.
        r: autoencoder.
        C: classifier; None: no figures of classes.
        storage: how samples are stored.
        stopped: share of stopped walks.
        clipped: share of values far outside of the range before clipping; default: that of the samples.
        remembered: share of the start that remains in the walks.
        seed: seed of the choice of samples and of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    some = torch.randperm(len(x), generator=generator)[: points_for(x[0].numel())]
    raw = x.cpu()[some]
    width = storage.high - storage.low
    kept, _ = storage.store(raw)
    x = storage.load(kept).to(r.device)
    size = (_TOLD if r.noise_conditioned else _SMALL) * width
    level = size if r.noise_conditioned else None
    e = size * torch.randn(x.shape, generator=generator).to(r.device)
    with torch.no_grad():
        y, again, moved = r(x, level), r(x[:_TWICE], level), r(x + e, level)
    centred = x - x.mean(0)
    variance = float(centred.square().mean())
    least = (1e-6 * width) ** 2
    repeated, directions = _neighbours(centred.flatten(1), variance * centred[0].numel())
    found = Figures(
        stopped=stopped,
        clipped=far_outside(raw, storage) if clipped is None else clipped,
        spread=math.sqrt(variance) / width,
        noise_kept=float(((moved - y).square().mean() / e.square().mean()).sqrt()),
        error=float(((y - x).square().mean() / max(variance, least)).sqrt()),
        random=float(((y[:_TWICE] - again).square().mean() / max(variance, least)).sqrt()),
        repeated=repeated,
        directions=directions,
        remembered=remembered,
    )
    if C is None:
        return found
    p, q = (classify(C, storage.load(storage.store(one)[0])).double() for one in (x, y))
    shares = torch.bincount(p.argmax(1), minlength=p.shape[1]).double() / len(p)
    information = (class_entropy(p.mean(0, keepdim=True)) - class_entropy(p)) / math.log(p.shape[1])
    return replace(
        found,
        shares=tuple(shares.tolist()),
        information=information,
        confidence=float(p.amax(1).mean()),
        agreement=float((p.argmax(1) == q.argmax(1)).double().mean()),
    )


def far_outside(x: Tensor, storage: Storage) -> float:
    """Measure the share of values outside of the range by more than a tenth of it.

    A linear last layer overshoots a little where data lies on the border. This is harmless.

    Example:
        >>> far_outside(torch.tensor([-0.2, -0.05, 0.5, 1.05]), Storage())
        0.25
    """
    margin = _MARGIN * (storage.high - storage.low)
    return float(((x < storage.low - margin) | (x > storage.high + margin)).float().mean())


def _neighbours(x: Tensor, typical: float) -> tuple[float, float]:
    """Compare the distances of N rows to their nearest other row with the typical distance sqrt(2 typical).

    ``repeated``: share of rows within 1% of the typical distance. ``directions``: ln N / -ln(median / sqrt(2 typical)),
    the d for which N points, uniform in a ball of d dimensions, have this median.
    """
    if len(x) < 2 or typical == 0:
        return math.nan, math.inf
    square = torch.cdist(x, x).square()
    square.fill_diagonal_(math.inf)
    ratio = (square.amin(1) / (2 * typical)).sqrt()
    median = float(ratio.median())
    directions = math.log(len(x)) / -math.log(median) if 0 < median < 1 else (0.0 if median == 0 else math.inf)
    few_values = x.shape[1] < _MANY  # data with few values varies in few directions
    return float((ratio <= _NEAR).cpu().double().mean()), math.inf if few_values else directions
