"""Write the command line and the Python snippet that make the walks on the screen."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from reinject.explorer.session import Choice, World
from reinject.sampling.presets import Settings, words_of

Start = Callable[[Sequence[str], "Bar"], str]


@dataclass
class Bar:
    """Hold the progress of a run, from 0 to 1; a waiting thread writes it, the page reads it."""

    share: float = 0.0


def arguments(world: World, choice: Choice, out: str, *, picture: str = "", walks: int = 0) -> list[str]:
    """Write the words of a ``reinject`` command, without its name.

    Arguments:
        world, choice: networks and settings of the walks on the screen.
        out: folder to make.
        picture: file of the choice's picture, if it has one.
        walks: number of walks, if more than on the screen; the first ones are those on the screen.
    """
    settings = _with_files(choice, picture)
    if picture and not choice.mask:
        settings = replace(settings, start=f"points:{picture}")
    found = ["sample", world.models, "--out", out, *words_of(settings, world.inputs.class_names)]
    if world.C is None:
        found += ["--labels", "none"]
    found += ["--walks", str(walks or choice.walks), "--block-size", str(choice.walks), "--seed", str(choice.seed)]
    return found


def command(words: Sequence[str]) -> str:
    """Quote a command for a shell."""
    return shlex.join(["reinject", *words])


def snippet(world: World, choice: Choice, *, picture: str = "") -> str:
    """Write Python that makes the walks on the screen, step by step."""
    settings = _with_files(choice, picture)
    begins, holds = bool(picture and not choice.mask), bool(picture and choice.mask)
    start = [f"start = resolve({f'points:{picture}'!r}, models.inputs, walks={choice.walks})"] if begins else []
    constraint = [f"constraint = resolve_constraint(settings, models.inputs, most={choice.walks})"] if holds else []
    given = ", start=start" if begins else ", constraint=constraint" if holds else ""
    imports = [
        "from pathlib import Path\n",
        "from reinject import RunSpec, WalkSpec, walk",
        *(["from reinject.sampling.constraints import resolve_constraint"] if holds else []),
        "from reinject.models.loading import load_models",
        *(["from reinject.sampling.data_starts import resolve"] if begins else []),
        "from reinject.sampling.presets import Settings\n",
    ]
    labelled = "" if world.C is not None else ", labelled=False"
    return "\n".join(
        [
            *imports,
            f"models = load_models([Path({world.models!r})]{labelled})",
            f"settings = {_source(settings)}",
            *start,
            *constraint,
            "r, radius = models.ensemble(), models.inputs.radius",
            f"walker = settings.build(r, radius, classifier=models.C{given})",
            f"spec = WalkSpec(steps={settings.steps}, emit={settings.emit!r})",
            f"run = RunSpec(walks={choice.walks}, seed={choice.seed}, block_size={choice.walks})",
            "parts = walk(",
            "    walker.kernel, walker.start, walker.event_shape, spec, run, transform=walker.transform,",
            ")",
            "for part in parts:",
            "    print(part.step, part.x.mean().item())",
            "",
        ]
    )


def _with_files(choice: Choice, picture: str) -> Settings:
    return replace(choice.settings, known=picture, mask=choice.mask) if picture and choice.mask else choice.settings


def _source(settings: Settings) -> str:
    """Write Python that makes the settings.

    Example:
        >>> _source(Settings("langevin", {"lam": "0.2"}, steps=3))
        "Settings('langevin', options={'lam': '0.2'}, steps=3)"
    """
    usual = Settings(settings.kernel)
    values = {item.name: getattr(settings, item.name) for item in fields(settings)}
    given = [f"{name}={value!r}" for name, value in values.items() if value != getattr(usual, name)]
    return f"Settings({', '.join([repr(settings.kernel), *given])})"


def folder_for(root: Path) -> Path:
    """Choose the next unused folder for a run."""
    return next(path for k in range(1, 10**6) if not (path := root / f"run-{k}").exists())
