"""Natural arguments in Python: taken, or refused in a sentence of ours; sets of so many samples; archives as tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import reinject
from flat import flat
from reinject import Archive, Stream, algorithm1, wrap
from reinject.base.errors import ReinjectError
from test_cli import run

HALF = wrap(lambda x: 0.5 * x, (4,), name="half")


def C(x: torch.Tensor) -> torch.Tensor:  # noqa: N802
    return 9 * x.flatten(1)[:, :3]


@pytest.fixture
def sampled(tmp_path: Path) -> Any:
    def run_(**options: Any) -> Archive:
        reinject.sample(HALF, C, tmp_path / "s", **flat(overwrite=True, **{"walks": 20, **options}))
        return Archive.open(tmp_path / "s")

    return run_


def test_classes_without_names_have_numbers(sampled: Any) -> None:
    assert sampled().class_names == ("0", "1", "2")
    assert sampled(class_names=("a", "b", "c")).class_names == ("a", "b", "c")
    with pytest.raises(ReinjectError, match="class_names: 2 class names for 3 outputs"):
        sampled(class_names=("a", "b"))


def test_a_kernel_and_its_options_by_name(sampled: Any) -> None:
    parameters = sampled(kernel="half-denoising", sigma=0.25, steps=6, burn_in=2).manifest["parameters"]
    assert "HalfDenoising" in parameters["kernel"]
    assert "sigma=0.25" in parameters["kernel"]
    assert (parameters["preset"], parameters["steps"], parameters["burn_in"]) == ("custom", 6, 2)
    assert sampled(steps=9).manifest["parameters"]["preset"] == "auto"
    for wrong, said in (
        ({"kernel": "langvin"}, "Did you mean langevin"),
        ({"kernel": "langevin", "sgima": 1}, "but no sgima"),
        ({"preset": "best"}, "'best' is not known"),
        ({"rows": 5, "append": True}, "--rows: cannot be combined with --append"),
        ({"rows": 0}, "rows"),
    ):
        with pytest.raises(ReinjectError, match=said):
            sampled(**wrong)


def test_shapes_autoencoders_and_folders(tmp_path: Path, small_models: Path) -> None:
    assert wrap(nn.Linear(8, 8), 8).event_shape == wrap(nn.Linear(8, 8), torch.Size([8])).event_shape == (8,)
    one, several = (algorithm1(r, C, N_s=10) for r in (HALF, [HALF]))  # type: ignore[arg-type]
    assert torch.equal(one[0], several[0])
    for call in (
        lambda: wrap(nn.Linear(8, 8), "8"),  # type: ignore[arg-type]
        lambda: wrap(nn.Linear(8, 8), 0),
        lambda: wrap(nn.Linear(8, 8), None),  # type: ignore[arg-type]
        lambda: algorithm1(nn.Linear(4, 4), C),  # type: ignore[arg-type]
        lambda: algorithm1([nn.Linear(4, 4)], C),  # type: ignore[list-item]
        lambda: reinject.sample(nn.Linear(4, 4), C, tmp_path / "x"),  # type: ignore[arg-type]
        lambda: reinject.sample("models", C, tmp_path / "x"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ReinjectError):
            call()
    assert repr(Stream(str(small_models), walks=10)).startswith(f"Stream({small_models}: 10 walks of")


def test_an_archive_is_a_sequence_and_a_table(sampled: Any) -> None:
    archive = sampled(block_size=8, preset="paper")
    assert len(archive) == 180
    x, y = archive.read()
    x = archive.storage.load(x)
    some = archive[3:170:5]
    assert torch.equal(some[0], x[3:170:5])
    assert torch.equal(some[1], y[3:170:5])
    assert torch.equal(archive[-1][0], x[-1])
    assert archive[7][1] == int(y[7])
    assert [label for _, label in archive] == y.tolist()
    with pytest.raises(IndexError, match="row 180 of 180"):
        archive[180]
    assert torch.equal(archive.to_torch().tensors[0], x)
    table = archive.to_pandas()
    assert np.allclose(np.stack(list(table["x"])), x.numpy())
    assert table["label"].tolist() == y.tolist()
    assert archive.to_dataset().features["label"].names == ["0", "1", "2"]
    assert archive.to_dataset()["label"][:] == y.tolist()


def test_reprs_are_one_line(sampled: Any) -> None:
    archive = sampled()
    done = reinject.sample(HALF, C, archive.folder, walks=20)
    for one in (archive, HALF, done):
        assert "\n" not in repr(one)
        assert len(repr(one)) < 250
    assert repr(archive) == f"Archive({archive.folder}: {len(archive)} samples of shape (4,), 3 classes)"


@pytest.mark.parametrize("rows", [1, 17, 18, 100])
def test_so_many_rows_are_kept_and_no_more(sampled: Any, rows: int) -> None:
    archive = sampled(rows=rows, preset="paper", block_size=4)
    assert len(archive) == rows
    assert archive.manifest["parameters"]["walks"] == -(-rows // 9)


def test_rows_on_the_command_line(small_models: Path, tmp_path: Path) -> None:
    words = ("sample", small_models, "--out", tmp_path / "s", "--rows", 100, "--preset", "paper", "--block-size", 4)
    assert "about 1" in run(*words, "--dry-run")[1]
    status, said, _ = run(*words)
    assert status == 0
    assert said.startswith("100 labelled samples")
    assert "has the fewest samples" in said
    assert "clipped values: " in said
    assert run("verify", tmp_path / "s")[0] == 0
    assert run("trace", tmp_path / "s", 99)[0] == 0
    assert "--rows: cannot be combined with --walks" in run(*words, "--walks", 5, "--overwrite")[2]
    status, said, _ = run(*words, "--overwrite", "--quota", 3)
    assert "filters dropped, of" in said
    assert len(Archive.open(tmp_path / "s")) < 100
