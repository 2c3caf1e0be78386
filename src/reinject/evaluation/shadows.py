"""Train shadow autoencoders: networks like the attacked one, trained like it on random halves of the rows."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reinject import data
from reinject.base.errors import ModelError
from reinject.base.progress import Progress, Silent
from reinject.data.sample_tables import Table
from reinject.evaluation.membership import halves, part_of
from reinject.models.loading import Models, load_models
from reinject.training.fit import Recipe
from reinject.training.objective_options import Numbers
from reinject.training.plans import TrainPlan
from reinject.training.train import train_on


def plan_of(models: Models) -> TrainPlan:
    """Read the training plan of the models' autoencoder.

    Raises:
        ModelError: several autoencoders, or one that ``reinject train`` did not make.
    """
    folder = models.autoencoders[0].folder
    path = folder / "training.json"
    if len(models.autoencoders) > 1 or not path.is_file():
        raise ModelError(
            str(folder),
            "is not a single autoencoder of reinject train, which shadows need",
            "Leave out --shadows",
        )
    plan: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["plan"]
    try:
        recipes = {name: Recipe(**plan[name]) for name in ("autoencoder_recipe", "classifier_recipe")}
        return TrainPlan(**{**plan, **recipes, "numbers": Numbers(**plan["numbers"])})
    except (TypeError, KeyError) as error:
        raise ModelError(
            str(path), f"is not of this version ({error})", "Leave out --shadows, or train again"
        ) from error


def shadow_autoencoders(
    models: Models,
    train: Table,
    test: Table,
    rows: NDArray[np.int64],
    probed: Table,
    *,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Train autoencoders on random halves of training and held-out rows, and evaluate them on probed rows.

    Arguments:
        models: models with the attacked autoencoder.
        train, test: training and held-out rows.
        rows: numbers of the probed rows, counted through both sets.
        probed: the probed rows.
        seed: seed of the halves and of the networks.
        device: device of the training.
        progress: progress reporter.

    Returns:
        phi = :func:`closeness` of each model, float64, (2 SPLITS, N); whether the row was in its half, the same shape.

    Raises:
        ModelError: see :func:`plan_of`.
    """
    plan, inputs = plan_of(models), models.inputs
    found, inside = [], []
    chosen = halves(len(train) + len(test), seed)
    for k, half in enumerate(chosen):
        (progress or Silent()).note(f"shadow autoencoder {k + 1} of {len(chosen)}")
        part = part_of(train, test, half)
        images = data.LabelledImages(torch.from_numpy(part.x), torch.from_numpy(part.y))
        dataset = data.Dataset(plan.dataset, images, images, inputs.class_names, inputs.space)
        with tempfile.TemporaryDirectory() as folder:
            like = replace(plan, only="autoencoder", sees="images", seed=seed + k)
            train_on(like, dataset, Path(folder) / "m", device=device, progress=Silent())
            found.append(closeness(load_models([Path(folder) / "m"], labelled=False), probed))
        inside.append(torch.from_numpy(np.isin(rows, half)))
    return torch.stack(found), torch.stack(inside)


def closeness(models: Models, table: Table) -> Tensor:
    """Compute -log |r(x) - x|^2 of each row, float64, (N,); higher for rows that the autoencoder knows."""
    r = models.ensemble()
    found = []
    with torch.no_grad():
        for part in np.array_split(np.arange(len(table)), max(1, len(table) // 1024)):
            x = table.storage.load(torch.from_numpy(table.x[part]))
            found.append((r(x) - x).flatten(1).cpu().double().square().sum(1))
    return -torch.cat(found).clamp_min(torch.finfo(torch.float64).tiny).log()
