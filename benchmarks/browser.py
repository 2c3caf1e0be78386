"""What benchmarks of pages share: Chromium, and an explorer that runs."""

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)


@contextlib.contextmanager
def explorer(models: Path) -> Iterator[str]:
    """The address of an explorer of these models."""
    program = [sys.executable, "-c", "from reinject.cli import main; main()", "explore", str(models), "--no-browser"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([*program, "--out", folder], stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr is not None
        port = int(re.search(r":(\d+)", process.stderr.readline())[1])  # type: ignore[index]
        waiting = True
        while waiting:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                waiting = False
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGINT)
