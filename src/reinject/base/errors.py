"""The errors of the package: each names its owner, the bad value and the cure."""

import errno
import math
import re
import signal
from collections.abc import Iterable, Sequence
from numbers import Integral
from operator import index
from typing import Any


class ReinjectError(Exception):
    """An error in one sentence that a user can act on.

    Arguments:
        owner: the function, option or file that reports the error.
        problem: what is wrong, with the value.
        cure: what to do, as an imperative.

    Example:
        >>> str(ReinjectError("--lam", "-1.0 is not a positive number", "Give a value above 0"))
        '--lam: -1.0 is not a positive number. Give a value above 0.'
    """

    def __init__(self, owner: str, problem: str, cure: str) -> None:
        super().__init__(f"{owner}: {problem}. {cure}.")
        self.owner = owner
        self.problem = problem
        self.cure = cure

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.owner, self.problem, self.cure)


class ArgumentError(ReinjectError, ValueError):
    """A parameter is out of its range, or has the wrong shape or kind."""


class ModelError(ReinjectError):
    """A model, or its folder, is not usable."""


class CollapseError(ModelError):
    """Directions of the data collapse, because lambda is too large for their variance.

    Arguments:
        owner, problem, cure: as in :class:`ReinjectError`.
        directions: their names, narrowest first.
    """

    def __init__(self, owner: str, problem: str, cure: str, directions: Sequence[str] = ()) -> None:
        super().__init__(owner, problem, cure)
        self.directions = tuple(directions)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.owner, self.problem, self.cure, self.directions)


class DataError(ReinjectError):
    """A data set is not found, readable or usable."""


class ArchiveError(ReinjectError):
    """An archive of labelled samples is missing or incomplete, or an existing one blocks a new one."""


def check_positive(owner: str, name: str, value: float) -> None:
    """Raise ArgumentError unless ``value`` is a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ArgumentError(owner, f"{name} = {value} is not a positive number", f"Give a {name} > 0")


def check_count(owner: str, name: str, value: int, least: int = 1) -> None:
    """Raise ArgumentError unless ``value`` is an integer, NumPy's included, and at least ``least``.

    Example:
        >>> check_count("sample", "walks", 2.5)  # type: ignore[arg-type]
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: sample: walks = 2.5 is not an integer. Give an integer >= 1.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ArgumentError(owner, f"{name} = {value!r} is not an integer", f"Give an integer >= {least}")
    if value < least:
        raise ArgumentError(owner, f"{name} = {value} is below {least}", f"Give a {name} >= {least}")


def reason(error: BaseException, most: int = 200) -> str:
    r"""Describe another library's error: its type, and the first line that is more than a heading.

    Example:
        >>> reason(RuntimeError("Error in loading:\n\tMissing key w.\nMore"))
        'RuntimeError: Error in loading: Missing key w'
        >>> reason(AssertionError())
        'AssertionError'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[:2]) if lines and lines[0].endswith(":") else "".join(lines[:1])
    return f"{type(error).__name__}: {text}"[:most].rstrip(" .:")


def ending(code: int) -> str:
    """Describe how a process ended, by its exit status as in :mod:`multiprocessing`: below 0 for a signal.

    Example:
        >>> ending(-9), ending(3)
        ('killed by SIGKILL', 'exit status 3')
    """
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal, or one that this system does not have
        return f"killed by signal {-code}"


_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")
_KILLED, _ENDED = -9, -15  # by the system, for example; by us, after another worker died


def worker_died(owner: str, codes: Iterable[int | None]) -> ReinjectError:
    """Return the error for a dead worker process: how it died, and the likely cause.

    Arguments:
        owner: the option that asked for workers.
        codes: exit statuses of all workers; None for an unknown one.

    Example:
        >>> worker_died("--workers", [-15, -9]).problem
        'a worker process died (killed by SIGKILL)'
    """
    known = [code for code in codes if code]
    code = next((one for one in known if one != _ENDED), known[0] if known else None)
    again = "Run the same command again to resume"
    how = "for an unknown reason" if code is None else ending(code)
    if code == _KILLED:
        again += ", with fewer workers if the system ran out of memory, the usual reason for this signal"
    elif how.endswith(_CRASHES):
        again += "; if it dies again, run without workers: a library crashed, and may then report why"
    elif code is not None and code > 0:
        again += "; if it dies again, run without workers, which shows the error"
    return ReinjectError(owner, f"a worker process died ({how})", again)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def cure_of(error: Exception, place: str = "another --out") -> str:
    """Suggest a cure for a file that cannot be read or written, from the system's error.

    Arguments:
        error: an OSError, or an error of a library in Rust, whose text holds "(os error 28)".
        place: words for another place.

    Example:
        >>> cure_of(OSError(errno.ENOSPC, "")), cure_of(PermissionError(errno.EACCES, ""), "another place")
        ('Free space or choose another --out', 'Get permission to read and write there, or choose another place')
    """
    found = re.search(r"os error (\d+)", str(error))
    code = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    if code in _FULL:
        return f"Free space or choose {place}"
    if code in _FORBIDDEN:
        return f"Get permission to read and write there, or choose {place}"
    return f"Check what is there, or choose {place}"


def check_shape(owner: str, value: Any) -> tuple[int, ...]:
    """Return the shape of one input as a tuple: lengths >= 1, or a single length.

    Example:
        >>> check_shape("net", 784), check_shape("net", (1, 28, 28))
        ((784,), (1, 28, 28))
        >>> check_shape("net", 0)
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: net: 0 is not the shape of an input. Give its lengths without the batch, ...
    """
    try:
        shape = tuple(index(length) for length in (value if hasattr(value, "__iter__") else (value,)))
    except TypeError:
        shape = (0,)
    if min(shape, default=0) < 1:
        problem = f"{value!r} is not the shape of an input"
        raise ArgumentError(owner, problem, "Give its lengths without the batch, such as (1, 28, 28)")
    return shape
