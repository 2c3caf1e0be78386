"""Options of ``reinject sample`` that the kernels' dataclasses give, and ``reinject kernels``, which lists them."""

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
    """A command with the options of all kernels, which it leaves in ``context.obj`` as text, those that were given.

    Reading them loads torch, so they are read when the command is about to run or to be explained, not before.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's own parameters and those of the kernels."""
        return [*super().get_params(ctx), *_parameters()]

    def invoke(self, ctx: Any) -> Any:
        """Runs the command with the kernels' options taken out of the way."""
        given = {parameter.name: ctx.params.pop(parameter.name, None) for parameter in _parameters()}
        ctx.obj = {name: value for name, value in given.items() if value is not None}
        return super().invoke(ctx)


@cache
def _parameters() -> list[Any]:
    """One option for every name that a field of a kernel has; those of several kernels share it."""
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
    """What an option means to most of its kernels, and their names."""
    [(most, _)] = Counter(text.values()).most_common(1)
    return f"{most} ({', '.join(text)})"


def kernels(as_json: Json = False) -> None:
    """List the kernels: what one step does, its options and their defaults."""
    from reinject.cli.app import finish
    from reinject.sampling.kernel_list import table

    finish(table(), as_json)
