"""``reinject sample --dry-run``: what a run would take, from a small one."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from reinject.archive import Archive
from reinject.archive.schema import MANIFEST
from reinject.files import is_remote
from reinject.jobs import Outcome
from reinject.staging import check_free

_PROBES = (32, 128, 512, 1024)
_ENOUGH = 2.0  # seconds of a probe that are taken for the whole


def forecast(
    out: Path,
    run: Callable[[Path, int], Outcome],
    *,
    walks: int,
    block_size: int,
    workers: int | None = None,
    replace: bool = False,
) -> Outcome:
    """Make fewer walks in a folder that is thrown away, and say what all of them would take.

    Arguments:
        out: where the archive would be made; nothing is written there.
        run: makes an archive of so many walks in a folder.
        walks: of the run that is asked about, >= 1.
        block_size: walks a block: memory grows with it.
        workers: processes of one thread each; None: this one.
        replace: whether what is at ``out`` may be replaced, or added to.

    Returns:
        Rows, seconds, bytes of disk and of memory, and what of them is there.

    Raises:
        ReinjectError: whatever the run itself would refuse.
    """
    if not is_remote(out):
        check_free(out, MANIFEST, replace)
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        before = _peak()
        if workers:
            torch.set_num_threads(1)
        try:
            for probe in _PROBES:
                few = min(probe, walks, block_size)
                began = time.monotonic()
                run(Path(folder) / str(probe), few)
                seconds = time.monotonic() - began
                archive = Archive.open(Path(folder) / str(probe))
                if seconds > _ENOUGH or few == min(walks, block_size):
                    break
        finally:
            torch.set_num_threads(threads)
        size = sum(shard["bytes"] for shard in archive.manifest["shards"])
        times = walks / few
        memory = before + (_peak() - before) * min(block_size, walks) / few
    result = {
        "rows": round(archive.rows * times),
        "seconds": round(seconds * times / (workers or 1), 1),
        "bytes": round(size * times),
        "free_bytes": None if is_remote(out) else shutil.disk_usage(_existing(out)).free,
        "memory_bytes": round(memory * (workers or 1)),
        "probe": {"walks": few, "seconds": round(seconds, 2)},
    }
    return Outcome(result, _lines(out, result, workers), _failure(out, result["bytes"], result["free_bytes"]))


def _lines(out: Path, result: dict[str, object], workers: int | None) -> list[str]:
    probe = result["probe"]
    assert isinstance(probe, dict)
    others = f" with {workers} workers, at best" if workers else ""
    free = "" if result["free_bytes"] is None else f"; {_size(result['free_bytes'])} are free there"
    return [
        f"would write some {result['rows']:,} samples to {out}: {_size(result['bytes'])} of disk{free}",
        f"would take {_duration(result['seconds'])}{others}, and {_size(result['memory_bytes'])} of memory",
        f"from {probe['walks']:,} walks in {probe['seconds']} s; nothing has been written",
    ]


def _failure(out: Path, needed: int, free: int | None) -> str:
    if free is None or needed < free:
        return ""
    return f"{out}: {_size(needed)} are needed, {_size(free)} are free. Free space, or choose another --out"


def _existing(path: Path) -> Path:
    """The nearest folder above that is there."""
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.is_dir())


def _peak() -> int:
    """Most memory that this process had at once, bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _size(count: object) -> str:
    """A number of bytes.

    Example:
        >>> _size(999), _size(12_300_000)
        ('999 B', '12.3 MB')
    """
    value = float(str(count))
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError


def _duration(seconds: object) -> str:
    """Seconds in words.

    Example:
        >>> _duration(3.2), _duration(600), _duration(7200.0)
        ('3.2 s', '10 min', '2.0 h')
    """
    value = float(str(seconds))
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
