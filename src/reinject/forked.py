"""What the server of :mod:`reinject.processes` imports first, and nothing else does: how it and its processes begin.

It begins as ``python -c`` does, with the working folder before all others: a user's ``torch.py`` there would be run.
"""

import sys

sys.path[:] = [folder for folder in sys.path if folder]

from pathlib import Path  # noqa: E402
from traceback import extract_tb  # noqa: E402
from types import TracebackType  # noqa: E402

from reinject.processes import keep_memory  # noqa: E402


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say nothing of a process that begins when its program has been interrupted: its semaphores are gone."""
    late = kind is FileNotFoundError and Path(extract_tb(trace)[-1].filename).name == "synchronize.py"
    if not late:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _told
keep_memory()
