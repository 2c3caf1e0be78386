"""What leads: the verdict and what is wrong, in the printed text and on the page, before the ratio."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reinject import Archive, data, sample, wrap
from reinject.archive import Plan, write
from reinject.base.errors import ArchiveError
from reinject.data.samples import LabelledSamples, Storage
from reinject.evaluation.evaluate import Examined
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.evaluation.findings import Classes, findings, standing_lines, unchecked, worst_first
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.standing import next_command
from reinject.evaluation.utility import Utility
from reinject.report.evaluated import evaluate
from reinject.report.report import report
from reinject.training.learning_curves import Curve, Figure
from reinject.walks.verdict import Verdict
from test_cli import run

DIGITS = data.load("digits")
COPIES = EvaluateSpec(["memorisation"], features="pixels")
FIGURES = {
    "stopped": 0.0, "clipped": 0.012, "spread": 0.2, "noise_kept": 0.3, "error": 0.2, "random": 0.0, "repeated": 0.0,
    "directions": 14.2, "remembered": 0.04, "shares": [], "information": None, "confidence": None, "agreement": None,
}  # fmt: skip


def utility(ratio: float) -> Utility:
    curve, one = Curve((100,), ((0.5,),)), Figure((0.5,))
    half = Figure((0.3,))
    curves = (curve, curve, curve, curve, None)
    return Utility(*curves, one, one, one, 5000, Figure((ratio,)), half, one, one, (), {}, "mlp", half)


def copied(p: float = 1e-9) -> dict[str, list[Judgement]]:
    return {"memorisation": [Judgement("copies", "?", 0.1, 0.0, (0.08, 0.12), 1000, p)]}


def bare(out: Path, share: float = 0.0, **said: Any) -> Path:
    """Noise images without labels, of which a share is replaced by training images; a walk a row."""
    x = torch.randint(0, 256, (2000, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    x[: round(share * 2000)] = DIGITS.train.x[: round(share * 2000)]
    none = torch.full((2000,), -1)
    part = LabelledSamples(x, none, torch.zeros(2000, 0), torch.arange(2000), 1, none * 0, 0, 0, 0)
    folder = write(out, Plan((1, 8, 8), (), Storage(), 1, {"preset": "noise"}, {}), lambda _: iter([part]))
    say(folder, **said)
    return folder


def say(folder: Path, **said: Any) -> None:
    """Write fields into the manifest of an archive, or take them out of it."""
    path = folder / "manifest.json"
    manifest = {**json.loads(path.read_text()), **said}
    path.write_text(json.dumps({key: value for key, value in manifest.items() if value is not None}))


def lines_of(folder: Path, **options: Any) -> list[str]:
    return evaluate(folder, "digits", spec=COPIES, **options).lines


def test_the_worst_leads() -> None:
    wrong = findings(utility(0.7), copied(), Classes(("a", "b"), (1.0, 0.0), (0.5, 0.5), 100))
    assert [one.level for one in wrong] == ["broken", "doubtful", "doubtful"]
    assert [one.reason.split(" ")[0] for one in wrong] == ["1", "copies", "the"]
    broken = Verdict("broken", "50% of the walks diverged")
    assert worst_first(broken, findings(utility(0.7), {}, Classes()))[0] == broken
    assert findings(utility(0.2), copied(), Classes())[0].level == "broken"
    assert worst_first(Verdict("doubtful", "x"), findings(None, copied(), Classes()))[0].reason.startswith("copies")


def test_nothing_is_said_of_what_is_sound_or_absent_by_chance() -> None:
    assert findings(utility(0.95), copied(0.5), Classes(("a", "b"), (0.5, 0.5), (0.5, 0.5), 100)) == []
    assert findings(None, {}, Classes(("a", "b"), (1.0, 0.0), (0.5, 0.5), 9)) == []
    assert findings(None, {}, Classes(("a", "b"), (1.0, 0.0), (1.0, 0.0), 100)) == []
    assert worst_first(None, []) == []
    assert standing_lines([], "") == []


def test_many_missing_classes_are_not_all_named() -> None:
    names = tuple("abcdefghijklmnop")
    shares = (0.5, 0.5, *[0.0] * 14)
    (found,) = findings(None, {}, Classes(names, shares, [1 / 16] * 16, 1000))
    assert found.line == "verdict: broken: 14 of 16 classes are missing: c, d, e, f, g, ..."


def test_what_was_not_checked_is_said() -> None:
    assert unchecked(utility(0.99), {}).startswith("not checked: coverage of the real data (coverage), differences")
    assert "copies" not in unchecked(None, copied())
    everything = dict.fromkeys(("coverage", "two-sample", "spurious", "memorisation", "membership"), ())
    assert unchecked(utility(0.99), everything) == ""


def test_evaluate_prints_the_verdict_first(tmp_path: Path) -> None:
    verdict = {"level": "doubtful", "reason": "walks carry 40% of their start at their end"}
    lines = lines_of(bare(tmp_path / "a", verdict=verdict))
    assert lines[0] == Verdict(**verdict).line
    assert lines[1].startswith("not checked: accuracy of a student (utility)")


def test_copies_lead_even_where_the_archive_is_good(tmp_path: Path) -> None:
    folder = bare(tmp_path / "a", 0.3, verdict={"level": "good", "reason": ""}, figures=FIGURES)
    done = evaluate(folder, "digits", out=tmp_path / "e", spec=COPIES)
    assert done.lines[0].startswith("verdict: doubtful: copies of training rows: ")
    assert not any("verdict: good" in line for line in done.lines), done.lines
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert metrics["verdict"] == {"level": "good", "reason": ""}
    assert [one["level"] for one in metrics["findings"]] == ["doubtful"]
    html = (tmp_path / "e" / "report.html").read_text()
    assert '<p class="verdict doubtful"><b>Doubtful:</b> copies of training rows' in html
    assert "Good:" not in html


def test_a_low_ratio_is_said_before_the_ratio(tmp_path: Path) -> None:
    folder = Archive.open(bare(tmp_path / "a", verdict={"level": "good", "reason": ""}))
    wrong = findings(utility(0.31), {}, Classes())
    lines = Examined("noise", folder, DIGITS, None, utility(0.31), {}, wrong, (), {"notes": []}).lines()  # type: ignore[arg-type]
    assert lines[0] == (
        "verdict: broken: the ratio is 0.310: a student trained on the samples is less accurate "
        "than its twin trained on real data"
    )
    assert lines[1] == "next: reinject inspect MODELS"
    assert "0.310 of its twin" in lines[2]
    assert "30% of what real data" in lines[2]


def test_an_archive_without_a_verdict_says_nothing(tmp_path: Path) -> None:
    folder = bare(tmp_path / "a")
    assert lines_of(folder)[0].startswith("not checked")
    report(folder, tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text()
    assert '<p class="verdict' not in html
    assert 'id="figures"' not in html
    assert evaluate(folder, "digits", spec=EvaluateSpec(["memorisation"])).result["verdict"] is None


def test_a_broken_set_and_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_models: Path) -> None:
    folder = bare(tmp_path / "a", verdict={"level": "broken", "reason": "50% of the walks <diverged>"})
    assert lines_of(folder)[:2] == ["verdict: broken: 50% of the walks <diverged>", "next: reinject inspect MODELS"]
    report(folder, tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text()
    first = html.index('<p class="verdict broken"><b>Broken:</b> 50% of the walks &lt;diverged&gt;.')
    assert first < html.index("Try next: <code>reinject inspect MODELS</code>") < html.index('<p class="headline">')
    assert "Not checked: nothing was compared with real data." in html
    shutil.copytree(small_models, tmp_path / "m")
    run("sample", tmp_path / "m", "--out", tmp_path / "s", "--walks", 32, "--seed", 1)
    labelled = Archive.open(tmp_path / "s")
    missing, still = Verdict("broken", "1 of 2 classes are missing"), Verdict("broken", "x: r contracts to one point")
    assert next_command(labelled, [missing]) == "reinject tune MODELS"  # no path of this machine on a page
    monkeypatch.chdir(tmp_path)
    assert next_command(labelled, [missing]) == "reinject tune m"
    assert next_command(labelled, [still]) == "reinject inspect m"
    assert next_command(labelled, [missing], [Path("x"), Path("y")]) == "reinject tune x y"
    assert next_command(labelled, [replace(missing, level="doubtful")]) == ""


def test_the_page_shows_figures_and_the_choice(small_models: Path, tmp_path: Path) -> None:
    status, _, _ = run("sample", small_models, "--out", tmp_path / "s", "--walks", 32, "--force")
    assert status == 0
    shares, trial = [0.7, 0.3], {"level": "doubtful", "reason": "classes are uneven"}
    say(
        tmp_path / "s",
        verdict={"level": "good", "reason": ""},
        figures={**FIGURES, "shares": shares, "information": 0.83},
        chosen={
            "because": "r is not noise-conditioned",
            "trials": [
                {"settings": {"kernel": "walkback", "options": {"sigma": "0.3"}}, "merit": 0.5, "verdict": trial},
            ],
        },
    )
    report(tmp_path / "s", tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text()
    assert '<p class="verdict good"><b>Good:</b> no fault shows without real data.' in html
    cells = re.findall(r"<td>(.*?)</td>", html)
    assert cells[:3] == ["walkback --sigma 0.3", "0.50", "doubtful"]
    shown = dict(zip(cells[3::2], cells[4::2], strict=False))
    assert shown["rarest class"] == "b: 30.0%"
    assert shown["most frequent class"] == "a: 70.0%"
    assert shown["values far outside the range"] == "1.2%"
    assert shown["start kept at the end"] == "4%"
    assert shown["information of labels, 0 to 1"] == "0.83"
    assert shown["directions of variation"] == "14"
    assert "mean confidence" not in shown
    assert re.search(r"Chosen: <code>--kernel .*</code> because r is not noise-conditioned\.", html)


@pytest.mark.parametrize(
    "said",
    [
        {"verdict": {"level": "fine", "reason": ""}},
        {"verdict": {"level": "good"}},
        {"verdict": "good"},
        {"figures": {"clipped": "<b>"}},
        {"chosen": {"because": 3, "trials": []}},
        {"chosen": {"because": "", "trials": [{"settings": {}, "merit": 1.0, "verdict": None}]}},
    ],
)
def test_a_manifest_that_says_something_else_is_damaged(tmp_path: Path, said: dict[str, Any]) -> None:
    with pytest.raises(ArchiveError, match=rf"is damaged \({next(iter(said))} is"):
        Archive.open(bare(tmp_path / "a", **said))


def test_a_set_written_from_python_leads_with_its_verdict(tmp_path: Path) -> None:
    r = wrap(lambda x: 0.0 * x, (1, 8, 8))
    done = sample(r, None, tmp_path / "s", walks=128)
    assert done.result["verdict"]["level"] == "broken"
    report(tmp_path / "s", tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text()
    assert html.index("<b>Broken:</b>") < html.index("reinject inspect MODELS") < html.index('<p class="headline">')
