"""Configuration files: the options of a command from TOML, and the file that every run leaves in what it made."""

import json
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from reinject import __version__
from reinject.base.errors import ArgumentError
from reinject.base.files import is_remote
from reinject.cli.app import told
from reinject.cli.options import advanced

RUN = "run.toml"
RUNS = "run*.toml"
_NOT_KEPT = ("as_json", "overwrite", "append", "resume", "dry_run")
_NEVER = ("config", "help", "trust")  # to let code run is said on the command line, never by a file


class Command(TyperCommand):
    """A command that takes ``--config FILE``, and leaves its own options in the folder that it made."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's own parameters, and ``--config``."""
        return [*super().get_params(ctx), _option()]

    def invoke(self, ctx: Any) -> Any:
        """Runs the command, then writes down what it was run with."""
        with told():
            earlier = _earlier(ctx)
        result = super().invoke(ctx)
        with told():
            keep(ctx, earlier)
        return result


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


def as_toml(command: str, values: Mapping[str, Any]) -> str:
    r"""The file that gives these values again.

    Example:
        >>> print(*as_toml("sample", {"walks": 10, "models": ["m"], "latent": True}).splitlines()[1:], sep="\n")
        command = "sample"
        walks = 10
        models = ["m"]
        latent = true
    """
    lines = [
        f"# reinject {__version__}: reinject {command} --config {RUN}; paths are those of the folder where it was run",
        f"command = {json.dumps(command)}",
        *(f"{name} = {_toml(value)}" for name, value in values.items()),
    ]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """TOML writes these values as JSON does, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _earlier(ctx: Any) -> dict[str, str]:
    """Name -> text of the files of the runs that this one adds to, whose folder is made anew."""
    out = ctx.params.get("out")
    if not ctx.params.get("append") or out is None or is_remote(out):
        return {}
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(out.glob(RUNS))}


def keep(ctx: Any, earlier: Mapping[str, str]) -> None:
    """Leave ``run.toml`` in the folder of ``--out``, where the command made one; beside those of runs that stand there.

    Arguments:
        ctx: of the command, which has run.
        earlier: name -> text of files to put back first.
    """
    out = ctx.params.get("out")
    if out is None or ctx.params.get("dry_run") or is_remote(out) or not out.is_dir():
        return
    given = {**ctx.params, **(ctx.obj if isinstance(ctx.obj, dict) else {})}
    values = {
        name: _json(given[parameter])
        for name, parameter in _names(ctx).items()
        if parameter not in _NOT_KEPT and not _nothing(given.get(parameter))
    }
    appended = bool(ctx.params.get("append"))
    text = as_toml(ctx.info_name, {**values, **({"append": True} if appended else {})})
    for name, old in earlier.items():
        (out / name).write_text(old, encoding="utf-8")
    there = [path.read_text(encoding="utf-8") for path in out.glob(RUNS)]
    if appended or text not in there:
        (out / (f"run-{len(there) + 1}.toml" if there else RUN)).write_text(text, encoding="utf-8")


def _nothing(value: Any) -> bool:
    """Whether an option was not given and has no default; 0 and False are values."""
    return value is None or (isinstance(value, (list, tuple)) and not value)


def _json(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_json(one) for one in value]
    return value if isinstance(value, (bool, int, float)) else str(value)
