"""Compute the Jacobian of r exactly: batched over points, by forward or reverse mode, in chunks of bounded memory."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import ArgumentError, ModelError, check_count, reason

Mode = Literal["auto", "forward", "reverse"]
Map = Callable[[Tensor], Tensor]
_VALUES = 2**19  # input values of one pass, such that the network's activations stay in the cache
_MATRICES = 3 * 2**19  # values of the Jacobians in memory at once: two points at n = 784


class LogDet(NamedTuple):
    """sign(det J) and log|det J|, each of shape (B,); 0 and -inf for det J = 0."""

    sign: Tensor
    value: Tensor


def jacobian(
    f: Map, x: Float[Tensor, "batch *event"], mode: Mode = "auto", chunk: int | None = None
) -> Float[Tensor, "batch m n"]:
    """Return J_f(x), (J)_ij = df_i/dx_j, of every point of a batch; differentiable in the parameters of f.

    Forward mode sends the n basis vectors of the input through jvp; reverse mode sends the m of the output through vjp.
    Each pass takes a chunk of them for the whole batch. For a square J both modes need the same number of passes, and a
    pass of reverse mode is cheaper.

    Arguments:
        f: (B, *in) -> (B, *out), row by row; n and m are the numbers of values of one input and one output.
        x: points, floating point, (B, *in).
        mode: "forward", "reverse", or "auto": forward where n < m.
        chunk: basis vectors in one pass, >= 1; default: a number that keeps a pass below 2^19 values.

    Returns:
        Shape (B, m, n); events are flattened.

    Raises:
        ArgumentError: x is not floating point; ``mode`` or ``chunk`` out of range.
        ModelError: f changes the number of rows, or is not differentiable in this mode.

    Example:
        >>> jacobian(lambda x: x @ torch.tensor([[1.0, 0.0], [2.0, 3.0]]), torch.zeros(1, 2))
        tensor([[[1., 2.],
                 [0., 3.]]])
    """
    return value_and_jacobian(f, x, mode, chunk)[1]


def value_and_jacobian(
    f: Map, x: Float[Tensor, "batch *event"], mode: Mode = "auto", chunk: int | None = None
) -> tuple[Tensor, Float[Tensor, "batch m n"]]:
    """Return f(x) and J_f(x), as :func:`jacobian`; in reverse mode f(x) costs nothing extra.

    Example:
        >>> value_and_jacobian(lambda x: 3 * x, torch.ones(1, 1))
        (tensor([[3.]]), tensor([[[3.]]]))
    """
    check_points("jacobian", x)
    if mode not in ("auto", "forward", "reverse"):
        raise ArgumentError("jacobian", f"mode = {mode!r}", "Give auto, forward or reverse")
    if chunk is not None:
        check_count("jacobian", "chunk", chunk)
    n = x[0].numel()
    m = n if mode == "forward" else _outputs(f, x)
    forward = mode == "forward" or (mode == "auto" and n < m)
    size = chunk or max(1, _VALUES // max(1, len(x) * max(n, m)))
    return (f(x), _forward(f, x, size)) if forward else _reverse(f, x, size)


def _outputs(f: Map, x: Tensor) -> int:
    with torch.no_grad():
        return int(f(x[:1]).numel())


def _forward(f: Map, x: Tensor, size: int) -> Tensor:
    n = x[0].numel()

    def column(v: Tensor) -> Tensor:
        tangent = v.reshape(x.shape[1:]).expand_as(x)
        return push(f, x, tangent)[1].flatten(1)

    basis = torch.eye(n, dtype=x.dtype, device=x.device)
    parts = [torch.func.vmap(column)(part) for part in torch.split(basis, size)]
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).permute(1, 2, 0)


def _reverse(f: Map, x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    y, pull = pullback(f, x)
    basis = torch.eye(y[0].numel(), dtype=y.dtype, device=y.device)

    def row(v: Tensor) -> Tensor:
        return pull(v.reshape(y.shape[1:]).expand_as(y)).flatten(1)

    parts = [torch.func.vmap(row)(part) for part in torch.split(basis, size)]
    if not any(part.detach().any() for part in parts) and _cut_off(f, x):
        raise _undifferentiable("its result does not depend on it")
    return y, (parts[0] if len(parts) == 1 else torch.cat(parts)).transpose(0, 1)


def _cut_off(f: Map, x: Tensor) -> bool:
    """Return whether no derivative passes through f; reverse mode gives 0 there, as for a flat f."""
    with torch.enable_grad():
        probe = x[:1].detach().requires_grad_()
        y = f(probe)
        return not y.requires_grad or torch.autograd.grad(y.sum(), probe, allow_unused=True)[0] is None


def push(f: Map, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(x) and J_f(x) v, by one jvp; raise ModelError if f has no forward derivative."""
    try:
        pushed: tuple[Tensor, Tensor] = torch.func.jvp(f, (x,), (v,), strict=True)  # type: ignore[assignment]
    except NotImplementedError as error:
        raise ModelError("f", f"has no forward-mode derivative ({reason(error)})", 'Give mode="reverse"') from error
    except RuntimeError as error:
        raise _undifferentiable(reason(error)) from error
    _check_rows(x, pushed[0])
    return pushed


def pullback(f: Map, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return f(x), and the map v -> J_f(x)^T v, by vjp; raise ModelError if f has no derivative."""
    pulled: tuple[Tensor, Callable[[Tensor], tuple[Tensor]]] = torch.func.vjp(f, x)  # type: ignore[assignment]
    y, pull = pulled
    _check_rows(x, y)

    def transposed(v: Tensor) -> Tensor:
        return pull(v)[0]

    return y, transposed


def _check_rows(x: Tensor, y: Tensor) -> None:
    if y.shape[:1] != x.shape[:1]:
        raise ModelError("f", f"maps {len(x)} points to shape {tuple(y.shape)}", "Give a map that keeps the rows")


def _undifferentiable(why: str) -> ModelError:
    return ModelError(
        "f",
        f"is not differentiable in its input ({why})",
        "Remove detach, numpy, rounding and torch.no_grad from it",
    )


def check_points(owner: str, x: Tensor) -> None:
    """Raise ArgumentError unless x is a batch of floating-point points."""
    if not x.is_floating_point() or x.ndim < 2 or len(x) == 0:
        raise ArgumentError(
            owner, f"x of shape {tuple(x.shape)} and {x.dtype}", "Give a batch (B, *event) of floating-point points"
        )


def check_square(owner: str, r: Map, x: Tensor) -> None:
    """Raise unless r keeps the shape of x."""
    check_points(owner, x)
    with torch.no_grad():
        y = r(x[:1])
    if y.shape != x[:1].shape or y.dtype != x.dtype:
        raise ModelError(
            owner,
            f"r maps {tuple(x.shape[1:])} {x.dtype} to {tuple(y.shape[1:])} {y.dtype}; its Jacobian is not square",
            "Give an autoencoder: same shape and dtype out as in",
        )


def log_det(r: Map, x: Float[Tensor, "batch *event"], mode: Mode = "auto", chunk: int | None = None) -> LogDet:
    """Return sign and logarithm of |det J_r(x)|, exactly, by an LU factorisation of the whole Jacobian.

    The factorisation takes some points at a time.

    Arguments:
        r, x, mode, chunk: as for :func:`jacobian`, r of the shape of x.

    Raises:
        ArgumentError, ModelError: as :func:`jacobian`; r changes the shape or dtype.

    Source: the second term of Prop. 1 of the paper.

    Example:
        >>> log_det(lambda x: -2 * x, torch.zeros(1, 3))
        LogDet(sign=tensor([-1.]), value=tensor([2.0794]))
    """
    check_square("log_det", r, x)
    group = max(1, _MATRICES // x[0].numel() ** 2)
    parts = [torch.linalg.slogdet(jacobian(r, some, mode, chunk)) for some in torch.split(x, group)]
    return LogDet(*(torch.cat(column) for column in zip(*parts, strict=True)))


def asymmetry(
    r: Map, x: Float[Tensor, "batch *event"], generator: torch.Generator | None = None, probes: int = 16
) -> Float[Tensor, " batch"]:
    """Return |J - J^T|_F / |J|_F of J_r(x): 0 where r - x is a gradient field, up to 2 where J is antisymmetric.

    The value is exact without a generator. With one it is sqrt(sum |J z - J^T z|^2 / sum |J z|^2) over random signs z,
    by one jvp and one vjp each.

    Arguments:
        r, x: as for :func:`log_det`.
        generator: of the probes; None: the whole Jacobian.
        probes: draws of z, >= 1.

    Example:
        >>> asymmetry(lambda x: x @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.zeros(1, 2))
        tensor([2.])
    """
    check_square("asymmetry", r, x)
    if generator is None:
        j = jacobian(r, x)
        whole: Tensor = torch.linalg.matrix_norm(j - j.mT) / torch.linalg.matrix_norm(j)
        return whole
    check_count("asymmetry", "probes", probes)
    _, pull = pullback(r, x)
    difference = size = torch.zeros(len(x), dtype=x.dtype, device=x.device)
    for _ in range(probes):
        z = signs_like(x, generator)
        jz = push(r, x, z)[1]
        difference = difference + (jz - pull(z)).square().flatten(1).sum(1)
        size = size + jz.square().flatten(1).sum(1)
    ratio: Tensor = (difference / size).sqrt()
    return ratio


def signs_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw random signs, +1 or -1 with probability 1/2 each, of x's shape and dtype (Rademacher probes)."""
    draw = torch.randint(2, x.shape, generator=generator, device=generator.device)
    return (2 * draw - 1).to(x.device, x.dtype)
