"""Run peers: other ways to a synthetic labelled set, from the same data or the same networks."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reinject.base.devices import make_fabric
from reinject.base.errors import ModelError
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.models.loading import Models
from reinject.models.votes import Classifier, classify
from reinject.training.fit import Parts, Recipe, Rows, fit

_REINJECTIONS = 5
_COMPONENTS = 10
_LATENT = 16


@dataclass(frozen=True)
class Task:
    """Hold the task of every peer.

    Attributes:
        train: real training set, the same as for our models.
        models: our models; their classifier labels the samples of peers without labels.
        recipe: recipe of our models; peers train for the same number of steps.
        classes: number of classes.
        samples: number of samples to make.
        seed: seed of all randomness.
    """

    train: Table
    models: Models
    recipe: Recipe
    classes: int
    samples: int
    seed: int

    @property
    def values(self) -> Tensor:
        """Training inputs, data units, (N, *event)."""
        return self.train.storage.load(torch.from_numpy(self.train.x))

    def kept(self, x: Tensor, y: Tensor | None = None) -> Table:
        """Store samples as an archive does; the classifier labels samples without labels."""
        storage, C = self.train.storage, self.models.labelling()
        parts = [storage.store(part.reshape(-1, *self.train.x.shape[1:]))[0] for part in torch.split(x, 4096)]
        labels = y if y is not None else torch.cat([labelled(C, storage, part).argmax(1) for part in parts])
        return Table.of(torch.cat(parts), labels, storage)


def labelled(C: Classifier, storage: Storage, kept: Tensor) -> Tensor:
    """Compute a classifier's probabilities of stored samples, (B, classes)."""
    return classify(C, storage.load(kept))


def softened(task: Task, table: Table) -> Table:
    """Replace labels by the classifier's probabilities."""
    C, parts = task.models.labelling(), torch.split(torch.from_numpy(table.x), 4096)
    soft = torch.cat([labelled(C, table.storage, part) for part in parts])
    return Table(table.x, soft.numpy(), table.storage)


def one_gaussian(task: Task) -> Table:
    """Sample one Gaussian, fitted to all data, labelled by the classifier."""
    rng = np.random.default_rng(task.seed)
    return task.kept(_gaussian(task.values.flatten(1).numpy(), task.samples, rng))


def class_gaussians(task: Task) -> Table:
    """Sample a Gaussian for each class, in the data's shares; labels are the classes."""
    return _by_class(task, _gaussian)


def class_mixtures(task: Task) -> Table:
    """Sample a mixture of ten Gaussians for each class (diagonal if a class has too few rows)."""

    def draw(x: NDArray[np.float32], count: int, rng: np.random.Generator) -> Tensor:
        from sklearn.mixture import GaussianMixture

        full = len(x) > 2 * _COMPONENTS * x.shape[1]
        mixture = GaussianMixture(
            min(_COMPONENTS, len(x)),
            covariance_type="full" if full else "diag",
            reg_covar=1e-3 * float(x.var()),
            random_state=int(rng.integers(2**31)),
        )
        drawn = mixture.fit(x).sample(count)[0]
        return torch.from_numpy(drawn[rng.permutation(count)].astype(np.float32))

    return _by_class(task, draw)


def _by_class(task: Task, draw: Callable[[NDArray[np.float32], int, np.random.Generator], Tensor]) -> Table:
    rng = np.random.default_rng(task.seed)
    x, y = task.values.flatten(1).numpy(), task.train.y
    shares = np.bincount(y, minlength=task.classes) / len(y)
    counts = np.round(shares * task.samples).astype(int)
    drawn = torch.cat([draw(x[y == k], count, rng) for k, count in enumerate(counts) if count])
    return task.kept(drawn, torch.from_numpy(np.repeat(np.arange(task.classes), counts)))


def _gaussian(x: NDArray[np.float32], count: int, rng: np.random.Generator) -> Tensor:
    values, vectors = np.linalg.eigh(np.cov(x.T))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    drawn = [part @ root.T + x.mean(0) for part in np.array_split(rng.standard_normal((count, x.shape[1])), 32)]
    return torch.from_numpy(np.concatenate(drawn).astype(np.float32))


def reinjection(task: Task) -> Table:
    """Run reinjection without noise (2021): x <- r(x) five times from N(0, I), all five kept, soft labels."""
    r, C, storage = task.models.ensemble(), task.models.labelling(), task.train.storage
    generator = torch.Generator().manual_seed(task.seed)
    xs: list[Tensor] = []
    with torch.no_grad():
        for first in range(0, math.ceil(task.samples / _REINJECTIONS), 1024):
            rows = min(1024, math.ceil(task.samples / _REINJECTIONS) - first)
            x = torch.randn((rows, *task.train.x.shape[1:]), generator=generator).to(r.device)
            for _ in range(_REINJECTIONS):
                x = r(x)
                xs.append(storage.store(x)[0].cpu())
    soft = torch.cat([labelled(C, storage, kept) for kept in xs])
    return Table.of(torch.cat(xs)[: task.samples], soft[: task.samples], storage)


def _pythae_network(task: Task, name: str, recipe: Recipe, rows: slice | NDArray[np.int64] = slice(None)) -> Any:
    """Train an autoencoder of pythae with its own networks on some rows."""
    try:
        from pythae import models
        from pythae.models.base.base_utils import ModelOutput
    except ImportError as error:
        raise ModelError("pythae", "is not installed", "Install reinject[pythae]") from error
    shape = tuple(task.train.x.shape[1:])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        config = getattr(models, f"{name}Config")(input_dim=shape, latent_dim=_LATENT)
        network = getattr(models, name)(config)

    def loss(wrapped: nn.Module, x: Tensor, _: Tensor, generator: torch.Generator) -> tuple[Tensor, Parts]:
        del generator  # pythae uses the global generator, which fit forks and seeds
        return wrapped(ModelOutput(data=x)).loss, {}

    fabric = make_fabric(task.models.device.type)
    x, y = (torch.from_numpy(values[rows]) for values in (task.train.x, task.train.y))
    fit(network, loss, Rows(x, y, task.train.storage.load), recipe, seed=task.seed, fabric=fabric)
    return network.cpu()


def pythae_mixture(task: Task) -> Table:
    """Sample pythae's AE by its GaussianMixtureSampler of ten components on codes; labelled by the classifier."""
    network = _pythae_network(task, "AE", task.recipe)
    from sklearn.mixture import GaussianMixture

    with torch.no_grad():
        codes = torch.cat([network.encoder(part).embedding for part in torch.split(task.values, 4096)])
        mixture = GaussianMixture(_COMPONENTS, random_state=task.seed).fit(codes.numpy())
        drawn = torch.from_numpy(mixture.sample(task.samples)[0].astype(np.float32))
        x = torch.cat([network.decoder(part).reconstruction for part in torch.split(drawn, 4096)])
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(task.seed))
    return task.kept(x[order])


def pythae_vae(task: Task) -> Table:
    """Sample pythae's VAE by its NormalSampler; labelled by the classifier."""
    return task.kept(_from_prior(_pythae_network(task, "VAE", task.recipe), task.samples, task.seed))


def class_vaes(task: Task) -> Table:
    """Sample a VAE of pythae for each class, all with our number of steps in total; labels are the classes."""
    recipe = replace(task.recipe, least_steps=task.recipe.least_steps // task.classes)
    xs, ys = [], []
    for k in range(task.classes):
        rows = np.flatnonzero(task.train.y == k)
        count = round(task.samples * len(rows) / len(task.train))
        if count:
            xs.append(_from_prior(_pythae_network(task, "VAE", recipe, rows), count, task.seed + k))
            ys.append(torch.full((count,), k))
    return task.kept(torch.cat(xs), torch.cat(ys))


def _from_prior(network: Any, count: int, seed: int) -> Tensor:
    z = torch.randn(count, _LATENT, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return torch.cat([network.decoder(part).reconstruction for part in torch.split(z, 4096)])


PEERS: Mapping[str, Callable[[Task], Table]] = {
    "one Gaussian": one_gaussian,
    "Gaussian a class": class_gaussians,
    "Gaussian mixture a class": class_mixtures,
    "reinjection without noise": reinjection,
    "pythae AE + mixture": pythae_mixture,
    "pythae VAE": pythae_vae,
    "pythae VAE a class": class_vaes,
}
LABELLED = ("one Gaussian", "reinjection without noise", "pythae AE + mixture", "pythae VAE")  # by our classifier
WALKED = ("reinjection without noise",)  # on our autoencoder
IMAGES_ONLY = ("pythae AE + mixture", "pythae VAE", "pythae VAE a class")  # whose decoders end in a sigmoid
