"""How processes of ours begin and end: without the calling script, nor a file of the working folder, nor Ctrl-C."""

import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from reinject import cli
from reinject.base.errors import ReinjectError
from reinject.base.processes import cores, keep_memory, pool
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.training.fit import Recipe
from reinject.training.students import Bench, Student, workers_for

PROGRAM = """
import os, signal
from reinject.base.processes import pool

signal.signal(signal.SIGINT, lambda *_: None)
with pool(1) as submit:
    future, = submit(eval, ["(__import__('sys').modules['joblib'].__name__, __import__('torch').__name__)"])
    os.killpg(0, signal.SIGINT)  # while the process imports
    print(future.result())
"""

UNGUARDED = """
import sys, torch
from reinject.training.students import Bench, Student
from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.training.fit import Recipe

print("once")
table = Table.of(torch.eye(8), torch.arange(8) % 2, Storage("float"))
recipe = Recipe(epochs=1, batch=8, least_steps=1)
print(len(Bench(table, ("a", "b"), workers=2).run([(Student(k, 8, recipe), table) for k in (0, 1)])))
"""

FAULTS = """
import sys

from reinject.base.processes import keep_memory, pool

ROUNDS = '''
import ctypes, resource
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [libc.malloc(2**24) for _ in range(8)]
    for block in blocks:
        ctypes.memset(block, 1, 2**24)
    for block in blocks:
        libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, flush=True)
'''

if sys.argv[1] == "process":
    with pool(1) as submit:
        submit(eval, [f"exec({ROUNDS!r}, {{}})"])[0].result()
else:
    if sys.argv[1] == "keep":
        assert keep_memory()
    exec(ROUNDS)
"""
GLIBC = platform.libc_ver()[0] == "glibc"


def table() -> Table:
    return Table.of(torch.eye(8), torch.arange(8) % 2, Storage("float"))


@pytest.mark.slow
def test_a_script_without_a_guard_is_run_once_and_ends(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(UNGUARDED)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("once\n2\n", 0), done.stderr


def test_processes_stay_for_the_next_call_and_those_of_a_purpose_do_not() -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    found = []
    for begin in (None, None, os.getpid):
        with pool(1, begin) as submit:
            found.append(submit(eval, ["__import__('os').getpid()"])[0].result())
    assert found[0] == found[1] != found[2]
    with pytest.raises(ProcessLookupError):
        os.kill(found[2], 0)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked


def test_where_a_process_dies_all_end_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(epochs=1, batch=8, least_steps=1)
    jobs = [(Student(k, 8, recipe), table()) for k in range(4)]
    with monkeypatch.context() as patch:
        patch.setattr("reinject.training.students._marks", os._exit)
        patch.setattr(Bench, "_tasks", lambda *_: [1, 2, 3, 4])
        with pytest.raises(ReinjectError, match="students: a worker process died"):
            Bench(table(), ("a", "b"), workers=2).run(jobs)
    assert len(Bench(table(), ("a", "b"), workers=2).run(jobs)) == 4  # others begin for the next call


@pytest.mark.parametrize("begin", [None, os.getpid])
def test_an_interrupt_with_much_work_waiting_prints_nothing_of_loky(
    begin: Callable[[], int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fallen: list[object] = []
    monkeypatch.setattr(threading, "excepthook", fallen.append)
    with suppress(KeyboardInterrupt), pool(2, begin) as submit:
        submit(abs, range(20_000))[50].result()  # short work: the queue of the processes is seldom full
        raise KeyboardInterrupt
    assert not fallen


def test_processes_run_nothing_of_the_working_folder_and_outlive_ctrl_c(tmp_path: Path) -> None:
    program, here = tmp_path / "bin" / "program.py", tmp_path / "here"
    here.mkdir()
    program.parent.mkdir()
    for name in ("torch", "joblib", "numpy"):
        (here / f"{name}.py").write_text("raise SystemExit('run')")
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program], cwd=here, capture_output=True, text=True, timeout=300, start_new_session=True
    )
    assert (done.stdout, done.stderr, done.returncode) == ("('joblib', 'torch')\n", "", 0)


def test_students_take_the_cores_that_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert cores() == workers_for(torch.device("cpu")) == 3
    assert workers_for(torch.device("cuda")) == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


@pytest.mark.skipif(not GLIBC, reason="another C library")
def test_memory_that_is_free_again_is_kept(tmp_path: Path) -> None:
    """Pages that a process asks for in its third round of 128 MiB: all of them again, or next to none."""
    program = tmp_path / "program.py"
    program.write_text(FAULTS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}

    def pages(how: str, **more: str) -> int:
        command = [sys.executable, program, how]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**environment, **more})
        return int(done.stdout)

    assert pages("plain") > 30_000
    assert pages("keep") < 100
    assert pages("process") < 100


@pytest.mark.skipif(not GLIBC, reason="another C library")
@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_a_user_says_of_memory_holds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert not keep_memory()


def test_the_command_line_keeps_memory_and_shares_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(cli, "keep_memory", lambda: told.append("kept"))
    monkeypatch.setattr(cli, "share_cores", lambda: told.append("shared"))
    monkeypatch.setattr(cli, "app", lambda: told.append("run"))
    cli.main()
    assert told == ["kept", "shared", "run"]


@pytest.mark.parametrize(
    ("theirs", "policy", "spins"),
    [
        ({}, "passive", "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "passive", "7"),
        ({"OMP_WAIT_POLICY": "active"}, "active", ""),
    ],
    ids=["nothing", "spins", "policy"],
)
def test_threads_wait_without_holding_cores(theirs: dict[str, str], policy: str, spins: str) -> None:
    """Before torch reads the settings, and as a user says where the environment has some."""
    names = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"]
    said = "print('torch' in sys.modules, [os.environ.get(name, '') for name in names])"
    code = f"import os, sys, reinject.cli as c; names = {names}; c.share_cores(); {said}"
    plain = {name: value for name, value in os.environ.items() if name not in names}
    program = [sys.executable, "-c", code]
    done = subprocess.run(program, capture_output=True, text=True, check=True, env={**plain, **theirs})
    assert done.stdout.strip() == f"False {[policy, spins]}"
