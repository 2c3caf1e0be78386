"""Choose a walk by the calls of r that a sample may cost: ``--passes``."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reinject.base.errors import ArgumentError, check_count
from reinject.sampling.auto import Choice
from reinject.sampling.presets import Settings

_GIVEN = ("steps", "burn_in", "thin")  # the number of passes determines them


def lengthened(settings: Settings, passes: int) -> Settings:
    """Lengthen the walk of an unconditional r, so that a sample costs at most ``passes`` calls of r.

    The number of samples stays. A longer walk forgets more of its start, and neighbours on it are less alike.

    Arguments:
        settings: the walk; its kernel calls r once a step.
        passes: calls of r for a sample, >= 2.

    Raises:
        ArgumentError: fewer than 2 passes.

    Example:
        >>> walk = lengthened(Settings("half-denoising", steps=16, burn_in=7), 4)
        >>> walk.steps, walk.burn_in, walk.thin, len(walk.walk.kept)
        (34, 7, 3, 10)
    """
    check_count("--passes", "passes", passes, 2)
    samples, last = len(settings.walk.kept), int(settings.emit == "reconstruction")  # r of the last state costs a call
    burn_in = max(settings.burn_in, passes - last)
    thin = (passes * samples - last - burn_in) // (samples - 1) if samples > 1 else 1
    return replace(settings, burn_in=burn_in, thin=thin, steps=burn_in + thin * (samples - 1))


def within(choice: Choice, passes: int) -> Choice:
    """Replace the walk of an automatic choice by one with this number of passes a sample.

    A walk of the multistep kernel keeps the levels at which it begins and ends.
    """
    check_count("--passes", "passes", passes, 2)
    settings = choice.settings
    if settings.kernel == "multistep":
        steps = passes - int(settings.emit == "reconstruction")
        settings = replace(settings, steps=steps, burn_in=steps)
    else:
        settings = lengthened(settings, passes)
    return replace(choice, settings=settings, what=f"{choice.what}; {passes} passes a sample")


def check_passes(preset: str | None, kernel: str | None, given: Mapping[str, Any]) -> None:
    """Raise ArgumentError if a request with ``passes`` also names what the number of passes determines.

    Example:
        >>> check_passes(None, None, {"steps": 5})
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: --passes: cannot be combined with --steps. Give one of the two.
    """
    named = {"preset": None if preset == "auto" else preset, "kernel": kernel}
    named |= {name: given.get(name) for name in _GIVEN}
    for name, value in named.items():
        if value is not None:
            raise ArgumentError(
                "--passes", f"cannot be combined with --{name.replace('_', '-')}", "Give one of the two"
            )
