"""The automatic preset for models on disk: what is known of their codes, and the choice that follows."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reinject import data
from reinject.auto import Choice, choose_settings
from reinject.errors import ArchiveError, ArgumentError
from reinject.jobs.codes import codes_of
from reinject.jobs.recipe import Models, levels_of
from reinject.presets import PRESETS, Settings, choose
from reinject.progress import Progress, Silent


def choose_for(
    models: Models,
    *,
    dataset: str | None = None,
    seed: int = 0,
    data_dir: str | None = None,
    progress: Progress | None = None,
) -> Choice:
    """Choose settings for models on disk, as :func:`reinject.auto.choose_settings` does.

    Arguments:
        models: the models.
        dataset: name of real data, whose training rows say where codes lie; default: the moments that the models keep.
        seed: of the pilot walks.
        data_dir: where to look for the data set first.
        progress: who is told.

    Raises:
        DataError: data of another shape or space than the models'.
    """
    progress = progress or Silent()
    inputs = models.inputs
    loaded = None if dataset is None else data.load(dataset, data_dir, progress=progress)
    moments = models.moments() if loaded is None else codes_of(models, loaded)
    with progress.task("choosing a walk", 1, "choices") as advance:
        choice = choose_settings(
            models.ensemble(),
            models.C,
            levels_of(inputs),
            inputs.radius,
            codes=None if moments is None else moments.start,
            seed=seed,
        )
        advance(1)
    if dataset is None or choice.settings.start != "codes":
        return choice
    return replace(choice, settings=replace(choice.settings, start=f"codes:{dataset}"))


def settings_for(
    models: Models,
    preset: str | None,
    kernel: str | None,
    options: Mapping[str, str] | None,
    *,
    dataset: str | None = None,
    seed: int = 0,
    data_dir: str | None = None,
    progress: Progress | None = None,
    **given: Any,
) -> tuple[str, Settings, Choice | None]:
    """The settings that a command line asks for, chosen by pilot walks where it names neither preset nor kernel.

    Arguments:
        models: what will walk.
        preset, kernel, options, given: as for :func:`reinject.presets.choose`; a preset may be a file of ``tune``.
        dataset, seed, data_dir, progress: as for :func:`choose_for`.

    Returns:
        The name of the preset, the settings, and the choice where there was one.

    Raises:
        ArgumentError: as :func:`reinject.presets.choose`, or data where nothing is to be chosen.
    """
    progress = progress or Silent()
    if preset == "auto" or (preset is None and kernel is None and not options):
        choice = choose_for(models, dataset=dataset, seed=seed, data_dir=data_dir, progress=progress)
        for line in choice.lines:
            progress.say(line)
        name, settings = choose("auto", kernel, options, presets={**PRESETS, "auto": choice.settings}, **given)
        return name, settings, choice if name == "auto" else None
    if dataset is not None:
        raise ArgumentError("--data", "is for the automatic choice", "Leave out --kernel and --preset, or --data")
    tuned = {preset: read_settings(Path(preset))} if preset and preset.endswith(".json") else {}
    name, settings = choose(preset, kernel, options, presets={**PRESETS, **tuned}, **given)
    return Path(name).stem if tuned else name, settings, None


def read_settings(path: Path) -> Settings:
    """The settings that :func:`reinject.jobs.tune.tune` wrote.

    Raises:
        ArchiveError: no such file, or not such a one.
    """
    try:
        return Settings.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ArchiveError(str(path), "no such file", "Make one with reinject tune --out") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ArchiveError(str(path), f"is no preset ({error!r})", "Make one with reinject tune --out") from error
