"""The command line and the Python snippet that make what is on the screen."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from reinject.explorer.session import Choice, World
from reinject.presets import flag


def arguments(
    world: World, choice: Choice, out: str, *, picture: str = "", mask: str = "", walks: int = 0
) -> list[str]:
    """Of ``reinject``, without its name.

    Arguments:
        world, choice: what is on the screen.
        out: folder to make.
        picture: file of the picture, where there is one.
        mask: file of what of it is known, or ROWS,COLUMNS.
        walks: how many, if more than there are on the screen; the first of them are those on the screen.
    """
    settings = choice.settings
    found = ["sample", world.models, "--out", out, "--kernel", settings.kernel]
    for name, value in settings.options.items():
        found += [f"--{flag(name)}", value]
    for name in ("steps", "burn_in", "thin", "emit"):
        found += [f"--{flag(name)}", str(getattr(settings, name))]
    if settings.classes:
        names = world.inputs.class_names
        found += ["--classes", ",".join(names[k] for k in settings.classes), "--guidance", str(settings.guidance)]
    if mask:
        found += ["--known", picture, "--mask", mask]
    elif picture:
        found += ["--start", f"points:{picture}"]
    elif settings.start != "normal":
        found += ["--start", settings.start]
    if world.C is None:
        found += ["--labels", "none"]
    found += ["--walks", str(walks or choice.walks), "--block-size", str(choice.walks), "--seed", str(choice.seed)]
    return found


def command(words: Sequence[str]) -> str:
    """As a shell reads it."""
    return shlex.join(["reinject", *words])


def snippet(world: World, choice: Choice, *, picture: str = "", mask: str = "") -> str:
    """Python that walks the walks on the screen, step by step."""
    settings = choice.settings
    start = ", start=start" if picture and not mask else ""
    begins = f'start = resolve("points:{picture}", models.inputs, walks={choice.walks})\n' if start else ""
    known = (
        f'settings = replace(settings, known="{picture}", mask="{mask}")\n'
        f"held = resolve_held(settings, models.inputs, most={choice.walks})\n"
        if mask
        else ""
    )
    imports = [
        *(["from dataclasses import replace"] if mask else []),
        "from pathlib import Path\n",
        "from reinject import walk",
        *(["from reinject.jobs.held import resolve_held"] if mask else []),
        "from reinject.jobs.recipe import load_models",
        *(["from reinject.jobs.starts import resolve"] if start else []),
        "from reinject.presets import Settings\n",
    ]
    labelled = "" if world.C is not None else ", labelled=False"
    return "\n".join(
        [
            *imports,
            f"models = load_models([Path({world.models!r})]{labelled})",
            f"settings = {settings!r}".replace("inf", 'float("inf")'),
            f"{known}{begins}r, radius = models.ensemble(), models.inputs.radius",
            f"walker = settings.build(r, radius, classifier=models.C{start}{', held=held' if mask else ''})",
            "parts = walk(",
            "    walker.kernel, walker.start, walker.event_shape, seen=walker.seen,",
            f"    walks={choice.walks}, block_size={choice.walks}, steps={settings.steps}, emit={settings.emit!r},"
            f" seed={choice.seed},",
            ")",
            "for part in parts:",
            "    print(part.step, part.x.mean().item())",
            "",
        ]
    )


def folder_for(root: Path) -> Path:
    """The next folder of a run that is not there yet."""
    return next(path for k in range(1, 10**6) if not (path := root / f"run-{k}").exists())
