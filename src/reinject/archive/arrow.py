"""Shards as files of Arrow's own: nothing of Python is in what its threads hold.

A thread of Arrow lets go of a file shortly after the table is there. Where that file, or the memory behind it, is
Python's, the thread needs the interpreter for it; if that has just ended, the process is aborted (status 134).
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from reinject.base.files import is_remote


def arrow_file(path: Path) -> pa.NativeFile:
    """Open a file for Arrow to read: by its path, or, elsewhere than on this machine's disk, as a copy in memory.

    Raises:
        OSError: no such file, or it cannot be read.
    """
    if not is_remote(path):
        return pa.OSFile(str(path), "rb")
    data = path.read_bytes()
    memory = pa.allocate_buffer(len(data))  # Arrow's own: py_buffer and BufferReader(bytes) would hold Python's
    np.frombuffer(memory, np.uint8)[:] = np.frombuffer(data, np.uint8)
    return pa.BufferReader(memory)
