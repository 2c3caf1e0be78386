"""How the classifier is trained that will label what an autoencoder emits."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from reinject.evaluation.students import cross_entropy
from reinject.models import Inputs
from reinject.training import Loss, Parts

SEES = ("images", "reconstructions")
_LEVELS = (0.0017, 0.25)  # noise before the reconstruction, multiples of the data's radius, per value


def loss_of(sees: str, r: Callable[[Tensor, Tensor], Tensor], inputs: Inputs) -> Loss:
    """The classifier's loss: cross entropy on images, or on half of them as the autoencoder gives them back.

    Samples are reconstructions, blurred and sometimes between two classes. A classifier that knows images only is
    certain of the wrong things there; one that has seen r(x + sigma z) with the class of x says how likely each class
    is. log sigma is uniform over what walks end with. On Fashion-MNIST that helps, on digits it costs skill, so it is
    not the default.

    Arguments:
        sees: one of :data:`SEES`.
        r: (x, sigma) -> r(x, sigma), sigma of shape (B,), data units; one that is told no level ignores it.
        inputs: of both networks; what is given back is clipped to their range, as samples are before they are labelled.

    Example:
        >>> loss = loss_of("reconstructions", lambda x, sigma: 0 * x, Inputs((2,)))
        >>> x, y, generator = torch.ones(4, 2), torch.tensor([0, 1, 0, 1]), torch.Generator().manual_seed(0)
        >>> round(loss(lambda x: x * torch.tensor([1.0, -1.0]), x, y, generator)[0].item(), 2)  # half of x is 0
        0.91
    """
    if sees == "images":
        return cross_entropy
    low, high = (math.log(level * inputs.radius) for level in _LEVELS)

    def loss(network: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Parts]:
        some = x[: len(x) // 2]
        sigma = torch.empty(len(some), dtype=x.dtype, device=generator.device).uniform_(low, high, generator=generator)
        z = torch.empty(some.shape, dtype=x.dtype, device=generator.device).normal_(generator=generator)
        sigma, z = sigma.exp().to(x.device), z.to(x.device)
        with torch.no_grad():
            given_back = r(some + sigma.reshape(-1, *[1] * (some.ndim - 1)) * z, sigma).clamp(inputs.low, inputs.high)
        return cross_entropy(network, torch.cat([given_back, x[len(some) :]]), y, generator)

    return loss
