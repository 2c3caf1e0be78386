"""The error family: every error names its owner, the bad value and the cure."""

import errno
import math
import re
import signal
from collections.abc import Iterable, Sequence
from operator import index
from typing import Any


class ReinjectError(Exception):
    """What went wrong, in one sentence that a user can act on.

    Arguments:
        owner: the thing that complains: a function, an option, a file.
        problem: what is wrong, with the value in it.
        cure: what to do about it, as an imperative.

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
    """A parameter is outside its range, or of the wrong shape or kind."""


class ModelError(ReinjectError):
    """A model, or the folder of one, cannot be used as it is."""


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
    """A data set cannot be found, read or used as it is."""


class ArchiveError(ReinjectError):
    """An archive of labelled samples is missing, incomplete or in the way."""


def check_positive(owner: str, name: str, value: float) -> None:
    """Raise ArgumentError unless ``value`` is a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ArgumentError(owner, f"{name} = {value} is not a positive number", f"Give a {name} > 0")


def check_count(owner: str, name: str, value: int, least: int = 1) -> None:
    """Raise ArgumentError unless the whole number ``value`` is at least ``least``."""
    if value < least:
        raise ArgumentError(owner, f"{name} = {value} is below {least}", f"Give a {name} >= {least}")


def reason(error: BaseException, most: int = 200) -> str:
    r"""Say what another library raised: its type, and the first line that is more than a heading.

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
    """Say how a process ended, by its exit status as :mod:`multiprocessing` has it: below 0 for a signal.

    Example:
        >>> ending(-9), ending(3)
        ('killed by SIGKILL', 'exit status 3')
    """
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time one, or none of this system
        return f"killed by signal {-code}"


_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")
_KILLED, _ENDED = -9, -15  # by the system, for one; by us, where another worker has died


def worker_died(owner: str, codes: Iterable[int | None]) -> ReinjectError:
    """Say that a worker process died, how, and what that tells of the cause.

    Arguments:
        owner: the option that asked for workers.
        codes: exit statuses of all of them; None where one is not known.

    Example:
        >>> worker_died("--workers", [-15, -9]).problem
        'a worker process died (killed by SIGKILL)'
    """
    known = [code for code in codes if code]
    code = next((one for one in known if one != _ENDED), known[0] if known else None)
    again = "Run the same command again to go on"
    how = "nobody knows how" if code is None else ending(code)
    if code == _KILLED:
        again += ", with fewer workers if the system ran out of memory, which is its usual reason for that signal"
    elif how.endswith(_CRASHES):
        again += "; if it dies again, do so without workers: a library crashed, and may then say why"
    elif code is not None and code > 0:
        again += "; if it dies again, do so without workers: what it raised is shown then"
    return ReinjectError(owner, f"a worker process died ({how})", again)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def cure_of(error: Exception, place: str = "another --out") -> str:
    """What to do where a file cannot be read or written, by what the system says.

    Arguments:
        error: an OSError, or that of a library in Rust, which writes "(os error 28)" in its text.
        place: how to name another place.

    Example:
        >>> cure_of(OSError(errno.ENOSPC, "")), cure_of(PermissionError(errno.EACCES, ""), "another place")
        ('Free space or choose another --out', 'Get the right to read and write there, or choose another place')
    """
    found = re.search(r"os error (\d+)", str(error))
    code = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
    if code in _FULL:
        return f"Free space or choose {place}"
    if code in _FORBIDDEN:
        return f"Get the right to read and write there, or choose {place}"
    return f"Look at what is there, or choose {place}"


def check_shape(owner: str, value: Any) -> tuple[int, ...]:
    """The shape of one input as a tuple: lengths >= 1, or one length alone.

    Example:
        >>> check_shape("net", 784), check_shape("net", (1, 28, 28))
        ((784,), (1, 28, 28))
        >>> check_shape("net", 0)
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: net: 0 is no shape of an input. Give its lengths without the batch, ...
    """
    try:
        shape = tuple(index(length) for length in (value if hasattr(value, "__iter__") else (value,)))
    except TypeError:
        shape = (0,)
    if min(shape, default=0) < 1:
        problem = f"{value!r} is no shape of an input"
        raise ArgumentError(owner, problem, "Give its lengths without the batch, such as (1, 28, 28)")
    return shape
