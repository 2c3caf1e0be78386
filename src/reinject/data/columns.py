"""Read samples (images or vectors) and labels from the columns of a table that ``datasets`` has loaded."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from reinject.base.errors import DataError
from reinject.data.arrays import Part, samples_of
from reinject.data.classes import Labels
from reinject.data.images import decode

_LABELS = ("label", "fine_label", "labels", "target", "class", "y")
_IMAGES = ("image", "img")
_VECTORS = ("x", "features", "data", "embedding", "vector")
_CURE = (
    f"Give a column of images or of lists of numbers ({', '.join((*_IMAGES, *_VECTORS))}) and one of labels "
    f"({', '.join(_LABELS)}), or a folder with one sub-folder of images a class"
)


def read_columns(
    name: str, parts: Mapping[str, Any], files: Mapping[str, Sequence[str]], advance: Callable[[int], None]
) -> dict[str, Part]:
    """Read the parts of a data set of columns: samples as :func:`reinject.data.arrays.samples_of` returns, and labels.

    Arguments:
        name: of the data set, for messages.
        parts: name of a part -> its table.
        files: name of a part -> its Parquet files on this machine, which may have their own names of classes.
        advance: called with the number of rows just read.

    Raises:
        DataError: no such columns; rows without a sample; unreadable samples.
    """
    features = next(iter(parts.values())).features
    label, image, vector = (
        next(filter(None, (_column(name, features, known, fits, what) for fits in kinds)), None)
        for known, kinds, what in (
            (_LABELS, (_is_classes, _is_label), "labels"),
            (_IMAGES, (_is_image, _is_file), "images"),
            (_VECTORS, (_is_vector,), "vectors"),
        )
    )
    if label is None or (image is None and vector is None):
        what = "labels" if label is None else "images or vectors"
        raise DataError(name, f"has no column of {what} among {', '.join(features)}", _CURE)
    read = {}
    for part, rows in parts.items():
        owner = f"the {part} part of {name}"
        if image is not None:
            x = decode(_files(owner, rows, image, advance), owner)
        else:
            x = samples_of(owner, _values(owner, _whole(rows, str(vector))))
            advance(len(x))
        read[part] = x, _labels(rows, label, files.get(part, ()))
    return read


def _column(
    name: str, features: Mapping[str, Any], known: Sequence[str], fits: Callable[[str, Any], bool], what: str
) -> str | None:
    """Return the column of a kind: the first with a known name, or the only one."""
    fitting = [column for column, feature in features.items() if fits(column, feature)]
    for column in known:
        if column in fitting:
            return column
    if len(fitting) > 1:
        raise DataError(
            name, f"has several columns of {what}: {', '.join(fitting)}", f"Name one of them {known[0]}, or keep one"
        )
    return fitting[0] if fitting else None


def _kind(feature: Any) -> str:
    return type(feature).__name__


def _is_classes(_: str, feature: Any) -> bool:
    return _kind(feature) == "ClassLabel"


def _is_label(column: str, feature: Any) -> bool:
    """Return whether a column holds integers or text under a usual name of labels.

    Under other names such columns may hold anything.
    """
    types = ("int", "uint", "bool", "string", "large_string", "float")
    return column in _LABELS and _kind(feature) == "Value" and feature.dtype.startswith(types)


def _is_image(_: str, feature: Any) -> bool:
    return _kind(feature) == "Image"


def _is_file(column: str, feature: Any) -> bool:
    """Return whether a column holds image files, as programs without ``datasets`` write them."""
    if column not in _IMAGES:
        return False
    if isinstance(feature, dict):
        return "bytes" in feature
    return _kind(feature) == "Value" and "binary" in feature.dtype


def _is_vector(_: str, feature: Any) -> bool:
    """Return whether a column holds lists, or lists of lists, of numbers."""
    if _kind(feature).startswith("Array"):
        return True
    depth = 0
    while _kind(feature) in ("List", "LargeList", "Sequence"):
        feature, depth = feature.feature, depth + 1
    return depth > 0 and _kind(feature) == "Value" and feature.dtype.startswith(("float", "int", "uint"))


def _files(owner: str, rows: Any, image: str, advance: Callable[[int], None]) -> Iterator[bytes]:
    """Return the bytes of each image."""
    from datasets import Image

    cells = rows.select_columns([image]).cast_column(image, Image(decode=False))[image]
    none = sum(cell is None or (cell["bytes"] is None and cell["path"] is None) for cell in cells)
    if none:
        raise DataError(owner, f"{none:,} of {len(rows):,} rows have no image", "Remove these rows")
    for cell in cells:
        try:
            yield cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()
        except OSError as error:
            raise DataError(
                owner, f"an image cannot be read ({error})", "Store the images' bytes in the column"
            ) from error
        advance(1)


def _whole(rows: Any, column: str) -> pa.ChunkedArray:
    """Return a column as Arrow stores it."""
    return rows.select_columns([column]).with_format("arrow")[:].column(column)


def _values(owner: str, column: pa.ChunkedArray) -> NDArray[Any]:
    """Return a column of lists of one length as an array."""
    if column.null_count:
        raise DataError(owner, f"{column.null_count:,} of {len(column):,} rows have no sample", "Remove these rows")
    parts = [_array(owner, chunk) for chunk in column.chunks if len(chunk)]
    if len({part.shape[1:] for part in parts}) != 1:
        raise DataError(
            owner, "its rows have different numbers of values, or none", "Give all rows the same number of values"
        )
    return np.concatenate(parts)


def _array(owner: str, column: pa.Array) -> NDArray[Any]:
    shape = [len(column)]
    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    while not pa.types.is_primitive(column.type):
        fixed = pa.types.is_fixed_size_list(column.type)
        lengths = [column.type.list_size] if fixed else column.value_lengths().unique().to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            raise DataError(
                owner,
                f"its rows have different numbers of values ({lengths[:3]})",
                "Give all rows the same number of values",
            )
        shape.append(lengths[0])
        column = column.flatten()
    if column.null_count:
        raise DataError(
            owner, f"{column.null_count:,} values are missing", "Fill in these values, or remove their rows"
        )
    return np.asarray(column.to_numpy(zero_copy_only=False)).reshape(shape)


def _labels(rows: Any, label: str, files: Sequence[str]) -> list[Labels]:
    """Return the labels of a part, in pieces of one file each if the files have their own names of classes."""
    column = _whole(rows, label)
    values = np.array(column.to_pylist(), object) if column.null_count else np.asarray(column.to_pylist())
    feature = rows.features[label]
    if _kind(feature) != "ClassLabel":
        return [Labels(values)]
    own = [_names_in(file, label) for file in files]
    if sum(count for _, count in own) != len(values):  # these files do not hold all of its rows
        return [Labels(values, tuple(feature.names))]
    ends = np.cumsum([count for _, count in own])[:-1]
    pieces = np.split(values, ends)
    return [
        Labels(piece, names or tuple(feature.names))
        for piece, (names, _) in zip(pieces, own, strict=True)
        if len(piece)
    ]


def _names_in(file: str, label: str) -> tuple[tuple[str, ...] | None, int]:
    """Return the names of classes in a Parquet file, if it has any, and its number of rows."""
    about = pq.read_metadata(str(file))
    described = (about.metadata or {}).get(b"huggingface", b"null")
    try:
        feature = json.loads(described)["info"]["features"][label]
        names = tuple(map(str, feature["names"])) if feature["_type"] == "ClassLabel" else None
    except (ValueError, KeyError, TypeError):  # written by another program
        names = None
    return names, int(about.num_rows)
