"""Remake the blocks of an archive from its manifest."""

from collections.abc import Sequence
from pathlib import Path

import torch

from reinject.archive import Archive, MakeBlock, blocks_of, scheme_of
from reinject.archive.reading import reading_again
from reinject.base.errors import ArchiveError
from reinject.base.progress import Progress
from reinject.sampling.constraints import resolve_constraint
from reinject.sampling.data_starts import resolve
from reinject.sampling.presets import Settings
from reinject.sampling.provenance import find_models
from reinject.sampling.recipe import Recipe, block_sampler
from reinject.sampling.selection import Selection, certain_classes, resolve_private
from reinject.walks.execution import Execution


def remake(
    archive: Archive,
    models: Sequence[Path] = (),
    data_dir: str | None = None,
    progress: Progress | None = None,
) -> MakeBlock:
    """Return the function that remakes blocks of an archive from its manifest, its models and its starts.

    Arguments:
        archive: the archive.
        models: folders of the models that made the archive; default: the manifest's.
        data_dir: folder to search for data sets of starts.
        progress: progress reporter.

    Raises:
        ArchiveError: models or starts are not on disk, or this machine lacks the archive's kind of device.
        ModelError: a model is missing, or its hash differs.
    """
    manifest, parameters = archive.manifest, archive.manifest["parameters"]
    place = parameters.get("device", "cpu")
    try:
        torch.zeros(1, device=torch.device(place)).item()
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:  # PyTorch's errors for a missing device
        raise ArchiveError(
            str(archive.folder),
            f"was made on {place!r}, which this machine lacks; other devices draw other noise",
            f"Run this on a machine with {place!r}",
        ) from error
    found = find_models(archive, models, place)
    if not found.autoencoders:
        raise ArchiveError(
            str(archive.folder), "was made by an autoencoder in memory", "Sample from a folder of models"
        )
    settings, inputs = Settings.from_json(parameters["settings"]), found.inputs
    selection = Selection.from_json(parameters["selection"])
    begun, reading = (reading_again(parameters, text, data_dir, progress) for text in (settings.start, ""))
    private = resolve_private(selection, inputs, reading)
    ranges = tuple((first, last) for first, last in (one["walks"] for one in parameters["ranges"]))
    recipe = Recipe(
        settings,
        ranges,
        parameters["seed"],
        parameters["block_size"],
        archive.storage,
        inputs.radius,
        resolve(settings.start, inputs, walks=ranges[-1][1], seed=parameters["seed"], models=found, reading=begun),
        resolve_constraint(settings, inputs, most=parameters["block_size"], reading=reading),
        selection.labels_of(settings, certain_classes(found.ensemble(), found.C, settings)),
        selection.filters(
            settings,
            archive.class_names,
            parameters["block_size"],
            parameters["seed"],
            private,
            blocks_of(parameters),
            None if found.student is None else found.student.network,
        ),
        scheme_of(parameters),
    )
    make_block, walker = block_sampler(
        found.ensemble(Execution(**parameters["execution"])), found.C, recipe, found.table
    )
    again = {
        "kernel": repr(walker.kernel),
        "start": repr(walker.start),
        "filters": [repr(one) for one in recipe.filters],
    }
    for name, made in again.items():
        if manifest["parameters"][name] != made:
            raise ArchiveError(
                str(archive.folder),
                f"its {name} cannot be remade: it was {manifest['parameters'][name]}, and is {made}",
                "Give the data that the archive was made with",
            )
    return make_block
