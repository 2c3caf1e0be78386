"""The command line's frame: the app, what turns failures into one sentence, what prints results."""

import errno
import functools
import json
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from reinject import __version__
from reinject.errors import ReinjectError
from reinject.jobs import Outcome

app = typer.Typer(
    name="reinject",
    help="Sample from any autoencoder: a labelled synthetic data set from a trained autoencoder and classifier.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_DISK = (  # what a user's choice of folder, or a full disk, can cause
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Turn every failure that a user can cause into one sentence on standard error and an exit status that is not 0."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            _fail("interrupted. What is finished is kept; run the same command again to go on.", 130)
        except ReinjectError as error:
            _fail(str(error), 1)
        except OSError as error:
            if error.errno not in _DISK:
                raise
            place = error.filename or "the output folder"
            why = os.strerror(error.errno)
            _fail(f"{place}: {why}. Free space or choose another --out, then run the same command again.", 1)

    return run


def _fail(sentence: str, status: int) -> None:
    print(f"reinject: {sentence}", file=sys.stderr)
    raise typer.Exit(status)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Sample from any autoencoder."""
    if version:
        print(__version__)
        raise typer.Exit


def finish(outcome: Outcome, as_json: bool) -> None:
    """Print what a job has to say: its numbers as JSON, or its lines; exit with status 1 where it failed."""
    print(json.dumps(outcome.result, indent=1) if as_json else "\n".join(outcome.lines))
    if outcome.failure:
        _fail(outcome.failure, 1)
