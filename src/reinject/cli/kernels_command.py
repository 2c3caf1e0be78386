"""Make options of ``reinject sample`` from the kernels' dataclasses; list them with ``reinject kernels``."""

import inspect
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

import typer

from reinject.cli.config import Command
from reinject.cli.options import ADVANCED, Json

PANEL = f"{ADVANCED}: options of kernels (reinject kernels explains them)"


class KernelCommand(Command):
    """Add the options of all kernels to a command; leave given ones in ``context.obj`` as text.

    Reading the options loads torch. So they are read only before the command runs or shows its help.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's own parameters and those of the kernels."""
        return [*super().get_params(ctx), *_parameters()]

    def invoke(self, ctx: Any) -> Any:
        """Move the kernels' options to ``context.obj``, then run the command."""
        given = {parameter.name: ctx.params.pop(parameter.name, None) for parameter in _parameters()}
        ctx.obj = {name: value for name, value in given.items() if value is not None}
        return super().invoke(ctx)


_LINE = 85  # characters of a help text that fill the line of a panel


@cache
def _parameters() -> list[Any]:
    """Make one option for every field name; kernels with the same field share the option."""
    from reinject.walks.kernel_options import flag, options_of
    from reinject.walks.kernels import KERNELS

    texts: dict[str, dict[str, str]] = {}
    for kernel in KERNELS:
        for item in options_of(kernel):
            texts.setdefault(item.name, {})[kernel] = item.metadata["help"]
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None, typer.Option(f"--{flag(name)}", help=_line(text), rich_help_panel=PANEL, metavar="VALUE")
            ],
        )
        for name, text in texts.items()
    ]

    def options(**_: str | None) -> None: ...

    options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app = typer.Typer(add_completion=False)
    app.command()(options)
    return [parameter for parameter in typer.main.get_command(app).params if parameter.name in texts]


def _line(text: Mapping[str, str]) -> str:
    """Describe an option as most of its kernels do, and name the kernels, or count them where the line is full."""
    [(most, _)] = Counter(text.values()).most_common(1)
    line = f"{most} ({', '.join(text)})"
    return line if len(line) <= _LINE else f"{most} ({len(text)} kernels)"


def kernels(as_json: Json = False) -> None:
    """List the kernels: what one step does, options and defaults."""
    from reinject.cli.app import finish
    from reinject.sampling.kernel_list import table

    finish(table(), as_json)
