"""Configuration files: the options of a command from TOML."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from reinject.base.errors import ArgumentError
from reinject.cli.app import told
from reinject.cli.options import advanced

_NEVER = ("config", "help", "trust")  # to let code run is said on the command line, never by a file


class Command(TyperCommand):
    """A command that takes ``--config FILE``."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's own parameters, and ``--config``."""
        return [*super().get_params(ctx), _option()]


@cache
def _option() -> Any:
    """``--config``, as typer makes it of a function's argument."""
    text = "TOML with options by their names; those given here win."
    option = advanced(text, metavar="FILE", is_eager=True, expose_value=False, callback=_take)

    def options(config: str | None = None) -> None: ...

    options.__annotations__["config"] = Annotated[str | None, option]
    app = typer.Typer(add_completion=False)
    app.command()(options)
    return next(one for one in typer.main.get_command(app).params if one.name == "config")


def _take(ctx: typer.Context, value: str | None) -> None:
    if value is not None:
        with told():
            ctx.default_map = options_in(Path(value), ctx.info_name or "", _names(ctx))


def _names(ctx: Any) -> dict[str, str]:
    """Name of every option and argument, without dashes before it -> name of its parameter."""
    found: dict[str, str] = {}
    for parameter in ctx.command.get_params(ctx):
        for word in parameter.opts:
            found[word.lstrip("-").replace("_", "-")] = parameter.name
    return {name: parameter for name, parameter in found.items() if parameter not in _NEVER}


def options_in(path: Path, command: str, names: Mapping[str, str]) -> dict[str, Any]:
    """The values in a configuration file, by the names of parameters.

    Arguments:
        path: of the file: ``option = value``, lists where an option may come again, ``command = NAME``.
        command: that reads it.
        names: of its options -> of its parameters.

    Raises:
        ArgumentError: no such file, no TOML, of another command, or an option that the command does not have.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no text"
        raise ArgumentError("--config", f"{path}: {why}", "Give a file that can be read") from error
    except tomllib.TOMLDecodeError as error:
        raise ArgumentError(
            "--config", f"{path} is no TOML: {error}", "Write option = value, text in quotes"
        ) from error
    wanted = values.pop("command", command)
    if wanted != command:
        raise ArgumentError("--config", f"{path} is for reinject {wanted}", f"Run reinject {wanted} --config {path}")
    found = {}
    for key, value in values.items():
        name = key.replace("_", "-")
        if name not in names:
            near = get_close_matches(name, names, 1)
            cure = f"Did you mean {near[0]}" if near else f"See reinject {command} --help"
            raise ArgumentError("--config", f"{path}: {key!r} is no option of {command}", cure)
        if isinstance(value, dict):
            raise ArgumentError("--config", f"{path}: {key!r} is a table", "Write options one by one, without [tables]")
        found[names[name]] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    """As on the command line, where all is text but flags; options read numbers themselves."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, bool) else str(value)
