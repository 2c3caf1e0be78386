"""Data sets: found where they should be, refused with a sentence where they are not what they should be."""

from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from reinject import data
from reinject.base.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.delenv("REINJECT_DATA", raising=False)


def parquet(folder: Path, split: str, rows: int, side: int = 6, names: tuple[str, ...] = ("x", "y")) -> None:
    g = np.random.default_rng(rows)
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=list(names))})
    images = [Image.fromarray(g.integers(0, 256, (side, side), np.uint8)) for _ in range(rows)]
    labels = [k % len(names) for k in range(rows)]
    folder.mkdir(parents=True, exist_ok=True)
    table = datasets.Dataset.from_dict({"img": images, "label": labels}, features=features)
    table.to_parquet(str(folder / f"{split}-00000-of-00001.parquet"))


def test_digits_are_split_by_class_and_by_seed() -> None:
    a, again, b = data.load("digits"), data.load("digits"), data.load("digits", split_seed=1)
    assert (len(a.train), len(a.test)) == (1347, 450)
    assert a.train.x.dtype == torch.uint8
    assert int(a.train.x.max()) == 255
    assert torch.equal(a.train.x, again.train.x)
    assert not torch.equal(a.train.x, b.train.x)
    shares = torch.bincount(a.test.y) / 450 - torch.bincount(a.train.y) / 1347
    assert shares.abs().max() < 0.003


def test_parquet_under_the_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(tmp_path / "root" / "mnist", "train", 12)
    parquet(tmp_path / "root" / "mnist", "test", 4)
    by_option = data.load("mnist", tmp_path / "root")
    assert (len(by_option.train), len(by_option.test), by_option.shape) == (12, 4, (1, 6, 6))
    assert by_option.class_names == ("x", "y")
    monkeypatch.setenv("REINJECT_DATA", str(tmp_path / "root"))
    assert torch.equal(data.load("mnist").train.x, by_option.train.x)


def test_one_part_is_split(tmp_path: Path) -> None:
    parquet(tmp_path / "set", "train", 40)
    got = data.load(str(tmp_path / "set"))
    assert (len(got.train), len(got.test)) == (30, 10)
    assert torch.bincount(got.test.y).tolist() == [5, 5]


def test_a_folder_is_not_taken_for_another_one_of_its_name_and_card(tmp_path: Path) -> None:
    """``datasets`` keeps a copy by name and card, where the card says which files there are."""
    for rows in (40, 80):
        folder = tmp_path / str(rows) / "set"
        parquet(folder, "train", rows)
        (folder / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: '*.parquet'\n---\n")
        for again in (1, 2):
            got = data.load(str(folder))
            assert len(got.train) + len(got.test) == rows, again
    parquet(folder, "train", 40)
    assert len(data.load(str(folder)).train) == 30


def test_a_folder_of_images(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for k in range(8):
            Image.new("RGB", (5, 4), (k, 0, 255)).save(tmp_path / "set" / name / f"{k}.png")
    got = data.load(str(tmp_path / "set"))
    assert got.class_names == ("ant", "bee")
    assert got.shape == (3, 4, 5)
    assert got.train.x[0, 2, 0, 0] == 255


@pytest.mark.parametrize(("name", "cure"), [("mnits", "Did you mean mnist"), ("no such thing", "Use one of digits")])
def test_unknown_names_are_refused_without_asking_the_network(name: str, cure: str) -> None:
    with pytest.raises(DataError, match=cure):
        data.load(name)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match="no readable data set"):
        data.load(str(tmp_path / "set"))


def test_a_missing_data_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        data.load("mnist", tmp_path / "nowhere")


def test_images_of_different_sizes_are_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "set", "train", 8)
    parquet(tmp_path / "set", "test", 8, side=7)
    with pytest.raises(DataError, match="one size"):
        data.load(str(tmp_path / "set"))


def test_a_set_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    datasets.Dataset.from_dict({"text": ["a", "b"]}).to_parquet(str(tmp_path / "set" / "train.parquet"))
    with pytest.raises(DataError, match="no column of"):
        data.load(str(tmp_path / "set"))
