"""The report: its numbers, its images, what it shows of archives of every kind, what it refuses."""

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reinject import Archive, sample, wrap
from reinject.base.errors import ArchiveError, ArgumentError, DataError
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.wording import alarms, numbers
from reinject.models.loading import load_models
from reinject.report.pages import command_of
from reinject.report.report import report
from reinject.report.sprites import Sprites
from reinject.sampling.presets import PRESETS
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Format, SampleSpec
from reinject.walks.kernels.kernel import Emit
from test_cli import run


def opened(sheet: Sprites) -> Image.Image:
    import base64
    import io

    return Image.open(io.BytesIO(base64.b64decode(sheet.uri.partition(",")[2])))


@given(st.integers(1, 20), st.sampled_from([1, 3]), st.integers(2, 9), st.integers(2, 9))
def test_every_image_can_be_cut_out_again(count: int, channels: int, height: int, width: int) -> None:
    x = np.random.default_rng(0).random((count, channels, height, width), np.float32)
    sheet = Sprites.of(x)
    pixels = np.asarray(opened(sheet).convert("RGB"))
    for k in range(count):
        top, left = k // sheet.columns * height, k % sheet.columns * width
        cut = pixels[top : top + height, left : left + width].transpose(2, 0, 1)
        assert np.abs(cut / 255 - x[k]).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(("shape", "count"), [((3, 32, 32), 3900), ((1, 28, 28), 3900), ((3, 224, 224), 64)])
def test_even_noise_fits(shape: tuple[int, ...], count: int) -> None:
    x = np.random.default_rng(0).random((count, *shape), np.float32)
    sheet = Sprites.of(x, most=1_500_000)
    assert len(sheet.uri) <= 1_500_000 * 4 / 3 + 100
    assert opened(sheet).size == (sheet.columns * sheet.width, -(-count // sheet.columns) * sheet.height)


def judgement(name: str, value: float, null: float, interval: tuple[float, float], p: float | None = None) -> Judgement:
    return Judgement(name, "?", value, null, interval, 100, p)


def test_the_first_screen_has_four_numbers_at_most() -> None:
    names = ("precision", "recall", "copies", "classifier", "density")
    found = {"all": [judgement(name, 0.4, 0.9, (0.35, 0.45)) for name in names]}
    shown = numbers(None, found)
    assert [one.name for one in shown] == ["recall", "copies", "classifier", "precision"]
    assert shown[0].interval == "95%: 0.350 to 0.450"
    assert "real data itself: 0.900" in shown[0].meaning


def test_what_must_not_be_overlooked() -> None:
    quiet = {
        "memorisation": [judgement("copies", 0.001, 0, (0, 0.002), 0.3)],
        "membership": [judgement("loss on the student", 0.02, 0.01, (0.015, 0.03), 0.02)],
    }
    assert alarms(quiet) == []
    loud = {
        "membership": [
            judgement("loss on the student", 0.02, 0.01, (0.015, 0.03), 1e-4),
            judgement("likelihood ratio on the classifier", 0.03, 0.01, (0.02, 0.04), 1e-6),
        ],
        "two-sample": [judgement("classifier", 0.9, 0.5, (0.85, 0.95))],
    }
    members, told = alarms(loud)
    assert "likelihood ratio on the classifier' finds 3.0%" in members
    assert "90% of the time" in told


def archive(models: Path, out: Path) -> Path:
    sample_models(load_models([models]), out, SampleSpec(preset="paper", settings=PRESETS["paper"]), walks=40, seed=0)
    return out


def embedded(page: Path, name: str) -> object:
    return json.loads(re.search(rf'id="{name}">(.*?)</script>', page.read_text(), re.DOTALL)[1])  # type: ignore[index]


def test_a_map_and_walks_without_real_data(models: Path, tmp_path: Path) -> None:
    folder = archive(models, tmp_path / "s")
    report(folder, tmp_path / "r.html")
    points, (film,) = embedded(tmp_path / "r.html", "points"), embedded(tmp_path / "r.html", "films")
    groups = {group["name"]: group for group in points["groups"]}
    assert groups.keys() == {"paper", "starts"}
    assert len(groups["paper"]["xy"]) == len(groups["paper"]["texts"]) == 360
    assert groups["starts"]["first"] == 360
    said = {re.sub(r"^\S+ ", "", text.replace(", ", " ")) for text in groups["paper"]["texts"]}
    walk, step = (Archive.open(folder).numbers(name) for name in ("walk", "step"))
    assert said == {f"walk {n} step {i}" for n, i in zip(walk, step, strict=True)}
    assert film["walks"] == list(range(8))
    assert film["steps"] == list(range(11))
    assert "not judged" not in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize("emit", ["state", "reconstruction"])
def test_the_film_shows_the_rows_of_the_archive(models: Path, tmp_path: Path, emit: Emit) -> None:
    """The frame of walk w after i steps is the row that the archive keeps of it, to the last level, and its label."""
    from reinject.report.film import film

    settings = replace(PRESETS["paper"], emit=emit)
    sample_models(
        load_models([models]), tmp_path / "s", SampleSpec(preset="paper", settings=settings), walks=40, seed=5
    )
    folder = Archive.open(tmp_path / "s")
    shown = film(folder, load_models([models]))
    _, label = folder.read()
    pixels = np.asarray(opened(shown.sprites))
    x, _ = folder.read()
    walk, step = (folder.numbers(name) for name in ("walk", "step"))
    compared = 0
    for row in np.flatnonzero(walk < 8):
        frame = shown.steps.index(step[row])
        k = 2 * (int(walk[row]) * len(shown.steps) + frame) + (emit == "reconstruction")
        top, left = k // shown.sprites.columns * 8, k % shown.sprites.columns * 8
        assert torch.equal(torch.tensor(pixels[top : top + 8, left : left + 8]), x[row, 0])
        if emit == "reconstruction":
            assert shown.captions[walk[row]][frame].split(" ")[0] == str(label[row].item())
        compared += 1
    assert compared == 8 * 9


def test_unlabelled_samples_and_features(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    status, _, said = run("sample", models, "--out", folder, "--labels", "none", "--walks", 30, "--preset", "paper")
    assert status == 0, said
    report(folder, tmp_path / "bare.html")
    html = (tmp_path / "bare.html").read_text()
    assert "without labels" not in html
    assert "Balance of the classes" not in html
    assert "samples of class any" in html


def test_the_map_of_features_is_in_their_own_units(tmp_path: Path) -> None:
    """Whatever range an archive of features states: real data beside it has none."""
    r = wrap(lambda x: 0.8 * x, (2,))
    sample(r, None, tmp_path / "s", walks=400, spec=SampleSpec(format=Format(value_range=(-30.0, 30.0), kind="float")))
    report(tmp_path / "s", tmp_path / "r.html")
    (group,) = embedded(tmp_path / "r.html", "points")["groups"]
    x, _ = Archive.open(tmp_path / "s").read(1200, seed=1)
    assert np.std(group["xy"], axis=0).sum() == pytest.approx(x.std(0).sum().item(), rel=0.1)


def test_archives_that_cannot_be_compared(models: Path, small_models: Path, tmp_path: Path) -> None:
    a, b = archive(models, tmp_path / "a"), archive(small_models, tmp_path / "b")
    with pytest.raises(ArchiveError, match="b: has event shape"):
        report(a, tmp_path / "r.html", beside=[b])
    with pytest.raises(ArgumentError, match="--beside: a is given twice"):
        report(a, tmp_path / "r.html", beside=[a])
    with pytest.raises(DataError, match="digits: has images"):
        report(b, tmp_path / "r.html", against="digits")
    assert not (tmp_path / "r.html").exists()


def test_an_earlier_page_is_kept(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, page = archive(models, tmp_path / "s"), tmp_path / "r.html"
    page.write_text("mine")
    with pytest.raises(ArchiveError, match="already exists"):
        report(folder, page)
    with pytest.raises(ArgumentError, match="is a folder"):
        report(folder, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            report(folder, page, overwrite=True)
    assert page.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"s", "r.html"}
    report(folder, page, overwrite=True)
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("options", "appended"),
    [
        ("--preset paper --seed 3", 2),
        ("--kernel half-denoising --sigma .2 --burn-in 0 --store float --confidence 0.3 --quota 3 --walks 30", 0),
        ("--labels none --box 0,1 --steps 5 --burn-in 2", 0),
        ("--confidence 0.2 --distinct 0.3 --block-size 8", 1),
        pytest.param(
            "--classes 3,1 --guidance 0 --labels asked --class-weights 0,1,0,1,1,1,1,1,1,1", 1, marks=pytest.mark.slow
        ),
        ("--known digits --mask 0:4,: --block-size 16 --limit 1e6 --images array --compression gzip", 0),
    ],
)
def test_the_commands_of_a_page_make_the_archive_again(
    models: Path, tmp_path: Path, options: str, appended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ["sample", models, "--out", tmp_path / "s", "--walks", 20, *options.split(" ")]
    assert run(*first)[0] == 0
    for _ in range(appended):
        assert run(*first, "--append")[0] == 0
    lines = command_of(Archive.open(tmp_path / "s")).splitlines()
    assert len(lines) == 1 + appended
    monkeypatch.chdir(tmp_path / "s")
    for line in lines:
        assert run(*shlex.split(line)[1:])[0] == 0
    shards = [path.relative_to(tmp_path / "s") for path in (tmp_path / "s").glob("data/*")]
    assert shards
    for path in shards:
        assert (tmp_path / "s" / "AGAIN" / path).read_bytes() == (tmp_path / "s" / path).read_bytes()


def test_pixels_are_not_compared_with_features(models: Path, tmp_path: Path) -> None:
    a = archive(models, tmp_path / "a")
    shutil.copytree(a, tmp_path / "b")
    manifest = json.loads((a / "manifest.json").read_text())
    manifest["parameters"]["space"] = "features of x"
    (tmp_path / "b" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArchiveError, match=r"b: has space features of x, .*a has pixels"):
        report(a, tmp_path / "r.html", beside=[tmp_path / "b"])


def test_models_that_are_gone(models: Path, tmp_path: Path) -> None:
    folder = archive(shutil.copytree(models, tmp_path / "m"), tmp_path / "s")
    shutil.rmtree(tmp_path / "m")
    report(folder, tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text()
    assert "not followed: " in html
    assert "Walks, step by step" not in html
    report(folder, tmp_path / "s.html", models=[models])
    assert "Walks, step by step" in (tmp_path / "s.html").read_text()


def test_the_command(models: Path, tmp_path: Path) -> None:
    folder = archive(models, tmp_path / "s")
    status, text, _ = run("report", folder, "--out", tmp_path / "r.html", "--against", "digits", "--judge", "none")
    assert status == 0
    assert "Open" in text
    assert run("report", tmp_path / "no", "--out", tmp_path / "x.html")[0] == 1
    said = run(
        "report",
        folder,
        "--out",
        tmp_path / "x.html",
        "--against",
        "digits",
        "--judge",
        "none",
        "--judge",
        "two-sample",
    )[2]
    assert "--judge: 'none' is combined with other names" in said
    html = (tmp_path / "r.html").read_text()
    assert "real images of class 3" in html
    assert "Judgements</h2>" not in html
