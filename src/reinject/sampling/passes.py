"""Choose a walk by the calls of r that a sample may cost: ``--passes``."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reinject.base.errors import ArgumentError, check_count
from reinject.sampling.auto import Choice
from reinject.sampling.presets import DEFAULT, Settings, settings_of
from reinject.walks.reconstruction import Ensemble

_FLOOR = 0.15  # last level, multiples of the standard deviation of a value: above it details are lost
_GIVEN = ("steps", "burn_in", "thin")  # the number of passes determines them


def falls(passes: int, values: int) -> Settings:
    """Make settings for a noise-conditioned r: each walk is one fall of the multistep kernel, and gives one sample.

    The walk calls r at ``passes`` levels, and keeps the r of the last one. So samples are independent. The levels fall
    from noise that drowns the data to 0.15 of the standard deviation of a value, spaced as Karras et al. do.

    Arguments:
        passes: calls of r for a sample, >= 2.
        values: number of values of a sample, >= 1.

    Raises:
        ArgumentError: fewer than 2 passes.

    Example:
        >>> falls(8, 784).steps, falls(8, 784).options["sigma"]
        (7, 'karras:1.4r:0.005357r:4')
    """
    check_count("--passes", "passes", passes, 2)
    options = {"sigma": f"karras:1.4r:{_FLOOR / math.sqrt(values):.4g}r:4", "eta": "1"}
    return replace(settings_of("multistep"), options=options, steps=passes - 1, burn_in=passes - 1)


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


def within(choice: Choice, r: Ensemble, passes: int) -> Choice:
    """Replace the walk of an automatic choice for r by one with this number of calls of r for a sample.

    A walk of the multistep kernel keeps the levels at which it begins and ends.
    """
    check_count("--passes", "passes", passes, 2)
    settings = choice.settings
    if settings.kernel == "multistep":
        steps = passes - int(settings.emit == "reconstruction")
        settings = replace(settings, steps=steps, burn_in=steps)
    elif settings.kernel == DEFAULT.kernel:
        space = r.codes if settings.latent and r.codes is not None else r
        settings = replace(falls(passes, math.prod(space.event_shape)), latent=settings.latent)
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
