"""Read the options of a command from TOML."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from reinject.base.errors import ArgumentError
from reinject.cli.app import report_errors
from reinject.cli.options import advanced

_NEVER = ("config", "help", "trust")  # only the command line may allow code to run, never a file


class Command(TyperCommand):
    """Add ``--config FILE`` to a command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's own parameters, and ``--config``."""
        return [*super().get_params(ctx), _option()]


@cache
def _option() -> Any:
    """Make ``--config`` as typer does from a function's argument."""
    text = "TOML file of options; the command line has precedence."
    option = advanced(text, metavar="FILE", is_eager=True, expose_value=False, callback=_take)

    def options(config: str | None = None) -> None: ...

    options.__annotations__["config"] = Annotated[str | None, option]
    app = typer.Typer(add_completion=False)
    app.command()(options)
    return next(one for one in typer.main.get_command(app).params if one.name == "config")


def _take(ctx: typer.Context, value: str | None) -> None:
    if value is not None:
        with report_errors():
            ctx.default_map = options_in(Path(value), ctx.info_name or "", _names(ctx))


def _names(ctx: Any) -> dict[str, str]:
    """Map the name of every option and argument, without leading dashes, to its parameter."""
    found: dict[str, str] = {}
    for parameter in ctx.command.get_params(ctx):
        for word in parameter.opts:
            found[word.lstrip("-").replace("_", "-")] = parameter.name
    return {name: parameter for name, parameter in found.items() if parameter not in _NEVER}


def options_in(path: Path, command: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Read the values in a configuration file, by the names of parameters.

    Arguments:
        path: the file: ``option = value``, lists for options that may be repeated, ``command = NAME``.
        command: name of the command that reads the file.
        names: option name -> parameter name.

    Raises:
        ArgumentError: the file is missing, is not TOML, is for another command, or has an unknown option.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not text"
        raise ArgumentError("--config", f"{path}: {why}", "Give a readable file") from error
    except tomllib.TOMLDecodeError as error:
        raise ArgumentError(
            "--config", f"{path} is not TOML: {error}", "Write option = value, text in quotes"
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
            raise ArgumentError("--config", f"{path}: {key!r} is not an option of {command}", cure)
        if isinstance(value, dict):
            raise ArgumentError("--config", f"{path}: {key!r} is a table", "Write options without [tables]")
        found[names[name]] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    """Convert values to text, as on the command line; flags stay booleans."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, bool) else str(value)
