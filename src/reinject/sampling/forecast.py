"""Predict time, memory and disk of a run from a small one: ``reinject sample --dry-run``."""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from reinject.archive import Archive
from reinject.archive.schema import MANIFEST
from reinject.base.files import is_remote
from reinject.base.outcome import Outcome
from reinject.base.staging import check_free

_PROBES = (32, 128, 512, 1024)
_ENOUGH = 2.0  # seconds of a probe that predict the whole run well enough


@dataclass(frozen=True)
class Forecast:
    """Hold the predicted time, memory and disk of a run.

    Attributes:
        rows: samples.
        seconds: duration with all workers, at best.
        bytes: disk space of the archive.
        free_bytes: free space on the archive's disk; None: the archive is not on this machine.
        memory_bytes: memory of all processes.
        probed_rows, probed_walks, probed_seconds: size and duration of the small run.
    """

    rows: int
    seconds: float
    bytes: int
    free_bytes: int | None
    memory_bytes: int
    probed_rows: int
    probed_walks: int
    probed_seconds: float


def forecast(
    out: Path,
    run: Callable[[Path, int], Outcome],
    *,
    walks: int,
    block_size: int,
    workers: int | None = None,
    replace: bool = False,
) -> Outcome:
    """Predict time, memory and disk of a run from fewer walks in a temporary folder.

    Arguments:
        out: folder of the archive; nothing is written there.
        run: function (folder, walks) that makes an archive.
        walks: number of walks to predict for, >= 1.
        block_size: walks in a block; memory grows with it.
        workers: processes of one thread each; None: this process.
        replace: whether an archive at ``out`` may be replaced or appended to.

    Returns:
        Rows, seconds, needed bytes of disk and memory, free bytes of disk.

    Raises:
        ReinjectError: every error of the run itself.
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
    found = Forecast(
        rows=round(archive.rows * times),
        seconds=round(seconds * times / (workers or 1), 1),
        bytes=round(size * times),
        free_bytes=None if is_remote(out) else shutil.disk_usage(_existing(out)).free,
        memory_bytes=round(memory * (workers or 1)),
        probed_rows=archive.rows,
        probed_walks=few,
        probed_seconds=round(seconds, 2),
    )
    return Outcome(asdict(found), _lines(out, found, workers), _failure(out, found))


def _lines(out: Path, found: Forecast, workers: int | None) -> list[str]:
    others = f" with {workers} workers, at best" if workers else ""
    free = "" if found.free_bytes is None else f"; {_size(found.free_bytes)} are free there"
    return [
        f"would write about {found.rows:,} samples to {out}: {_size(found.bytes)} of disk{free}",
        f"would take {_duration(found.seconds)}{others}, and {_size(found.memory_bytes)} of memory",
        f"measured on {found.probed_rows:,} samples of {found.probed_walks:,} walks in {found.probed_seconds} s; "
        "nothing was written",
    ]


def _failure(out: Path, found: Forecast) -> str:
    if found.free_bytes is None or found.bytes < found.free_bytes:
        return ""
    needed, free = _size(found.bytes), _size(found.free_bytes)
    return f"{out}: {needed} are needed, {free} are free. Free space, or choose another --out"


def _existing(path: Path) -> Path:
    """Find the nearest existing folder at or above a path."""
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.is_dir())


def _peak() -> int:
    """Return the peak memory of this process, bytes; 0 if the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _size(value: float) -> str:
    """Write a number of bytes with a unit.

    Example:
        >>> _size(999), _size(12_300_000)
        ('999 B', '12.3 MB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError


def _duration(seconds: float) -> str:
    """Write seconds with a unit.

    Example:
        >>> _duration(3.2), _duration(600), _duration(7200.0)
        ('3.2 s', '10 min', '2.0 h')
    """
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
