"""How many processes there is room for, how ours begin, and what they do with memory that is free again.

They are forked from a server that has imported what they need and runs no thread of its own. A process that is spawned
imports torch for itself, seconds of it; torch's threads do not survive a plain fork.
"""

import ctypes
import multiprocessing
import os
import signal
from multiprocessing.context import BaseContext

_FIRST = "reinject.forked"
_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
_SPINS = 30_000  # of GNU's OpenMP; some 100 microseconds
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
    some 100 microseconds here, as long as the next layer is away, and sleep after that. The settings are read when
    torch is imported, so this must come before. What the environment says already stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))


def context(*modules: str) -> BaseContext:
    """The context of :mod:`multiprocessing` that begins processes, all of this program's from one server.

    The server starts at the first call, ignores Ctrl-C, as do its processes, and ends with this process. Where a system
    has none, processes are spawned.

    Arguments:
        modules: what these processes run, and what that imports late; the server imports those that it is first asked
            for.

    Example:
        >>> context("reinject.evaluation.students").get_start_method() in ("forkserver", "spawn")
        True
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([_FIRST, *modules])
    resource_tracker.ensure_running()  # would unblock what is blocked next
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited: also while it imports
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return found
