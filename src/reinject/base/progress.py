"""Report the progress of long tasks on standard error: silently, by bars on a terminal, or by plain lines."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

Advance = Callable[[float], None]
LOG = logging.getLogger("reinject")
LOG.addHandler(logging.NullHandler())


class Progress(Protocol):
    """A progress reporter: ``task`` opens a bar and returns the function that advances it; ``say`` prints one line."""

    def task(self, name: str, total: float, unit: str) -> AbstractContextManager[Advance]:
        """Return a context; call its value with the amount of work just done, in ``unit``."""
        ...

    def note(self, text: str) -> None:
        """Show a text beside the bar of the running task, in place of the text before."""
        ...

    def say(self, text: str) -> None:
        """Print one line."""
        ...


def _rate(amount: float) -> str:
    """Format a rate with its significant digits.

    Example:
        >>> _rate(0.83), _rate(12345.6)
        ('0.8', '12,346')
    """
    return f"{amount:,.0f}" if amount >= 10 else f"{amount:.1f}"


class Silent:
    """Report nothing: the default of every function."""

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Advance]:  # noqa: ARG002
        """Do nothing, see :class:`Progress`."""
        yield lambda _: None

    def note(self, text: str) -> None:
        """Do nothing, see :class:`Progress`."""

    def say(self, text: str) -> None:
        """Do nothing, see :class:`Progress`."""


class Shown:
    """Show a bar with rate and time left, or print a plain line after a task of over two seconds; write to the log too.

    Arguments:
        bars: whether to show bars, for terminals; otherwise lines, for files and pipes.

    Example:
        >>> with Shown(bars=False).task("sampling", 10, "samples") as advance:
        ...     advance(10)
    """

    def __init__(self, bars: bool) -> None:
        self._bars = bars
        self._describe: Callable[[str], None] = lambda _: None

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Advance]:
        """Start a task, see :class:`Progress`."""
        LOG.info("%s: %s %s", name, f"{total:,.0f}", unit)
        began, done = time.monotonic(), 0.0
        with self._bar(name, total, unit) if self._bars else nullcontext(lambda _: None) as move:

            def advance(amount: float) -> None:
                nonlocal done
                done += amount
                move(amount)

            yield advance
        seconds = time.monotonic() - began
        LOG.info("%s: done in %.1f s", name, seconds)
        if seconds > 2 and not self._bars:
            self._print(f"{name}: {done:,.0f} {unit} in {seconds:.1f} s ({_rate(done / seconds)} {unit}/s)")

    @contextmanager
    def _bar(self, name: str, total: float, unit: str) -> Iterator[Advance]:
        from rich import progress
        from rich.console import Console

        class Rate(progress.ProgressColumn):
            def render(self, task: progress.Task) -> str:
                speed = task.finished_speed or task.speed
                return f"{_rate(speed)} {unit}/s" if speed else ""

        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            Rate(),
            progress.TimeRemainingColumn(elapsed_when_finished=True),
        )
        with progress.Progress(*columns, console=Console(stderr=True)) as bars:
            bar = bars.add_task(name, total=total)
            self._describe = lambda text: bars.update(bar, description=f"{name} {text}")
            yield lambda amount: bars.advance(bar, amount)

    def note(self, text: str) -> None:
        """Show a text, see :class:`Progress`; lines and the log have no place for a text that is replaced."""
        self._describe(text)

    def say(self, text: str) -> None:
        """Print one line, see :class:`Progress`."""
        LOG.info(text)
        self._print(text)

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def log_to(path: Path) -> None:
    """Append all progress from now on to a file, line by line with the time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)


def histogram(counts: Sequence[int]) -> str:
    """Return counts as a line of bars; the highest bar is full.

    Example:
        >>> histogram([0, 1, 4, 8])
        ' ▁▄█'
    """
    most = max(counts, default=0) or 1
    return "".join(" ▁▂▃▄▅▆▇█"[round(8 * count / most)] for count in counts)


def for_this_terminal() -> Progress:
    """Return a reporter: bars where standard error is a terminal, plain lines elsewhere.

    Both write to the log, if there is one.
    """
    return Shown(bars=sys.stderr.isatty())
