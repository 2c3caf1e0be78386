"""The report in a browser: from disk, without a network, by mouse, by keyboard, by phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.models.loading import load_models
from reinject.report.report import report
from reinject.sampling.presets import PRESETS
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec

Open = Callable[..., Any]
STATE = "() => document.querySelector('.wall canvas').toDataURL()"


@pytest.fixture(scope="module")
def url(models: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    for preset in ("default", "paper"):
        sample_models(
            load_models([models]),
            folder / preset,
            SampleSpec(preset=preset, settings=PRESETS[preset]),
            walks=300,
            seed=0,
        )
    options = {
        "against": "digits",
        "beside": [folder / "paper"],
        "spec": EvaluateSpec(["coverage", "memorisation"], seeds=1),
    }
    report(folder / "default", folder / "report.html", **options)
    return (folder / "report.html").as_uri()


def test_it_opens_from_disk_and_asks_for_nothing(open_page: Open, url: str) -> None:
    page = open_page(url)
    page.wait_for_selector(".film[data-ready]")
    assert [one for one in open_page.asked if not one.startswith("data:")] == [url]  # type: ignore[attr-defined]
    assert page.title().startswith("reinject: default beside paper against")
    assert page.locator("dl.numbers div").count() == 2 * 3  # recall, copies, precision


def test_the_slider_moves_along_the_walks(open_page: Open, url: str) -> None:
    page = open_page(url)
    slider = page.locator(".film input").first
    page.wait_for_selector(".film[data-ready]")
    last = page.evaluate(STATE)
    slider.focus()
    slider.press("Home")
    assert page.locator(".film output").first.text_content() == "0"
    first = page.evaluate(STATE)
    assert first != last
    slider.press("ArrowRight")
    assert page.evaluate(STATE) != first
    page.locator(".film .play").first.click()
    page.locator(".film").first.get_by_text("Stop").wait_for()
    page.locator(".film").first.get_by_text("Play").wait_for()
    assert page.evaluate(STATE) == last


def test_hover_and_brush(open_page: Open, url: str) -> None:
    page = open_page(url)
    canvas = page.locator("#plane")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    steps = [(box["x"] + box["width"] * k / 40, box["y"] + box["height"] / 2) for k in range(1, 40)]
    for x, y in steps:
        page.mouse.move(x, y)
        if page.locator("#tip").is_visible():
            break
    text = page.locator("#tip").text_content()
    assert any(text.startswith(f"{name}: ") for name in ("real", "default", "paper"))
    assert page.locator("#tip canvas").count() == 1
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()
    assert (
        "3600 points: 1200 real, 1200 default, 1200 paper; 60 of them are shown"
        in page.locator("#count").text_content()
    )
    assert page.locator("#gallery li").count() == 60
    assert "walk" in page.locator("#gallery li").nth(40).text_content()
    page.get_by_label("paper (1200)").uncheck()
    assert page.locator("#gallery li").count() == 0  # a selection of what is no longer seen would mislead


def test_the_map_by_keyboard(open_page: Open, url: str) -> None:
    page = open_page(url)
    page.locator("#plane").focus()
    told = page.locator("#told")
    page.keyboard.press("ArrowRight")
    first = told.text_content()
    page.keyboard.press("ArrowRight")
    assert told.text_content() != first
    page.keyboard.press("Enter")
    assert page.locator("#gallery li").count() >= 1
    page.keyboard.press("Escape")
    assert page.locator("#gallery li").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nobody_is_shut_out(open_page: Open, url: str, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(url, color_scheme=scheme, viewport={"width": width, "height": 844}, bypass_csp=True)
    page.wait_for_selector(".film[data-ready]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert serious == [], [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious]
