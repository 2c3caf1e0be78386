"""Configuration files, forecasts, the log, the shell's completion, the doctor."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reinject import Archive
from reinject.base.errors import ArgumentError
from reinject.cli.config import options_in
from reinject.cli.options import numbers_of
from reinject.sampling.presets import Settings, choose, classes_of, settings_of, words_of
from reinject.walks.kernel_options import options_of
from reinject.walks.kernels import KERNELS
from test_cli import REINJECT, run


@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("c") / "c.toml"
    path.write_bytes(data)
    try:
        found = options_in(path, "sample", {"walks": "walks", "k": "k"})
    except ArgumentError as refused:
        sentence = str(refused)
    else:
        sentence = ""
        assert found.keys() <= {"walks", "k"}
    assert "\n" not in sentence


def test_what_is_given_goes_first(models: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(f'models = ["{models}"]\nwalks = 30\npreset = "paper"\nblock_size = 16\n')
    assert run("sample", "--config", tmp_path / "c.toml", "--out", tmp_path / "s", "--walks", 20)[0] == 0
    parameters = Archive.open(tmp_path / "s").manifest["parameters"]
    assert (parameters["walks"], parameters["block_size"], parameters["preset"]) == (20, 16, "paper")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("walk = 3", "'walk' is not an option of sample. Did you mean walks"),
        ("walks = ", "is not TOML"),
        ('command = "train"', "is for reinject train. Run reinject train --config"),
        ("[sample]\nwalks = 3", "'sample' is not an option of sample"),
        ("[walks]\na = 3", "'walks' is a table"),
    ],
)
def test_files_that_are_none(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    status, _, said = run("sample", "--config", tmp_path / "c.toml", "--out", tmp_path / "s")
    assert status == 1
    assert why in said
    assert not (tmp_path / "s").exists()
    assert "No such file" in run("sample", "--config", tmp_path / "none.toml")[2]


def test_no_file_lets_code_run(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("trust = true\n")
    status, _, said = run("import", "own.py:A", "--config", tmp_path / "c.toml", "--out", tmp_path / "m")
    assert status == 1
    assert "'trust' is not an option of import" in said


def test_a_run_leaves_no_second_copy_of_its_options(models: Path, tmp_path: Path) -> None:
    """The manifest has them; runs of earlier versions left run.toml, which is no stranger in an archive."""
    assert run("sample", models, "--out", tmp_path / "s", "--walks", 20)[0] == 0
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"README.md", "data", "manifest.json"}
    (tmp_path / "s" / "run-2.toml").write_text("walks = 20\n")
    assert run("verify", tmp_path / "s")[0] == 0


def test_a_value_of_the_wrong_type_is_the_options_own_error(models: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('walks = "many"')
    status, _, said = run("sample", models, "--config", tmp_path / "c.toml", "--out", tmp_path / "s")
    assert status == 2
    assert "--walks" in said


def test_a_dry_run_writes_nothing_and_is_near(models: Path, tmp_path: Path) -> None:
    options = ["sample", models, "--out", tmp_path / "s", "--walks", 3000, "--block-size", 256, "--json"]
    status, text, _ = run(*options, "--dry-run")
    assert status == 0
    assert list(tmp_path.iterdir()) == []
    forecast = json.loads(text)
    assert run(*options)[0] == 0
    archive = Archive.open(tmp_path / "s")
    assert forecast["rows"] == archive.rows
    assert forecast["bytes"] == pytest.approx(sum(shard["bytes"] for shard in archive.manifest["shards"]), rel=0.1)
    assert forecast["memory_bytes"] > 50e6
    assert "is complete already" in run(*options[:-1], "--dry-run")[1]
    status, _, said = run(*options, "--dry-run", "--seed", 1)
    assert status == 1
    assert "already holds something" in said


def test_a_forecast_says_when_the_disk_is_too_small(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6 - 5000, 5000))  # type: ignore[attr-defined]
    status, text, said = run("sample", models, "--out", tmp_path / "s", "--walks", 500, "--dry-run")
    assert status == 1
    assert "would write" in text
    assert "are needed, 5 kB are free" in said


def test_the_log(models: Path, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "l.txt"
    good = [*REINJECT, "--log", str(log), "sample", str(models), "--out", str(tmp_path / "s"), "--walks", "30"]
    assert subprocess.run(good, capture_output=True, check=False).returncode == 0
    other = subprocess.run([*good, "--seed", "1"], capture_output=True, check=False)
    assert other.returncode == 1  # something is there already
    lines = log.read_text().splitlines()
    assert any("INFO sampling: done in" in line for line in lines)
    assert "ERROR" in lines[-1]
    assert "already holds something" in lines[-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("reinject sample --kernel la", "langevin"),
        ("reinject sample --preset p", "paper"),
        ("reinject evaluate s --judge mem", "memorisation membership"),
        ("reinject evaluate s --against fash", "fashion_mnist"),
        ("reinject ev", "evaluate"),
    ],
)
def test_completion(words: str, expected: str) -> None:
    environment = {
        **os.environ,
        "_REINJECT_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    program = [sys.executable, "-c", "from reinject.cli import app; app(prog_name='reinject')"]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == expected.split()


def test_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    status, text, _ = run("doctor", "--data-dir", tmp_path, "--json")
    found = json.loads(text)
    assert status == 0
    assert found["data"]["mnist"] == str(tmp_path / "mnist")
    assert "hub" in found["data"]["cifar10"]
    assert found["packages"]["torch"].startswith("2.")
    monkeypatch.delenv("REINJECT_DATA", raising=False)
    monkeypatch.chdir(tmp_path.parent)
    assert "set REINJECT_DATA" in run("doctor")[1]


@given(
    st.sampled_from(sorted(KERNELS)),
    st.integers(1, 50),
    st.integers(0, 5),
    st.sampled_from([(), (2,), (1, 0, 2)]),
    st.floats(0, 10),
    st.sampled_from([None, (0.0, 1.0), (-1.5, 2.25)]),
    st.sampled_from([math.inf, 1e6, 3.5]),
)
def test_settings_survive_being_words(
    kernel: str,
    steps: int,
    burn_in: int,
    classes: tuple[int, ...],
    guidance: float,
    box: tuple[float, float] | None,
    limit: float,
) -> None:
    given = {"steps": steps, "burn_in": burn_in, "box": box, "limit": limit, "thin": 2, "emit": "state"}
    guided = {"classes": classes, "guidance": guidance} if classes else {}
    settings = replace(settings_of(kernel), **given, **guided)  # type: ignore[arg-type]
    assert words_back(words_of(settings, ("a", "b", "c"))) == settings


def words_back(words: list[str]) -> Settings:
    """As the command line reads them."""
    values: dict[str, Any] = {
        name[2:].replace("-", "_"): text for name, text in zip(words[::2], words[1::2], strict=True)
    }
    kernel = values.pop("kernel")
    options = {item.name: values.pop(item.name) for item in options_of(kernel) if item.name in values}
    for name, read in {"steps": int, "burn_in": int, "thin": int, "guidance": float, "limit": float}.items():
        values |= {name: read(values[name])} if name in values else {}
    classes = classes_of(values.pop("classes", None), ("a", "b", "c"))
    box = numbers_of("--box", values.pop("box")) if "box" in values else None
    return choose(None, kernel, options, classes=classes, box=box, **values)[1]
