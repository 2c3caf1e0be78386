"""Messages name what is at fault, and a cause only where it is known."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from reinject import data, wrap
from reinject.base.errors import DataError, ModelError, ReinjectError, cure_of, reason, worker_died
from reinject.cli.app import report_errors
from reinject.foreign import Foreign, Loaded, Native, is_trusted, trust
from reinject.foreign import probe as probe_module
from reinject.foreign.route import readable
from reinject.models import bundle
from reinject.models.soundness import check_rows, returned
from reinject.networks import Inputs
from reinject.sampling.workers import in_processes
from test_cli import run


def test_a_reason_has_the_type_and_more_than_a_heading() -> None:
    heading = RuntimeError("Error(s) in loading state_dict for VAE:\n\tMissing key(s) in state_dict: w.\n\tMore")
    assert reason(heading) == "RuntimeError: Error(s) in loading state_dict for VAE: Missing key(s) in state_dict: w"
    assert reason(KeyError("x")) == "KeyError: 'x'"
    assert ":)" not in str(readable("pythae", "folder", heading))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda key: f"module.{key}", r"begin with 'module\.', .*removeprefix\('module\.'\)"),
        (lambda key: f"module._orig_mod.{key}", r"begin with 'module\._orig_mod\.'"),
        (lambda key: key.replace(".", "._orig_mod.", 1), r"'_orig_mod\.' in them, as torch\.compile"),
        (
            lambda key: f"x{key}",
            r"weights and config do not fit \(RuntimeError: .*: Missing key\(s\) in state_dict: \"enc",
        ),
    ],
)
def test_names_with_prefixes_are_told_and_how_they_go(
    change: Any, sentence: str, small_models: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes((small_models / "autoencoder" / "config.json").read_bytes())
    state = load_file(small_models / "autoencoder" / "model.safetensors")
    save_file({change(key): value for key, value in state.items()}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=sentence) as caught:
        bundle.load(tmp_path)
    assert ":." not in str(caught.value)


def test_safetensors_that_begin_as_a_pickle_does_are_read(small_models: Path, tmp_path: Path) -> None:
    """They begin with the length of their header, of which one in 32 ends in the byte that opens a pickle."""
    (tmp_path / "config.json").write_bytes((small_models / "autoencoder" / "config.json").read_bytes())
    state = load_file(small_models / "autoencoder" / "model.safetensors")
    for padding in range(0, 257, 8):
        save_file(state, tmp_path / "model.safetensors", {"note": "x" * padding})
        if (tmp_path / "model.safetensors").read_bytes()[0] == 0x80:
            break
    assert (tmp_path / "model.safetensors").read_bytes()[0] == 0x80
    assert bundle.load(tmp_path).network.inputs.shape == (1, 4, 4)


def test_a_cache_that_cannot_be_made_is_said_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    from PIL import Image

    for part in ("a", "b"):
        (tmp_path / "images" / part).mkdir(parents=True)
        for k in range(8):
            Image.new("L", (4, 4), 9 * k).save(tmp_path / "images" / part / f"{k}.png")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file" / "cache")
    with pytest.raises(DataError, match=r"file/cache.*: the cache .*NotADirectoryError.*HF_DATASETS_CACHE"):
        data.load(str(tmp_path / "images"))

    def full(*_: object, **__: object) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise datasets.exceptions.DatasetGenerationError("An error occurred while generating") from error

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets, "load_dataset", full)
    with pytest.raises(DataError, match=r"the cache .*No space left.*Free space or choose another folder"):
        data.load(str(tmp_path / "images"))

    def odd(*_: object, **__: object) -> None:
        raise KeyError("a foreign library's own")

    monkeypatch.setattr(datasets, "load_dataset", odd)
    with pytest.raises(DataError, match=r"images: holds no readable data set \(KeyError: \"a foreign"):
        data.load(str(tmp_path / "images"))


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"file/reinject/trusted: cannot be .*Set REINJECT_HOME"):
        trust("0" * 64)
    (tmp_path / "home" / "reinject").mkdir(parents=True)
    (tmp_path / "home" / "reinject" / "trusted").write_bytes(b"\xff\xfe\xff")
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    with pytest.raises(ModelError, match=r"UnicodeDecodeError.*Set REINJECT_HOME"):
        is_trusted("0" * 64)
    (tmp_path / "net.py").write_text(
        "from torch import nn\nnet = nn.Sequential(nn.Flatten(), nn.Unflatten(1, (1, 2, 2)))\n"
    )
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "file"))
    words = ["import", f"{tmp_path / 'net.py'}:net", "--shape", "1,2,2", "--range", "0,1", "--trust"]
    status, _, said = run(*words, "--out", tmp_path / "m")
    assert status == 1
    assert "Set REINJECT_HOME" in said
    assert "--out" not in said.split("reinject: ")[-1]


def test_a_fault_of_the_disk_gets_a_cure_of_its_own() -> None:
    assert cure_of(OSError(errno.ENOSPC, "")).startswith("Free space")
    assert cure_of(OSError(errno.EACCES, "")).startswith("Get permission")
    assert "space" not in cure_of(OSError(errno.ENOTDIR, ""))
    written = "Error while serializing: I/O error: {} (os error {})"  # by safetensors
    assert cure_of(RuntimeError(written.format("No space left on device", 28))).startswith("Free space")
    assert cure_of(RuntimeError(written.format("Permission denied", 13))).startswith("Get permission")


def test_a_path_in_the_way_is_not_told_to_free_space(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for path, words in ((tmp_path / "file" / "x", "Check what is there"), (tmp_path, "Check what is there")):
        with pytest.raises(typer.Exit), report_errors():
            path.write_text("x")
        said = capsys.readouterr().err
        assert words in said
        assert "Free space" not in said


def ends(code: int) -> Any:
    """What makes a block, in another process: ends that process."""
    if code < 0:
        os.kill(os.getpid(), -code)
        signal.pause()
    os._exit(code)


class Ends:
    def __init__(self, code: int) -> None:
        self.code = code

    def __call__(self) -> Any:
        return ends(self.code)


def test_a_dead_worker_is_told_as_it_died(tmp_path: Path) -> None:
    with pytest.raises(ReinjectError, match="killed by SIGKILL") as caught:
        list(in_processes(1, Ends(-signal.SIGKILL))(tmp_path, None, [0], lambda _: None))  # type: ignore[arg-type]
    assert "memory" in caught.value.cure
    assert "memory" not in str(worker_died("--workers", [3]))
    assert "exit status 3" in str(worker_died("--workers", [3]))


def test_what_killed_the_first_worker_counts() -> None:
    assert "SIGSEGV" in str(worker_died("--workers", [-15, -11, None]))
    assert "library crashed" in worker_died("--workers", [-11]).cure
    assert "an unknown reason" in str(worker_died("--workers", [None]))


class Reads(nn.Module):
    """A network of a foreign library: fails as it likes."""

    def __init__(self, fails: Any = None, least: int = 0, most: int = 1 << 30) -> None:
        super().__init__()
        self.fails, self.least, self.most = fails, least, most

    def forward(self, x: Tensor) -> Tensor:
        if self.fails is not None:
            raise self.fails
        if not self.least <= len(x) <= self.most:
            raise AssertionError("batch")
        return x.squeeze(0) if self.least < 0 and len(x) == 1 else 0.5 * x


@pytest.mark.parametrize(
    "fails", [KeyError("units"), AssertionError(), IndexError("of a list"), AttributeError("no x")]
)
def test_every_exception_of_a_foreign_network_is_a_sentence(fails: Exception) -> None:
    for act in (lambda: wrap(Reads(fails), (2,)), lambda: returned(Reads(fails), torch.zeros(2, 2), "net.py:Net")):
        with pytest.raises(ModelError, match=rf"fails on a batch of shape \(2, 2\) \({type(fails).__name__}") as caught:
            act()
        assert caught.value.owner in ("Reads", "net.py:Net")


@pytest.mark.parametrize(("least", "most"), [(2, 1 << 30), (0, 600), (-1, 1 << 30)], ids=["two", "600", "squeezes"])
def test_batches_of_one_row_and_of_many_are_tried(least: int, most: int) -> None:
    network = Foreign(Loaded(Reads(None, least, most)), "classifier", Inputs((6,)), Native((6,), 0, 1), "logits")
    with pytest.raises(ModelError, match=r"^net.py:Net: .*\((1|1024), 6\)"):
        check_rows(network, "net.py:Net")


def test_wrap_tries_a_single_row_and_an_odd_number() -> None:
    for source, sentence in ((Reads(None, 2), r"\(1, 2\)"), (Reads(None, 0, 2), r"\(3, 2\)"), (Reads(None, -1), "to")):
        with pytest.raises(ModelError, match=sentence):
            wrap(source, (2,))


def test_float64_is_told_the_true_cure() -> None:
    with pytest.raises(ModelError, match=r"^Linear: fails on .*Call \.float\(\) on it first: .* in float64"):
        wrap(nn.Linear(2, 2).double(), (2,))
    with pytest.raises(ModelError, match=r"give that event_shape"):
        wrap(nn.Linear(3, 2), (2,))


def test_a_probe_says_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text("raise KeyError('units')\n")
    told = probe_module.look(tmp_path, "module", "net.py:net")
    assert "KeyError: 'units'" in told["error"][1]

    def done(code: int, stderr: str) -> Any:
        return lambda *_, **__: subprocess.CompletedProcess([], code, "", stderr)

    monkeypatch.setattr(subprocess, "run", done(-signal.SIGABRT, ""))
    with pytest.raises(ModelError, match=r"a\.onnx: crashes the process that reads it \(killed by SIGABRT\)"):
        probe_module.probe(tmp_path, "onnx", "a.onnx")
    monkeypatch.setattr(subprocess, "run", done(1, "Traceback\nImportError: libx.so\n"))
    with pytest.raises(ModelError, match=r"\(exit status 1: ImportError: libx\.so\)"):
        probe_module.probe(tmp_path, "onnx", "a.onnx")


def test_a_library_that_is_not_there_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setattr(sys, "argv", ["probe", str(tmp_path), "onnx", "a.onnx"])
    monkeypatch.setattr(probe_module, "limit_memory", lambda _: None)
    probe_module.main()
    assert "onnx is not installed" in capsys.readouterr().out
