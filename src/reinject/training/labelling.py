"""Train the classifier that labels an autoencoder's samples."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from reinject.base.random_streams import stream
from reinject.data.datasets import LabelledImages
from reinject.data.rehearsed import Rehearsed
from reinject.data.samples import Storage
from reinject.foreign import Foreign
from reinject.networks import Inputs, Network
from reinject.training.fit import Loss, Parts
from reinject.training.students import cross_entropy

SEES = ("images", "reconstructions")
AUGMENT = ("none", "shift", "mirror")
_SHIFT = 2  # pixels
_ALIKE, _ROWS = 7, 1024  # of the stream of noise; rows at a time
_LEVELS = (0.0017, 0.25)  # noise before the reconstruction, multiples of the data's radius, per value


def shaken(x: Tensor, mirror: bool, generator: torch.Generator) -> Tensor:
    """Shift images by up to 2 pixels in each direction, with a repeated border; optionally mirror half of them.

    Arguments:
        x: images, (B, C, H, W).
        mirror: exchange left and right; not for digits.
        generator: generator of the shifts.

    Example:
        >>> x = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> shaken(x, False, torch.Generator().manual_seed(1)).shape
        torch.Size([1, 1, 4, 4])
    """
    height, width = x.shape[2:]
    padded = nn.functional.pad(x, (_SHIFT,) * 4, mode="replicate")
    down, across, flip = (
        torch.randint(0, most, (len(x), 1), generator=generator, device=generator.device).to(x.device)
        for most in (2 * _SHIFT + 1, 2 * _SHIFT + 1, 2)
    )
    rows = torch.arange(height, device=x.device) + down
    columns = torch.arange(width, device=x.device).expand(len(x), width)
    if mirror:
        columns = torch.where(flip == 1, columns.flip(1), columns)
    columns = columns + across
    item = torch.arange(len(x), device=x.device)[:, None, None, None]
    channel = torch.arange(x.shape[1], device=x.device)[None, :, None, None]
    moved: Tensor = padded[item, channel, rows[:, None, :, None], columns[:, None, None, :]]
    return moved


def augmented(loss: Loss, augment: str) -> Loss:
    """Make a loss that augments its inputs, by one of :data:`AUGMENT`, while the network is in training mode."""
    if augment == "none":
        return loss

    def moved(network: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Parts]:
        return loss(network, shaken(x, augment == "mirror", generator) if network.training else x, y, generator)

    return moved


def alike(dataset: Rehearsed, network: Network | Foreign, levels: Storage, seed: int) -> LabelledImages:
    """Pass the new rows of a rehearsed data set through its autoencoder, so that they look like the rehearsed ones.

    Rehearsed rows are what an autoencoder emits, and a little blurred. A classifier of old and new classes learns to
    tell them by this, and takes real rows of old classes for new ones. So new rows become r(x + sigma z, sigma), sigma
    the standard deviation of a value; r(x) for an unconditional denoiser. Features are not blurred so, and their new
    rows stay as they are.

    Arguments:
        dataset: new and rehearsed rows; without ``new``, or in features, its rows stay as they are.
        network: autoencoder of both.
        levels: storage of the rows, in the network's units.
        seed: seed of the noise.

    Returns:
        All training rows, in their order.
    """
    train = dataset.train
    if dataset.new is None or dataset.space:
        return train
    x, generator = train.x.clone(), stream((seed, _ALIKE))
    sigma, place = network.inputs.std if network.noise_conditioned else 0.0, next(network.parameters()).device
    for index in torch.split(dataset.new.nonzero().flatten(), _ROWS):
        given = levels.load(x[index])
        given = given + sigma * torch.randn(given.shape, generator=generator)
        told = (torch.full((len(given),), sigma, device=place),) if network.noise_conditioned else ()
        with torch.no_grad():
            x[index] = levels.store(network(given.to(place), *told).cpu())[0]
    return LabelledImages(x, train.y)


def loss_of(sees: str, r: Callable[[Tensor, Tensor], Tensor], inputs: Inputs) -> Loss:
    """Make the classifier's loss: cross entropy on images, or on images and reconstructions in equal parts.

    Samples are reconstructions: blurred, and sometimes between two classes. A classifier trained on images alone is
    overconfident there. Training on r(x + sigma z) with the class of x calibrates it. log sigma is uniform over the
    noise at the end of walks. This helps on Fashion-MNIST and costs skill on digits, so it is not the default.

    Arguments:
        sees: one of :data:`SEES`.
        r: (x, sigma) -> r(x, sigma), sigma of shape (B,), data units; an unconditional denoiser ignores sigma.
        inputs: inputs of both networks; reconstructions are clipped to their range, as samples are.

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
