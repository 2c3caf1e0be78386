"""Data that other people have written: files, columns, labels and class names as they are."""

from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from reinject import data
from reinject.base.errors import DataError
from reinject.base.progress import Silent


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.delenv("REINJECT_DATA", raising=False)


class Heard(Silent):
    """Keeps the lines that are said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def images(file: Path, labels: list, names: list[str], levels: list | None = None) -> None:
    """A Parquet file of grey images, whose level is that of their class unless it is said."""
    file.parent.mkdir(parents=True, exist_ok=True)
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    levels = levels or [10 * ord(names[k][0]) % 256 for k in labels]
    pictures = [None if level is None else Image.new("L", (4, 4), level) for level in levels]
    datasets.Dataset.from_dict({"img": pictures, "label": labels}, features=features).to_parquet(str(file))


def level_of(part: data.LabelledImages, k: int) -> set[int]:
    return set(part.x[part.y == k].flatten().tolist())


def test_images_are_turned_as_their_exif_says_and_as_datasets_does(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for orientation in range(1, 9):
            picture = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20)
            exif = picture.getexif()
            exif[0x0112] = orientation
            turned = orientation > 4
            picture = picture.transpose(Image.Transpose.ROTATE_90) if turned else picture
            picture.save(tmp_path / "set" / name / f"{orientation}.png", exif=exif)
    got = data.load(str(tmp_path / "set"))
    theirs = datasets.load_dataset(str(tmp_path / "set"), split="train")
    wanted = sorted(np.asarray(image).tolist() for image in theirs["image"])
    assert sorted(torch.cat([got.train.x, got.test.x])[:, 0].tolist()) == wanted


def test_folders_named_by_numbers_are_classes_in_their_order(tmp_path: Path) -> None:
    for number in (0, 1, 2, 10, 11):
        (tmp_path / "set" / str(number)).mkdir(parents=True)
        for k in range(4):
            Image.new("L", (4, 4), 20 * number).save(tmp_path / "set" / str(number) / f"{k}.png")
    heard = Heard()
    got = data.load(str(tmp_path / "set"), progress=heard)
    assert got.class_names == ("0", "1", "2", "10", "11")
    assert all(level_of(got.train, k) == {20 * number} for k, number in enumerate((0, 1, 2, 10, 11)))
    assert heard.lines == [f"{tmp_path / 'set'}: images of 1 x 4 x 4; 5 classes, sorted: 0, 1, 2, 10, 11"]


def test_a_test_file_whose_names_stand_in_another_order_is_mapped_by_name(tmp_path: Path) -> None:
    images(tmp_path / "set" / "train.parquet", [0, 1] * 4, ["cat", "dog"])
    images(tmp_path / "set" / "test.parquet", [0, 1] * 2, ["dog", "cat"])
    got = data.load(str(tmp_path / "set"))
    assert got.class_names == ("cat", "dog")
    assert all(level_of(got.train, k) == level_of(got.test, k) for k in (0, 1))


def test_training_files_whose_names_stand_in_other_orders_are_mapped_by_name(tmp_path: Path) -> None:
    images(tmp_path / "set" / "train-00000-of-00002.parquet", [0, 1] * 4, ["cat", "dog"])
    images(tmp_path / "set" / "train-00001-of-00002.parquet", [0, 1] * 4, ["dog", "cat"])
    got = data.load(str(tmp_path / "set"))
    assert level_of(got.train, 0) == {10 * ord("c") % 256}


def test_a_test_file_of_other_classes_is_refused(tmp_path: Path) -> None:
    images(tmp_path / "set" / "train.parquet", [0, 1] * 4, ["cat", "dog"])
    images(tmp_path / "set" / "test.parquet", [0, 1] * 2, ["dog", "eel"])
    with pytest.raises(DataError, match=r"its test part has other classes .* has also eel and lacks cat\. Give"):
        data.load(str(tmp_path / "set"))


@pytest.mark.parametrize(
    ("labels", "levels", "problem"),
    [
        ([0, 1, None, -1, 1, 0], [1] * 6, "2 of 6 rows have no label"),
        ([0, 1] * 3, [1, None, 2, 3, None, None], "3 of 6 rows have no image"),
    ],
)
def test_rows_without_a_label_or_an_image_are_counted(tmp_path: Path, labels: list, levels: list, problem: str) -> None:
    images(tmp_path / "set" / "train.parquet", labels, ["cat", "dog"], levels)
    with pytest.raises(DataError, match=rf"the train part of .*: {problem}\. Remove these rows"):
        data.load(str(tmp_path / "set"))


def test_labels_beyond_the_names_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "set" / "train.parquet"
    images(file, [0, 1] * 4, ["cat", "dog"])
    table = pq.read_table(file)
    pq.write_table(table.set_column(1, table.schema.field(1), pa.array([0, 1, 2, 7, 0, 1, 0, 1])), file)
    with pytest.raises(DataError, match=r"2 of 8 labels are outside 0\.\.1, the numbers of its classes\. Correct"):
        data.load(str(tmp_path / "set"))


X = np.random.default_rng(0).normal(size=(24, 5)).astype(np.float32)
LEVELS = np.random.default_rng(0).integers(0, 256, (24, 6, 6), np.uint8)
Y = np.array([3, 10] * 12)


def both(dataset: data.Dataset) -> torch.Tensor:
    return torch.cat([dataset.train.x, dataset.test.x])


def same_rows(dataset: data.Dataset, x: np.ndarray) -> bool:
    return sorted(both(dataset).flatten(1).tolist()) == sorted(x.reshape(len(x), -1).tolist())


@pytest.mark.parametrize("keys", ["x y", "X y", "data target", "images labels", "features targets"])
def test_an_npz_of_vectors_stays_float(tmp_path: Path, keys: str) -> None:
    np.savez(tmp_path / "set.npz", **dict(zip(keys.split(), (X, Y), strict=True)))
    heard = Heard()
    got = data.load("set.npz", tmp_path, progress=heard)
    assert (got.shape, got.class_names, both(got).dtype) == ((5,), ("3", "10"), torch.float32)
    assert same_rows(got, X)
    assert got.levels().kind == "float"
    assert (len(got.train), len(got.test)) == (18, 6)
    assert heard.lines == ["set.npz: vectors of 5; 2 classes, sorted: 3, 10"]


@pytest.mark.parametrize(
    "keys",
    [
        "x_train y_train x_test y_test",
        "X_train y_train X_test y_test",
        "train_images train_labels val_images val_labels",
    ],
)
def test_an_npz_of_two_parts_keeps_them(tmp_path: Path, keys: str) -> None:
    """As Keras's mnist.npz and MedMNIST are made."""
    np.savez(
        tmp_path / "set.npz", **dict(zip(keys.split(), (LEVELS[:16], Y[:16, None], LEVELS[16:], Y[16:]), strict=True))
    )
    got = data.load(str(tmp_path / "set.npz"))
    assert got.train.x.numpy().tolist() == LEVELS[:16, None].tolist()
    assert got.test.x.numpy().tolist() == LEVELS[16:, None].tolist()
    assert got.levels(-1, 1).kind == "uint8"


@pytest.mark.parametrize(
    "x",
    [LEVELS, LEVELS[..., None], LEVELS[:, None], LEVELS.astype(np.int64), LEVELS.astype(float), LEVELS / 255],
    ids=["N H W", "N H W 1", "N 1 H W", "int64", "whole floats", "floats in 0..1"],
)
def test_images_come_in_several_forms(tmp_path: Path, x: np.ndarray) -> None:
    np.savez(tmp_path / "set.npz", images=x, labels=Y)
    got = data.load(str(tmp_path / "set.npz"))
    assert got.shape == (1, 6, 6)
    assert same_rows(got, LEVELS)


def test_colours_are_last_or_first(tmp_path: Path) -> None:
    colours = np.stack([LEVELS, 255 - LEVELS, LEVELS // 2], 1)
    for k, x in enumerate((colours, colours.transpose(0, 2, 3, 1))):
        np.savez(tmp_path / f"{k}.npz", x=x, y=Y)
        assert same_rows(data.load(str(tmp_path / f"{k}.npz")), colours)


def test_npy_files_stand_in_a_folder_or_beside_each_other(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    np.save(tmp_path / "set" / "X.npy", X)
    np.save(tmp_path / "set" / "y.npy", np.array(["b", "a"] * 12))
    got = data.load(str(tmp_path / "set"))
    assert got.class_names == ("a", "b")
    assert same_rows(got, X)
    np.save(tmp_path / "some.npy", X)
    with pytest.raises(DataError, match=r"there is no some_labels\.npy"):
        data.load(str(tmp_path / "some.npy"))
    np.save(tmp_path / "some_labels.npy", Y)
    assert same_rows(data.load(str(tmp_path / "some.npy")), X)


def table_of(x: np.ndarray, labels: list, **more: list) -> pa.Table:
    return pa.table({"x": x.tolist(), "label": labels, **more})


@pytest.mark.parametrize("labels", [["b", "a", "c"] * 8, [7, 3, 11] * 8, [7.0, 3.0, 11.0] * 8])
def test_a_parquet_file_of_vectors_with_plain_labels(tmp_path: Path, labels: list) -> None:
    pq.write_table(table_of(X, labels, walk=list(range(24)), note=["z"] * 24), tmp_path / "set.parquet")
    heard = Heard()
    got = data.load(str(tmp_path / "set.parquet"), progress=heard)
    names = sorted({str(int(k)) if isinstance(k, float) else str(k) for k in labels}, key=lambda k: (len(k), k))
    assert list(got.class_names) == names
    assert torch.allclose(both(got).sum(), torch.tensor(X.astype(float).sum(), dtype=torch.float32), atol=1e-4)
    assert heard.lines[0].endswith(f"3 classes, sorted: {', '.join(names)}")


def test_a_parquet_file_of_images_that_names_its_classes(tmp_path: Path) -> None:
    images(tmp_path / "set.parquet", [0, 1] * 8, ["dog", "cat"])
    got = data.load("set.parquet", tmp_path)
    assert got.class_names == ("dog", "cat")
    assert level_of(got.train, 0) == {10 * ord("d") % 256}


def test_a_parquet_file_of_image_files_as_bytes(tmp_path: Path) -> None:
    images(tmp_path / "with.parquet", [0, 1] * 8, ["dog", "cat"])
    cells = pq.read_table(tmp_path / "with.parquet").column("img").to_pylist()
    for column in (cells, [cell["bytes"] for cell in cells]):
        pq.write_table(pa.table({"image": column, "label": ["dog", "cat"] * 8}), tmp_path / "plain.parquet")
        got = data.load(str(tmp_path / "plain.parquet"))
        assert (got.class_names, got.shape) == (("cat", "dog"), (1, 4, 4))


REFUSED = {
    "pickles": ({"x": X.astype(object), "y": Y}, "cannot be read"),
    "no labels": ({"x": X}, "does not show which of x are samples and labels"),
    "test rows without labels": ({"x_train": X, "y_train": Y, "x_test": X}, "does not show which"),
    "two that say the same": ({"x": X, "data": X, "y": Y}, "holds x and data, which mean the same"),
    "labels of another length": ({"x": X, "y": Y[:5]}, r"labels of shape \(5,\) for 24 samples"),
    "one-hot labels": ({"x": X, "y": np.eye(2)[Y % 3 // 1 % 2]}, r"labels of shape \(24, 2\).*argmax"),
    "targets": ({"x": X, "y": Y + 0.5}, "label 3.5 is neither an integer nor text"),
    "no label": ({"x": X, "y": np.where(Y == 3, np.nan, Y)}, "12 of 24 rows have no label"),
    "blank labels": ({"x": X, "y": np.array([" ", "a"] * 12)}, "12 of 24 rows have a blank label"),
    "not finite": ({"x": np.where(X > 1, np.inf, X), "y": Y}, "rows have non-finite values"),
    "standardised images": ({"x": LEVELS / 100 - 1, "y": Y}, "no value is known to be white"),
    "images of zeros and ones": ({"x": LEVELS % 2, "y": Y}, "no value is known to be white"),
    "text": ({"x": np.array(["a"] * 24), "y": Y}, "holds <U1"),
    "channels": ({"x": np.zeros((24, 4, 4, 4), np.uint8), "y": Y}, "which axis has the channels"),
    "test classes without training rows": (
        {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y + 7},
        "has also 17",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_arrays_that_do_not_say_what_they_are_are_refused(tmp_path: Path, case: str) -> None:
    arrays, problem = REFUSED[case]
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DataError, match=problem):
        data.load(str(tmp_path / "set.npz"))


@pytest.mark.parametrize("name", ["set.npz", "set.npy", "set.parquet"])
def test_files_that_are_damaged_or_not_there_are_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="no such file"):
        data.load(name, tmp_path)
    (tmp_path / name).write_bytes(b"PK nothing")
    (tmp_path / "set_labels.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"is not an \.npz file|cannot be read|holds no readable data set"):
        data.load(name, tmp_path)


def test_a_table_whose_vectors_differ_in_length_or_lack_values_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "set.parquet"
    for x, problem in (
        ([[1.0, 2.0], [1.0]] * 8, "different numbers of values"),
        ([[1.0, 2.0], None] * 8, "8 of 16 rows have no sample"),
        ([[1.0, None], [1.0, 2.0]] * 8, "8 values are missing"),
    ):
        pq.write_table(pa.table({"x": x, "label": [0, 1] * 8}), file)
        with pytest.raises(DataError, match=problem):
            data.load(str(file))
