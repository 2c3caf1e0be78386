"""How many processes there is room for, and how ours begin.

They are forked from a server that has imported what they need and runs no thread of its own. A process that is spawned
imports torch for itself, seconds of it; torch's threads do not survive a plain fork.
"""

import multiprocessing
import os
import signal
from multiprocessing.context import BaseContext

_FIRST = "reinject.forked"


def cores() -> int:
    """Cores that this process may use, where a system says so; else those of the machine.

    Example:
        >>> 1 <= cores() <= os.cpu_count()
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
