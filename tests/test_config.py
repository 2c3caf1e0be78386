"""Configuration files, forecasts, the log, the shell's completion, the doctor."""

import json
import math
import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reinject import Archive
from reinject.base.errors import ArgumentError
from reinject.cli.config import as_toml, options_in
from reinject.cli.options import numbers_of
from reinject.sampling.presets import Settings, choose, classes_of, settings_of, words_of
from reinject.walks.kernel_options import options_of
from reinject.walks.kernels import KERNELS
from test_cli import REINJECT, run

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False), TEXT)


@given(st.dictionaries(st.sampled_from(["walks", "class-weights", "k"]), st.one_of(VALUES, st.lists(TEXT, min_size=1))))
def test_what_is_written_is_read(values: dict[str, object]) -> None:
    assert tomllib.loads(as_toml("sample", values)) == {"command": "sample", **values}


@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("c") / "run.toml"
    path.write_bytes(data)
    try:
        found = options_in(path, "sample", {"walks": "walks", "k": "k"})
    except ArgumentError as refused:
        sentence = str(refused)
    else:
        sentence = ""
        assert found.keys() <= {"walks", "k"}
    assert "\n" not in sentence


def samples(folder: Path) -> dict[str, Any]:
    """All of it but the words in which it was asked for."""
    kept = ("*.parquet", "README.md")
    files = {str(path.relative_to(folder)): path.read_bytes() for kind in kept for path in folder.rglob(kind)}
    manifest = json.loads((folder / "manifest.json").read_text())
    return {**files, "manifest": {name: value for name, value in manifest.items() if name != "asked"}}


@pytest.mark.parametrize(
    "options",
    [
        "--preset paper",
        "--sigma geometric:.3r:.05r --classes 3,1 --guidance 2",
        "--kernel half-denoising --sigma .2 --steps 14 --store float --confidence 0.3 --quota even",
        "--labels none --box 0,1 --no-latent",
        "--preset paper --burn-in 0",  # the preset's is 2
        "--kernel langevin --lam 0.2 --noise matched --burn-in 0 --classes 3 --guidance 0",
    ],
)
def test_every_run_leaves_the_file_that_makes_it_again(models: Path, tmp_path: Path, options: str) -> None:
    first, again = tmp_path / "a", tmp_path / "b"
    assert run("sample", models, "--out", first, "--walks", 40, "--seed", 3, *options.split(" "))[0] == 0
    assert run("sample", "--config", first / "run.toml", "--out", again)[0] == 0
    assert samples(again) == samples(first)
    assert run("verify", first)[0] == 0
    kept = tomllib.loads((first / "run.toml").read_text())
    assert kept["kernel"]
    assert kept["steps"] > 0  # the settings themselves: presets may change from version to version
    assert {**kept, "out": ""} == {**tomllib.loads((again / "run.toml").read_text()), "out": ""}


def test_what_is_given_goes_first(models: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(f'models = ["{models}"]\nwalks = 30\npreset = "paper"\nblock_size = 16\n')
    assert run("sample", "--config", tmp_path / "c.toml", "--out", tmp_path / "s", "--walks", 20)[0] == 0
    parameters = Archive.open(tmp_path / "s").manifest["parameters"]
    assert (parameters["walks"], parameters["block_size"], parameters["preset"]) == (20, 16, "paper")


def test_an_appended_run_leaves_its_own_file(models: Path, tmp_path: Path) -> None:
    for more in ([], ["--append"], ["--append"]):
        assert run("sample", models, "--out", tmp_path / "s", "--walks", 20, "--preset", "paper", *more)[0] == 0
    files = sorted(path.name for path in (tmp_path / "s").glob("*.toml"))
    assert files == ["run-2.toml", "run-3.toml", "run.toml"]
    assert "append" not in tomllib.loads((tmp_path / "s" / "run.toml").read_text())
    for k, name in enumerate(("run.toml", "run-2.toml", "run-3.toml")):
        assert run("sample", "--config", tmp_path / "s" / name, "--out", tmp_path / "t")[0] == 0, k
    assert Archive.open(tmp_path / "t").rows == 3 * 20 * 9
    assert run("verify", tmp_path / "t")[0] == 0


def test_runs_into_one_folder_each_leave_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own.py").write_text(
        "import torch\nfrom torch import nn\ntorch.manual_seed(0)\n"
        "class A(nn.Module):\n    def forward(self, x): return 0.5 * x\n"
        "C = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))\n"
    )
    out, shape = tmp_path / "m", ("--shape", "1,4,4", "--range", "0,1", "--trust")
    first = ("import", f"{tmp_path}/own.py:A", "--out", out, *shape)
    for command in (first, ("import", f"{tmp_path}/own.py:C", "--as", "classifier", "--out", out, *shape), first):
        status, _, said = run(*command, *(["--overwrite"] if (out / "autoencoder").exists() else []))
        assert status == 0, said
    kept = {path.name: tomllib.loads(path.read_text()) for path in out.glob("*.toml")}
    assert {name: values.get("as") for name, values in kept.items()} == {"run.toml": None, "run-2.toml": ["classifier"]}
    assert not any("trust" in values for values in kept.values())
    (tmp_path / "evil.toml").write_text("trust = true\n")
    assert "'trust' is no option" in run(*first[:-1], "--config", tmp_path / "evil.toml")[2]


def test_a_full_disk_at_the_very_end_is_a_sentence(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.write_text

    def full(path: Path, *rest: Any, **options: Any) -> int:
        if path.name == "run.toml":
            raise OSError(28, "No space left on device", str(path))
        return whole(path, *rest, **options)

    monkeypatch.setattr(Path, "write_text", full)
    status, _, said = run("sample", models, "--out", tmp_path / "s", "--walks", 20)
    assert status == 1
    assert "No space left on device" in said
    assert Archive.open(tmp_path / "s").rows > 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("walk = 3", "'walk' is no option of sample. Did you mean walks"),
        ("walks = ", "is no TOML"),
        ('command = "train"', "is for reinject train. Run reinject train --config"),
        ("[sample]\nwalks = 3", "'sample' is no option of sample"),
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
    assert "is whole already" in run(*options[:-1], "--dry-run")[1]
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
