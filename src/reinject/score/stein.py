"""Estimate lambda of a trained r, by Stein's identity."""

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import ArgumentError, ModelError, check_count, check_positive
from reinject.score.jacobian import Map, check_square, push, signs_like

FEWEST = 16  # fewest held-out points
_MOST_ITERATIONS = 50
_SEED = 4_719_083_251  # no seed of toy data, because the noise must be independent of it
_FLATTEST = 0.01  # slope of the gap; with a flatter gap the answer is noise


class Lam(NamedTuple):
    """Lambda, its standard error (squared data units), the divisor d, and the dimension n."""

    value: float
    standard_error: float
    dimension: float
    n: int


def effective_dimension(r: Map, x: Float[Tensor, "batch *event"], generator: torch.Generator, probes: int = 4) -> float:
    """Return E tr J_r over the points x: the number of directions that r retains, by Hutchinson probes.

    It is k for a projection on k dimensions, sum v/(v + sigma^2) for a Gaussian's optimal denoiser, and n - O(lambda)
    for the perfect lossy autoencoder.

    Arguments:
        r, x: (B, *event) -> (B, *event), row by row; points.
        generator: of the probes.
        probes: draws for each point, >= 1.

    Example:
        >>> r = lambda x: x * torch.tensor([1.0, 1.0, 0.0])
        >>> effective_dimension(r, torch.zeros(5, 3), torch.Generator().manual_seed(0))
        2.0
    """
    check_square("effective_dimension", r, x)
    return float(_traces(r, x, generator, probes).mean())


def _traces(r: Map, x: Tensor, generator: torch.Generator, probes: int) -> Tensor:
    zs = (signs_like(x, generator) for _ in range(probes))
    with torch.no_grad():
        return torch.stack([(z * push(r, x, z)[1]).flatten(1).sum(1) for z in zs]).mean(0)


def estimate_lam(
    r: Map,
    held_out: Float[Tensor, "batch *event"],
    method: Literal["matched", "effective", "full"] | float = "matched",
    mean: Float[Tensor, "*event"] | None = None,
    generator: torch.Generator | None = None,
    probes: int = 4,
) -> Lam:
    """Estimate lambda = -2 E[(r(y) - y) . (y - m)] / d, from Stein's identity E[s(y) . (y - m)] = -n for y ~ p.

    The method determines the points y and the divisor d:

    - "matched": y = x + sqrt(lambda/2) z with the lambda of the result, d = n; the fixed point is found by the
      secant method. A denoiser has the score of the density smoothed with its noise. Stein's identity holds for it
      at points with that noise, so this is exact for the optimal denoiser of any density. A direction that a
      bottleneck drops adds its own noise on both sides and cancels.
    - "effective": y = x, d = E tr J_r. Exact for the optimal denoiser of a Gaussian, where both sides are sums over the
      directions: sum sigma^2 v/(v + sigma^2) and sum v/(v + sigma^2).
    - "full": y = x, d = n: Stein's identity for a perfect lossy r, or for a denoiser on points that already
      have its noise. On clean points it is too small by the share of directions narrower than sigma.
    - a number: y = x, d as given.

    For a perfect lossy r all agree to O(lambda).

    Arguments:
        r: (B, *event) -> (B, *event), row by row.
        held_out: x, points that r was not trained on, at least 16, (B, *event), data units. A network that has
            memorised its training points pulls less on them.
        method: see above.
        mean: m of the data, (*event); default: that of ``held_out``.
        generator: of the noise or the probes; not the generator of the points. Default: a fixed seed.
        probes: draws for each point, >= 1.

    Returns:
        The estimate; its standard error is over the points (delta method).

    Raises:
        ArgumentError: too few points; ``method`` or ``probes`` out of range.
        ModelError: r is not square, or does not pull towards the data.

    Source: Stein 1981; see docs/theory.md.

    Example:
        >>> x = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
        >>> round(estimate_lam(lambda x: x / 1.25, x).value, 1)  # optimal denoiser with sigma = .5
        0.5
    """
    check_square("estimate_lam", r, held_out)
    check_count("estimate_lam", "probes", probes)
    if len(held_out) < FEWEST:
        raise ArgumentError("estimate_lam", f"{len(held_out)} held-out points are too few", f"Give at least {FEWEST}")
    generator = generator or torch.Generator(held_out.device).manual_seed(_SEED)
    m = held_out.mean(0) if mean is None else mean
    if method == "matched":
        return _matched(r, held_out, m, generator, probes)
    n, pull = held_out[0].numel(), _pull(r, held_out, m)
    if method == "effective":
        d = _traces(r, held_out, generator, probes).cpu().double()
    elif method == "full":
        d = torch.full_like(pull, n)
    elif isinstance(method, str):
        raise ArgumentError("estimate_lam", f"method = {method!r}", "Give matched, effective, full or a dimension")
    else:
        check_positive("estimate_lam", "dimension", method)
        d = torch.full_like(pull, method)
    share = float(d.mean())
    lam = _positive(float(pull.mean()) / share if share else math.nan)
    return Lam(lam, float((pull - lam * d).std()) / math.sqrt(len(pull)) / share, share, n)


def _pull(r: Map, y: Tensor, m: Tensor) -> Tensor:
    """Return -2 (r(y) - y) . (y - m), (B,), in float64 on the CPU.

    Some devices have no float64.
    """
    with torch.no_grad():
        return -2 * ((r(y) - y) * (y - m)).flatten(1).sum(1).cpu().double()


def _positive(lam: float) -> float:
    if not (math.isfinite(lam) and lam > 0):
        raise ModelError(
            "estimate_lam",
            f"lambda = {lam:.3g}: r does not pull these points towards their mean",
            "Give points of the data that r was trained on",
        )
    return lam


def _matched(r: Map, x: Tensor, m: Tensor, generator: torch.Generator, probes: int) -> Lam:
    """Return the fixed point of lambda -> E pull(x + sqrt(lambda/2) z) / n, for fixed draws z."""
    n = x[0].numel()
    shape = (probes, *x.shape)
    zs = torch.randn(shape, generator=generator, device=generator.device, dtype=x.dtype).to(x.device)

    def pull(lam: float) -> Tensor:
        return torch.stack([_pull(r, x + math.sqrt(lam / 2) * z, m) for z in zs]).mean(0) / n

    before, value = 0.0, _positive(float(pull(0.0).mean()))
    gap_before = value
    for _ in range(_MOST_ITERATIONS):
        found = pull(value)
        gap = float(found.mean()) - value
        slope = (gap - gap_before) / (value - before)  # slope of the gap; -1 if the noise does not change the pull
        if not slope < -_FLATTEST:
            break
        step = -gap / slope
        if abs(step) <= 1e-6 * value:
            return Lam(value, float(found.std()) / math.sqrt(len(x)) / -slope, n, n)
        before, gap_before = value, gap
        value = _positive(value + step) if value + step > 0 else value / 2
    raise ModelError(
        "estimate_lam",
        f"no noise level matches r near lambda = {value:.3g}: r removes more of larger noise",
        "Give more points, or a dimension",
    )
