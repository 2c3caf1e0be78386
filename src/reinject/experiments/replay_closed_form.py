"""Run methods of continual learning in closed form: classifiers of means, covariances and sums, without replay."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import mse_loss, normalize, one_hot, relu

from reinject.base.random_streams import stream
from reinject.experiments.replay_setting import Given, Setting

WIDTH = 5000  # random features of RanPAC; its paper takes 10,000
RIDGES = tuple(10.0**k for k in range(-8, 9))
_PROJECTION, _HELD_OUT = 11, 12  # of streams
_TRAINED = 0.8  # share of a task's rows for the choice of the ridge; the others judge it


def nearest_mean(setting: Setting, task: int) -> Given:
    """Keep the mean of each class; the nearest mean is the class (NCM)."""
    means = _means(setting, task)
    return Given(None, None, 4 * means.numel(), lambda x: -torch.cdist(x.flatten(1), means))


def streaming_lda(setting: Setting, task: int) -> Given:
    """Keep the mean of each class and one covariance of all (streaming LDA, shrinkage 1e-4 of its mean variance).

    Source: Hayes and Kanan 2020, arXiv 1909.01520.
    """
    means, load = _means(setting, task), setting.dataset.levels().load
    n = means.shape[1]
    scatter, count = torch.zeros(n, n, dtype=torch.float64), 0
    for number, k in enumerate(setting.protocol.classes_until(task)):
        centred = (load(setting.rows((k,))[0]).flatten(1) - means[number]).double()
        scatter, count = scatter + centred.T @ centred, count + len(centred)
    cov = scatter / count
    cov = cov + 1e-4 * cov.diagonal().mean() * torch.eye(n, dtype=torch.float64)
    weights = torch.linalg.solve(cov, means.double().T).float()
    offset = -0.5 * (means * weights.T).sum(1)
    return Given(None, None, 4 * (means.numel() + n * (n + 1) // 2), lambda x: x.flatten(1) @ weights + offset)


def _means(setting: Setting, task: int) -> Tensor:
    load = setting.dataset.levels().load
    return torch.stack([load(setting.rows((k,))[0]).flatten(1).mean(0) for k in setting.protocol.classes_until(task)])


def fecam(setting: Setting, task: int) -> Given:
    """Keep a mean and a covariance of each class; the least Mahalanobis distance is the class (FeCAM).

    The score of class k is -d C^-1 d with d = x/|x| - m/|m|. C has the correlations of the class, after shrinkage.
    Values that are never negative, such as pixels, are first replaced by their roots (Tukey's transformation).

    Source: Goswami et al. 2023, arXiv 2309.14062, with alpha_1 = alpha_2 = 1 and lambda = 1/2 as there.
    """
    levels = setting.dataset.levels()
    rooted = torch.sqrt if levels.kind == "uint8" else torch.clone
    kept = []
    for k in setting.protocol.classes_until(task):
        x = levels.load(setting.rows((k,))[0]).flatten(1).double()
        inverse = torch.linalg.inv(correlations(torch.cov(rooted(x).T)))
        kept.append((normalize(rooted(x.mean(0)), dim=0).float(), inverse.float()))
    n = len(kept[0][0])

    def predict(x: Tensor) -> Tensor:
        given = normalize(rooted(normalize(x.flatten(1))))
        each = [given - mean for mean, _ in kept]
        return -torch.stack([(d @ inverse * d).sum(1) for d, (_, inverse) in zip(each, kept, strict=True)], 1)

    return Given(None, None, 4 * len(kept) * (n + n * (n + 1) // 2), predict)


def correlations(cov: Tensor) -> Tensor:
    """Shrink a covariance, and divide it by its standard deviations.

    C + v I + c (1 - I), with v the mean of the diagonal and c that of the other entries; then C_ij / sqrt(C_ii C_jj).

    Arguments:
        cov: covariance, (n, n), n > 1.

    Example:
        >>> correlations(torch.tensor([[1.0, 0.5], [0.5, 3.0]])).mul(15**0.5).round(decimals=4)[0, 1].item()
        1.0
    """
    n, diagonal = len(cov), cov.diagonal()
    others = (cov.sum() - diagonal.sum()) / (n * n - n)
    eye = torch.eye(n, dtype=cov.dtype)
    shrunk = cov + diagonal.mean() * eye + others * (1 - eye)
    deviation = shrunk.diagonal().sqrt()
    found: Tensor = shrunk / deviation.outer(deviation)
    return found


@dataclass(frozen=True)
class Sums:
    """Hold sums over rows: sum h h^T, (M, M), and sum h y^T, (M, classes), float64."""

    gram: Tensor
    products: Tensor

    def plus(self, h: Tensor, y: Tensor) -> "Sums":
        """Add the rows h, (N, M), with labels y, (N, classes)."""
        return Sums(self.gram + (h.T @ h).double(), self.products + (h.T @ y).double())

    def weights(self, ridge: float) -> Tensor:
        """Solve (sum h h^T + ridge I) W = sum h y^T; float32, (M, classes)."""
        eye = torch.eye(len(self.gram), dtype=self.gram.dtype)
        found: Tensor = torch.linalg.solve(self.gram + ridge * eye, self.products)
        return found.float()


def ranpac(setting: Setting, task: int) -> Given:
    """Keep sums of random features h = relu(x W) of all rows; a ridge regression from h to the class (RanPAC).

    W has independent normal entries, from a seed. Each task chooses the ridge anew, on its own rows.

    Source: McDonnell et al. 2023, arXiv 2307.02251, without the training of adapters on the first task.
    """
    load, classes = setting.dataset.levels().load, len(setting.protocol.classes_until(task))
    project = _projection(setting)
    sums = Sums(torch.zeros(WIDTH, WIDTH, dtype=torch.float64), torch.zeros(WIDTH, classes, dtype=torch.float64))
    for one in range(task + 1):
        x, y = setting.rows(setting.protocol.tasks[one])
        h, labels = project(load(x)), one_hot(y, classes).float()
        sums = sums.plus(h, labels)
    weights = sums.weights(best_ridge(h, labels, stream((setting.seed, _HELD_OUT, task))))
    size = 4 * (WIDTH * (WIDTH + 1) // 2 + WIDTH * classes)
    return Given(None, None, size, lambda x: project(x) @ weights)


def _projection(setting: Setting) -> Callable[[Tensor], Tensor]:
    n = setting.dataset.train.x[0].numel()
    W = torch.randn(n, WIDTH, generator=stream((setting.seed, _PROJECTION)))
    return lambda x: relu(x.flatten(1) @ W)


def best_ridge(h: Tensor, y: Tensor, generator: torch.Generator) -> float:
    """Return the ridge of :data:`RIDGES` with the least squared error on a random fifth of the rows.

    Arguments:
        h: features, (N, M).
        y: labels, (N, classes).
        generator: generator of the choice of rows.
    """
    order = torch.randperm(len(h), generator=generator)
    cut = int(_TRAINED * len(order))
    (a, b), (held, wanted) = ((h[rows].double(), y[rows].double()) for rows in (order[:cut], order[cut:]))
    if len(a) < a.shape[1]:  # the smaller of the two equivalent systems
        values, axes = torch.linalg.eigh(a @ a.T)
        left, right = held @ a.T @ axes, axes.T @ b
    else:
        values, axes = torch.linalg.eigh(a.T @ a)
        left, right = held @ axes, axes.T @ (a.T @ b)
    errors = [float(mse_loss(left / (values + ridge) @ right, wanted)) for ridge in RIDGES]
    return min(zip(errors, RIDGES, strict=True))[1]
