"""Choose the automatic preset for models, on disk or in memory."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reinject.archive.reading import Reading
from reinject.base.errors import ArchiveError, ArgumentError
from reinject.data.samples import Storage
from reinject.models.loading import Models, range_of
from reinject.models.votes import Classifier
from reinject.sampling.auto import Choice, choose_settings
from reinject.sampling.data_starts import resolve
from reinject.sampling.passes import check_passes, within
from reinject.sampling.presets import PRESETS, Settings, choose
from reinject.sampling.sample_spec import SampleSpec
from reinject.sampling.selection import usual_walks
from reinject.sampling.table_sampling import CHOICE
from reinject.walks.kernel_options import flag
from reinject.walks.reconstruction import Ensemble


def choose_for(
    models: Models,
    *,
    dataset: str | None = None,
    seed: int = 0,
    among_data: bool = True,
    reading: Reading | None = None,
) -> Choice:
    """Choose settings for models on disk, as :func:`reinject.sampling.auto.choose_settings` does.

    Arguments:
        models: loaded models.
        dataset: name of real data, whose training rows locate the codes; default: the models' stored moments.
        seed: seed of the pilot walks.
        among_data: whether walks begin among data, if the models or ``dataset`` locate them.
        reading: how to read the data set.

    Raises:
        DataError: the shape or space of the data differs from the models'.
    """
    if models.table is not None:
        if dataset is not None:
            raise ArgumentError("--data", "is for images and vectors; walks of a table begin in noise", "Leave it out")
        return CHOICE
    inputs = models.inputs
    text = _start_text(models, dataset) if among_data else None
    begin = resolve(text, inputs, walks=1, models=models, reading=reading)
    choice = choose_settings(models.ensemble(), models.C, range_of(inputs), inputs.radius, begin=begin, seed=seed)
    if dataset is not None and models.ensemble().noise_conditioned:
        return replace(choice, what=f"{choice.what}, and needs no --data")
    if text is None or begin is None:
        return choice
    return replace(choice, settings=replace(choice.settings, start=text))


def _start_text(models: Models, dataset: str | None) -> str | None:
    """Name the start among data, as on the command line; None if data are not located."""
    r = models.ensemble()
    if r.noise_conditioned or r.codes is not None:
        return None
    if dataset is None:
        return None if models.moments() is None else "codes"
    single = len(models.autoencoders) == 1 and models.ensemble().has_code
    return f"codes:{dataset}" if single else f"classes:{dataset}"


def settings_for(
    models: Models,
    preset: str | None,
    kernel: str | None,
    options: Mapping[str, str] | None,
    *,
    dataset: str | None = None,
    seed: int = 0,
    reading: Reading | None = None,
    **given: Any,
) -> tuple[str, Settings, Choice | None]:
    """Make the settings of a command line; pilot walks choose if it names neither preset nor kernel.

    Arguments:
        models: loaded models.
        preset, kernel, options, given: see :func:`reinject.sampling.presets.choose`; a preset may be a file
            of ``tune``. ``passes`` among the given: see :mod:`reinject.sampling.passes`.
        dataset, seed, reading: see :func:`choose_for`.

    Returns:
        The name of the preset, the settings, and the choice or None.

    Raises:
        ArgumentError: see :func:`reinject.sampling.presets.choose`; or data without an automatic choice.
    """
    passes = given.pop("passes", None)
    if passes is not None:
        check_passes(preset, kernel, given)
    if passes is not None or preset == "auto" or (preset is None and kernel is None):
        among = given.get("start") is None  # a given start has precedence
        choice = choose_for(models, dataset=dataset, seed=seed, among_data=among, reading=reading)
        return _taken(choice, passes, kernel, options, given)
    if dataset is not None:
        raise ArgumentError("--data", "is only for the automatic choice", "Leave out --data, or --kernel and --preset")
    tuned = {preset: read_settings(Path(preset))} if preset and preset.endswith(".json") else {}
    name, settings = choose(preset, kernel, options, presets={**PRESETS, **tuned}, **given)
    return Path(name).stem if tuned else name, settings, None


def _taken(
    choice: Choice,
    passes: int | None,
    kernel: str | None,
    options: Mapping[str, str] | None,
    given: Mapping[str, Any],
) -> tuple[str, Settings, Choice | None]:
    """Put the given values in place of those of an automatic choice."""
    choice = choice if passes is None else within(choice, passes)
    name, settings = choose("auto", kernel, options, presets={**PRESETS, "auto": choice.settings}, **given)
    if name == "auto":
        return name, settings, replace(choice, settings=settings)
    if passes is not None:
        named = ", ".join(f"--{flag(option)}" for option in options or {})
        problem = f"takes the {choice.settings.kernel} kernel, and {named} are those of another"
        raise ArgumentError("--passes", problem, "Give one of the two")
    return name, settings, None


def settled(models: Models, spec: SampleSpec, *, walks: int | None, seed: int, reading: Reading) -> SampleSpec:
    """Fill in the settings and the start of a spec for models on disk, as the command ``reinject sample`` does.

    Arguments:
        models: models that walk; moments of codes in their folder are used.
        spec: spec with or without settings.
        walks: number of walks, for starts that depend on it; None: as many as by default.
        seed: seed of the pilot walks and of starts.
        reading: how to read the data of a start; notes its splits.

    Raises:
        ReinjectError: an unknown preset, kernel or option, or a start that cannot be read.
    """
    preset, settings, choice = spec.preset, spec.settings, spec.choice
    if settings is None:
        options = {name: str(value) for name, value in spec.options.items() if name not in OF_A_WALK}
        given = {name: value for name, value in spec.options.items() if name in OF_A_WALK}
        named = None if spec.kernel and preset == "auto" else preset
        preset, settings, choice = settings_for(
            models, named, spec.kernel, options, seed=seed, reading=reading, **given
        )
    if walks is None:
        walks = usual_walks(settings, table=models.table is not None)
    start = spec.start or resolve(settings.start, models.inputs, walks=walks, seed=seed, models=models, reading=reading)
    splits = {**spec.splits, **reading.splits}
    filled = replace(spec, kernel=None, options={}, settings=settings, start=start, splits=splits)
    return replace(filled, preset=preset, choice=choice)


OF_A_WALK = ("passes", "steps", "burn_in", "thin", "emit", "start", "classes", "guidance", "box", "limit", "latent")


def settings_in_memory(
    r: Ensemble, C: Classifier | None, storage: Storage, radius: float, seed: int, spec: SampleSpec
) -> tuple[str, Settings, Choice | None]:
    """Make the settings of a spec for networks in memory, as :func:`settings_for` does.

    Arguments:
        r, C, storage, radius, seed: see :func:`reinject.sampling.auto.choose_settings`.
        spec: spec with preset, kernel and options.

    Raises:
        ArgumentError: an unknown preset, kernel or option.
    """
    options = {name: str(value) for name, value in spec.options.items() if name not in OF_A_WALK}
    values = {name: value for name, value in spec.options.items() if name in OF_A_WALK}
    passes = values.pop("passes", None)
    if passes is not None:
        check_passes(spec.preset, spec.kernel, values)
    elif spec.preset != "auto" or spec.kernel is not None:
        name, settings = choose(None if spec.preset == "auto" else spec.preset, spec.kernel, options, **values)
        return name, settings, None
    return _taken(choose_settings(r, C, storage, radius, seed=seed), passes, None, options, values)


def read_settings(path: Path) -> Settings:
    """Read settings that :func:`reinject.evaluation.tune.tune` wrote.

    Raises:
        ArchiveError: the file is missing, or is not a preset.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Settings.from_json({name: value for name, value in values.items() if name != "asked"})
    except FileNotFoundError as error:
        raise ArchiveError(str(path), "no such file", "Make one with reinject tune --out") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArchiveError(str(path), f"is not a preset ({error!r})", "Make one with reinject tune --out") from error


def asked_of(path: Path) -> Any:
    """Read the request of :func:`reinject.evaluation.tune.tune` from its file; None if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # some other file
        return None
    return found.get("asked") if isinstance(found, dict) else None
