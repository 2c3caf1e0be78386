"""Estimate traces and log-determinants of J_r by random probes, with their standard errors."""

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import ArgumentError, check_count
from reinject.score.jacobian import Map, check_square, push, signs_like


class Estimate(NamedTuple):
    """An unbiased estimate: value and standard error, each of shape (B,), and the number of independent draws."""

    value: Tensor
    standard_error: Tensor
    draws: int


def _estimate(draws: list[Tensor]) -> Estimate:
    d = torch.stack(draws)
    return Estimate(d.mean(0), d.std(0) / math.sqrt(len(d)), len(d))


def _check(owner: str, r: Map, x: Tensor, probes: int) -> None:
    check_square(owner, r, x)
    check_count(owner, "probes", probes, 2)  # one draw has no standard error


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).flatten(1).sum(1)


def trace(
    r: Map,
    x: Float[Tensor, "batch *event"],
    generator: torch.Generator,
    probes: int = 32,
    method: Literal["hutchinson", "hutch++"] = "hutchinson",
) -> Estimate:
    """Estimate tr J_r(x) = E z^T J z by random signs z, optionally with the dominant directions treated exactly.

    Hutch++ spends a third of the probes on a basis Q of J's range. It takes tr Q^T J Q exactly, and the rest, the trace
    of (I - Q Q^T) J (I - Q Q^T), by Hutchinson. Given Q it is unbiased, and the standard error is that of the rest. If
    the probes span the whole space, it is exact.

    Arguments:
        r, x: (B, *event) -> (B, *event), row by row; points.
        generator: of the probes.
        probes: jvps, >= 2; for hutch++ at least 6.
        method: "hutchinson" or "hutch++".

    Raises:
        ArgumentError, ModelError: a number out of range; r not square or not differentiable.

    Source: Hutchinson 1990; Meyer et al. 2021, arXiv 2010.09649 (Hutch++).

    Example:
        >>> trace(lambda x: 3 * x, torch.zeros(1, 4), torch.Generator().manual_seed(0), probes=2).value
        tensor([12.])
    """
    _check("trace", r, x, probes)
    if method == "hutchinson":
        return _estimate([_dot(z, push(r, x, z)[1]) for z in (signs_like(x, generator) for _ in range(probes))])
    if method != "hutch++":
        raise ArgumentError("trace", f"method = {method!r}", "Give hutchinson or hutch++")
    check_count("trace", "probes of hutch++", probes, 6)
    return _hutch_plus_plus(r, x, generator, probes)


def _hutch_plus_plus(r: Map, x: Tensor, generator: torch.Generator, probes: int) -> Estimate:
    n = x[0].numel()
    rank = min(probes // 3, n)

    def images(columns: Tensor) -> Tensor:
        """Return J applied to columns of shape (B, n, k)."""
        return torch.stack([push(r, x, c.reshape(x.shape))[1].flatten(1) for c in columns.unbind(2)], 2)

    sketch = torch.stack([signs_like(x, generator).flatten(1) for _ in range(rank)], 2)
    q, _ = torch.linalg.qr(images(sketch).detach())
    known = (q * images(q)).sum((1, 2))
    draws = []
    for _ in range(max(2, probes - 2 * rank)):
        z = signs_like(x, generator).flatten(1)
        rest = z - (q @ (q.mT @ z[:, :, None]))[:, :, 0]
        draws.append(_dot(rest, push(r, x, rest.reshape(x.shape))[1].flatten(1)))
    found = _estimate(draws)
    return found._replace(value=known + found.value)


def log_det_roulette(
    r: Map,
    x: Float[Tensor, "batch *event"],
    generator: torch.Generator,
    probes: int = 8,
    exact_terms: int = 4,
    go_on: float = 0.7,
) -> Estimate:
    """Estimate log det J_r(x) by its power series, cut at random so that the estimate is unbiased.

    log det(I + G) = sum_k (-1)^(k+1)/k tr G^k with G = J_r - I. The series converges if Lip(r - id) < 1; the
    determinant is then positive. Each term is probed by z^T G^k z. The first ``exact_terms`` terms are always included.
    Each further term is reached with probability ``go_on`` and has the weight 1/P(reached).

    Arguments:
        r, x: as for :func:`trace`, Lip(r - id) < 1. ``MLPResidual(..., lipschitz=.9)`` guarantees this bound;
            :func:`singular_values` of r - id measures it.
        generator: of the probes and the cuts.
        probes: independent draws of the whole series, >= 2.
        exact_terms: number of terms that are always included, >= 1.
        go_on: probability of one more term, in (0, 1); at most Lip(r - id)^2 gives an unbounded variance.

    Raises:
        ArgumentError, ModelError: as :func:`trace`.

    Source: Chen et al. 2019, arXiv 1906.02735, section 3.

    Example:
        >>> x = torch.zeros(1, 2, dtype=torch.float64)
        >>> got = log_det_roulette(lambda x: 1.1 * x, x, torch.Generator().manual_seed(0), probes=100)
        >>> abs(got.value.item() - 2 * math.log(1.1)) < 1e-4
        True
    """
    _check("log_det_roulette", r, x, probes)
    check_count("log_det_roulette", "exact_terms", exact_terms)
    if not 0 < go_on < 1:
        raise ArgumentError("log_det_roulette", f"go_on = {go_on}", "Give a probability in (0, 1)")
    draws = []
    for _ in range(probes):
        z = signs_like(x, generator)
        wide = torch.float32 if generator.device.type == "mps" else torch.float64  # some devices have no float64
        u = torch.rand((), generator=generator, device=generator.device, dtype=wide)
        further = int(torch.log(u).div(math.log(go_on)))  # geometric: P(further >= j) = go_on^j
        w, total = z, torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for k in range(1, exact_terms + further + 1):
            w = push(r, x, w)[1] - w
            reached = go_on ** max(0, k - exact_terms)
            total = total + (-1) ** (k + 1) / (k * reached) * _dot(z, w)
        draws.append(total)
    return _estimate(draws)


def log_det_lanczos(
    r: Map, x: Float[Tensor, "batch *event"], generator: torch.Generator, probes: int = 16, steps: int = 20
) -> Estimate:
    """Estimate log|det J_r(x)| of a symmetric J by stochastic Lanczos quadrature: E z^T log|J| z.

    For each probe, z^T log|J| z is a Gauss quadrature over the eigenvalues of the tridiagonal matrix of ``steps``
    Lanczos steps. It is exact given z once the steps reach the number of distinct eigenvalues; before, the bias falls
    geometrically. The sign of the determinant stays unknown. Lip(r - id) is not restricted, but J_r must be symmetric:
    see :func:`asymmetry`.

    Arguments:
        r, x: as for :func:`trace`, J_r symmetric.
        generator: of the probes.
        probes: >= 2.
        steps: dimension of the Krylov space, >= 1.

    Raises:
        ArgumentError, ModelError: as :func:`trace`.

    Source: Ubaru, Chen and Saad 2017, SIAM J. Matrix Anal. Appl. 38.

    Example:
        >>> x = torch.zeros(1, 2, dtype=torch.float64)
        >>> got = log_det_lanczos(lambda x: -2 * x, x, torch.Generator().manual_seed(0))
        >>> round(got.value.item() / math.log(2), 6)
        2.0
    """
    _check("log_det_lanczos", r, x, probes)
    check_count("log_det_lanczos", "steps", steps)
    n = x[0].numel()
    return _estimate([_quadrature(r, x, signs_like(x, generator), min(steps, n)) for _ in range(probes)])


def _quadrature(r: Map, x: Tensor, z: Tensor, steps: int) -> Tensor:
    n = x[0].numel()
    v = z.flatten(1) / math.sqrt(n)
    basis, alphas, betas = [v], [], []
    alive = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for k in range(steps):
        w = push(r, x, basis[-1].reshape(x.shape))[1].flatten(1)
        alphas.append(_dot(w, basis[-1]) * alive + (1 - alive))  # after a breakdown, rows of weight 0, log|1| = 0
        if k + 1 == steps:
            break
        size = w.norm(dim=1)
        for _ in range(2):
            for u in basis:
                w = w - _dot(u, w)[:, None] * u
        beta = w.norm(dim=1)
        alive = alive * (beta > 1e-7 * size.clamp(min=1e-30)).to(x.dtype)
        betas.append(beta * alive)
        basis.append(w / beta.clamp(min=1e-30)[:, None] * alive[:, None])
    t = torch.diag_embed(torch.stack(alphas, 1))
    if betas:
        off = torch.stack(betas, 1)
        t = t + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    values, vectors = torch.linalg.eigh(t)
    weighted: Tensor = vectors[:, 0].square() * values.abs().log()
    return n * weighted.sum(1)
