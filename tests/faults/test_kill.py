"""An archive whose writer dies at any moment is finished by the same command, with the same bytes."""

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from archiving import append, archive, die, files

from reinject.base.errors import ArchiveError
from reinject.base.staging import partial_of

CONTEXT = multiprocessing.get_context("forkserver")  # forks from a process without threads, in milliseconds
CONTEXT.set_forkserver_preload(["reinject.archive", "pyarrow.parquet", "datasets"])


def started(target: Callable[..., None], *args: Any) -> Any:
    process = CONTEXT.Process(target=target, args=args)
    process.start()
    return process


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole") / "a"
    archive(out)
    return files(out)


def check_finished(out: Path, whole: dict[str, bytes], overwrite: bool = False) -> None:
    """The same command makes it whole, unless it was already, and leaves nothing else."""
    if overwrite:
        archive(out, overwrite)
    elif not out.exists():
        archive(out)
    else:
        with pytest.raises(ArchiveError, match="already holds something"):
            archive(out)
    assert files(out) == whole
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def deaths(
    tmp_path: Path, act: Callable[[Path], None], before: Callable[[Path], object] = lambda _: None
) -> Iterator[Path]:
    """Where ``act`` died before its first touch of a file, before its second, and so on; last, where it did not."""
    status, at = 9, 0
    while status == 9:
        at += 1
        out = tmp_path / str(at) / "a"
        out.parent.mkdir()
        before(out)
        process = started(die, act, out, at)
        process.join()
        status = process.exitcode
        yield out
    assert status == 0
    assert at > 20  # so many touches were there


@pytest.mark.parametrize("overwrite", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_dying_before_any_touch_of_a_file_costs_nothing(tmp_path: Path, whole: dict[str, bytes], overwrite) -> None:  # type: ignore[no-untyped-def]
    there = {"before": archive} if overwrite else {}
    for out in deaths(tmp_path, partial(archive, overwrite=overwrite), **there):
        kept = [path for path in out.parent.iterdir() if files(path).items() >= whole.items()]
        assert kept or not overwrite  # the old version or the new one, under one name or another
        check_finished(out, whole, overwrite)


@pytest.mark.slow
def test_dying_on_the_way_of_an_append_costs_nothing_that_was_there(tmp_path: Path, whole: dict[str, bytes]) -> None:
    archive(tmp_path / "wanted")
    append(tmp_path / "wanted")
    wanted = files(tmp_path / "wanted")
    for out in deaths(tmp_path, append, archive):
        kept = [files(path) for path in out.parent.iterdir()]
        assert any(found.items() >= data.items() for found in kept for data in (whole, wanted))
        append(out)
        assert files(out) == wanted
        assert [path.name for path in out.parent.iterdir()] == ["a"]


@pytest.mark.parametrize(("seed", "kills"), [(0, 40), pytest.param(1, 200, marks=pytest.mark.slow)])
def test_kills_at_random_moments(tmp_path: Path, whole: dict[str, bytes], seed: int, kills: int) -> None:
    rng, killed, longest = random.Random(seed), 0, 0.3
    for number in range(kills):
        out = tmp_path / str(number) / "a"
        out.parent.mkdir()
        began = time.monotonic()
        process = started(archive, out)
        process.join(rng.uniform(0, longest))
        process.kill()
        process.join()
        if process.exitcode == 0:
            longest = min(longest, time.monotonic() - began)
        else:
            killed += 1
        check_finished(out, whole)
    assert killed > kills // 4


def hold(out: Path, ready: Any) -> None:
    import archiving

    def slow(number: int) -> Any:
        ready.set()
        time.sleep(60)
        raise AssertionError(number)

    archiving.block = slow
    archiving.archive(out)


def test_a_second_writer_is_locked_out_and_a_dead_one_is_not(tmp_path: Path, whole: dict[str, bytes]) -> None:
    out, ready = tmp_path / "a", CONTEXT.Event()
    process = started(hold, out, ready)
    assert ready.wait(60)
    with pytest.raises(ArchiveError, match="being written by another process"):
        archive(out)
    process.kill()
    process.join()
    assert partial_of(out).is_dir()
    check_finished(out, whole)
