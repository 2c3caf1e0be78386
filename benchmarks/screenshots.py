"""The README's pictures of the report and of the explorer, from a demo's folder; needs make test-browser."""

import argparse
import contextlib
import io
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def kept(page: Any, path: Path) -> None:
    """The window as a PNG of 64 colours, which is small."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.quantize(64).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="folder that reinject demo made")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    words = ["explore", str(options.demo / "models"), "--no-browser"]
    program = [sys.executable, "-c", "from reinject.cli import main; main()", *words]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([*program, "--out", folder], stderr=subprocess.PIPE, text=True) as process,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        page = browser.new_page(viewport={"width": 1120, "height": 860})
        page.goto((options.demo / "report.html").resolve().as_uri())
        page.wait_for_selector(".film[data-ready]")
        kept(page, options.out / "report.png")
        assert process.stderr is not None
        port = int(re.search(r":(\d+)", process.stderr.readline())[1])  # type: ignore[index]
        waiting = True
        while waiting:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                waiting = False
        dark = browser.new_page(viewport={"width": 1280, "height": 700}, color_scheme="dark")
        dark.goto(f"http://127.0.0.1:{port}")
        dark.wait_for_selector(".wall img[src^=data]")
        dark.get_by_role("button", name="play").click()
        dark.get_by_text(re.compile("^step 93 of 93")).wait_for(timeout=60_000)
        dark.wait_for_timeout(600)
        kept(dark, options.out / "explorer.png")
        process.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
