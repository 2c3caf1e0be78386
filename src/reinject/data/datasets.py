"""Load real data sets: embedded digits, Parquet, images or NumPy arrays on disk, and Hugging Face hub names."""

import difflib
import errno
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from reinject.base.errors import DataError, cure_of, reason
from reinject.base.files import read_json, write_json
from reinject.base.progress import Progress, Silent
from reinject.data.arrays import SUFFIXES, Part, read_arrays
from reinject.data.classes import coded
from reinject.data.columns import read_columns
from reinject.data.samples import Storage
from reinject.data.splits import Split, digests, joined

HUB_NAMES = {
    "mnist": "ylecun/mnist",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
}
NAMES = ("digits", *HUB_NAMES)
TEST_SHARE = 0.25
FEATURES, FEATURES_CONFIG = "features.safetensors", "features.json"
_PARTS = ("train", "test")
_FILES = (*SUFFIXES, ".parquet")


@dataclass(frozen=True)
class LabelledImages:
    """Inputs and their classes: ``y`` int64 in 0..classes - 1, (N,).

    ``x`` holds images, uint8, (N, C, H, W), or vectors and features, float32, (N, d).
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: Tensor) -> "LabelledImages":
        """Return the rows of the given numbers."""
        return LabelledImages(self.x[index], self.y[index])


@dataclass(frozen=True)
class Dataset:
    """A data set in two parts, the names of its classes, and its space ("": that of its values).

    ``split_seed`` is the seed of the split; None: the data set has its own test part.
    """

    name: str
    train: LabelledImages
    test: LabelledImages
    class_names: tuple[str, ...]
    space: str = ""
    split_seed: int | None = None

    @cached_property
    def split(self) -> Split:
        """Return the split, as models and archives carry it."""
        held_out = digests(self.test.x)
        return Split(self.name, self.split_seed, joined([*digests(self.train.x), *held_out]), joined(held_out))

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (C, H, W) of one image, or (d,) of features."""
        return tuple(self.train.x.shape[1:])

    def levels(self, low: float = 0.0, high: float = 1.0) -> Storage:
        """Return the storage of its values, for a darkest pixel ``low`` and a brightest pixel ``high``."""
        return Storage("uint8", low, high) if self.train.x.dtype == torch.uint8 else Storage("float")


def load(
    name: str, data_dir: str | Path | None = None, split_seed: int = 0, progress: Progress | None = None
) -> Dataset:
    """Load a data set by name.

    ``digits`` is embedded. For another name, ``load`` tries a file or folder in ``data_dir``, then a path, then the
    Hugging Face hub, as owner/name. mnist, fashion_mnist, cifar10 and cifar100 are short names of the hub.

    A set without a test part is split 75/25, stratified by class. The split belongs to the data set, not to a run.
    Models carry its fingerprint, and are judged on no other split.

    Samples are images (uint8 levels) or vectors (float32). Names of classes keep the data's order. Labels that are
    numbers or text, and folders named by numbers, are sorted; a printed line says so. Parts with another order of names
    are mapped by name.

    Arguments:
        name: see above; a folder holds Parquet files, images in one sub-folder a class, or .npy files; a file is
            .parquet, .npz or .npy (see :func:`reinject.data.arrays.read_arrays`).
        data_dir: where to look first; default: the environment variable REINJECT_DATA.
        split_seed: of the split, where the data set has none of its own; >= 0.
        progress: progress reporter.

    Raises:
        DataError: no such data set; no samples or labels in it; rows without them; images of different sizes.

    Example:
        >>> digits = load("digits")
        >>> len(digits.train), len(digits.test), digits.shape
        (1347, 450, (1, 8, 8))
    """
    if name == "digits":
        return _digits(split_seed)
    folder = _features_folder(name, data_dir)
    if folder is not None:
        return read_features(folder)
    class_names, read = read_parts(name, data_dir, progress or Silent())
    train = read.get("train", next(iter(read.values())))
    test = read.get("test", read.get("validation"))
    made = test is None or test is train
    if test is None or made:
        train, test = split(name, train, split_seed)
    if train.x.shape[1:] != test.x.shape[1:]:
        raise DataError(
            name,
            f"training samples {tuple(train.x.shape[1:])}, test samples {tuple(test.x.shape[1:])}",
            "Resize them to one size first",
        )
    return Dataset(name, train, test, class_names, split_seed=split_seed if made else None)


def read_parts(
    name: str, data_dir: str | Path | None, progress: Progress
) -> tuple[tuple[str, ...], dict[str, LabelledImages]]:
    """Read the names of the classes, and the parts of a data set on disk or on the hub, as they are there."""
    file = _file_of(name, data_dir)
    sort = False
    parts: dict[str, Part]
    if file is not None and (file.is_dir() or file.suffix in SUFFIXES):
        parts = read_arrays(file)
    else:
        tables, files = _read(name, data_dir, file)
        with progress.task(f"reading {name}", sum(map(len, tables.values())), "samples") as advance:
            parts = read_columns(name, tables, files, advance)
        sort = next(iter(tables.values())).info.builder_name == "imagefolder"
    first = "train" if "train" in parts else next(iter(parts))
    names, y = coded(name, {part: labels for part, (_, labels) in parts.items()}, first, sort=sort)
    read = {part: LabelledImages(torch.from_numpy(x), torch.from_numpy(y[part])) for part, (x, _) in parts.items()}
    if names != parts[first][1][0].names:
        shape = " x ".join(map(str, read[first].x.shape[1:]))
        kind = "images" if read[first].x.dtype == torch.uint8 else "vectors"
        progress.say(f"{name}: {kind} of {shape}; {len(names)} classes, sorted: {', '.join(names[:12])}")
    return names, read


def _digits(split_seed: int) -> Dataset:
    from sklearn.datasets import load_digits

    raw = load_digits()
    x = torch.from_numpy(np.rint(raw.images * (255 / 16)).astype(np.uint8))[:, None]
    train, test = split("digits", LabelledImages(x, torch.from_numpy(raw.target).long()), split_seed)
    return Dataset("digits", train, test, tuple(str(k) for k in range(10)), split_seed=split_seed)


def _features_folder(name: str, data_dir: str | Path | None) -> Path | None:
    places = _places(name, data_dir or os.environ.get("REINJECT_DATA"))
    return next((place for place in places if (place / FEATURES_CONFIG).is_file()), None)


def found_at(name: str, data_dir: str | Path | None = None) -> Path | None:
    """Return the folder that a data set would be read from; None if it would come from the hub."""
    return next((place for place in _places(name, data_dir or os.environ.get("REINJECT_DATA")) if place.is_dir()), None)


def _file_of(name: str, data_dir: str | Path | None) -> Path | None:
    """Return the data set's file, or its folder of .npy files; None if it is something else."""
    for place in _places(name, data_dir or os.environ.get("REINJECT_DATA")):
        if place.is_file() or (place.is_dir() and any(place.glob("*.npy")) and not any(place.glob("*.parquet"))):
            return place
    if Path(name).suffix in _FILES:
        raise DataError(name, "no such file", "Give an existing file; --data-dir names its folder")
    return None


def _places(name: str, root: str | Path | None) -> list[Path]:
    """Return the folders where a data set may be, in order."""
    return [Path(root) / name, Path(name)] if root is not None else [Path(name)]


def write_features(folder: Path, dataset: Dataset, described: Mapping[str, Any]) -> None:
    """Write a data set of features into an existing folder.

    Arguments:
        folder: the folder.
        dataset: float32 features, and their space.
        described: further JSON values about it.
    """
    tensors = {f"{part}_{name}": getattr(getattr(dataset, part), name) for part in _PARTS for name in ("x", "y")}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / FEATURES)
    config = {**described, "space": dataset.space, "class_names": list(dataset.class_names)}
    write_json(folder / FEATURES_CONFIG, config)


def read_features(folder: Path) -> Dataset:
    """Read the data set of features in a folder.

    Raises:
        DataError: damaged files, or non-finite values.
    """
    config = read_json(folder / FEATURES_CONFIG, DataError)
    try:
        tensors = load_file(folder / FEATURES)
        train, test = (LabelledImages(tensors[f"{part}_x"], tensors[f"{part}_y"]) for part in _PARTS)
        found = Dataset(folder.name, train, test, tuple(map(str, config["class_names"])), str(config["space"]))
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise DataError(str(folder), f"is damaged ({reason(error)})", "Make it again with reinject extract") from error
    parts = (train, test)
    sizes = {part.x.shape[1:] for part in parts}
    fits = all(len(part.x) == len(part.y) and part.x.ndim == 2 and part.y.ndim == 1 for part in parts)
    types = {part.x.dtype for part in parts} == {torch.float32} and {part.y.dtype for part in parts} == {torch.int64}
    if not (fits and types and len(sizes) == 1 and found.space and all(map(len, parts))):
        raise DataError(str(folder), "holds shapes or types that features do not have", "Make it again")
    for part in parts:
        if not bool(torch.isfinite(part.x).all()):
            raise DataError(str(folder), "has non-finite features", "Check the extractor")
        if int(part.y.min()) < 0 or int(part.y.max()) >= len(found.class_names):
            raise DataError(str(folder), f"has labels outside 0..{len(found.class_names) - 1}", "Make it again")
    return found


def split(name: str, whole: LabelledImages, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Split the rows of a data set without a test part into training and test rows, 75% and 25% of each class.

    Raises:
        DataError: too few rows of a class.
    """
    from sklearn.model_selection import train_test_split

    try:
        a, b = train_test_split(
            np.arange(len(whole)), test_size=TEST_SHARE, stratify=whole.y.numpy(), random_state=seed
        )
    except ValueError as error:  # too few images of a class
        raise DataError(
            name, f"cannot be split 75/25 by class ({error})", "Give at least four images of each class"
        ) from error
    return whole.take(torch.from_numpy(a)), whole.take(torch.from_numpy(b))


def _read(
    name: str, data_dir: str | Path | None, file: Path | None
) -> tuple[dict[str, Any], Mapping[str, Sequence[str]]]:
    """Return the parts of a data set, from the first place that has it.

    The second value lists the Parquet files of each part on this machine.
    """
    import datasets

    root = data_dir or os.environ.get("REINJECT_DATA")
    if root is not None and not Path(root).is_dir():
        raise DataError(str(root), "the data directory does not exist", "Give another --data-dir or REINJECT_DATA")
    place = file or found_at(name, root)
    source = str(place) if place is not None else HUB_NAMES.get(name, name)
    if file is not None and file.suffix != ".parquet":
        raise DataError(str(file), "is a file of an unknown kind", f"Give one of {', '.join(_FILES)}, or a folder")
    if place is None and "/" not in source:
        raise _not_found(name, root, "names on the hub are owner/name")
    datasets.disable_progress_bars()
    cache = _copies_of(place) or str(datasets.config.HF_DATASETS_CACHE)
    _check_cache(cache)
    wanted: dict[str, Any] = {"path": source} if file is None else {"path": "parquet", "data_files": source}
    try:
        found = dict(datasets.load_dataset(**wanted, cache_dir=cache))
        files = datasets.load_dataset_builder(**wanted, cache_dir=cache).config.data_files if place is not None else {}
    except Exception as error:  # errors of pyarrow, the hub's library, and their own libraries
        full = _disk_error(error)
        if full is not None:
            raise _no_cache(cache, full) from error
        if place is not None:
            raise DataError(
                str(place), f"holds no readable data set ({reason(error)})", "Put Parquet files or images there"
            ) from error
        raise _not_found(name, root, reason(error)) from error
    return found, {str(part): [one for one in some if str(one).endswith(".parquet")] for part, some in files.items()}


def _check_cache(cache: str) -> None:
    """Raise DataError if the ``datasets`` library could not write its copy of a data set."""
    try:
        Path(cache).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        raise _no_cache(cache, error) from error


def _no_cache(cache: str, error: OSError) -> DataError:
    return DataError(
        cache,
        f"the cache of the library datasets cannot be created there ({reason(error)})",
        f"{cure_of(error, 'another folder')}: the variable HF_DATASETS_CACHE names it",
    )


def _disk_error(error: BaseException) -> OSError | None:
    """Return the full or read-only disk behind another library's error, if that is the cause."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _copies_of(place: Path | None) -> str | None:
    """Return where ``datasets`` keeps its copy of a folder or file.

    By default ``datasets`` confuses places of equal name and card.
    """
    import datasets

    if place is None:
        return None
    all_of_it = [place] if place.is_file() else sorted(place.rglob("*"))
    files = [(str(path.relative_to(place)), path.stat()) for path in all_of_it if path.is_file()]
    state = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in files])
    return str(Path(datasets.config.HF_DATASETS_CACHE) / hashlib.sha256(state.encode()).hexdigest()[:16])


def _not_found(name: str, root: str | Path | None, why: str) -> DataError:
    near = [] if name in NAMES else difflib.get_close_matches(name, NAMES, 1)
    looked = f"in {root} nor " if root is not None else "as a folder nor "
    cure = f"Did you mean {near[0]}? " if near else ""
    return DataError(
        name,
        f"is neither {looked}available from the hub ({why})",
        f"{cure}Use one of {', '.join(NAMES)}, a folder, or a hub name; --data-dir names its folder",
    )
