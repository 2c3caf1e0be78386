"""The explorer on digits: seconds from opening the page to the first picture, and steps of 64 walks a second.

Needs Chromium and Playwright (make test-browser).
"""

import argparse
import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="folder that reinject train digits made")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = ["explore", str(options.models), "--no-browser", "--out", folder]
        program = [sys.executable, "-c", "from reinject.cli import main; main()", *words]
        with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            port = int(re.search(r":(\d+)", process.stderr.readline())[1])  # type: ignore[index]
            waiting = True
            while waiting:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    waiting = False
            measure(f"http://127.0.0.1:{port}", options.rounds)
            process.send_signal(signal.SIGINT)


def measure(url: str, rounds: int) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        for _ in range(rounds):
            page = browser.new_context().new_page()
            began = time.monotonic()
            page.goto(url)
            page.wait_for_selector(".wall img[src^=data]")
            first = time.monotonic() - began
            page.get_by_role("button", name="play").click()
            began = time.monotonic()
            page.get_by_text(re.compile("^step 93 of 93")).wait_for(timeout=60_000)
            print(f"first picture after {first:.2f} s; {93 / (time.monotonic() - began):.0f} steps a second")


if __name__ == "__main__":
    main()
