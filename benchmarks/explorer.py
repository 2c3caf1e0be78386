"""The explorer on digits: seconds from opening the page to the first picture, and steps of 64 walks a second.

Needs Chromium and Playwright (make test-browser).
"""

import argparse
import re
import time
from pathlib import Path

from browser import chromium, explorer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="folder that reinject train digits made")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with explorer(options.models) as url, chromium() as browser:
        for _ in range(options.rounds):
            page = browser.new_context().new_page()
            began = time.monotonic()
            page.goto(url)
            page.wait_for_selector(".wall img[src^=data]")
            first = time.monotonic() - began
            page.get_by_role("button", name="pause").click()
            page.get_by_label("speed").click()
            page.get_by_role("option", name="as fast as possible").click()
            page.get_by_role("button", name="rewind").click()
            page.get_by_text(re.compile("^step 0 of")).wait_for()
            page.get_by_role("button", name="play").click()
            began = time.monotonic()
            page.get_by_text(re.compile("^step 93 of 93")).wait_for(timeout=60_000)
            print(f"first picture after {first:.2f} s; {93 / (time.monotonic() - began):.0f} steps a second")


if __name__ == "__main__":
    main()
