"""What a terminal shows while a job runs."""

import io
import sys

import pytest

from reinject.base.progress import Shown, Silent, histogram
from reinject.models.loading import load_models
from reinject.sampling.presets import DEFAULT
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec, Writing


def test_a_bar_shows_what_is_noted_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", screen)
    bars = Shown(bars=True)
    bars.note("before any task")
    with bars.task("sampling", 10, "samples") as advance:
        advance(5)
        bars.note("classes |▁█|")
    assert "sampling classes |▁█|" in screen.getvalue()
    assert "before any task" not in screen.getvalue()


@pytest.mark.parametrize("progress", [Silent(), Shown(bars=False)])
def test_logs_are_not_filled_with_notes(progress, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.task("sampling", 1, "samples") as advance:
        advance(1)
        progress.note("classes")
    assert capsys.readouterr().err == ""


def test_lines_and_the_log_say_what_a_long_task_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([0.0, 4.0])
    monkeypatch.setattr("reinject.base.progress.time.monotonic", lambda: next(clock))
    with caplog.at_level("INFO", "reinject"), Shown(bars=False).task("sampling", 10, "samples") as advance:
        advance(3)
        advance(7)
    assert capsys.readouterr().err == "sampling: 10 samples in 4.0 s (2.5 samples/s)\n"
    assert [record.getMessage() for record in caplog.records] == ["sampling: 10 samples", "sampling: done in 4.0 s"]


def test_the_class_histogram_is_that_of_the_shards_so_far(models, tmp_path) -> None:
    notes: list[str] = []

    class Watching(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    outcome = sample_models(
        load_models([models]),
        tmp_path / "s",
        SampleSpec(preset="default", settings=DEFAULT, block_size=20),
        walks=60,
        writing=Writing(progress=Watching()),
    )
    assert len(notes) == 3
    bars, effective = histogram(list(outcome.result["per_class"].values())), outcome.result["effective_labels"]
    assert notes[-1] == f"classes |{bars}|, {effective} effective"
    assert effective > 0


def test_histograms() -> None:
    assert histogram([]) == ""
    assert histogram([0, 0]) == "  "
    assert histogram([1000, 1]) == "█ "
