"""Processes: how many fit, how they start and end, and how they keep free memory.

loky spawns them. It does not run the calling script again, and ends all of them when one dies.
"""

import ctypes
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from queue import Empty
from typing import Any

Submit = Callable[[Callable[[Any], Any], Iterable[Any]], list[Future[Any]]]
_SAFE = "PYTHONSAFEPATH"  # else Python would run a torch.py in the working folder
_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
_SPINS = 1000  # of GNU's OpenMP: tens of microseconds
_KEPT, _LARGEST = 2**28, 2**25  # bytes; the largest that glibc takes for the second
_THEIRS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")  # the user's setting


def cores() -> int:
    """Return the cores that this process may use, where the system limits them; else all cores of the machine.

    Example:
        >>> 1 <= cores() <= os.cpu_count()
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_memory() -> bool:
    """Keep up to 256 MiB of free memory for later use, and do not return it to the system each time.

    The results of a network's layers take some megabytes at each call. glibc gets them from the system and returns them
    page by page: a fifth of the time of a walk by a convolutional network (``benchmarks/throughput.py``). The command
    line calls this at its start, and so do its processes; a program that walks by the library may call it once. No
    import calls it, because the setting applies to the whole process. The kept memory counts as used in ``top``.

    Returns:
        Whether the setting holds: not with a C library other than glibc, nor if the environment has its own settings
        (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_, GLIBC_TUNABLES).

    Example:
        >>> keep_memory() in (True, False)
        True
    """
    if any(name in os.environ for name in _THEIRS):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows takes no None
        return False
    return bool(mallopt(_MMAP, _LARGEST)) and bool(mallopt(_TRIM, _KEPT))


def share_cores() -> None:
    """Let the threads of a network's layers wait without holding cores that other programs need.

    By default the threads spin for milliseconds after each layer. If two programs run at the same time, each waits for
    cores on which the other spins: a training took ten times as long (``benchmarks/neighbours.py``). With this setting
    they spin for tens of microseconds, until the next layer starts, and then sleep. torch reads the setting at its
    import, so this call must come first. Settings of the environment stay.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))


def exit_codes(error: BrokenProcessPool) -> list[int]:
    """Return the exit statuses of dead processes, from loky's error; empty if it has none.

    Example:
        >>> exit_codes(BrokenProcessPool("The exit codes of the workers are {SIGKILL(-9), EXIT(3)}"))
        [-9, 3]
    """
    return [int(code) for code in re.findall(r"\((-?\d+)\)", str(error))]


@contextmanager
def pool(workers: int, begin: Callable[[], object] | None = None) -> Iterator[Submit]:
    """Start processes of loky, which need no ``__main__`` guard in the calling script.

    Arguments:
        workers: number of processes, >= 1.
        begin: called once in each process; picklable. Default: nothing, and the processes stay a while for the next
            call.

    Returns:
        ``submit(function, items)``: a future for each item.

    Raises:
        BrokenProcessPool: a process died; no other one replaces it.
    """
    from joblib.externals.loky import ProcessPoolExecutor, get_reusable_executor

    options = {"initializer": _begin, "initargs": (begin,), "env": {_SAFE: "1"}}
    with _apart():
        executor = ProcessPoolExecutor(workers, **options) if begin else get_reusable_executor(workers, **options)

    def submit(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Future[Any]]:
        with _apart():  # processes start here
            return [executor.submit(function, item) for item in items]

    try:
        yield submit
    except BaseException:
        _drop_waiting(executor)
        executor.shutdown(kill_workers=True)
        raise
    if begin:
        executor.shutdown()


def _drop_waiting(executor: Any) -> None:
    """Take back the work that no process has yet: loky's thread would look for it later and print a KeyError."""
    with suppress(Empty):
        while True:
            executor._work_ids.get_nowait()


def _begin(begin: Callable[[], object] | None) -> None:
    from joblib.externals.loky import process_executor

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process_executor._USE_PSUTIL = False  # loky would end processes that grow by 300 MB as leaking, and walks may grow
    keep_memory()
    if begin is not None:
        begin()


@contextmanager
def _apart() -> Iterator[None]:
    """Start processes, and loky's own helpers, without Ctrl-C and without the working folder.

    Only this process handles Ctrl-C.
    """
    from joblib.externals.loky.backend import resource_tracker as of_loky

    mask = getattr(signal, "pthread_sigmask", None)  # none on Windows
    said = os.environ.get(_SAFE)
    os.environ[_SAFE] = "1"
    for tracker in (resource_tracker, of_loky):
        tracker.ensure_running()  # would unblock the signals blocked next
    before = mask(signal.SIG_BLOCK, {signal.SIGINT}) if mask else None
    try:
        yield
    finally:
        if said is None:
            del os.environ[_SAFE]
        else:
            os.environ[_SAFE] = said
        if mask:
            mask(signal.SIG_SETMASK, before)
