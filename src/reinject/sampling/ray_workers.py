"""Make shards on a Ray cluster: a block is a task on an actor that holds the models.

An actor writes its shard to its own disk and sends the bytes. The driver puts the bytes into the archive, so nodes need
no common disk. The archive is the same as that of one machine, byte by byte. When an actor or node is lost, others
remake its unfinished blocks.
"""

import functools
import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reinject.archive import MakeBlock, Plan, Run, adopt_shard, write_shard
from reinject.base.errors import ArgumentError, ReinjectError, check_count, reason

_TRIES = 5  # of a block whose worker dies: a block that kills every worker must not repeat for ever
Prepared = Callable[[Mapping[str, Path]], MakeBlock]


@dataclass(frozen=True)
class Cluster:
    """Describe a Ray cluster and the resources to use.

    Attributes:
        address: address of a running cluster ("auto": this machine's); None: a new cluster on this machine.
        workers: number of actors, >= 1, each with one processor and one thread.
        gpus: GPUs for each actor, >= 0; may be a fraction.

    Raises:
        ArgumentError: a number out of range.
    """

    address: str | None = None
    workers: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        check_count("--workers", "workers", self.workers)
        if self.gpus < 0:
            raise ArgumentError("--gpus", f"{self.gpus} GPUs for each actor", "Give 0 or more")


def on_ray(cluster: Cluster, folders: Sequence[Path], prepared: Prepared) -> Run:
    """Return a function with which :func:`reinject.archive.write` makes shards on a Ray cluster.

    Arguments:
        cluster: cluster and resources.
        folders: folders of models to send to each actor.
        prepared: picklable function, called once in each actor with {folder here: folder there}; returns the function
            that makes a block.
    """
    return functools.partial(_run, cluster, tuple(folders), prepared)


class Worker:
    """Hold the models in an actor, and make requested blocks."""

    def __init__(self, sent: Mapping[str, Mapping[str, bytes]], prepared: Prepared, plan: Plan) -> None:
        torch.set_num_threads(1)
        self.disk = tempfile.TemporaryDirectory()
        root = Path(self.disk.name)
        os.environ["REINJECT_HOME"] = str(root / "home")  # the models bring the driver's trust along
        places = {}
        for number, (name, files) in enumerate(sent.items()):
            places[name] = root / str(number)
            for relative, data in files.items():
                path = places[name] / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        _trust_again(places.values())
        self.root, self.plan = root, plan
        (root / "data").mkdir()
        self.make_block = prepared(places)

    def shard(self, number: int) -> tuple[dict[str, Any], bytes]:
        """Make a block's shard; return its entry and its bytes."""
        entry = write_shard(self.root, self.plan, number, self.make_block(number))
        path = self.root / entry["file"]
        data = path.read_bytes()
        path.unlink()
        return entry, data

    def pid(self) -> int:
        """Return the number of the actor's process."""
        return os.getpid()


def _trust_again(folders: Any) -> None:
    from reinject.foreign import trust
    from reinject.foreign.folder import digest_of, is_foreign

    for folder in folders:
        if is_foreign(folder):
            trust(digest_of(folder))
            trust(f"read:{digest_of(folder)}")


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _run(
    cluster: Cluster,
    folders: tuple[Path, ...],
    prepared: Prepared,
    partial: Path,
    plan: Plan,
    missing: list[int],
    on_rows: Callable[[int], None],
) -> Iterator[dict[str, Any]]:
    if not missing:
        return
    ray = connected(cluster, len(missing))
    try:
        remote = ray.remote(num_cpus=1, num_gpus=cluster.gpus, max_restarts=-1, max_task_retries=_TRIES)(Worker)
        sent = ray.put({str(folder): _files(folder) for folder in folders})
        count = min(cluster.workers, len(missing))
        actors = [remote.remote(sent, prepared, plan) for _ in range(count)]
        yield from _shards(ray, actors, partial, missing, on_rows)
    finally:
        ray.shutdown()


def _shards(
    ray: Any, actors: list[Any], partial: Path, missing: list[int], on_rows: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    """Give each actor two blocks at a time, so that it never waits for the driver."""
    todo = iter(missing)
    running: dict[Any, Any] = {}

    def give(actor: Any) -> None:
        number = next(todo, None)
        if number is not None:
            running[actor.shard.remote(number)] = actor

    for actor in [*actors, *actors]:
        give(actor)
    while running:
        (done, *_), _ = ray.wait(list(running))
        actor = running.pop(done)
        give(actor)
        try:
            entry, data = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ReinjectError):
                raise error.cause from error
            raise
        except ray.exceptions.RayError as error:
            raise ReinjectError(
                "--on ray",
                f"an actor does not start, or dies at every try ({reason(error)})",
                "Check the cluster, then run the same command again to resume",
            ) from error
        adopt_shard(partial, entry, data)
        on_rows(entry["rows"])
        yield entry


def connected(cluster: Cluster, blocks: int) -> Any:
    """Connect Ray to the cluster, or start one on this machine with a processor for each worker.

    Raises:
        ReinjectError: Ray is not installed, or no cluster answers at the address.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ReinjectError(
            "--on ray", "ray is not installed", "Install it with pip install 'reinject[cluster]'"
        ) from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "error")
    local: dict[str, Any] = {"num_cpus": min(cluster.workers, blocks), "include_dashboard": False}
    try:
        _check_answers(cluster.address)
        place = local if cluster.address is None else {"address": cluster.address}
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **place)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        why = reason(error)
        if cluster.address is None:
            raise ReinjectError(
                "--on ray", f"Ray does not start here ({why})", "Use --workers without --on ray"
            ) from error
        raise ReinjectError(
            "--address", f"no cluster answers at {cluster.address} ({why})", "Give the address of a running cluster"
        ) from error
    return ray


def _check_answers(address: str | None) -> None:
    """Raise OSError if nothing listens at HOST:PORT; Ray itself would retry for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()
