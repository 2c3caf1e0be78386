"""How many processes there is room for, how ours begin and end, and what they do with memory that is free again.

They are spawned by loky, which does not run the calling script again, and ends all of them where one dies.
"""

import ctypes
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

Submit = Callable[[Callable[[Any], Any], Iterable[Any]], list[Future[Any]]]
_SAFE = "PYTHONSAFEPATH"  # without it a torch.py in the working folder would be run
_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
_SPINS = 1000  # of GNU's OpenMP: tens of microseconds
_KEPT, _LARGEST = 2**28, 2**25  # bytes; glibc takes no larger one for the second
_THEIRS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")  # how a user says it


def cores() -> int:
    """Cores that this process may use, where a system says so; else those of the machine.

    Example:
        >>> 1 <= cores() <= os.cpu_count()
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_memory() -> bool:
    """Keep memory that is free again, up to 256 MiB, for what is needed next, in place of giving it back each time.

    The results of a network's layers are some megabytes at each call. glibc takes them from the system and gives them
    back, page by page: a fifth of the time of a walk by a convolutional network (``benchmarks/throughput.py``). The
    command line does this as it begins, and so do its processes; a program that walks by the library may call it once.
    It is a setting of the whole process, so no import makes it. What is kept counts as used in ``top``.

    Returns:
        Whether it does: not where the C library is another than glibc, nor where the environment has settings of its
        own (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_, GLIBC_TUNABLES).

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
    """Let the threads of a network's layers wait for each other without holding cores that other programs need.

    By default they spin for milliseconds after each layer. Where two programs run beside each other, each then waits
    for cores that the other spins on: a training took ten times as long (``benchmarks/neighbours.py``). They spin for
    tens of microseconds here, as long as the next layer is away, and sleep after that. The settings are read when
    torch is imported, so this must come before. What the environment says already stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))


def exit_codes(error: BrokenProcessPool) -> list[int]:
    """Exit statuses of the processes that died, from what loky says of them; none where it says none.

    Example:
        >>> exit_codes(BrokenProcessPool("The exit codes of the workers are {SIGKILL(-9), EXIT(3)}"))
        [-9, 3]
    """
    return [int(code) for code in re.findall(r"\((-?\d+)\)", str(error))]


@contextmanager
def pool(workers: int, begin: Callable[[], object] | None = None) -> Iterator[Submit]:
    """Processes of loky, which need no ``__main__`` guard in the script that calls us, and end with what they are for.

    Arguments:
        workers: number of processes, >= 1.
        begin: called once in each; picklable. Default: nothing, and the processes stay a while for the next call.

    Returns:
        ``submit(function, items)``: a future for each item.

    Raises:
        BrokenProcessPool: a process died; none is begun in its place.
    """
    from joblib.externals.loky import ProcessPoolExecutor, get_reusable_executor

    options = {"initializer": _begin, "initargs": (begin,), "env": {_SAFE: "1"}}
    with _apart():
        executor = ProcessPoolExecutor(workers, **options) if begin else get_reusable_executor(workers, **options)

    def submit(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Future[Any]]:
        with _apart():  # processes begin here
            return [executor.submit(function, item) for item in items]

    try:
        yield submit
    except BaseException:
        executor.shutdown(kill_workers=True)
        raise
    if begin:
        executor.shutdown()


def _begin(begin: Callable[[], object] | None) -> None:
    from joblib.externals.loky import process_executor

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process_executor._USE_PSUTIL = False  # it would end processes that grow by 300 MB, as leaking: walks may
    keep_memory()
    if begin is not None:
        begin()


@contextmanager
def _apart() -> Iterator[None]:
    """What begins here, loky's own helpers too, inherits that Ctrl-C is for this process, and no working folder."""
    from joblib.externals.loky.backend import resource_tracker as of_loky

    mask = getattr(signal, "pthread_sigmask", None)  # none on Windows
    said = os.environ.get(_SAFE)
    os.environ[_SAFE] = "1"
    for tracker in (resource_tracker, of_loky):
        tracker.ensure_running()  # would unblock what is blocked next
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
