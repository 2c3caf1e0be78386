"""Read a foreign model for the first time in its own process, with bounded memory and time.

Libraries in C read these files. A damaged or hostile file may crash them, or make them ask for all memory. After one
successful read, exactly this content is read without the extra process.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from reinject.base.errors import ModelError, ending, reason

_SPARE = 1 << 30  # bytes that a model may take beyond a multiple of its size
_SECONDS = 300
_NO_ROOM = ("allocate", "memory", "bad_alloc")  # the text of torch and others, in a RuntimeError


def probe(folder: Path, route: str, source: str) -> dict[str, Any]:
    """Return what a model states about itself: its shape, bounds and kind of output; JSON values.

    Raises:
        ModelError: the model is unreadable, or its process crashed or took too much memory or time.
    """
    # -P: else modules of the working folder would replace those of the libraries
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
    """Limit this process to its current memory plus a gigabyte and a multiple of ``size`` bytes."""
    try:
        import resource
    except ModuleNotFoundError:  # not on this system
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) if sys.platform == "linux" else 0
    if pages:
        most = pages * os.sysconf("SC_PAGE_SIZE") + _SPARE + 8 * size
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def look(folder: Path, route: str, source: str) -> dict[str, Any]:
    """Do the work of :func:`probe`, in this process."""
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
    """Print the result of :func:`look`, as JSON."""
    folder, route, source = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from reinject.foreign import ROUTES
    from reinject.foreign.route import library

    try:
        for name in ROUTES[route].libraries:  # they allocate their memory before the limit
            library(name, route)
    except ModelError as error:
        print(json.dumps({"error": [error.owner, error.problem, error.cure]}))
        return
    limit_memory(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
    print(json.dumps(look(folder, route, source)))


if __name__ == "__main__":
    main()
