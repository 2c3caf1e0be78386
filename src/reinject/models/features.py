"""Feature extractors: the space in which distances between samples are measured."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reinject.base.errors import ModelError
from reinject.data.sample_tables import Table

NAMES = ("penultimate", "outputs", "pixels", "pca", "convolutions")
_CHUNK = 1024
_AXES = 64
_FITTED = 20_000  # rows, drawn at random, because folders of images are sorted by class
_CHANNELS = (32, 64)


@dataclass(frozen=True)
class Extractor:
    """A function from inputs to features.

    Attributes:
        name: of the extractor.
        sha256: hash of the weights; "" where the name determines the function.
        of: x (B, *event), data units -> features (B, d).

    Example:
        >>> Extractor("first", "", lambda x: x.flatten(1)[:, :1]).of(torch.tensor([[1.0, 2.0]]))
        tensor([[1.]])
    """

    name: str
    sha256: str
    of: Callable[[Tensor], Tensor]

    def rows(self, table: Table, index: NDArray[np.int64]) -> Tensor:
        """Return the features of some rows of a table, float32, (N, d), in parts that fit in memory."""
        parts = np.array_split(index, max(1, -(-len(index) // _CHUNK)))
        with torch.no_grad():
            found = [self.of(table.storage.load(torch.from_numpy(table.x[part]))).float().flatten(1) for part in parts]
        return torch.cat(found)


def pixels() -> Extractor:
    """Return an extractor of the values themselves."""
    return Extractor("pixels", "", lambda x: x.flatten(1))


def pca(train: Table, axes: int = _AXES) -> Extractor:
    """Return an extractor of the leading principal components of the training rows, at most ``axes`` of them."""
    from sklearn.decomposition import PCA

    x = pixels().rows(train, np.random.default_rng(0).permutation(len(train))[:_FITTED])
    fitted = PCA(min(axes, *x.shape), random_state=0).fit(x.numpy())
    mean, axis = (torch.from_numpy(np.asarray(value, np.float32)) for value in (fitted.mean_, fitted.components_))
    return Extractor(f"pca {len(axis)}", _hash(axis.numpy()), lambda x: (x.flatten(1) - mean) @ axis.T)


def convolutions(shape: tuple[int, ...], seed: int = 0) -> Extractor:
    """Return an extractor of two random convolution layers: the mean and the maximum of each channel.

    It is trained on nothing.

    Raises:
        ModelError: inputs are not images.
    """
    if len(shape) != 3:
        raise ModelError("--features convolutions", f"inputs of shape {shape} are not images", "Use --features pixels")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = nn.Conv2d(shape[0], _CHANNELS[0], 3, padding=1)
        second = nn.Conv2d(_CHANNELS[0], _CHANNELS[1], 3, padding=1)
        for layer in (first, second):
            nn.init.kaiming_normal_(layer.weight)
    layers = nn.Sequential(first, nn.ReLU(), nn.AvgPool2d(2), second, nn.ReLU()).eval()

    def of(x: Tensor) -> Tensor:
        y = layers(x).flatten(2)
        return torch.cat([y.mean(2), y.amax(2)], 1)

    return Extractor("convolutions", f"seed {seed}", of)


def penultimate(network: nn.Module, sha256: str) -> Extractor:
    """Return an extractor of the inputs of a classifier's last linear layer.

    Raises:
        ModelError: the classifier has no linear layer that torch can see.
    """
    linear = _linear(network)
    if not linear:
        cure = "Use --features outputs, or pixels"
        raise ModelError(type(network).__name__, "has no linear layer to take features from", cure)
    place = linear[-1].weight.device

    def of(x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        handle = linear[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].flatten(1)))
        try:
            network(x.to(place))
        finally:
            handle.remove()
        return seen[-1].cpu()

    return Extractor("penultimate", sha256, of)


def outputs(network: nn.Module, sha256: str) -> Extractor:
    """Return an extractor of a classifier's outputs, for classifiers whose layers torch does not see."""
    place = next((weight.device for weight in network.parameters()), torch.device("cpu"))
    return Extractor("outputs", sha256, lambda x: network(x.to(place)).cpu())


def usual(classifier: object) -> str:
    """Return the default features: the inputs of the classifier's last linear layer.

    Example:
        >>> usual(nn.Linear(2, 2)), usual(nn.Identity()), usual(None)
        ('penultimate', 'outputs', 'pixels')
    """
    if not isinstance(classifier, nn.Module):
        return "pixels"
    return "penultimate" if _linear(classifier) else "outputs"


def _linear(network: nn.Module) -> list[nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


def _hash(values: NDArray[np.float32]) -> str:
    return hashlib.sha256(values.tobytes()).hexdigest()
