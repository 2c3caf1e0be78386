"""Frame the command line: the app, failures as one sentence, printed results."""

import errno
import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from reinject import __version__
from reinject.base.errors import ReinjectError, cure_of
from reinject.base.files import json_text
from reinject.base.outcome import Outcome
from reinject.base.progress import LOG, log_to

app = typer.Typer(
    name="reinject",
    help="Sample from any autoencoder: a labelled synthetic data set from a trained autoencoder and classifier.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_DISK = (  # errors that a user's choice of folder, or a full disk, can cause
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EIO),
)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Turn failures that a user can cause into one sentence on standard error and a nonzero exit status."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        with report_errors():
            command(*args, **kwargs)

    return run


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn a failure that a user can cause into a sentence and a status."""
    try:
        yield
    except KeyboardInterrupt:
        _fail("interrupted. Finished parts are kept. Run the same command again to resume.", 130)
    except ReinjectError as error:
        _fail(str(error), 1)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        place = error.filename or "the output folder"
        why = os.strerror(error.errno)
        _fail(f"{place}: {why}. {cure_of(error, _elsewhere(error))}, then run the same command again.", 1)


def _elsewhere(error: OSError) -> str:
    """Name the option for another place: ``--out``, or TMPDIR for temporary files."""
    temporary = str(error.filename or "").startswith(tempfile.gettempdir() + os.sep + "reinject-")
    return "another folder as TMPDIR" if temporary else "another --out"


def _fail(sentence: str, status: int) -> None:
    LOG.error(sentence)
    typer.secho("reinject: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(sentence, err=True)
    raise typer.Exit(status)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    log: Annotated[Path | None, typer.Option(help="Log file: each step with its time.", metavar="FILE")] = None,
) -> None:
    """Sample from any autoencoder."""
    if log is not None:
        with report_errors():
            log_to(log)
    if version:
        print(__version__)
        raise typer.Exit


def finish(outcome: Outcome, as_json: bool) -> None:
    """Print a job's numbers as JSON, or its lines; exit with its status if it failed."""
    for line in outcome.lines:
        LOG.info(line)
    with report_errors():
        print(json_text(outcome.result, "--json") if as_json else "\n".join(outcome.lines))
    if outcome.failure:
        _fail(outcome.failure, outcome.status)
    if outcome.repeated:
        raise typer.Exit  # nothing to do
