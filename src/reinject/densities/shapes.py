"""Densities that are not Gaussian: skewed, heavy-tailed, bent, and of unequal scale."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from reinject.base.errors import ArgumentError, check_count, check_positive


@dataclass(frozen=True)
class SkewT:
    """The skew t of Jones and Faddy, one dimension: p(x) = (1 + u)^(a + 1/2) (1 - u)^(b + 1/2) / C.

    u = x / sqrt(a + b + x^2), C = 2^(a+b-1) B(a, b) sqrt(a + b). The tails fall like |x|^-(2a + 1) to the left and
    x^-(2b + 1) to the right; a = b is Student's t with 2a degrees of freedom.

    Attributes:
        a, b: > 0; the heavier tail lies on the side of the smaller one, left for a.

    Source: Jones and Faddy 2003, J. R. Statist. Soc. B 65.

    Example:
        >>> SkewT(1.0, 1.0).log_prob(torch.zeros(1, 1)).exp()  # t with 2 degrees of freedom
        tensor([0.3536])
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        check_positive("skew t", "a", self.a)
        check_positive("skew t", "b", self.b)

    @property
    def n(self) -> int:
        """Return the dimension: 1."""
        return 1

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw sqrt(a + b) (2 B - 1) / (2 sqrt(B (1 - B))), B ~ Beta(a, b); (count, 1), float32."""
        first, second = (_gamma(shape, count, generator) for shape in (self.a, self.b))
        return (math.sqrt(self.a + self.b) * (first - second) / (2 * (first * second).sqrt())).float()[:, None]

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p, (B,)."""
        plus, minus = self._sides(x)
        a, b = self.a, self.b
        beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
        constant = (a + b - 1) * math.log(2) + beta + math.log(a + b) / 2
        return ((a + 0.5) * plus.log() + (b + 0.5) * minus.log() - constant)[:, 0]

    def score(self, x: Tensor) -> Tensor:
        """Return ((a + 1/2)/(1 + u) - (b + 1/2)/(1 - u)) du/dx, (B, 1)."""
        plus, minus = self._sides(x)
        c = self.a + self.b
        return ((self.a + 0.5) / plus - (self.b + 0.5) / minus) * c / (c + x.square()).pow(1.5)

    def _sides(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 + u and 1 - u, the smaller one as (c/(c + x^2)) / the larger, which does not cancel."""
        c = self.a + self.b
        large = 1 + x.abs() / (c + x.square()).sqrt()
        small = c / (c + x.square()) / large
        return torch.where(x > 0, large, small), torch.where(x > 0, small, large)


def _gamma(shape: float, count: int, generator: torch.Generator) -> Tensor:
    """Draw Gamma(shape, 1) by Marsaglia and Tsang's rejection, float64.

    The draw is of shape + 1, times a power of a uniform number for a shape below 1.
    """
    d = (shape + 1 if shape < 1 else shape) - 1 / 3
    out = torch.empty(0, dtype=torch.float64)
    while len(out) < count:
        z = torch.randn(2 * count, generator=generator, dtype=torch.float64)
        u = torch.rand(2 * count, generator=generator, dtype=torch.float64)
        v = (1 + z / math.sqrt(9 * d)).clamp(min=0) ** 3
        out = torch.cat([out, (d * v)[u.log() < z.square() / 2 + d - d * v + d * v.log()]])
    out = out[:count]
    if shape < 1:
        out = out * torch.rand(count, generator=generator, dtype=torch.float64) ** (1 / shape)
    return out


@dataclass(frozen=True)
class Banana:
    """A Gaussian bent along a parabola: x_1 ~ N(0, std^2), x_2 = z_2 + c (x_1^2 - std^2), the others N(0, 1).

    Attributes:
        n: dimension, >= 2.
        curvature: c, inverse data units.
        std: of x_1, > 0, data units.

    Source: Haario et al. 1999.

    Example:
        >>> Banana(2).score(torch.zeros(1, 2))
        tensor([[ 0., -2.]])
    """

    n: int
    curvature: float = 0.5
    std: float = 2.0

    def __post_init__(self) -> None:
        check_count("banana", "n", self.n, 2)
        check_positive("banana", "std", self.std)
        if not math.isfinite(self.curvature):
            raise ArgumentError("banana", f"curvature = {self.curvature}", "Give a finite number")

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw points, (count, n), float32."""
        z = torch.randn(count, self.n, generator=generator, dtype=torch.float64)
        z[:, 0] *= self.std
        z[:, 1] += self.curvature * (z[:, 0].square() - self.std**2)
        return z.float()

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p of the straightened point, because the bend has determinant 1; (B,)."""
        y = self._straight(x)
        squares = (y[:, 0] / self.std).square() + y[:, 1:].square().sum(1)
        return -(squares + self.n * math.log(2 * math.pi)) / 2 - math.log(self.std)

    def score(self, x: Tensor) -> Tensor:
        """Return (-x_1/std^2 + 2 c x_1 y_2, -y_2, -x_3, ...), y_2 = x_2 - c (x_1^2 - std^2); (B, n)."""
        s = -self._straight(x)
        first = -x[:, 0] / self.std**2 - 2 * self.curvature * x[:, 0] * s[:, 1]
        return torch.cat([first[:, None], s[:, 1:]], 1)

    def _straight(self, x: Tensor) -> Tensor:
        second = x[:, 1] - self.curvature * (x[:, 0].square() - self.std**2)
        return torch.cat([x[:, :1], second[:, None], x[:, 2:]], 1)


@dataclass(frozen=True)
class Funnel:
    """Neal's funnel: x_1 ~ N(0, spread^2), x_j ~ N(0, e^{x_1}) for j = 2..n.

    Attributes:
        n: dimension, >= 2.
        spread: > 0; 3 in Neal's paper.

    Source: Neal 2003, Ann. Statist. 31.

    Example:
        >>> Funnel(3, spread=1.0).score(torch.zeros(1, 3))
        tensor([[-1., -0., -0.]])
    """

    n: int
    spread: float = 3.0

    def __post_init__(self) -> None:
        check_count("funnel", "n", self.n, 2)
        check_positive("funnel", "spread", self.spread)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw points, (count, n), float32."""
        z = torch.randn(count, self.n, generator=generator, dtype=torch.float64)
        v = self.spread * z[:, :1]
        return torch.cat([v, (v / 2).exp() * z[:, 1:]], 1).float()

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log N(x_1; 0, spread^2) + sum_j log N(x_j; 0, e^{x_1}), (B,)."""
        v, rest = x[:, 0], x[:, 1:]
        squares = (v / self.spread).square() + rest.square().sum(1) * (-v).exp()
        return -(squares + (self.n - 1) * v + self.n * math.log(2 * math.pi)) / 2 - math.log(self.spread)

    def score(self, x: Tensor) -> Tensor:
        """Return (-x_1/spread^2 + (sum_j x_j^2 e^{-x_1} - (n - 1))/2, -x_j e^{-x_1}), (B, n)."""
        v, rest = x[:, :1], x[:, 1:]
        narrow = (-v).exp()
        first = -v / self.spread**2 + (rest.square().sum(1, keepdim=True) * narrow - (self.n - 1)) / 2
        return torch.cat([first, -rest * narrow], 1)
