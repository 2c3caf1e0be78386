"""Guided wrapper: draw any kernel towards a class by a classifier's gradient."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import ArgumentError, ModelError
from reinject.walks.classifier_outputs import labeller
from reinject.walks.kernels.kernel import Info, Kernel, State
from reinject.walks.kernels.tangent import Tangent
from reinject.walks.kernels.wrappers import autoencoder_of, values_by_row, with_autoencoder
from reinject.walks.reconstruction import Autoencoder

Where = Literal["reconstruction", "state"]


@dataclass(frozen=True)
class Guided:
    """Run a kernel on r(x) + w sigma^2 grad log C(y given x) in place of r(x): conditional samples.

    r(x) = x + sigma^2 s(x) with sigma^2 = lambda/2, so this adds w grad log C to the score. The kernel then walks the
    density p(x) C(y given x)^w.

    With ``at="reconstruction"`` the gradient is that of log C(y given r(x)) with respect to x, through r. This is for
    classifiers trained on clean inputs; it costs one more backward pass of r and C. With ``at="state"`` the gradient is
    that of log C(y given x).

    sigma is the level at which the kernel calls r. Where the kernel gives no level, sigma = |r(x) - x|/sqrt(n) of each
    walk. Row k of a block asks for target[k mod K], so all classes as targets make a block balanced. With w = 0 the
    wrapper is the kernel. The calls of r are those of the kernel.

    Attributes:
        kernel: the kernel.
        classifier: C, (B, *event) -> logits (B, classes), or probabilities, differentiable.
        target: the target class, or the classes of walks 0, 1, ...
        weight: w >= 0.
        at: the point at which the classifier is evaluated.

    Raises:
        ArgumentError: a class outside of C's, or a weight out of range.
        ModelError: C cannot be differentiated.

    Source: Nguyen et al. 2017 (PPGN), arXiv 1612.00005, eq. 5; Dhariwal and Nichol 2021, arXiv 2105.05233 (the weight);
    Chung et al. 2023, arXiv 2209.14687 (through the reconstruction).

    Example:
        >>> from reinject import wrap
        >>> from reinject.walks.kernels import Langevin
        >>> inner = Langevin(wrap(lambda x: x, (1,), name="r"), 0.1, 0.0)
        >>> kernel = Guided(inner, lambda x: torch.cat([x, -x], 1), target=0, weight=2.0)
        >>> state, _ = kernel.step(kernel.init(torch.zeros(1, 1)), torch.Generator())  # grad log C = 1 at 0
        >>> round(state.x.item(), 4)
        0.1
    """

    kernel: Kernel
    classifier: Callable[[Tensor], Tensor] = field(repr=False)
    target: int | tuple[int, ...] = 0
    weight: float = 1.0
    at: Where = "reconstruction"
    guided: Kernel = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ArgumentError("guided", f"weight = {self.weight}", "Give a weight >= 0")
        if self.at not in ("reconstruction", "state"):
            raise ArgumentError("guided", f"at = {self.at!r}", "Give 'reconstruction' or 'state'")
        r = autoencoder_of(self.kernel)
        if isinstance(self.kernel, Tangent):
            raise ArgumentError("guided", "the tangent kernel has no drift to add to", "Guide another kernel")
        if self.at == "reconstruction":
            x = torch.zeros((1, *r.event_shape), device=r.device)
            why = "the autoencoder is not differentiable in its input"
            _differentiable(r, x, why, "Give at='state', for a classifier trained on noisy inputs")
        object.__setattr__(self, "classifier", labeller(self.classifier, r.event_shape, device=r.device))
        targets = (self.target,) if isinstance(self.target, int) else tuple(self.target)
        classes = _classes(self.classifier, r)
        if not targets or not all(0 <= y < classes for y in targets):
            raise ArgumentError(
                "guided", f"target = {self.target} of a classifier of {classes} classes", f"Give 0..{classes - 1}"
            )
        drawn = _Drawn(r, self.classifier, torch.tensor(targets, device=r.device), self.weight, self.at)
        object.__setattr__(self, "guided", with_autoencoder(self.kernel, drawn))

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the kernel's state at x."""
        return self.guided.init(x)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return the next state of the kernel on the guided r."""
        return self.guided.step(state, generator)


@dataclass(frozen=True)
class _Drawn:
    """The guided r: r(x) + w sigma^2 grad log C(y given x)."""

    r: Autoencoder
    classifier: Callable[[Tensor], Tensor]
    target: Tensor
    weight: float
    at: Where

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.r.event_shape

    @property
    def device(self) -> torch.device:
        return self.r.device

    @property
    def noise_conditioned(self) -> bool:
        return self.r.noise_conditioned

    @property
    def has_code(self) -> bool:
        return False  # a walk by its encoder and decoder would skip the guidance

    def __call__(self, x: Tensor, sigma: float | None = None) -> Tensor:
        y, gradient = self._both(x, sigma)
        if sigma is not None:
            return y + self.weight * sigma**2 * gradient
        variance = (y - x).flatten(1).square().mean(1).reshape(-1, *[1] * (x.ndim - 1))
        return y + self.weight * variance * gradient

    def _both(self, x: Tensor, sigma: float | None) -> tuple[Tensor, Tensor]:
        target = values_by_row(self.target, x)

        def log_c(x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.r(x, sigma)
            logits = self.classifier(y if self.at == "reconstruction" else x)
            return logits.log_softmax(1).gather(1, target[:, None]).sum(), y

        gradient, y = torch.func.grad(log_c, has_aux=True)(x)
        return y, gradient

    def encode(self, x: Tensor) -> Tensor:
        return self.r.encode(x)

    def decode(self, h: Tensor) -> Tensor:
        return self.r.decode(h)


def _classes(classifier: Callable[[Tensor], Tensor], r: Autoencoder) -> int:
    """Return the number of classes of C, after a check that C is differentiable."""
    logits = _differentiable(
        classifier,
        torch.zeros((1, *r.event_shape), device=r.device),
        "the classifier returns no logits that are differentiable in its input",
        "Give a torch classifier without argmax, detach, numpy or torch.no_grad on the way",
    )
    if logits.ndim != 2:
        raise ModelError("guided", f"the classifier gives {tuple(logits.shape)}", "Give logits of shape (B, classes)")
    return logits.shape[1]


def _differentiable(function: Callable[[Tensor], Tensor], x: Tensor, problem: str, cure: str) -> Tensor:
    """Return function(x), and raise ModelError where it is not differentiable."""
    with torch.enable_grad():
        x.requires_grad_()
        y = function(x)
        if not y.requires_grad or torch.autograd.grad(y.sum(), x, allow_unused=True)[0] is None:
            raise ModelError("guided", problem, cure)
    return y
