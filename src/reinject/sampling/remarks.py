"""Make the manifest's verdict, its figures, and the reason for the chosen walk."""

import math
from dataclasses import replace
from typing import Any

import torch

from reinject.archive import Archive
from reinject.models.votes import Classifier
from reinject.sampling import pilot
from reinject.sampling.auto import Choice
from reinject.sampling.presets import Settings, Walker
from reinject.walks.reconstruction import Ensemble
from reinject.walks.verdict import Verdict, judge


def remarks(
    walker: Walker, settings: Settings, r: Ensemble, C: Classifier | None, choice: Choice | None, archive: Archive
) -> dict[str, Any]:
    """Judge an almost finished archive by its counts, 1,000 rows and 128 pilot walks.

    Arguments:
        walker, settings: kernel, start and settings of the walks.
        r: autoencoder.
        C: classifier; None: no figures of classes.
        choice: reason for the settings, if pilot walks chose them.
        archive: the archive.

    Returns:
        JSON values: ``verdict``, ``figures`` and, with a choice, ``chosen``.
    """
    manifest = archive.manifest
    counts, seed = manifest["counts"], manifest["parameters"]["seed"]
    walks = manifest["parameters"]["walks"]
    values = math.prod(archive.event_shape)
    few = min(pilot.walks_for(values), walks)
    parts = pilot.visit(walker, settings, archive.storage, walks=few, seed=seed)
    found = pilot.figures(
        archive.some(pilot.points_for(values), seed),
        r,
        C,
        archive.storage,
        stopped=(counts["stopped_walks"] + counts["strayed_walks"]) / walks,
        clipped=pilot.far_outside(torch.cat([part.x.cpu() for part in parts]), archive.storage) if parts else 0.0,
        remembered=pilot.remembered(walker, settings, parts, walks=few, seed=seed) if parts else float("nan"),
        seed=seed,
    )
    labelled = sum(counts["per_class"])
    shares = tuple(count / labelled for count in counts["per_class"]) if labelled else ()
    found = replace(found, shares=shares)
    verdict = judge(found, walks) if archive.rows > 1 else Verdict("doubtful", "one sample is too few to judge")
    said: dict[str, Any] = {"verdict": verdict.as_json(), "figures": found.as_json()}
    return said if choice is None else {**said, "chosen": choice.as_json()}
