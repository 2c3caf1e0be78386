"""r: one calling convention for every autoencoder.

A reconstruction maps a batch x of shape (B, *event) to r(x) of the same shape, dtype and device. A noise-conditioned
network is called as r(x, sigma), with the noise level sigma of its input. :func:`wrap` checks everything once; the loop
checks nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from reinject.base.errors import ArgumentError, ModelError, check_positive, check_shape, reason
from reinject.walks.classifier_outputs import check_steady
from reinject.walks.conditioning import Conditioning
from reinject.walks.execution import Chunks, Execution, cure_of_failure, in_cache
from reinject.walks.modes import Evaluating, InEvaluation, place_of_weights
from reinject.walks.outputs import halves_of, one_tensor
from reinject.walks.time_denoiser import as_denoiser

Source = nn.Module | tuple[nn.Module, nn.Module] | Callable[..., Any]


@runtime_checkable
class Autoencoder(Protocol):
    """The interface of r that kernels use: one autoencoder, several, or one with a changed drift."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Return the shape of one x, without the batch."""
        ...

    @property
    def device(self) -> torch.device:
        """Return the device where x must be."""
        ...

    @property
    def noise_conditioned(self) -> bool:
        """Return whether r is noise-conditioned."""
        ...

    @property
    def has_code(self) -> bool:
        """Return whether r has an encoder and a decoder."""
        ...

    def __call__(self, x: Tensor, sigma: float | None = None) -> Tensor:
        """Return r(x), or r(x, sigma), shape of x."""
        ...

    def encode(self, x: Tensor) -> Tensor:
        """Return the code of x."""
        ...

    def decode(self, h: Tensor) -> Tensor:
        """Return the point of a code."""
        ...


@dataclass(frozen=True)
class Reconstruction:
    """An autoencoder r: R^n -> R^n, checked and ready to call; made by :func:`wrap`.

    Attributes:
        function: x -> r(x), or (x, sigma) -> r(x, sigma) where ``noise_conditioned``.
        event_shape: shape of one x, without the batch.
        device: where x must be.
        noise_conditioned: whether the function takes the noise level.
        sigma: noise level when the caller gives none; data units, > 0.
        execution: how the network is run.
        name: for messages and manifests.
        encoder: x -> code of shape (B, *code).
        decoder: code -> x; both are None unless r = decoder(encoder(x)).
        conditioning: levels and classes that the function was trained with; a class is its third argument.
        codes: noise-conditioned denoiser of the codes, for walks among codes.
        radius: distance of a typical point from the mean, data units, where the model states it.
    """

    function: Callable[..., Tensor] = field(repr=False)
    event_shape: tuple[int, ...]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    noise_conditioned: bool = False
    sigma: float | None = None
    execution: Execution = field(default_factory=Execution)
    name: str = "r"
    encoder: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    decoder: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    conditioning: Conditioning = field(default=Conditioning(), repr=False)
    codes: "Reconstruction | None" = field(default=None, repr=False)
    radius: float | None = field(default=None, repr=False)
    _in_chunks: Chunks = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_in_chunks", Chunks(self.name, self.execution.chunk))

    def __call__(self, x: Tensor, sigma: float | None = None) -> Tensor:
        """Return r(x) for x of shape (B, *event); ``sigma``, data units, is for noise-conditioned networks only."""
        return self._in_chunks(lambda part, *label: self._once(part, sigma, *label), x, *self.conditioning.labels(x))

    @property
    def has_code(self) -> bool:
        """Return whether r has an encoder and a decoder."""
        return self.encoder is not None and self.decoder is not None

    def encode(self, x: Tensor) -> Tensor:
        """Return the code of x: (B, *event) -> (B, *code); raise ModelError without an encoder."""
        return self._in_chunks(self._known(self.encoder), x)

    def decode(self, h: Tensor) -> Tensor:
        """Return the point of a code: (B, *code) -> (B, *event); raise ModelError without a decoder."""
        return self._in_chunks(self._known(self.decoder), h)

    def _known(self, part: Callable[[Tensor], Tensor] | None) -> Callable[[Tensor], Tensor]:
        if part is None:
            raise ModelError(self.name, "has no encoder and decoder", "Wrap (encoder, decoder)")
        return part

    def _once(self, x: Tensor, sigma: float | None, *label: Tensor) -> Tensor:
        if not self.noise_conditioned:
            return self.function(x)
        level = self.sigma if sigma is None else sigma
        return self.function(x, torch.full((len(x),), level or 0.0, dtype=x.dtype, device=x.device), *label)


def wrap(
    source: Source,
    event_shape: Sequence[int] | int,
    *,
    device: str | torch.device | None = None,
    noise_conditioned: bool | Conditioning = False,
    sigma: float | None = None,
    execution: Execution | None = None,
    name: str | None = None,
) -> Reconstruction:
    """Wrap a trained network as r, and check it once on a few points.

    Arguments:
        source: a module, an (encoder, decoder) pair of modules, or any callable on tensors. Modules run in evaluation
            mode; after every call they have their earlier mode. Their weights do not change. A module with methods
            ``encode`` and ``decode`` has a code where r(x) = decode(encode(x)). Of several output tensors (a tuple, a
            dict, a dataclass), :func:`reinject.walks.outputs.choose` takes the reconstruction.
        event_shape: shape of one input, without the batch: (1, 28, 28), or its length: 784.
        device: where to run; modules move there. Default: the module's device, or the CPU for a function.
        noise_conditioned: whether the network is called as (x, sigma), sigma of shape (B,), in data units. A
            :class:`Conditioning` states its levels and its classes; a class-conditional network is called as (x, sigma,
            label). A module with a ``schedule`` (azula's) is called as (x_t, t).
        sigma: the noise level to use where a kernel does not set one; required with ``noise_conditioned``.
        execution: how to run the network; default: all points at once, in 32 bits. Where ``execution.chunk`` is None, a
            network with convolutions on a CPU gets a chunk that fits the caches.
        name: for messages and manifests; default: the name of the class.

    Raises:
        ArgumentError: ``sigma`` out of range, or missing.
        ModelError: the network fails, changes shape or dtype, is not finite, draws noise, or mixes the rows of a batch.

    Example:
        >>> r = wrap(torch.nn.Linear(2, 2), (2,))
        >>> r(torch.zeros(5, 2)).shape
        torch.Size([5, 2])
    """
    label, source = name or _name_of(source), as_denoiser(source) if noise_conditioned else source
    event_shape = check_shape(label, event_shape)
    parts = source if isinstance(source, tuple) else (source,)
    place = place_of_weights(parts, label) if device is None else torch.device(device)
    mode, execution = Evaluating(*parts), execution or Execution()
    if execution.chunk is None:
        execution = replace(execution, chunk=in_cache(parts, math.prod(event_shape), place))
    if noise_conditioned:
        if sigma is None:
            raise ArgumentError(label, "noise-conditioned but no sigma given", "Give the level to hold")
        check_positive(label, "sigma", sigma)
    levels = (sigma,) if noise_conditioned and sigma is not None else ()
    with mode:
        whole = one_tensor(_function_of(source, place), two_points(event_shape, place), levels, label)
    function = InEvaluation(execution.of(whole, place), mode)
    told = noise_conditioned if isinstance(noise_conditioned, Conditioning) else Conditioning()
    fields = (function, event_shape, place, bool(noise_conditioned), sigma, execution, label)
    r = Reconstruction(*fields, conditioning=told)
    _check(r, source)
    return _with_code(r, source, mode)


def _name_of(source: Source) -> str:
    if isinstance(source, tuple):
        return " + ".join(type(part).__name__ for part in source)
    if isinstance(source, nn.Module):
        return type(source).__name__
    return getattr(source, "__name__", type(source).__name__)


def _function_of(source: Source, device: torch.device) -> Callable[..., Tensor]:
    if isinstance(source, tuple):
        encoder, decoder = (part.to(device) for part in source)
        return lambda x: decoder(encoder(x))
    if isinstance(source, nn.Module):
        return source.to(device)
    if callable(source):
        return source
    raise ModelError(
        type(source).__name__, "not a module, an (encoder, decoder) pair or a callable", "Give one of these"
    )


def _with_code(r: Reconstruction, source: Source, mode: Evaluating) -> Reconstruction:
    """Return r with the encoder and decoder of a pair, or of a module whose usual halves make up r."""
    if isinstance(source, tuple):
        return replace(r, encoder=InEvaluation(source[0], mode), decoder=InEvaluation(source[1], mode))
    halves = halves_of(source)
    if halves is None or r.noise_conditioned:
        return r
    encode, decode = (InEvaluation(half, mode) for half in halves)
    try:
        x = two_points(r.event_shape, r.device)
        with torch.no_grad():
            same = torch.allclose(decode(encode(x)), r(x), rtol=1e-4, atol=1e-5)  # up to rounding
    except Exception:  # noqa: BLE001  # other libraries' methods of that name
        return r
    return replace(r, encoder=encode, decoder=decode) if same else r


def two_points(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Return two points to try a network on, (2, *shape), evenly spaced values in -1..1."""
    return torch.linspace(-1, 1, 2 * max(1, math.prod(shape)), device=device).reshape(2, *shape)


def _check(r: Reconstruction, source: Source) -> None:
    two = two_points(r.event_shape, r.device)
    y, *_ = [_tried(r, x, source) for x in (two, two[:1], torch.cat([two, two[:1]]))]  # even, single, odd
    alike = not r.execution.compiled and r.execution.precision == "32-true"  # one row is rounded like many rows
    check_steady(r, two, y, r.name, rows=alike)


def _tried(r: Reconstruction, x: Tensor, source: Source) -> Tensor:
    try:
        with torch.no_grad():
            y = r(x)
    except Exception as error:  # whatever another library raises
        problem = f"fails on a batch of shape {tuple(x.shape)} ({reason(error)})"
        cure = cure_of_failure(source if isinstance(source, tuple) else (source,), x, r.execution.compiled)
        raise ModelError(r.name, problem, cure) from error
    if not isinstance(y, Tensor) or y.shape != x.shape or y.dtype != x.dtype:
        got = f"{tuple(y.shape)} {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        problem = f"maps {tuple(x.shape)} {x.dtype} to {got}"
        raise ModelError(r.name, problem, "Wrap it so that r(x) has the shape and dtype of x")
    if not torch.isfinite(y).all():
        raise ModelError(r.name, "returns non-finite values", "Check its weights for NaN and infinity")
    return y


@dataclass(frozen=True)
class Ensemble:
    """Several autoencoders as one r: member k mod K walks row k of a block.

    As in the paper's Algorithm 1, each walk uses one of them for all its steps.

    Example:
        >>> double = wrap(lambda x: 2 * x, (1,))
        >>> triple = wrap(lambda x: 3 * x, (1,))
        >>> Ensemble((double, triple))(torch.ones(3, 1)).flatten().tolist()
        [2.0, 3.0, 2.0]
    """

    members: tuple[Reconstruction, ...]

    def __post_init__(self) -> None:
        shapes = {(r.event_shape, r.device, r.noise_conditioned) for r in self.members}
        if len(shapes) != 1:
            found = ", ".join(f"{r.name} {r.event_shape}" for r in self.members) or "nothing"
            raise ModelError("ensemble", f"members do not match: {found}", "Give autoencoders of one kind of input")
        if len(self.members) > 1 and any(r.conditioning.classes for r in self.members):
            raise ModelError("ensemble", "has class-conditional members", "Give one autoencoder, or unconditional ones")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Return the shape of one x, without the batch."""
        return self.members[0].event_shape

    @property
    def device(self) -> torch.device:
        """Return the device where x must be."""
        return self.members[0].device

    @property
    def noise_conditioned(self) -> bool:
        """Return whether the members are noise-conditioned."""
        return self.members[0].noise_conditioned

    @property
    def conditioning(self) -> Conditioning:
        """Return the levels and classes of the first member."""
        return self.members[0].conditioning

    def asking(self, classes: tuple[int, ...]) -> "Ensemble":
        """Return the same r with these classes of rows 0, 1, ..., in turn; raise ArgumentError for unknown ones."""
        told = replace(self.conditioning, asked=classes)
        return Ensemble(tuple(replace(r, conditioning=told) for r in self.members))

    @property
    def radius(self) -> float | None:
        """Return the distance of a typical point from the mean, where the first member states it."""
        return self.members[0].radius

    @property
    def codes(self) -> Reconstruction | None:
        """Return the denoiser of the codes of a single member, if it has one."""
        return self.members[0].codes if len(self.members) == 1 else None

    @property
    def has_code(self) -> bool:
        """Return whether all members have an encoder and a decoder."""
        return all(r.has_code for r in self.members)

    def __call__(self, x: Tensor, sigma: float | None = None) -> Tensor:
        """Return r_k(x[k::K]) for every member k of the K; shapes as for one reconstruction."""
        return _by_row([partial(r, sigma=sigma) for r in self.members], x)

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes, each by its row's member."""
        return _by_row([r.encode for r in self.members], x)

    def decode(self, h: Tensor) -> Tensor:
        """Return the points, each by its row's member."""
        return _by_row([r.decode for r in self.members], h)


def ensemble_of(r: object) -> Ensemble:
    """Return one or several reconstructions as an ensemble; raise ModelError where one is not wrapped."""
    if isinstance(r, Ensemble):
        return r
    members = tuple(r) if isinstance(r, (list, tuple)) else (r,)
    for one in members:
        if not isinstance(one, Reconstruction):
            cure = "Give reinject.wrap(network, shape of one input)"
            raise ModelError("r", f"{type(one).__name__} is not a wrapped autoencoder", cure)
    return Ensemble(members)


def _by_row(functions: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> Tensor:
    """Return function_k(x[k::K]) in the order of x, differentiably: without writing in place."""
    k = len(functions)
    if k == 1:
        return functions[0](x)
    rows = torch.arange(len(x), device=x.device)
    order = torch.cat([rows[i::k] for i in range(k)]).argsort()
    return torch.cat([function(x[i::k]) for i, function in enumerate(functions)])[order]
