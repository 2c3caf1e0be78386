"""Open shards as files of Arrow's own, so that Arrow's threads hold no Python objects.

A thread of Arrow releases a file shortly after the table exists. If the file, or its memory, belongs to Python, the
release needs the interpreter. If the interpreter has just ended, the process aborts (status 134).
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from reinject.base.files import is_remote


def arrow_file(path: Path) -> pa.NativeFile:
    """Open a file for Arrow to read: by its path, or, for a place that is not on this machine, as a copy in memory.

    Raises:
        OSError: no such file, or an unreadable one.
    """
    if not is_remote(path):
        return pa.OSFile(str(path), "rb")
    return arrow_memory(path.read_bytes())


def arrow_memory(data: bytes) -> pa.BufferReader:
    """Copy bytes to memory of Arrow's own, and open it; ``py_buffer`` and ``BufferReader(bytes)`` would hold Python's.

    Example:
        >>> arrow_memory(b"abc").read()
        b'abc'
    """
    memory = pa.allocate_buffer(len(data))
    np.frombuffer(memory, np.uint8)[:] = np.frombuffer(data, np.uint8)
    return pa.BufferReader(memory)
