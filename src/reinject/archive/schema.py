"""Contents of an archive: its plan, and the columns of its table."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from reinject import __version__
from reinject.archive.table_schema import TableSchema
from reinject.base.errors import ArgumentError
from reinject.base.random_streams import FIRST
from reinject.data import images
from reinject.data.classes import check_names
from reinject.data.samples import LabelledSamples, Storage

SCHEMA_VERSION = 3  # 2: settings, kernel notes, strayed walks; 3: ranges of walks, counts by shard
MANIFEST = "manifest.json"
IMAGES = ("png", "array")
COMPRESSIONS = ("zstd", "snappy", "gzip", "brotli", "lz4", "none")
_PACKAGES = ("torch", "numpy", "pyarrow")


@dataclass(frozen=True)
class Plan:
    """All settings that determine an archive's rows; two runs with equal plans write equal shards.

    Attributes:
        event_shape: shape of one sample.
        class_names: names of the labels, in the order of the classifier's outputs; none: samples have no labels.
        storage: how samples are stored.
        blocks: number of blocks of walks, and so of shards.
        parameters: kernel, start, walks, steps, seed and so on, as JSON values.
        models: the autoencoders and the classifiers: their folders and the hashes of their weights.
        images: "png", for samples that are images of uint8 levels; "array": store them as arrays of numbers.
        compression: of the Parquet columns: "zstd", "snappy", "gzip", "brotli", "lz4" or "none".
        table: columns of a table, from :meth:`reinject.archive.table_schema.TableSchema.as_json`; None: samples are
            images or vectors.

    Raises:
        ArgumentError: an unknown value; names of classes that are blank or repeated.
    """

    event_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    storage: Storage
    blocks: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)
    images: str = "png"
    compression: str = "zstd"
    table: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", check_names("class_names", self.class_names))
        for name, known in (("images", IMAGES), ("compression", COMPRESSIONS)):
            if getattr(self, name) not in known:
                raise ArgumentError(
                    f"--{name}", f"{getattr(self, name)!r} is not known", f"Use one of {', '.join(known)}"
                )

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON values, with the versions of the packages that determine its results."""
        plan = json.loads(json.dumps(asdict(self)))
        if self.table is None:  # as plans of earlier versions
            del plan["table"]
        plan["packages"] = packages()
        return dict(plan)

    @property
    def is_image(self) -> bool:
        """Return whether samples are stored as PNG images and not as arrays of numbers."""
        grid = len(self.event_shape) == 3 and self.event_shape[0] in (1, 3)
        return grid and self.storage.kind == "uint8" and self.images == "png"


def features(plan: Plan) -> Any:
    """Return the columns as ``datasets`` features: image or x, label, probabilities, walk, step, model."""
    from datasets import ClassLabel, Features, Image, List, Value

    if plan.is_image:
        kept = {"image": Image()}
    else:
        column = Value("uint8" if plan.storage.kind == "uint8" else "float32")
        for length in reversed(plan.event_shape):
            column = List(column, length=length)
        kept = {"x": column}
    labels = {
        "label": ClassLabel(names=list(plan.class_names)),
        "probabilities": List(Value("float32"), length=len(plan.class_names)),
    }
    return Features(
        {
            **kept,
            **(labels if plan.class_names else {}),
            "walk": Value("int64"),
            "step": Value("int32"),
            "model": Value("int32"),
        }
    )


def schema_of(plan: Plan) -> pa.Schema:
    """Return the Arrow schema of a shard: the columns of a table, or samples with the features in its metadata."""
    if plan.table is not None:
        return TableSchema.from_json(plan.table, MANIFEST).schema
    return features(plan).arrow_schema


def table_of(part: LabelledSamples, plan: Plan, schema: pa.Schema) -> pa.Table:
    """Return the rows of one part as an Arrow table of the given schema."""
    if part.table is not None:
        return part.table.cast(schema)
    rows = len(part.label)
    x = part.x.numpy()
    if plan.is_image:
        data = pa.array(images.encode(x), pa.binary(), size=rows)
        kept = pa.StructArray.from_arrays([data, pa.nulls(rows, pa.string())], fields=list(schema.field("image").type))
    else:
        kept = pa.array(x.reshape(-1))
        for length in reversed(plan.event_shape):
            kept = pa.FixedSizeListArray.from_arrays(kept, length)
    labels = []
    if plan.class_names:
        flat = pa.array(part.probabilities.numpy().reshape(-1))
        labels = [pa.array(part.label.numpy()), pa.FixedSizeListArray.from_arrays(flat, len(plan.class_names))]
    columns = [
        kept,
        *labels,
        pa.array(part.walk.numpy()),
        pa.array(np.full(rows, part.step, np.int32)),
        pa.array(part.model.numpy().astype(np.int32)),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def blocks_of(parameters: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the first walk of every block, and the one behind its last, of an archive of these parameters.

    Example:
        >>> blocks_of({"ranges": [{"walks": [0, 20]}, {"walks": [32, 40]}], "block_size": 16})
        [(0, 16), (16, 20), (32, 40)]
    """
    size = parameters["block_size"]
    return [
        (first, min(first + size, last["walks"][1]))
        for last in parameters["ranges"]
        for first in range(last["walks"][0], last["walks"][1], size)
    ]


def scheme_of(parameters: Mapping[str, Any]) -> int:
    """Return the scheme of an archive's noise, see :func:`reinject.base.random_streams.stream`; old archives name none.

    Example:
        >>> scheme_of({}), scheme_of({"streams": 2})
        (1, 2)
    """
    return int(parameters.get("streams", FIRST))


def packages() -> dict[str, str]:
    """Return the versions of the packages that determine an archive's bytes."""
    return {"reinject": __version__, **{name: version(name) for name in _PACKAGES}}  # works without an installation too
