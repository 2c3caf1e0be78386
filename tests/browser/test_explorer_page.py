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
from reinject.explorer.tiles import Grid

Open = Callable[..., Any]
WALL = ".wall img"


@pytest.fixture
def place(explorer: tuple[str, int, Path]) -> tuple[str, Path]:
    return explorer[0], explorer[2]


def opened(open_page: Open, url: str, **options: Any) -> Any:
    """A page that stands still at step 0, as reduced motion and a rewind leave it."""
    page = open_page(url, reduced_motion="reduce", **options)
    step(page, 93)
    page.get_by_role("button", name="rewind").click()
    step(page, 0)
    return page


def pixels(page: Any) -> np.ndarray:
    """Of the wall."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(shown(page).split(",")[1]))))


def tiles(page: Any) -> np.ndarray:
    """Of the wall, 64 digits of 8 x 8."""
    wall, grid = pixels(page), Grid(64, 8, 8)
    corners = [grid.corner(k) for k in range(64)]
    return np.stack([wall[top : top + 8, left : left + 8] for top, left in corners])


def step(page: Any, number: int) -> None:
    page.get_by_text(re.compile(rf"^step {number} of")).wait_for()


def shown(page: Any, selector: str = WALL) -> str:
    return str(page.locator(selector).first.get_attribute("src"))


def at(page: Any) -> int:
    """The step that is shown."""
    return int(page.get_by_text(re.compile(r"^step \d+ of")).text_content().split(" ")[1])


def test_it_opens_in_motion_and_ends_on_labelled_samples(open_page: Open, place: tuple[str, Path]) -> None:
    page = open_page(place[0])
    page.get_by_text(re.compile(r"^step [1-9]\d* of 93, noise level \d")).wait_for()
    page.get_by_role("button", name="pause").click()
    page.get_by_role("button", name="play").wait_for()
    paused = at(page)
    assert 0 < paused < 93
    page.wait_for_timeout(500)
    assert at(page) == paused
    choose(page, "speed", "as fast as possible")
    page.get_by_role("button", name="play").click()
    step(page, 93)
    captions = page.locator(".wall text").all_text_contents()
    assert len(captions) == 64
    assert {caption.rstrip("?") for caption in captions} <= set("0123456789")
    assert len(set(captions)) > 3
    legend = page.get_by_role("region", name="legend")
    assert legend.locator(".chip").all_text_contents() == [*"0123456789", "? below 50%"]
    assert "reconstruction r(x)" in legend.text_content()
    page.get_by_role("button", name="next seed").click()  # what is new plays too, as nobody paused it
    page.get_by_text(re.compile(r"^step [1-9]\d? of")).wait_for()
    step(page, 93)
    choose(page, "show", "state")
    legend.get_by_text("the state x of one walk, with its noise").wait_for()


def test_where_motion_is_not_wanted_it_opens_on_the_samples(open_page: Open, place: tuple[str, Path]) -> None:
    page = open_page(place[0], reduced_motion="reduce")
    step(page, 93)
    page.get_by_role("button", name="play").wait_for()
    page.get_by_role("button", name="next seed").click()
    step(page, 0)
    page.wait_for_timeout(500)
    assert at(page) == 0


def test_a_click_selects_the_walk_under_it(open_page: Open, place: tuple[str, Path]) -> None:
    page = opened(open_page, place[0])
    box, (height, width) = page.locator(WALL).first.bounding_box(), Grid(64, 8, 8).size
    top, left = Grid(64, 8, 8).corner(43)
    page.mouse.click(box["x"] + (left + 4) * box["width"] / width, box["y"] + (top + 4) * box["height"] / height)
    page.get_by_text(re.compile("^walk 43: class ")).wait_for()
    large = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown(page, ".large img").split(",")[1]))))
    assert np.array_equal(large, tiles(page)[43])


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
    page.get_by_role("button", name="next seed").click()
    page.wait_for_function("before => document.querySelector('.wall img').src !== before", arg=seen[0])
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
    choose(page, "start from", "an image file")
    (tmp_path / "no.png").write_bytes(b"this is no image")
    page.locator("input[type=file]").set_input_files(tmp_path / "no.png")
    page.get_by_text("is not a readable image").wait_for()
    before = shown(page)
    Image.fromarray(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))).save(tmp_path / "yes.png")
    page.locator("input[type=file]").set_input_files(tmp_path / "yes.png")
    page.wait_for_function("before => document.querySelector('.wall img').src !== before", arg=before)
    wall = tiles(page)
    assert np.abs(wall[0].astype(int) - np.linspace(14, 238, 8).astype(int)).max() <= 2  # all begin at the picture
    assert (wall == wall[0]).all()


def test_a_drawn_digit(open_page: Open, place: tuple[str, Path]) -> None:
    page = opened(open_page, place[0])
    choose(page, "start from", "a drawing")
    before = shown(page)
    box = page.locator(".pad img").first.bounding_box()
    page.mouse.move(box["x"] + 90, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 170, steps=8)
    page.mouse.up()
    page.wait_for_function("before => document.querySelector('.wall img').src !== before", arg=before)
    choose(page, "keep fixed (inpainting)", "upper half")
    step(page, 0)
    page.get_by_role("button", name="step").click()
    step(page, 1)
    wall = tiles(page)
    assert (wall[0, 1:4, 3:5] > 200).any()  # the stroke, at half the width, in every walk
    assert (wall[:, :4] == wall[0, :4]).all()
    assert not np.array_equal(wall[0, 4:], wall[-1, 4:])


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
    step(page, 17)
    page.get_by_role("button", name="rewind").click()
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
    page.get_by_role("button", name="run in the background").click()
    page.get_by_text("labelled samples in").wait_for(timeout=60_000)
    assert Archive.open(folder / "out" / "run-1").manifest["parameters"]["walks"] == 200
    assert {path.name for path in folder.iterdir()} == {"out"}


def test_the_page_answers_while_walks_run(open_page: Open, place: tuple[str, Path]) -> None:
    page = opened(open_page, place[0])
    page.get_by_label("steps", exact=True).fill("1000")
    page.get_by_text("step 0 of 1000").wait_for()
    choose(page, "speed", "as fast as possible")
    page.get_by_role("button", name="play").click()
    choose(page, "target class", "3")
    page.get_by_role("button", name="pause").click()
    page.get_by_role("button", name="play").wait_for()
    assert at(page) < 1000
