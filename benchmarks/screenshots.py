"""The README's pictures of the report and of the explorer, from a demo's folder; needs make test-browser."""

import argparse
import io
import re
from pathlib import Path
from typing import Any

from PIL import Image

from browser import chromium, explorer


def kept(page: Any, path: Path) -> None:
    """The window as a PNG of 64 colours, which is small."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.quantize(64).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="folder that reinject demo made")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--only", choices=["report", "explorer"], help="default: both")
    options = parser.parse_args()
    with chromium() as browser:
        if options.only != "explorer":
            page = browser.new_page(viewport={"width": 1120, "height": 860})
            page.goto((options.demo / "report.html").resolve().as_uri())
            page.wait_for_selector(".film[data-ready]")
            kept(page, options.out / "report.png")
        if options.only != "report":
            with explorer(options.demo / "models") as url:
                dark = browser.new_page(viewport={"width": 1280, "height": 850}, color_scheme="dark")
                dark.goto(url)  # it plays by itself
                dark.get_by_text(re.compile("^step 93 of 93")).wait_for(timeout=60_000)
                dark.wait_for_timeout(600)
                kept(dark, options.out / "explorer.png")


if __name__ == "__main__":
    main()
