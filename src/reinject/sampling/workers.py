"""Make shards in several processes, each with one thread. A block does not depend on its process."""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch

from reinject.archive import MakeBlock, Plan, Run, write_shard
from reinject.base.errors import ArgumentError, worker_died
from reinject.base.processes import exit_codes, pool

_make_block: MakeBlock | None = None  # of a worker process, set once when it begins


def in_processes(workers: int, prepare: Callable[[], MakeBlock]) -> Run:
    """Return a function with which :func:`reinject.archive.write` makes shards in several processes.

    Arguments:
        workers: number of processes, >= 1.
        prepare: picklable function, called once in each process; returns the function that makes a block.

    Raises:
        ArgumentError: ``workers`` below 1.
    """
    if workers < 1:
        raise ArgumentError("--workers", f"{workers} processes", "Give 1 or more")
    return functools.partial(_run, workers, prepare)


def _run(
    workers: int,
    prepare: Callable[[], MakeBlock],
    partial: Path,
    plan: Plan,
    missing: list[int],
    on_rows: Callable[[int], None],
) -> Iterator[dict[str, Any]]:
    if not missing:
        return
    try:
        with pool(min(workers, len(missing)), functools.partial(_begin, prepare)) as submit:
            for future in as_completed(submit(functools.partial(_shard, partial, plan), missing)):
                entry = future.result()
                on_rows(entry["rows"])
                yield entry
    except BrokenProcessPool as error:
        raise worker_died("--workers", exit_codes(error)) from error


def _begin(prepare: Callable[[], MakeBlock]) -> None:
    global _make_block
    torch.set_num_threads(1)
    _make_block = prepare()


def _shard(partial: Path, plan: Plan, number: int) -> dict[str, Any]:
    assert _make_block is not None
    return write_shard(partial, plan, number, _make_block(number))
