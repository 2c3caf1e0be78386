"""The command line as a user meets it: results, JSON, and one sentence with a non-zero exit for every mistake."""

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from PIL import Image
from scipy.stats import spearmanr
from typer.testing import CliRunner

from reinject import Archive, data
from reinject.cli import app
from reinject.models.loading import Models, with_student
from reinject.sampling.presets import PRESETS
from reinject.sampling.sample_spec import SampleSpec
from reinject.walks.kernels import KERNELS
from reinject.walks.verdict import LEVELS

REINJECT = [sys.executable, "-c", "from reinject.cli import main; main()"]


def run(*arguments: object) -> tuple[int, str, str]:
    """What a command prints; the verdict on walks of networks that are hardly trained is not looked at here."""
    forced = ("--force",) if arguments[0] == "sample" and "--help" not in arguments else ()
    result = CliRunner().invoke(app, [*map(str, arguments), *forced])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def sentence(*arguments: object) -> str:
    """What a failing command says: one line, and an exit status that is not 0."""
    status, _, error = run(*arguments)
    lines = error.strip().splitlines()
    assert status not in (0, None)
    assert len(lines) == 1, error
    return lines[0]


def followed(folder: Path) -> dict[str, Any]:
    """What diagnose says of an archive."""
    status, text, _ = run("diagnose", folder, "--json")
    assert status == 0
    return dict(json.loads(text))


@pytest.mark.usefixtures("quick_students")
def test_sample_and_evaluate_print_json_and_nothing_else(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    status, text, _ = run("sample", models, "--out", out, "--walks", 1400, "--json")
    result = json.loads(text)
    assert status == 0
    assert result["rows"] == Archive.open(out).rows == 1400
    assert sum(result["per_class"].values()) == 1400
    status, text, _ = run("evaluate", out, "--against", "digits", "--seeds", 1, "--json", "--out", tmp_path / "e")
    metrics = json.loads(text)
    assert status == 0
    assert 0 < metrics["utility"]["ratio"]["mean"] < 1.2
    assert metrics == json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert "start remembered after" in (tmp_path / "e" / "report.html").read_text()


def test_a_share_has_a_classifier_taught_first(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a set that is walked as the whole one will be, whatever is kept of that."""
    asked: dict[str, Any] = {}

    def spy(loaded: Models, out: Path, spec: SampleSpec, **options: Any) -> Models:
        asked.update(out=out, spec=spec, **options)
        return with_student(loaded, models)

    monkeypatch.setattr("reinject.sampling.taught.taught", spy)
    options = ("--seed", 3, "--block-size", 64, "--steps", 12, "--burn-in", 11)
    out = tmp_path / "s"
    assert run("sample", models, "--out", out, "--walks", 100, "--unlearned", 0.5, *options)[0] == 0
    assert asked["out"] == out
    assert (asked["spec"].preset, asked["seed"], asked["spec"].block_size) == ("auto", 3, 64)
    assert asked["spec"].settings.steps == 12
    manifest = Archive.open(out).manifest
    assert manifest["parameters"]["selection"]["unlearned"] == 0.5
    assert [Path(one["folder"]).name for one in manifest["models"]["students"]] == ["classifier"]
    asked.clear()
    refused = sentence("sample", models, "--out", tmp_path / "d", "--walks", 100, "--unlearned", 0.5, "--dry-run")
    assert "--dry-run: writes nothing, but --unlearned trains a classifier" in refused
    assert not asked


def test_every_documented_option_of_sample(models: Path, tmp_path: Path) -> None:
    text = "--walks 50 --steps 6 --burn-in 3 --lam 0.2 --noise matched --emit state --start normal --seed 7"
    options = text.split(" ")
    assert run("sample", models, "--out", tmp_path / "s", *options)[0] == 0
    parameters = Archive.open(tmp_path / "s").manifest["parameters"]
    assert "lam=0.2, noise='matched'" in parameters["kernel"]
    assert "Langevin" in parameters["kernel"]
    assert {k: parameters[k] for k in ("walks", "steps", "burn_in", "emit", "seed")} == {
        "walks": 50, "steps": 6, "burn_in": 3, "emit": "state", "seed": 7,
    }  # fmt: skip
    assert Archive.open(tmp_path / "s").rows == 50 * 4


def test_steps_without_thin_keep_every_state(models: Path, tmp_path: Path) -> None:
    run("sample", models, "--out", tmp_path / "s", "--walks", 10, "--steps", 12, "--burn-in", 4)
    assert Archive.open(tmp_path / "s").rows == 10 * 9


def test_an_output_below_a_file_is_one_sentence(models: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "choose another --out" in sentence("sample", models, "--out", tmp_path / "file" / "s", "--walks", 10)


def test_the_paper_preset_is_the_listing(models: Path, tmp_path: Path) -> None:
    run("sample", models, "--out", tmp_path / "s", "--preset", "paper", "--walks", 20)
    parameters = Archive.open(tmp_path / "s").manifest["parameters"]
    assert "lam=0.1, noise='printed'" in parameters["kernel"]
    assert parameters["start"] == "Normal(std=1.0)"
    assert (parameters["steps"], parameters["burn_in"], parameters["emit"]) == (10, 2, "state")


def test_same_seed_same_bytes(models: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run("sample", models, "--out", tmp_path / name, "--walks", 40, "--seed", seed)
    a, b, c = ((tmp_path / name / "data/shard-000000.parquet").read_bytes() for name in "abc")
    assert a == b != c


def test_several_models_share_the_walks(models: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(models, other)
    run("sample", models, other, "--out", tmp_path / "s", "--walks", 10)
    (table,) = Archive.open(tmp_path / "s").tables(["walk", "model"])
    assert all(row["model"] == row["walk"] % 2 for row in table.to_pylist())


BAD_SAMPLE = {
    "lam": (["--lam", "0"], "lam = 0.0 is not a positive number"),
    "negative lam": (["--lam", "-1"], "lam = -1.0"),
    "noise": (["--noise", "loud"], "noise = 'loud'"),
    "steps": (["--steps", "3", "--burn-in", "5"], "steps = 3 < burn_in = 5"),
    "walks": (["--walks", "0"], "walks = 0"),
    "emit": (["--emit", "both"], "emit = 'both'"),
    "start": (["--start", "gauss"], "start: 'gauss'"),
    "store": (["--store", "int4"], "'int4'"),
    "preset": (["--preset", "best"], "--preset: 'best'"),
    "kernel": (["--kernel", "gibbs"], "--kernel: 'gibbs'"),
    "lam of another kernel": (
        ["--kernel", "ancestral", "--lam", "0.1"],
        "but no lam. Leave it out, or use --kernel langevin",
    ),
    "option of no such kernel": (["--kernel", "langevin", "--sigma", ".5"], "use --kernel ancestral"),
    "schedule": (["--kernel", "half-denoising", "--sigma", "zigzag:1:2"], "--sigma: 'zigzag:1:2' is not understood"),
    "short schedule": (["--kernel", "half-denoising", "--sigma", "steps:1,2"], "ends at x_1, the walk goes to x_30"),
    "count": (["--kernel", "metropolis", "--order", "four"], "--order: 'four' is not a number"),
    "no encoder": (["--kernel", "tangent"], "--autoencoder mlp or conv"),
    "told the level": (["--kernel", "self-tuning"], "--objective denoising --autoencoder mlp --spread 0.9"),
    "mistyped kernel": (["--kernel", "half-denoise"], "Did you mean half-denoising"),
    "uniform start": (["--start", "uniform"], "does not fit the multistep kernel"),
    "device": (["--device", "toaster"], "toaster"),
}


@pytest.mark.parametrize(("options", "message"), BAD_SAMPLE.values(), ids=BAD_SAMPLE.keys())
def test_bad_options_of_sample(models: Path, tmp_path: Path, options: list[str], message: str) -> None:
    assert message in sentence("sample", models, "--out", tmp_path / "s", *options)
    assert not list(tmp_path.iterdir())


def test_mistyped_options_are_refused_by_name(models: Path, tmp_path: Path) -> None:
    status, _, error = run("sample", models, "--out", tmp_path / "s", "--walk", "5")
    assert status == 2
    assert "--walk" in error
    assert run("smaple")[0] == 2


def test_bad_models(models: Path, tmp_path: Path) -> None:
    assert "no such folder of models" in sentence("sample", tmp_path / "none", "--out", tmp_path / "s")
    broken = tmp_path / "broken"
    shutil.copytree(models, broken)
    weights = broken / "autoencoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "truncated" in sentence("sample", broken, "--out", tmp_path / "s")
    weights.unlink()
    assert "has no model.safetensors" in sentence("sample", broken, "--out", tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_bad_train(tmp_path: Path) -> None:
    out = tmp_path / "m"
    assert "Did you mean digits" in sentence("train", "digts", "--out", out)
    assert "--autoencoder: 'vae'" in sentence("train", "digits", "--out", out, "--autoencoder", "vae")
    assert "--value-range" in sentence("train", "digits", "--out", out, "--value-range", "1,0")
    assert "--value-range" in sentence("train", "digits", "--out", out, "--value-range", "wide")
    (tmp_path / "empty").mkdir()
    assert "no readable data set" in sentence("train", tmp_path / "empty", "--out", out)
    assert not out.exists()


def test_bad_evaluate(models: Path, tmp_path: Path) -> None:
    assert "no archive there" in sentence("evaluate", tmp_path / "none", "--against", "digits")
    run("sample", models, "--out", tmp_path / "s", "--walks", 20)
    assert "fewer than the 1347 real" in sentence(
        "evaluate", tmp_path / "s", "--against", "digits", "--judge", "utility"
    )
    assert "Did you mean digits" in sentence("evaluate", tmp_path / "s", "--against", "digit")
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for k in range(8):
            Image.new("L", (5, 4), k).save(tmp_path / "set" / name / f"{k}.png")
    assert "has images (1, 4, 5)" in sentence("evaluate", tmp_path / "s", "--against", tmp_path / "set")
    assert "is not there" in sentence(
        "evaluate", tmp_path / "s", "--against", "digits", "--models", tmp_path / "elsewhere"
    )


def test_an_output_in_use_is_refused_and_kept(models: Path, tmp_path: Path) -> None:
    run("sample", models, "--out", tmp_path / "s", "--walks", 10)
    before = (tmp_path / "s" / "manifest.json").read_bytes()
    assert "--overwrite" in sentence("sample", models, "--out", tmp_path / "s", "--walks", 11)
    assert "already holds something" in sentence("train", "digits", "--out", tmp_path / "s")
    assert "reinject did not make it" in sentence("train", "digits", "--out", tmp_path / "s", "--overwrite")
    assert (tmp_path / "s" / "manifest.json").read_bytes() == before
    assert run("sample", models, "--out", tmp_path / "s", "--walks", 20, "--overwrite")[0] == 0
    assert Archive.open(tmp_path / "s").manifest["parameters"]["walks"] == 20


def test_ctrl_c_says_so_and_the_same_command_goes_on(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    command = [*REINJECT, "sample", models, "--out", out, "--walks", "60000", "--block-size", "512"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    entries = tmp_path / "s.partial"
    while process.poll() is None and not list(entries.glob("shard-000002.json")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert process.returncode == 130
    assert error.strip().splitlines()[-1].startswith("reinject: interrupted. Finished parts are kept")
    assert not out.exists()
    finished = {path: path.stat().st_mtime_ns for path in (entries / "data").glob("*.parquet")}
    assert finished
    again = ["sample", models, "--out", out, "--walks", 60000, "--block-size", 512, "--seed", 1]
    assert "differs in parameters.seed (0 there, 1 here)" in sentence(*again)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


def test_a_disk_that_is_full_is_one_sentence(models: Path, tmp_path: Path) -> None:
    """A file-size limit stands in for a full disk: the kernel refuses the write in the same way."""
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "from reinject.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "sample", models, "--out", tmp_path / "s", "--walks", "2000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "File too large. Free space or choose another --out" in done.stderr
    assert not (tmp_path / "s").exists()


def test_train_by_command_and_resume(tmp_path: Path) -> None:
    out = tmp_path / "m"
    options = ["--out", out, "--autoencoder", "mlp", "--epochs", 1, "--classifier-epochs", 1, "--device", "cpu"]
    status, text, _ = run("train", "digits", *options, "--json")
    assert status == 0
    assert 0 < json.loads(text)["classifier"]["test_accuracy"] <= 1
    for name in ("autoencoder", "classifier"):
        assert {"config.json", "model.safetensors", "training.json"} <= {path.name for path in (out / name).iterdir()}
    config = json.loads((out / "autoencoder" / "config.json").read_text())
    assert config["architecture"] == "MLPAutoencoder"
    assert config["inputs"]["class_names"] == [str(k) for k in range(10)]
    curve = json.loads((out / "autoencoder" / "training.json").read_text())["loss_curve"]
    assert {"step", "epoch", "train", "validation"} <= curve[0].keys()
    assert (out / "autoencoder" / "moments.safetensors").is_file()
    status, text, _ = run("sample", out, "--out", tmp_path / "s", "--walks", 10)
    assert status == 0
    assert text.startswith("chosen: --kernel half-denoising")
    assert "start codes" in text.splitlines()[0]
    assert text.splitlines()[-1].startswith("verdict: ")


@pytest.mark.parametrize("command", ["sample", "train", "evaluate", "import", "tune"])
def test_the_help_shows_a_dozen_options_first_and_the_rest_in_a_line_each(command: str) -> None:
    found = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    context = found.make_context(command, [], resilient_parsing=True)
    options = [one for one in found.get_params(context) if one.param_type_name == "option"]
    first = [one for one in options if not getattr(one, "rich_help_panel", None)]
    assert 8 <= len(first) <= 14
    for one in options:
        if one not in first:
            assert one.rich_help_panel.startswith("Advanced"), one.name
            assert len(one.help or "") <= 85, (
                one.help
            )  # a line of a terminal of 120 columns, in all panels but wide ones


def test_version_and_help() -> None:
    from reinject import __version__

    assert run("--version")[1].strip() == __version__
    for command in ("demo", "train", "sample", "evaluate"):
        status, text, _ = run(command, "--help")
        assert status == 0
        assert "--json" in text
        assert "--seed" in text


@pytest.fixture(scope="module")
def blind_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bottleneck denoiser that is not told the noise level: it has a code, and can be walked by self-tuning."""
    out = tmp_path_factory.mktemp("blind") / "models"
    options = ["--objective", "denoising", "--autoencoder", "mlp", "--spread", "0.9", "--device", "cpu"]
    assert run("train", "digits", "--out", out, *options, "--epochs", 20, "--classifier-epochs", 5)[0] == 0
    return out


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_runs_on_what_train_makes(kernel: str, models: Path, blind_models: Path, tmp_path: Path) -> None:
    folder = blind_models if kernel in ("tangent", "self-tuning") else models
    status, _, error = run("sample", folder, "--out", tmp_path / "s", "--kernel", kernel, "--walks", 20)
    assert status == 0, error
    archive = Archive.open(tmp_path / "s")
    assert archive.rows >= 20
    assert archive.manifest["counts"]["stopped_walks"] == 0


def test_kernels_are_listed_with_their_options() -> None:
    status, text, _ = run("kernels")
    assert status == 0
    assert "half-denoising: Add noise, then go half the way back: y = x + sigma z" in text
    assert "--sigma 0.5" in text
    assert json.loads(run("kernels", "--json")[1])["underdamped"]["options"]["step-size"]["default"] == "1.0"
    help_text = run("sample", "--help")[1]
    for option in ("--sigma", "--eta", "--step-size", "--sigma-stop", "--noise"):
        assert option in help_text


def shards(out: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((out / "data").iterdir())]


def test_the_archive_is_the_same_for_any_number_of_workers(models: Path, tmp_path: Path) -> None:
    common = ["--walks", 300, "--block-size", 64]
    assert run("sample", models, "--out", tmp_path / "here", *common)[0] == 0
    for workers in (1, 2, 4):
        out = tmp_path / str(workers)
        assert run("sample", models, "--out", out, *common, "--workers", workers)[0] == 0
        assert shards(out) == shards(tmp_path / "here")
        manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (out, tmp_path / "here")]
        assert manifests[0] == manifests[1]
    assert "--workers: 0 processes" in sentence("sample", models, "--out", tmp_path / "x", "--workers", 0)


@pytest.mark.parametrize("kills", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_moments_and_resumed_is_the_same(models: Path, tmp_path: Path, kills: int) -> None:
    """Kills without warning, in this process or with two workers; then the bytes of a run that was never cut."""
    common = ["--walks", "3000", "--block-size", "100"]
    assert run("sample", models, "--out", tmp_path / "whole", *common)[0] == 0
    moments = random.Random(0)
    out = tmp_path / "cut"
    for kill in range(kills):
        workers = ["--workers", "2"] if kill % 2 else []
        process = subprocess.Popen(
            [*REINJECT, "sample", models, "--out", out, *common, *workers],
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        wanted = len(list(tmp_path.glob("cut.partial/shard-*.json"))) + moments.randrange(3)
        while process.poll() is None and len(list(tmp_path.glob("cut.partial/shard-*.json"))) < min(wanted, 25):
            time.sleep(0.01)
        time.sleep(moments.random() * 0.1)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not out.exists()
    assert run("sample", models, "--out", out, *common)[0] == 0
    assert shards(out) == shards(tmp_path / "whole")


def test_ctrl_c_ends_the_workers_too(models: Path, tmp_path: Path) -> None:
    command = [*REINJECT, "sample", models, "--out", tmp_path / "s", "--walks", "60000", "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None and not list(tmp_path.glob("s.partial/shard-*.json")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.strip().splitlines()[-1].startswith("reinject: interrupted. Finished parts are kept")
    assert "Traceback" not in error
    with pytest.raises(ProcessLookupError):  # noqa: PT012
        while True:  # the tracker of shared memory ends a moment after its parent
            os.killpg(process.pid, 0)
            time.sleep(0.05)


def test_classes_can_be_asked_for_and_balanced(models: Path, tmp_path: Path) -> None:
    options = ["--walks", 40, "--guidance", 3]
    assert run("sample", models, "--out", tmp_path / "threes", "--classes", "3", *options)[0] == 0
    counts = Archive.open(tmp_path / "threes").manifest["counts"]["per_class"]
    assert counts[3] > 0.9 * sum(counts)
    assert run("sample", models, "--out", tmp_path / "all", "--classes", "all", *options)[0] == 0
    counts = Archive.open(tmp_path / "all").manifest["counts"]["per_class"]
    assert min(counts) > 0.06 * sum(counts)
    assert "'cat' is not a class" in sentence("sample", models, "--out", tmp_path / "x", "--classes", "3,cat")
    assert "no classes are given" in sentence("sample", models, "--out", tmp_path / "x", "--guidance", "3")


def test_walks_can_be_bounded_limited_and_latent(models: Path, blind_models: Path, tmp_path: Path) -> None:
    base = ["--walks", 30, "--store", "float", "--kernel", "langevin", "--noise", ".3"]
    assert run("sample", models, "--out", tmp_path / "b", *base, "--box", "0,1")[0] == 0
    x, _ = Archive.open(tmp_path / "b").read()
    assert x.min() >= 0
    assert x.max() <= 1
    assert run("sample", models, "--out", tmp_path / "l", *base, "--limit", "2.6")[0] == 0
    assert Archive.open(tmp_path / "l").manifest["counts"]["strayed_walks"] > 0
    assert run("sample", blind_models, "--out", tmp_path / "h", *base, "--latent")[0] == 0
    assert Archive.open(tmp_path / "h").event_shape == (1, 8, 8)
    assert "no code space" in sentence("sample", models, "--out", tmp_path / "x", *base, "--latent")
    assert followed(tmp_path / "b")["effective_samples_a_second"] > 0
    for name in "blh":
        assert -1 < followed(tmp_path / name)["start_remembered"]["share"] <= 1


def test_diagnose_follows_walks_that_end_at_different_steps(blind_models: Path, tmp_path: Path) -> None:
    options = ["--walks", 30, "--kernel", "self-tuning", "--sigma-stop", ".01"]
    assert run("sample", blind_models, "--out", tmp_path / "s", *options)[0] == 0
    assert -1 < followed(tmp_path / "s")["start_remembered"]["share"] < 1


def test_a_preset_file_keeps_what_the_command_line_does_not_say(models: Path, tmp_path: Path) -> None:
    settings = replace(PRESETS["default"], classes=(3,), guidance=3.0)
    (tmp_path / "threes.json").write_text(json.dumps(settings.as_json()))
    options = ["--preset", tmp_path / "threes.json", "--walks", 40]
    assert run("sample", models, "--out", tmp_path / "s", *options, "--steps", "20", "--burn-in", "20")[0] == 0
    made = Archive.open(tmp_path / "s").manifest["parameters"]["settings"]
    assert (made["classes"], made["guidance"], made["steps"]) == ([3], 3.0, 20)


def test_walks_start_from_data_and_go_on_from_an_archive(models: Path, tmp_path: Path) -> None:
    quiet = ["--walks", 30, "--store", "float", "--kernel", "langevin", "--noise", "1e-9", "--lam", "1e-9"]
    first = [*quiet, "--steps", 0, "--burn-in", 0]
    assert run("sample", models, "--out", tmp_path / "d", *first, "--start", "data:digits")[0] == 0
    x, _ = Archive.open(tmp_path / "d").read()
    real = data.load("digits").train.x
    assert all(((image - real / 255).abs().flatten(1).amax(1) < 1e-6).any() for image in x)
    assert run("sample", models, "--out", tmp_path / "f", *first, "--start", "fitted:digits")[0] == 0
    longer = [*quiet[:4], "--steps", 4, "--burn-in", 1]
    assert run("sample", models, "--out", tmp_path / "a", *longer)[0] == 0
    assert run("sample", models, "--out", tmp_path / "b", *first, "--start", f"archive:{tmp_path / 'a'}")[0] == 0
    a, b = (Archive.open(tmp_path / name).read()[0] for name in "ab")
    torch.testing.assert_close(b, a[-30:])  # one block: the last step of every walk is at the end
    for start, message in (("data:", "names no data"), ("archive:none", "no archive there")):
        assert message in sentence("sample", models, "--out", tmp_path / "x", "--start", start)


def test_diagnose_tells_a_walk_that_mixes_from_one_that_does_not(models: Path, tmp_path: Path) -> None:
    found = {}
    for preset in ("default", "paper"):
        out = tmp_path / preset
        assert run("sample", models, "--out", out, "--preset", preset, "--walks", 300)[0] == 0
        status, text, _ = run("diagnose", out, "--json")
        assert status == 0
        found[preset] = json.loads(text)
    good, bad = found["default"], found["paper"]
    assert good["walks_followed"] == 300
    assert set(good["convergence"]) == {
        "energy",
        *(f"axis {k}" for k in (1, 2, 3)),
        *(f"P(class {k})" for k in range(10)),
    }
    assert good["convergence"]["axis 1"]["rhat"] < 1.2 < bad["convergence"]["axis 1"]["rhat"]
    assert good["convergence"]["axis 1"]["ess"] > 2 * bad["convergence"]["axis 1"]["ess"]
    assert good["start_remembered"]["share"] < 0.02 < abs(bad["start_remembered"]["by_axis"][0])
    assert good["label_switches"] > bad["label_switches"]
    assert good["accepted"] is None
    assert "R-hat" in run("diagnose", tmp_path / "paper")[1]


def test_diagnose_has_acceptance_and_says_what_is_missing(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    options = ["--kernel", "metropolis", "--walks", 20, "--steps", 4, "--burn-in", 2, "--start", "data:digits"]
    assert run("sample", models, "--out", out, *options)[0] == 0
    text = run("diagnose", out)[1]
    assert "walks have fewer than 4 draws" in text
    assert "accepted 0." in text or "accepted 1." in text
    assert "asymmetry" in text
    assert "start remembered" not in text  # the start's data is not at hand
    assert "no archive there" in sentence("diagnose", tmp_path / "none")
    assert "is not there. Give its folder with --models" in sentence("diagnose", out, "--models", tmp_path / "none")
    assert run("diagnose", out, "--models", tmp_path / "none", "--models", models)[0] == 0  # found by its hash


def test_walks_that_began_at_data_are_appended_and_traced(models: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "s", ["--start", "data:digits", "--kernel", "ancestral", "--block-size", 16, "--seed", 3]
    assert run("sample", models, "--out", out, "--walks", 40, *options)[0] == 0
    assert run("sample", models, "--out", out, "--walks", 30, "--append", *options)[0] == 0
    status, text, _ = run("trace", out, "--random", 200, "--json")
    assert status == 0
    assert json.loads(text)["same"] == 200
    assert {row["walk"] >= 48 for row in json.loads(text)["rows"]} == {True, False}  # of both ranges


def test_a_set_of_one_sample_is_too_small_to_judge_and_not_broken(models: Path, tmp_path: Path) -> None:
    status, text, _ = run("sample", models, "--out", tmp_path / "s", "--rows", 1)
    assert status == 0
    assert "verdict: doubtful: one sample is too few to judge" in text


def test_walks_of_another_noise_are_not_appended_and_the_sentence_is_short(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    assert run("sample", models, "--out", out, "--walks", 20, "--eta", 0)[0] == 0
    said = sentence("sample", models, "--out", out, "--walks", 20, "--append")
    assert "parameters.kernel, parameters.settings.options.eta (0 there, 1 here)" in said
    assert len(said) < 300


def test_ranges_have_to_rise(models: Path, tmp_path: Path) -> None:
    assert "--box: '1,0' is not a range" in sentence("sample", models, "--out", tmp_path / "s", "--box", "1,0")


def test_tune_ranks_candidates_and_its_preset_is_sampled(models: Path, tmp_path: Path) -> None:
    best = tmp_path / "best.json"
    status, text, _ = run("tune", models, "--walks", 64, "--out", best, "--json")
    assert status == 0
    rows = json.loads(text)["candidates"]
    ranks = [(LEVELS.index(row["verdict"]["level"]), -row["merit"]) for row in rows]
    assert ranks == sorted(ranks)
    assert all(0 <= row["merit"] <= 1 for row in rows)
    assert {"ancestral", "annealed", "half-denoising", "langevin"} <= {row["settings"]["kernel"] for row in rows}
    assert any(abs(row["figures"]["remembered"]) > 0.001 for row in rows)
    assert run("sample", models, "--out", tmp_path / "s", "--preset", best, "--walks", 20)[0] == 0
    kernel = Archive.open(tmp_path / "s").manifest["parameters"]["settings"]["kernel"]
    assert kernel == rows[0]["settings"]["kernel"]
    assert Archive.open(tmp_path / "s").manifest["parameters"]["preset"] == "best"
    assert "already exists" in sentence("tune", models, "--out", best)
    assert "no such file" in sentence("sample", models, "--out", tmp_path / "x", "--preset", tmp_path / "none.json")
    best.write_text("{}")
    assert "is not a preset" in sentence("sample", models, "--out", tmp_path / "x", "--preset", best)


def test_tune_serves_models_that_are_not_told_the_level(blind_models: Path) -> None:
    status, text, _ = run("tune", blind_models, "--walks", 32, "--json")
    assert status == 0
    settings = [row["settings"] for row in json.loads(text)["candidates"]]
    assert {"tangent", "self-tuning", "reinjection"} <= {one["kernel"] for one in settings}
    assert {"codes", "normal"} == {one["start"] for one in settings}  # the automatic choice's own are among them
    assert json.loads(text)["lam_source"] == "unknown"


def test_the_best_of_tune_is_sampled_from_codes(
    blind_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reinject.evaluation.tune.candidates", lambda *_: ())
    for words, start in (((), "codes"), (("--data", "digits"), "codes:digits")):
        best, out = tmp_path / "best.json", tmp_path / "s"
        status, text, error = run("tune", blind_models, "--out", best, "--overwrite", *words)
        assert status == 0, error
        assert text.splitlines()[-1].startswith(f"The best is in {best}. Next: reinject sample {blind_models} --preset")
        assert json.loads(best.read_text())["start"] == start
        assert run("sample", blind_models, "--out", out, "--preset", best, "--walks", 20, "--overwrite")[0] == 0
        assert Archive.open(out).manifest["parameters"]["settings"]["start"] == start


def test_tune_by_real_data_ranks_by_utility_and_knows_lambda(blind_models: Path, tmp_path: Path) -> None:
    status, text, _ = run("tune", blind_models, "--walks", 32, "--data", "digits", "--json")
    found = json.loads(text)
    assert status == 0
    taught = [row for row in found["candidates"] if row["utility"] is not None]
    assert len(taught) == found["agreement"]["over"] == 6
    ranks = [(LEVELS.index(row["verdict"]["level"]), -row["utility"]) for row in taught]
    assert ranks == sorted(ranks)
    assert all(0 < row["samples"] <= 5000 and row["utility"] <= 1 for row in taught)
    pairs = [(row["merit"], row["utility"]) for row in taught]
    assert spearmanr(pairs).statistic == pytest.approx(found["agreement"]["rank_correlation"], abs=0.06)
    assert "Stein's identity" in found["lam_source"]
    sigma = math.sqrt(found["lam"] / 2)
    assert any(row["settings"]["options"].get("sigma") == f"{sigma:.4g}" for row in found["candidates"])
    for name in ("red", "blue"):
        (tmp_path / "other" / name).mkdir(parents=True)
        for k in range(8):
            Image.new("RGB", (4, 4), (k, 0, 0)).save(tmp_path / "other" / name / f"{k}.png")
    assert "Give the models' training data" in sentence("tune", blind_models, "--data", tmp_path / "other")
