"""Provide the objective of Prop. 1, scaled for training, with a guard because it is unbounded below."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from reinject.base.errors import ArgumentError, CollapseError, ModelError, check_positive
from reinject.score import log_det_roulette, push, signs_like, singular_values, value_and_jacobian
from reinject.training.objectives.axes import SAFETY, collapse, principal_axes, whole_axes
from reinject.training.objectives.objective import Value
from reinject.walks.kernels.kernel import noise_like

LogDetMethod = Literal["exact", "roulette", "first-order"]
HALF = 0.5  # a(v) is 1/2 at the threshold v = 2 lambda; smaller values lead to collapse
_RANK = 1e-5  # least ratio of smallest to largest singular value for full rank in float32


@dataclass(frozen=True)
class PerfectLossy:
    """Compute E[ |g|^2 + (1/lambda) log|det J_r| ], g = (r - x)/lambda: the objective of Prop. 1 over lambda^2.

    As lambda -> 0 it becomes E[ |g|^2 + div g ], implicit score matching, with minimum g = s/2. Its gradients do not
    vanish in this limit; those of the printed form do. The objective is unbounded below in two ways. A direction of
    variance v <= 2 lambda has no minimum and collapses to r = mean. And r gains without bound where det J_r goes to 0.
    This begins with oscillations shorter than about 2 pi sqrt(lambda/2), which the second-order term
    -(lambda/2) |J_g|^2 rewards. So the network must be smooth and start at the identity. Each call checks the sign of
    the determinant and the smallest singular value.

    Attributes:
        lam: lambda > 0, squared data units.
        log_det: "exact" (slogdet, n passes), "roulette" (unbiased power series, for Lip(r - id) < 1) or "first-order"
            (lambda div g by one random probe: sliced score matching, with minimum g = s/2 at every lambda and
            without collapse).
        smoothing: sigma >= 0 of noise z added to x in training, data units.

    Raises:
        ArgumentError: a number is out of range, or ``log_det`` is unknown.
        CollapseError: at a call: r folds (det J_r <= 0 at some point), or its smallest singular value is below 1/2 at
            half of the checked points. Names the collapsing principal axes and a safe lambda.
        ModelError: at a call: r is not of full rank.

    Source: Prop. 1 of the paper; Hyvarinen 2005 (the limit); Song et al. 2019, arXiv 1905.07088 (sliced); Chen et al.
    2019, arXiv 1906.02735 (roulette).

    Example:
        >>> identity = lambda x: 1.0 * x
        >>> PerfectLossy(0.1)(identity, torch.ones(3, 2), torch.Generator()).value.item()
        0.0
    """

    lam: float
    log_det: LogDetMethod = "exact"
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_positive("perfect lossy", "lam", self.lam)
        if self.smoothing:
            check_positive("perfect lossy", "smoothing", self.smoothing)
        if self.log_det not in ("exact", "roulette", "first-order"):
            raise ArgumentError("perfect lossy", f"log_det = {self.log_det!r}", "Give exact, roulette or first-order")

    def __call__(self, network: nn.Module, x: Tensor, generator: torch.Generator) -> Value:
        """Compute the loss; parts: ``fidelity`` E|g|^2, ``log_det`` E log|det J|/lambda, ``least_singular``."""
        if self.smoothing:
            x = x + noise_like(x, generator, self.smoothing)
        r, log_det, least = self._exact(network, x) if self.log_det == "exact" else self._probed(network, x, generator)
        fidelity = ((r - x) / self.lam).square().flatten(1).sum(1).mean()
        volume = log_det.mean() / self.lam
        parts = {"fidelity": fidelity.detach(), "log_det": volume.detach(), "least_singular": least}
        return Value(fidelity + volume, parts)

    def _exact(self, network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n = x[0].numel()
        r, j = value_and_jacobian(network, x)
        singular = torch.linalg.svdvals(j[: max(4, 256 // n)].detach())
        least = self._watch(network, x, singular[:, -1], singular[:, 0])
        sign, log_det = torch.linalg.slogdet(j)
        if bool((sign <= 0).any()):
            raise collapsing(x, self.lam, f"det J_r <= 0 at {int((sign <= 0).sum())} of {len(x)} points")
        return r, log_det, least

    def _probed(self, network: nn.Module, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            found = singular_values(network, x[:4], generator, steps=min(8, x[0].numel()))
        least = self._watch(network, x, found.smallest, found.largest)
        if self.log_det == "roulette":
            return network(x), log_det_roulette(network, x, generator, probes=2).value, least
        z = signs_like(x, generator)
        r, jz = push(network, x, z)
        return r, (z * (jz - z)).flatten(1).sum(1), least

    def _watch(self, network: nn.Module, x: Tensor, smallest: Tensor, largest: Tensor) -> Tensor:
        """Compute the median of the smallest singular values of J_r; raise for a bottleneck or a collapse."""
        least = smallest.median()
        if float((smallest / largest).median()) < _RANK:
            raise ModelError(
                type(network).__name__,
                f"J_r has a singular value of {float(least):.1g}: it is not of full rank, log|det J_r| = -inf",
                "Use a residual autoencoder (mlp-residual, conv-residual), or train a bottleneck by denoising",
            )
        if float(least) < HALF:
            raise collapsing(x, self.lam, f"the smallest singular value of J_r fell to {float(least):.2g}")
        return least


def collapsing(x: Tensor, lam: float, sign: str) -> CollapseError:
    """Make the error of a collapsing training: its sign, and the axes of ``x`` that are too narrow for lam."""
    axes = principal_axes(x) if len(x) >= 10 * x[0].numel() + 10 else whole_axes(x)
    names = axes.below(2 * lam / SAFETY) or axes.below(axes.least * 1.0001)
    safe = SAFETY * axes.least / 2
    return collapse(names, lam, safe if safe < lam else lam / 2, sign)
