"""The automatic preset on the command line: codes, data, the verdict's exit status, and that runs can be made again."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from reinject import Archive, Stream
from reinject.cli import app
from reinject.models.loading import load_models
from reinject.models.moments import MOMENTS
from reinject.networks import Inputs, MLPAutoencoder, MLPClassifier
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from test_cli import sentence


def command(*words: object) -> tuple[int, str, str]:
    """As a user types it: nothing is forced."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def bottleneck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain bottleneck trained on digits, with moments of its codes beside it."""
    out = tmp_path_factory.mktemp("bottleneck") / "models"
    options = ("--autoencoder", "mlp", "--objective", "denoising", "--epochs", 90, "--classifier-epochs", 10)
    status, text, _ = command("train", "digits", "--out", out, "--device", "cpu", *options)
    assert status == 0
    assert "kept 10 means and covariances" in text
    return out


def test_moments_can_be_left_out(tmp_path: Path) -> None:
    options = ("--autoencoder", "mlp", "--only", "autoencoder", "--epochs", 1, "--device", "cpu", "--no-moments")
    assert command("train", "digits", "--out", tmp_path / "m", *options)[0] == 0
    assert not (tmp_path / "m" / "autoencoder" / MOMENTS).exists()


@pytest.mark.parametrize("data", [pytest.param([], marks=pytest.mark.slow), ["--data", "digits"]])
def test_the_default_begins_among_data_and_can_be_made_again(bottleneck: Path, tmp_path: Path, data: list[str]) -> None:
    status, text, said = command("sample", bottleneck, "--out", tmp_path / "s", "--walks", 600, *data)
    assert status == 0, said
    assert text.splitlines()[-1] == "verdict: good"
    assert text.startswith("chosen: --kernel half-denoising --sigma")
    archive = Archive.open(tmp_path / "s")
    assert archive.manifest["parameters"]["preset"] == "auto"
    assert archive.manifest["parameters"]["settings"]["start"] == ("codes:digits" if data else "codes")
    assert archive.manifest["chosen"]["because"].endswith("walks begin among data")
    assert command("trace", tmp_path / "s", "--random", 5)[0] == 0
    assert command("verify", tmp_path / "s")[0] == 0
    assert command("diagnose", tmp_path / "s")[0] == 0
    again = command("sample", bottleneck, "--out", tmp_path / "t", "--walks", 600, "--workers", 2, *data)
    assert again[0] == 0
    shards = [[shard["sha256"] for shard in Archive.open(tmp_path / name).manifest["shards"]] for name in ("s", "t")]
    assert shards[0] == shards[1]
    one, two = (Archive.open(tmp_path / name).manifest for name in ("s", "t"))
    assert one["chosen"] == two["chosen"]
    assert one["verdict"] == two["verdict"]


def test_without_moments_the_default_begins_with_noise(bottleneck: Path, tmp_path: Path) -> None:
    (bottleneck / "autoencoder" / MOMENTS).rename(tmp_path / MOMENTS)
    try:
        status, text, said = command("sample", bottleneck, "--out", tmp_path / "s", "--walks", 200)
        no_codes = sentence("sample", bottleneck, "--out", tmp_path / "x", "--kernel", "langevin", "--start", "codes")
    finally:
        (tmp_path / MOMENTS).rename(bottleneck / "autoencoder" / MOMENTS)
    assert status == 0, said
    assert "no data is known" in text
    assert "keep no moments of codes" in no_codes


def test_a_stream_walks_as_sample_does(bottleneck: Path, tmp_path: Path) -> None:
    assert command("sample", bottleneck, "--out", tmp_path / "s", "--walks", 40)[0] in (0, 3)
    rows = list(Stream([bottleneck], walks=40))
    kept, label = Archive.open(tmp_path / "s").read()
    assert torch.equal(torch.stack([x for x, _ in rows]), Archive.open(tmp_path / "s").storage.load(kept))
    assert [y for _, y in rows] == label.tolist()


def test_in_python_models_on_disk_are_walked_as_by_the_command(bottleneck: Path, tmp_path: Path) -> None:
    """Moments in the folder count: walks begin at them, and every row is that of the command."""
    assert command("sample", bottleneck, "--out", tmp_path / "c", "--walks", 40)[0] in (0, 3)
    sample_models(load_models([bottleneck]), tmp_path / "p", SampleSpec(), walks=40)
    by_command, in_python = (Archive.open(tmp_path / name) for name in "cp")
    assert in_python.manifest["parameters"]["settings"]["start"] == "codes"
    assert by_command.manifest["shards"] == in_python.manifest["shards"]


def test_a_broken_walk_exits_with_three_unless_it_is_forced(tmp_path: Path) -> None:
    torch.manual_seed(0)
    inputs = Inputs((1, 6, 6), class_names=("a", "b", "c"))
    MLPAutoencoder(inputs, hidden=(16,), latent=3).save_pretrained(tmp_path / "m" / "autoencoder")
    MLPClassifier(inputs, hidden=(16,)).save_pretrained(tmp_path / "m" / "classifier")
    status, text, said = command("sample", tmp_path / "m", "--out", tmp_path / "s", "--walks", 100)
    assert status == 3
    assert text.splitlines()[-1].startswith("verdict: broken: ")
    assert "--force" in said
    assert Archive.open(tmp_path / "s").rows == 1000  # nothing is lost
    forced = command("sample", tmp_path / "m", "--out", tmp_path / "f", "--walks", 100, "--force", "--json")
    assert forced[0] == 0
    assert json.loads(forced[1])["verdict"]["level"] == "broken"


def test_data_is_for_the_automatic_choice(bottleneck: Path, tmp_path: Path) -> None:
    options = ("--kernel", "langevin", "--data", "digits")
    assert "automatic choice" in sentence("sample", bottleneck, "--out", tmp_path / "s", *options)
    assert "mnisst" in sentence("sample", bottleneck, "--out", tmp_path / "s", "--data", "mnisst")
