"""Shards made on a Ray cluster: a block is a task on an actor that holds the models.

An actor writes its shard to a disk of its own and sends the bytes; the driver puts them into the archive, so the nodes
need no disk in common, and the archive is that of one machine, byte by byte. An actor or a node that is lost costs the
blocks that it was at, which are made again elsewhere.
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

_TRIES = 5  # of a block, when its worker dies: one that kills every worker must not go on for ever
Prepared = Callable[[Mapping[str, Path]], MakeBlock]


@dataclass(frozen=True)
class Cluster:
    """Where to run, and on how much of it.

    Attributes:
        address: of a running cluster ("auto": the one of this machine); None: a new one, on this machine, for this run.
        workers: number of actors, >= 1, each with one processor and one thread.
        gpus: share of a GPU for each of them, >= 0.

    Raises:
        ArgumentError: a number out of range.
    """

    address: str | None = None
    workers: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        check_count("--workers", "workers", self.workers)
        if self.gpus < 0:
            raise ArgumentError("--gpus", f"{self.gpus} of a GPU", "Give 0 or more")


def on_ray(cluster: Cluster, folders: Sequence[Path], prepared: Prepared) -> Run:
    """How :func:`reinject.archive.write` makes its shards on a Ray cluster.

    Arguments:
        cluster: where, and on how much of it.
        folders: what an actor needs of this machine's disk: folders of models, which are sent to it.
        prepared: called once in each actor with the places of these folders there, by their names here; gives what
            makes a block; has to be picklable.
    """
    return functools.partial(_run, cluster, tuple(folders), prepared)


class Worker:
    """What an actor is: models, and the blocks that are asked for."""

    def __init__(self, sent: Mapping[str, Mapping[str, bytes]], prepared: Prepared, plan: Plan) -> None:
        torch.set_num_threads(1)
        self.disk = tempfile.TemporaryDirectory()
        root = Path(self.disk.name)
        os.environ["REINJECT_HOME"] = str(root / "home")  # what the driver trusts comes with the models
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
        """The entry of a block's shard, and its bytes."""
        entry = write_shard(self.root, self.plan, number, self.make_block(number))
        path = self.root / entry["file"]
        data = path.read_bytes()
        path.unlink()
        return entry, data

    def pid(self) -> int:
        """Number of the actor's process."""
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
    """Two blocks at a time for each actor, so that none waits for the driver."""
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
                f"an actor does not come up, or dies at every try ({reason(error)})",
                "Look at the cluster, then run the same command again to go on",
            ) from error
        adopt_shard(partial, entry, data)
        on_rows(entry["rows"])
        yield entry


def connected(cluster: Cluster, blocks: int) -> Any:
    """Ray, on the cluster, or on a new one of this machine with a processor for each worker that has a block.

    Raises:
        ReinjectError: Ray is not installed, or nobody answers at the address.
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
            raise ReinjectError("--on ray", f"Ray does not start here ({why})", "Use --workers without it") from error
        raise ReinjectError(
            "--address", f"no cluster answers at {cluster.address} ({why})", "Give the address of a running one"
        ) from error
    return ray


def _check_answers(address: str | None) -> None:
    """Raises OSError where nobody listens at HOST:PORT; Ray would go on asking for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()
