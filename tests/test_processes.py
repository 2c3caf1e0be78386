"""How processes of ours begin: from one server, which no Ctrl-C ends and no file of the working folder reaches."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reinject.evaluation.students import workers_for
from reinject.processes import context, cores

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
