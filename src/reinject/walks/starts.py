"""Starts of walks: small frozen dataclasses with ``draw(shape, generator, first)``."""

from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError, check_positive
from reinject.base.files import fingerprint
from reinject.walks.schedules import parse_number

__all__ = [
    "Codes",
    "Fitted",
    "Mixture",
    "Normal",
    "Points",
    "Start",
    "Through",
    "Uniform",
    "parse_start",
]


class Start(Protocol):
    """The interface of starts: draw x_0 on the generator's device, from the generator and the walks' numbers alone."""

    def draw(self, shape: tuple[int, ...], generator: torch.Generator, first: int = 0) -> Tensor:
        """Draw x_0 of the given shape (B, *event), data units, of the walks first, first + 1, ..."""
        ...


@dataclass(frozen=True)
class Normal:
    """Draw x_0 ~ N(0, std^2 I); std > 0, data units. Algorithm 1 starts at std = 1.

    Example:
        >>> Normal().draw((2, 3), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """

    std: float = 1.0

    def __post_init__(self) -> None:
        check_positive("start normal", "std", self.std)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator, first: int = 0) -> Tensor:  # noqa: ARG002
        """Return std z, z ~ N(0, I) of the given shape."""
        return torch.empty(shape, device=generator.device).normal_(0.0, self.std, generator=generator)


@dataclass(frozen=True)
class Uniform:
    """Draw x_0 uniformly in the box [low, high]^n; low < high, data units.

    Example:
        >>> bool(Uniform(0, 2).draw((1000,), torch.Generator().manual_seed(0)).max() < 2)
        True
    """

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ArgumentError("start uniform", f"low = {self.low}, high = {self.high}", "Give low < high")

    def draw(self, shape: tuple[int, ...], generator: torch.Generator, first: int = 0) -> Tensor:  # noqa: ARG002
        """Return low + (high - low) u, u uniform in [0, 1) of the given shape."""
        u = torch.rand(shape, generator=generator, device=generator.device)
        return self.low + (self.high - self.low) * u


@dataclass(frozen=True)
class Fitted:
    """Draw x_0 ~ N(m, S), the Gaussian with the mean and the covariance of given points.

    Arguments:
        points: (N, *event), data units, N >= 2.

    Raises:
        ArgumentError: fewer than two points, or some that are not finite.

    Example:
        >>> points = torch.tensor([[0.0, 0.0], [2.0, 2.0]])
        >>> x = Fitted(points).draw((1000, 2), torch.Generator().manual_seed(0))
        >>> torch.equal(x[:, 0], x[:, 1])  # they vary along one line only
        True
    """

    points: InitVar[Tensor]
    sha256: str = field(init=False)
    mean: Tensor = field(init=False, repr=False, compare=False)
    factor: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self, points: Tensor) -> None:
        _check_points("start fitted", points, 2)
        flat = points.flatten(1).cpu().double()
        centred = flat - flat.mean(0)
        values, axes = torch.linalg.eigh(centred.T @ centred / (len(flat) - 1))
        kept = values > values[-1] * 1e-12  # fewer points than dimensions do not span the space
        object.__setattr__(self, "sha256", fingerprint(points))
        object.__setattr__(self, "mean", points.float().mean(0))
        object.__setattr__(self, "factor", (values[kept].sqrt()[:, None] * axes.T[kept]).float())

    def draw(self, shape: tuple[int, ...], generator: torch.Generator, first: int = 0) -> Tensor:  # noqa: ARG002
        """Return m + z S^(1/2)."""
        _check_event("start fitted", self.mean, shape)
        device = generator.device
        z = torch.empty((shape[0], len(self.factor)), device=device).normal_(generator=generator)
        return (z @ self.factor.to(device)).reshape(shape) + self.mean.to(device)


@dataclass(frozen=True)
class Mixture:
    """Draw x_0 from a mixture of Gaussians: m_k + z F_k with probability w_k, z ~ N(0, I).

    Arguments:
        weights: w, (K,), >= 0, sum 1.
        means: m, (K, *event), data units.
        factors: F, (K, rank, n), data units; the covariance of component k is F_k^T F_k.

    Raises:
        ArgumentError: shapes that do not fit, or values that are not finite.

    Example:
        >>> start = Mixture(torch.tensor([0.5, 0.5]), torch.tensor([[0.0], [9.0]]), torch.zeros(2, 1, 1))
        >>> sorted(set(start.draw((100, 1), torch.Generator().manual_seed(0)).flatten().tolist()))
        [0.0, 9.0]
    """

    weights: Tensor = field(repr=False, compare=False)
    means: Tensor = field(repr=False, compare=False)
    factors: Tensor = field(repr=False, compare=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        _check_points("start mixture", self.means, 1)
        k, n = len(self.means), self.means[0].numel()
        if self.weights.shape != (k,) or self.factors.ndim != 3 or self.factors.shape[::2] != (k, n):
            shapes = [tuple(part.shape) for part in (self.weights, self.means, self.factors)]
            raise ArgumentError("start mixture", f"shapes {shapes}", "Give (K,), (K, *event) and (K, rank, n)")
        whole = torch.cat([self.weights, self.means.flatten(), self.factors.flatten()])
        if not bool(torch.isfinite(whole).all()) or bool((self.weights < 0).any()):
            raise ArgumentError("start mixture", "values that are not finite, or weights < 0", "Fit it again")
        object.__setattr__(self, "sha256", fingerprint(whole))

    def draw(self, shape: tuple[int, ...], generator: torch.Generator, first: int = 0) -> Tensor:  # noqa: ARG002
        """Return m_k + z F_k, for a component k drawn for every row."""
        _check_event("start mixture", self.means[0], shape)
        device = generator.device
        k = torch.multinomial(self.weights.to(device), shape[0], replacement=True, generator=generator)
        z = torch.empty((shape[0], self.factors.shape[1]), device=device).normal_(generator=generator)
        x = torch.empty((shape[0], self.factors.shape[2]), device=device)
        for number, factor in enumerate(self.factors.to(device)):
            rows = k == number
            x[rows] = z[rows] @ factor
        return x.reshape(shape) + self.means.to(device)[k]


@dataclass(frozen=True)
class Codes:
    """Draw codes from a mixture; the autoencoder decodes them to the starts of walks.

    Arguments:
        law: distribution of the codes; its event is a code.
    """

    law: Mixture

    def draw(self, shape: tuple[int, ...], generator: torch.Generator, first: int = 0) -> Tensor:
        """Draw codes, in their own shape; ``Settings.build`` decodes them by r."""
        return self.law.draw((shape[0], *self.code_shape), generator, first)

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Return the shape of one code."""
        return tuple(self.law.means.shape[1:])


@dataclass(frozen=True)
class Points:
    """Start walk k at point k modulo the number of points, with noise of standard deviation ``std``.

    The points can be a buffer of any size, as in combined replay. They can also be the last states of an earlier run,
    which the new walks then continue.

    Arguments:
        points: (N, *event), data units, N >= 1.
        std: >= 0, data units.

    Raises:
        ArgumentError: no points, or some that are not finite, or std < 0.

    Example:
        >>> Points(torch.tensor([[1.0], [2.0]])).draw((3, 1), torch.Generator(), first=1).flatten().tolist()
        [2.0, 1.0, 2.0]
    """

    points: Tensor = field(repr=False)
    std: float = 0.0
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        _check_points("start points", self.points, 1)
        if not 0 <= self.std < float("inf"):
            raise ArgumentError("start points", f"std = {self.std}", "Give a std >= 0")
        object.__setattr__(self, "sha256", fingerprint(self.points))

    def draw(self, shape: tuple[int, ...], generator: torch.Generator, first: int = 0) -> Tensor:
        """Return the points of the walks first, first + 1, ..., plus std z."""
        _check_event("start points", self.points[0], shape)
        number = torch.arange(first, first + shape[0]) % len(self.points)
        x = self.points[number].float().to(generator.device)
        return x + torch.empty_like(x).normal_(0.0, self.std, generator=generator) if self.std else x


@dataclass(frozen=True)
class Through:
    """Draw x_0 = function(x), where another start draws x in another space: an encoded point starts a walk among codes.

    Arguments:
        start: draws x.
        event_shape: shape of one x.
        function: (B, *event_shape) -> x_0 of the walk's own shape, row by row; ``r.encode``.

    Example:
        >>> Through(Normal(), (4,), lambda x: x[:, :1]).draw((2, 1), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1])
    """

    start: Start
    event_shape: tuple[int, ...]
    function: Callable[[Tensor], Tensor] = field(repr=False)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator, first: int = 0) -> Tensor:
        """Return the function of the other start's draws."""
        with torch.no_grad():
            return self.function(self.start.draw((shape[0], *self.event_shape), generator, first))


def _check_points(owner: str, points: Tensor, least: int) -> None:
    if points.ndim < 2 or len(points) < least or not bool(torch.isfinite(points).all()):
        raise ArgumentError(owner, f"points of shape {tuple(points.shape)}", f"Give {least} or more finite (N, *event)")


def _check_event(owner: str, point: Tensor, shape: tuple[int, ...]) -> None:
    if point.shape != torch.Size(shape[1:]):
        raise ArgumentError(
            owner,
            f"points {tuple(point.shape)} for an autoencoder of {tuple(shape[1:])}",
            "Give points of that shape",
        )


def parse_start(text: str, radius: float = 1.0) -> Start:
    """Parse a start, as on the command line: ``normal``, ``normal:STD``, ``uniform`` or ``uniform:LOW:HIGH``.

    Arguments:
        text: as above; numbers followed by r are multiples of the radius.
        radius: distance of a typical input from the mean, data units.

    Raises:
        ArgumentError: another name, or numbers that do not parse.

    Example:
        >>> parse_start("normal:10"), parse_start("uniform:-1:1"), parse_start("normal:2r", radius=3.0)
        (Normal(std=10.0), Uniform(low=-1.0, high=1.0), Normal(std=6.0))
    """
    unknown = ArgumentError(
        "start",
        f"{text!r} is not known",
        "Give normal, normal:STD, uniform, uniform:LOW:HIGH, codes, classes:DATASET, data:DATASET or archive:FOLDER",
    )
    name, *numbers = text.split(":")
    if name == "codes":
        raise ArgumentError(
            "--start",
            "the models keep no moments of codes to draw from",
            "Import or train them with their data at hand, or give codes:DATASET",
        )
    try:
        values = [parse_number(number, radius) for number in numbers]
        if name == "normal" and len(values) <= 1:
            return Normal(*values)
        if name == "uniform" and len(values) in (0, 2):
            return Uniform(*values)
    except ArgumentError:
        raise
    except ValueError as error:
        raise unknown from error
    raise unknown


def __dir__() -> list[str]:
    return sorted(__all__)
