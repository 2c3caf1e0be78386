"""The explorer in a browser: walk, step, back to the same picture, bad uploads, a reload, two visitors."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reinject import Archive

Open = Callable[..., Any]
WALL = ".wall img"


@pytest.fixture
def place(explorer: tuple[str, int, Path]) -> tuple[str, Path]:
    return explorer[0], explorer[2]


def opened(open_page: Open, url: str, **options: Any) -> Any:
    page = open_page(url, **options)
    page.wait_for_selector(f"{WALL}[src^=data]")
    return page


def pixels(page: Any) -> np.ndarray:
    """Of the wall."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(shown(page).split(",")[1]))))


def step(page: Any, number: int) -> None:
    page.get_by_text(re.compile(rf"^step {number} of")).wait_for()


def shown(page: Any) -> str:
    return str(page.locator(WALL).first.get_attribute("src"))


def test_walk_step_and_back_by_the_seed(open_page: Open, place: tuple[str, Path]) -> None:
    page = opened(open_page, place[0])
    step(page, 0)
    seen = [shown(page)]
    for number in (1, 2, 3):
        page.get_by_role("button", name="step").click()
        step(page, number)
        seen.append(shown(page))
    assert len(set(seen)) == 4
    page.get_by_role("button", name="rewind").click()
    step(page, 0)
    assert shown(page) == seen[0]
    page.get_by_role("button", name="play").click()
    page.get_by_text(re.compile("^step 93 of 93")).wait_for(timeout=60_000)
    page.get_by_role("button", name="another seed").click()
    step(page, 0)
    assert shown(page) != seen[0]
    assert {url.split("/")[2] for url in open_page.asked if url.startswith("http")} == {place[0].split("/")[2]}  # type: ignore[attr-defined]


def choose(page: Any, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_a_mistyped_option_is_a_sentence_and_nothing_is_lost(open_page: Open, place: tuple[str, Path]) -> None:
    page = opened(open_page, place[0])
    before = shown(page)
    page.get_by_label(re.compile("^sigma")).fill("many")
    page.get_by_text("--sigma: 'many' is not").wait_for()
    assert shown(page) == before


def test_a_picture_and_what_is_none(open_page: Open, place: tuple[str, Path], tmp_path: Path) -> None:
    page = opened(open_page, place[0])
    choose(page, "kernel", "reinjection")
    choose(page, "start", "a picture of yours")
    (tmp_path / "no.png").write_bytes(b"this is no image")
    page.locator("input[type=file]").set_input_files(tmp_path / "no.png")
    page.get_by_text("is no image that can be read").wait_for()
    before = shown(page)
    Image.fromarray(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))).save(tmp_path / "yes.png")
    page.locator("input[type=file]").set_input_files(tmp_path / "yes.png")
    page.wait_for_function("before => document.querySelector('.wall img').src !== before", arg=before)
    wall = pixels(page)
    assert np.abs(wall[:8, :8].astype(int) - np.linspace(14, 238, 8).astype(int)).max() <= 2  # all begin at the picture
    assert np.array_equal(wall[:8, :8], wall[-8:, -8:])


def test_a_drawn_digit(open_page: Open, place: tuple[str, Path]) -> None:
    page = opened(open_page, place[0])
    choose(page, "start", "what you draw")
    before = shown(page)
    box = page.locator(".pad img").first.bounding_box()
    page.mouse.move(box["x"] + 90, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 170, steps=8)
    page.mouse.up()
    page.wait_for_function("before => document.querySelector('.wall img').src !== before", arg=before)
    choose(page, "known of it, and held", "the upper half")
    step(page, 0)
    page.get_by_role("button", name="step").click()
    step(page, 1)
    wall = pixels(page)
    assert (wall[1:4, 3:5] > 200).any()  # the stroke, at half the width, in every walk
    assert np.array_equal(wall[:4, :8], wall[-8:-4, -8:])
    assert not np.array_equal(wall[4:8, :8], wall[-4:, -8:])


def test_a_reload_keeps_what_was_asked_for(open_page: Open, place: tuple[str, Path]) -> None:
    page = opened(open_page, place[0])
    choose(page, "kernel", "half-denoising")
    step(page, 0)
    page.get_by_label("seed", exact=True).fill("7")
    page.get_by_role("textbox", name=re.compile("^sigma")).fill("0.123")
    page.get_by_label("steps", exact=True).fill("17")
    page.get_by_text("step 0 of 17").wait_for()
    page.wait_for_timeout(600)
    before = shown(page)
    page.reload()
    page.wait_for_selector(f"{WALL}[src^=data]")
    assert page.get_by_label("seed", exact=True).input_value() == "7"
    assert page.get_by_role("textbox", name=re.compile("^sigma")).input_value() == "0.123"
    assert page.get_by_label("steps", exact=True).input_value() == "17"
    page.wait_for_function("before => document.querySelector('.wall img').src === before", arg=before)


def test_two_visitors_do_not_disturb_each_other(open_page: Open, place: tuple[str, Path]) -> None:
    one, other = opened(open_page, place[0]), opened(open_page, place[0])
    start = shown(other)
    assert shown(one) == start
    for number in (1, 2):
        one.get_by_role("button", name="step").click()
        step(one, number)
    assert shown(other) == start
    other.get_by_role("button", name="step").click()
    step(other, 1)
    step(one, 2)


def test_keep_starts_a_run(open_page: Open, place: tuple[str, Path]) -> None:
    url, folder = place
    page = opened(open_page, url)
    page.get_by_role("button", name="keep").click()
    page.get_by_text("reinject sample").first.wait_for()
    page.get_by_label("walks").last.fill("200")
    page.get_by_role("button", name="start it in the background").click()
    page.get_by_text("labelled samples in").wait_for(timeout=60_000)
    assert Archive.open(folder / "out" / "run-1").manifest["parameters"]["walks"] == 200
    assert {path.name for path in folder.iterdir()} == {"out"}


def test_the_page_answers_while_walks_run(open_page: Open, place: tuple[str, Path]) -> None:
    page = opened(open_page, place[0])
    page.get_by_label("steps", exact=True).fill("1000")
    step(page, 0)
    page.get_by_role("button", name="play").click()
    choose(page, "asked class", "3")
    page.get_by_role("button", name="pause").click()
    page.get_by_role("button", name="play").wait_for()
    assert int(page.get_by_text(re.compile(r"^step \d+ of")).text_content().split(" ")[1]) < 1000
