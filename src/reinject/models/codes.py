"""Compute moments of the codes of real data while the data is at hand, and keep them beside the model."""

from dataclasses import replace
from pathlib import Path

import torch

from reinject.data import Dataset
from reinject.models.bundle import Bundle, as_reconstruction, load
from reinject.models.loading import Models, values_for
from reinject.models.moments import Moments, moments_of

_FIT = 20_000  # rows


def codes_of(models: Models, dataset: Dataset) -> Moments | None:
    """Return the moments of the codes of a data set; None for several autoencoders, or without a code."""
    return moments_on(models.autoencoders[0], dataset) if len(models.autoencoders) == 1 else None


def moments_on(bundle: Bundle, dataset: Dataset) -> Moments | None:
    """Return the moments of the codes of up to 20,000 training rows, by class; None without a code.

    Raises:
        DataError: the data has another shape or space than the model.
    """
    r = as_reconstruction(bundle, 0.1)
    if not r.has_code:
        return None
    order = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(0))[:_FIT]
    some = dataset.train.take(order)
    x = values_for(replace(dataset, train=some), bundle.network.inputs, "the model")
    with torch.no_grad():
        h = torch.cat([r.encode(part.to(r.device)).cpu() for part in torch.split(x, 1024)])
    return moments_of(h.float(), some.y if some.y.ndim == 1 else some.y.argmax(1))


def keep_moments(folder: Path, dataset: Dataset) -> list[str]:
    """Write the moments beside the autoencoder of a folder; return the lines that say so, none without a code."""
    moments = moments_on(load(folder), dataset)
    if moments is None:
        return []
    moments.save(folder)
    kept = f"{len(moments.law.means)} means and covariances of {moments.rows:,} codes, {moments.size / 1000:,.0f} kB"
    return [f"kept {kept}, as a start of walks; --no-moments leaves them out"]
