"""Build a kernel from its options as text, as a command line gives them."""

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from reinject.base.errors import ArgumentError
from reinject.walks.kernels import KERNELS
from reinject.walks.kernels.kernel import Kernel
from reinject.walks.reconstruction import Autoencoder
from reinject.walks.schedules import parse_number, parse_schedule


def options_of(kernel: str) -> Iterator[Field[Any]]:
    """Return the fields of a kernel that are options on the command line."""
    return (item for item in fields(KERNELS[kernel]) if "help" in item.metadata)


def default_of(kernel: str, option: Field[Any]) -> str:
    """Return the default of an option on the command line."""
    values: Mapping[str, str] = KERNELS[kernel].usage.values
    if option.name in values:
        return values[option.name]
    return "" if option.default is MISSING else str(option.default)


def build_kernel(name: str, r: Autoencoder, options: Mapping[str, str], radius: float = 1.0) -> Kernel:
    """Build a kernel from its options as text.

    Arguments:
        name: of the kernel, on the command line.
        r: the autoencoder.
        options: values as on the command line, by the names of the kernel's fields.
        radius: of the data, data units; a number followed by r is a multiple of it.

    Raises:
        ArgumentError: the kernel does not have an option, or a value does not parse or is out of range.
        ModelError: the kernel cannot walk the autoencoder.

    Example:
        >>> from reinject import wrap
        >>> build_kernel("half-denoising", wrap(lambda x: x, (1,), name="r"), {"sigma": ".5"})
        HalfDenoising(r=Reconstruction(...), sigma=0.5)
    """
    known = {item.name: item for item in options_of(name)}
    for option in options:
        if option not in known:
            has = ", ".join(f"--{flag(key)}" for key in known) or "no options"
            others = [other for other in KERNELS if option in {item.name for item in options_of(other)}]
            cure = f"Leave it out, or use --kernel {others[0]}" if others else "Leave it out"
            raise ArgumentError(f"--{flag(option)}", f"the {name} kernel has {has}, but no {option}", cure)
    given = {**KERNELS[name].usage.values, **options}
    return KERNELS[name](r, **{key: _parsed(known[key], text, radius) for key, text in given.items()})  # type: ignore[no-any-return]


def flag(option: str) -> str:
    """Return the name of a field on the command line, without its dashes.

    Example:
        >>> flag("sigma_stop")
        'sigma-stop'
    """
    return option.replace("_", "-")


def _parsed(item: Field[Any], text: str, radius: float) -> Any:
    kinds = typing.get_args(item.type) if isinstance(item.type, types.UnionType) else (item.type,)
    owner = f"--{flag(item.name)}"
    try:
        if kinds == (int,):
            return int(text)
        if kinds == (float,):
            return parse_number(text, radius)
        return parse_schedule(text, radius)
    except ArgumentError as error:
        if str in kinds and ":" not in text:
            return text
        raise ArgumentError(owner, error.problem, error.cure) from error
    except ValueError as error:
        raise ArgumentError(owner, f"{text!r} is not a number", f"Give {item.metadata['help']}") from error
