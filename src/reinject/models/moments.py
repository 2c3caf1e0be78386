"""Moments of codes: a few kB, computed while data is at hand, that describe where its codes lie.

The decoder of a plain autoencoder reaches far beyond the data, so a walk from noise may never find it. Means and
covariances of the codes of each class suffice to start at the data.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from reinject.base.errors import ModelError
from reinject.base.files import sha256
from reinject.walks.starts import Codes, Mixture

MOMENTS = "moments.safetensors"
_LEAST = 20  # least rows of a component
_CLASSES = 32  # more classes than this share one component
_RANK = 64  # most axes of a component
_NAMES = ("weights", "means", "factors")


@dataclass(frozen=True)
class Moments:
    """A mixture of Gaussians fitted to codes, one component for each class.

    Attributes:
        law: the mixture.
        rows: number of data rows of the fit.
    """

    law: Mixture
    rows: int

    @property
    def start(self) -> Codes:
        """Return a start that draws codes from the mixture."""
        return Codes(self.law)

    @property
    def size(self) -> int:
        """Return the bytes on disk, without the header."""
        return 4 * sum(part.numel() for part in (self.law.weights, self.law.means, self.law.factors))

    def save(self, folder: Path) -> None:
        """Write FOLDER/moments.safetensors."""
        tensors = {name: getattr(self.law, name).contiguous() for name in _NAMES}
        save_file(tensors, str(folder / MOMENTS), metadata={"rows": str(self.rows)})


def moments_of(h: Tensor, label: Tensor | None = None) -> Moments:
    """Fit one Gaussian to the codes of each class: weights n_k / N, means, covariances along their leading axes.

    All classes of fewer than 20 rows share one component. If there are more than 32 classes, all of them share one. A
    component keeps at most 64 axes.

    Arguments:
        h: codes, (N, *code).
        label: classes, (N,), integers >= 0; None: one component.

    Raises:
        ModelError: fewer than 20 codes, or codes that are not finite.

    Example:
        >>> found = moments_of(torch.randn(100, 3, generator=torch.Generator().manual_seed(0)))
        >>> found.law.means.shape, found.rows
        (torch.Size([1, 3]), 100)
    """
    if len(h) < _LEAST or not bool(torch.isfinite(h).all()):
        raise ModelError("moments", f"{len(h)} codes, or non-finite codes", f"Give at least {_LEAST} finite codes")
    part = torch.zeros(len(h), dtype=torch.int64) if label is None else label.long().clone()
    count = torch.bincount(part)
    small = (count < _LEAST) | (len(count) > _CLASSES)
    part = torch.where(small[part], -1, part)
    groups = [group for group in (h[part == k] for k in sorted(set(part.tolist()))) if len(group)]
    if len(groups) > 1 and len(groups[0]) < _LEAST and bool(small.any()):  # too few even together
        groups = groups[1:]
    rank = min(_RANK, h[0].numel())
    factors = torch.stack([_factor(group, rank) for group in groups])
    weights = torch.tensor([float(len(group)) for group in groups])
    means = torch.stack([group.double().mean(0) for group in groups]).float()
    return Moments(Mixture(weights / weights.sum(), means, factors), len(h))


def _factor(h: Tensor, rank: int) -> Tensor:
    """Return F of shape (rank, n), with F^T F the covariance along its leading axes."""
    flat = h.flatten(1).double()
    centred = flat - flat.mean(0)
    values, axes = torch.linalg.eigh(centred.T @ centred / max(len(flat) - 1, 1))
    kept: Tensor = values.clamp(min=0).sqrt()[-rank:, None] * axes.T[-rank:]
    return kept.float()


def load_moments(folder: Path) -> Moments | None:
    """Load the moments beside a model; None if there are none.

    Raises:
        ModelError: the file is damaged.
    """
    path = folder / MOMENTS
    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            parts = [file.get_tensor(name) for name in _NAMES]
            rows = int((file.metadata() or {})["rows"])
        return Moments(Mixture(*parts), rows)
    except (SafetensorError, OSError, KeyError, ValueError, IndexError, RuntimeError) as error:
        raise ModelError(str(path), f"is damaged ({error})", "Remove it, or import the model again") from error


def digest_of(folder: Path) -> str:
    """Return the SHA-256 of the moments beside a model; "" if there are none."""
    path = folder / MOMENTS
    return sha256(path) if path.is_file() else ""
