"""Tangent kernel: add noise only along the manifold that the encoder sees."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from reinject.base.errors import ModelError
from reinject.score import push
from reinject.walks.kernels.kernel import Info, State, Usage, check_level, noise_like, option
from reinject.walks.reconstruction import Autoencoder
from reinject.walks.schedules import Parameter, value_at


@dataclass(frozen=True)
class Tangent:
    """Add noise along the data's manifold: h <- f(x) + J_f J_f^T eps, x <- g(h), eps ~ N(0, sigma^2 I).

    f is the encoder, g the decoder; eps lies in code space. J_f J_f^T eps is the move of the code when x moves by J_f^T
    eps. It is large along the directions to which f is sensitive, which are those of the data, and zero across them.
    Each step takes one vjp and one jvp: it calls f twice, g once, and r itself not at all. Info holds the new x = g(h),
    which is itself a reconstruction.

    Attributes:
        r: an autoencoder with an encoder and a decoder; the source uses contractive ones.
        sigma: standard deviation of eps > 0. The move J_f^T eps of x is in data units if f is.

    Raises:
        ArgumentError: ``sigma`` is not positive.
        ModelError: r has no encoder and decoder, or f is not differentiable.

    Source: Rifai et al. 2012, arXiv 1206.6434.

    Example:
        >>> from reinject import wrap
        >>> half = torch.nn.Linear(1, 1, bias=False)
        >>> _ = half.weight.data.fill_(0.5)
        >>> kernel = Tangent(wrap((half, half), (1,)), sigma=1e-9)
        >>> state, _ = kernel.step(kernel.init(torch.ones(1, 1)), torch.Generator())
        >>> state.x.item()
        0.25
    """

    usage: ClassVar = Usage("tangent", steps=30, burn_in=10)

    r: Autoencoder
    sigma: Parameter = option("noise in code space", default=0.1)

    def __post_init__(self) -> None:
        check_level("tangent", "sigma", self.sigma)
        if not self.r.has_code:
            raise ModelError(
                "tangent",
                "the autoencoder has no encoder and decoder",
                "Train one with --autoencoder mlp or conv, or wrap (encoder, decoder)",
            )

    def init(self, x: Float[Tensor, "batch *event"]) -> State:
        """Return the state at x_0 = x."""
        return State(x, 0)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Return x_{i+1} = g(f(x_i) + J_f J_f^T eps)."""
        h, pull, *_ = torch.func.vjp(self.r.encode, state.x)
        eps = noise_like(h.detach(), generator, value_at(self.sigma, state.i))
        (along,) = pull(eps)
        _, move = push(self.r.encode, state.x, along)
        x = self.r.decode(h.detach() + move)
        return State(x, state.i + 1), Info(x)
