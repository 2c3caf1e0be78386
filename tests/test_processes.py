"""How processes of ours begin: from one server, which no Ctrl-C ends and no file of the working folder reaches."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reinject import cli
from reinject.evaluation.students import workers_for
from reinject.processes import context, cores, keep_memory

MODULE = "reinject.evaluation.students"
LOADED = "('torch' in __import__('sys').modules, __import__('os').getppid())"
PROGRAM = """
import os, signal, time
from reinject.processes import context

if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: None)
    began = context("reinject.evaluation.students")
    time.sleep(1)
    os.killpg(0, signal.SIGINT)  # while the server imports
    with began.Pool(1) as pool:
        print(pool.apply(eval, ("__import__('sys').modules['torch'].__name__",)))
"""

INTERRUPTED = """
import signal
from reinject.processes import context

if __name__ == "__main__":
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)  # while the server imports
    try:
        pool = context("reinject.evaluation.students").Pool(2)
        signal.pause()  # where it has imported already
    except KeyboardInterrupt:
        print("interrupted")
"""

FAULTS = """
import sys

from reinject.processes import context, keep_memory

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

if __name__ == "__main__":
    if sys.argv[1] == "forked":
        with context().Pool(1) as pool:
            pool.apply(exec, (ROUNDS, {}))
    else:
        if sys.argv[1] == "keep":
            assert keep_memory()
        exec(ROUNDS)
"""
GLIBC = platform.libc_ver()[0] == "glibc"


def test_processes_come_from_one_server_that_has_imported_what_they_run() -> None:
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    found = []
    for _ in range(2):
        with context(MODULE).Pool(1) as pool:
            found.append(pool.apply(eval, (LOADED,)))
            ignored = pool.apply(eval, ("2 in __import__('signal').pthread_sigmask(0, ())",))
    assert found[0] == found[1]
    assert found[0][0]
    assert found[0][1] != os.getpid()
    assert ignored
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked


def test_processes_that_begin_after_an_interruption_print_nothing(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(INTERRUPTED)
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)  # waits for them too
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_the_server_runs_nothing_of_the_working_folder_and_outlives_ctrl_c(tmp_path: Path) -> None:
    program, here = tmp_path / "bin" / "program.py", tmp_path / "here"
    here.mkdir()
    program.parent.mkdir()
    (here / "torch.py").write_text("raise SystemExit('run')")
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program], cwd=here, capture_output=True, text=True, timeout=300, start_new_session=True
    )
    assert (done.stdout, done.stderr, done.returncode) == ("torch\n", "", 0)


def test_students_take_the_cores_that_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert cores() == workers_for(torch.device("cpu")) == 3
    assert workers_for(torch.device("cuda")) == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


def test_spawned_where_a_system_has_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    assert context(MODULE).get_start_method() == "spawn"


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
    assert pages("forked") < 100


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
        ({}, "passive", "30000"),
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
