"""A foreign model looked at for the first time in a process of its own, with bounded memory and time.

Libraries written in C read these files: a damaged or hostile one may crash them, or make them ask for all memory. What
went well once, with exactly this content, is read without that.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from reinject.base.errors import ModelError, ending, reason

_SPARE = 1 << 30  # bytes that a model may take beyond some multiple of its size
_SECONDS = 300
_NO_ROOM = ("allocate", "memory", "bad_alloc")  # how torch and others say it, by RuntimeError


def probe(folder: Path, route: str, source: str) -> dict[str, Any]:
    """What a model says of itself: its shape, bounds and kind of output; JSON values.

    Raises:
        ModelError: it cannot be read, or the process that read it crashed or took too much memory or time.
    """
    # -P: or else modules of the folder that the user is in would be taken for those of the libraries
    command = [sys.executable, "-P", "-m", "reinject.foreign.probe", str(folder), route, source]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelError(source, f"is not read within {_SECONDS} s", "Export it again") from error
    lines = done.stdout.splitlines()
    told: Any = json.loads(lines[-1]) if done.returncode == 0 and lines else None
    if told is None:
        last = next((line.strip() for line in reversed(done.stderr.splitlines()) if line.strip()), "")
        why = ending(done.returncode) + (f": {last[:200].rstrip('.')}" if done.returncode > 0 and last else "")
        raise ModelError(source, f"crashes the process that reads it ({why})", "Export it again")
    if "error" in told:
        raise ModelError(*told["error"])
    return dict(told)


def limit_memory(size: int) -> None:
    """Let this process take some multiple of ``size`` bytes, and a gigabyte, more than it has now."""
    try:
        import resource
    except ModuleNotFoundError:  # not on this system
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) if sys.platform == "linux" else 0
    if pages:
        most = pages * os.sysconf("SC_PAGE_SIZE") + _SPARE + 8 * size
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def look(folder: Path, route: str, source: str) -> dict[str, Any]:
    """As :func:`probe`, in this process."""
    from reinject.foreign import ROUTES

    try:
        loaded = ROUTES[route].load(folder, source)
    except ModelError as error:
        return {"error": [error.owner, error.problem, error.cure]}
    except Exception as error:  # noqa: BLE001  # whatever the library raises
        said = reason(error)
        room = isinstance(error, MemoryError) or any(word in said.lower() for word in _NO_ROOM)
        where = " within a gigabyte more than its size" if room else ""
        return {"error": [source, f"cannot be read{where} ({said})", "Export it again"]}
    return {"shape": loaded.shape, "bounds": loaded.bounds, "gives": loaded.gives}


def main() -> None:
    """Print what :func:`look` finds, as JSON."""
    folder, route, source = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from reinject.foreign import ROUTES
    from reinject.foreign.route import library

    try:
        for name in ROUTES[route].libraries:  # they take their memory before the limit
            library(name, route)
    except ModelError as error:
        print(json.dumps({"error": [error.owner, error.problem, error.cure]}))
        return
    limit_memory(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
    print(json.dumps(look(folder, route, source)))


if __name__ == "__main__":
    main()
