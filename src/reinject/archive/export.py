"""``reinject export``: write an archive in the formats of other tools."""

import io
import itertools
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv
from torch import Tensor

from reinject.archive import Archive
from reinject.archive.request import asked_for, earlier, manifest_hash, note
from reinject.base.errors import ArgumentError, ReinjectError
from reinject.base.files import json_text, write_json
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent
from reinject.base.staging import begin, check_free, discard, partial_of, publish
from reinject.data.images import encode

MARKER = "reinject.json"


def export(folder: Path, out: Path, to: str, *, overwrite: bool = False, progress: Progress | None = None) -> Outcome:
    """Write an archive as WebDataset tar files, as a Zarr group or as a CSV file, shard by shard, in bounded memory.

    Arguments:
        folder: the archive.
        out: folder to make.
        to: "webdataset": one tar a shard; a sample is KEY.png (or KEY.npy), KEY.cls (the label), KEY.json (the rest).
            "zarr": a group of arrays x, label, probabilities, walk, step, model, chunked by shard. "csv", for rows of a
            table: rows.csv, UTF-8 with commas; missing values are empty, dates and times in the form of ISO 8601.
        overwrite: replace an earlier export.
        progress: progress reporter.

    Raises:
        ArgumentError: an unknown format.
        ReinjectError: there is no archive, a library is not installed, or ``out`` holds something.
    """
    if to not in FORMATS:
        raise ArgumentError("--to", f"{to!r} is not known", f"Give one of {', '.join(FORMATS)}")
    archive = Archive.open(folder)
    if (archive.table is None) == (to == "csv"):
        what = "holds images or vectors" if to == "csv" else "holds rows of a table"
        others = ", ".join(name for name in FORMATS if (name == "csv") != (to == "csv"))
        raise ArgumentError("--to", f"{folder} {what}, which {to} does not have", f"Give one of {others}")
    asked = asked_for({}, to=to, archive=manifest_hash(archive.folder))
    made = None if overwrite else earlier(out, asked)
    if made is not None:
        return made
    check_free(out, MARKER, overwrite)
    partial = partial_of(out)
    discard(partial)
    begin(partial, {"archive": str(folder), "to": to})
    with (progress or Silent()).task("exporting", archive.rows, "samples") as advance:
        FORMATS[to](archive, partial, advance)
    told = ("class_names", "storage", "event_shape", "counts", "parameters", "table")
    about = {name: archive.manifest[name] for name in told if name in archive.manifest}
    write_json(partial / MARKER, {"format": to, **about})
    result = {"archive": str(folder), "out": str(out), "to": to, "rows": archive.rows}
    outcome = Outcome(result, [f"{archive.rows:,} samples in {out} ({to})"])
    note(partial, asked, outcome)
    publish(partial, out)
    return outcome


def _webdataset(archive: Archive, out: Path, advance: Callable[[int], None]) -> None:
    for number, (x, table) in enumerate(archive.shards()):
        with tarfile.open(out / f"shard-{number:06d}.tar", "w") as tar:
            for row, (suffix, data) in enumerate(_files_of(x)):
                rest = {name: table.column(name)[row].as_py() for name in table.column_names}
                key = f"{rest['walk']:010d}_{rest['step']:06d}"
                _add(tar, f"{key}.{suffix}", data)
                if "label" in rest:
                    _add(tar, f"{key}.cls", str(rest["label"]).encode())
                _add(tar, f"{key}.json", json_text(rest, str(out), None).encode())
        advance(len(table))


def _files_of(x: Tensor) -> Any:
    """Yield the suffix and the bytes of each sample."""
    values = x.numpy()
    if values.dtype == np.uint8 and values.ndim == 4 and values.shape[1] in (1, 3):
        return (("png", data) for data in encode(values))
    return (("npy", _npy(value)) for value in values)


def _npy(value: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, value)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # time 0, so that the same archive gives the same bytes
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _zarr(archive: Archive, out: Path, advance: Callable[[int], None]) -> None:
    try:
        import zarr
    except ModuleNotFoundError as error:
        raise ReinjectError(
            "--to zarr", "zarr is not installed", "Install it with pip install 'reinject[zarr]'"
        ) from error
    group = zarr.open_group(str(out), mode="a")
    first = 0
    longest = max(shard["rows"] for shard in archive.manifest["shards"])
    for x, table in archive.shards():
        columns = {"x": x.numpy(), **{name: _array(table.column(name)) for name in table.column_names}}
        for name, values in columns.items():
            if name not in group:
                shape, chunks = (archive.rows, *values.shape[1:]), (longest, *values.shape[1:])
                group.create_array(name, shape=shape, chunks=chunks, dtype=values.dtype)
            array: Any = group[name]
            array[first : first + len(values)] = values
        first += len(x)
        advance(len(x))
    group.attrs.update(class_names=list(archive.class_names), storage=archive.manifest["storage"])


def _csv(archive: Archive, out: Path, advance: Callable[[int], None]) -> None:
    tables = (archive.shard(number) for number in range(len(archive.manifest["shards"])))
    first = _as_text(next(tables))
    options = csv.WriteOptions(quoting_style="needed")
    with csv.CSVWriter(str(out / "rows.csv"), first.schema, write_options=options) as writer:
        for table in itertools.chain([first], map(_as_text, tables)):
            writer.write_table(table)
            advance(len(table))


def _as_text(table: pa.Table) -> pa.Table:
    """Return columns in types that CSV has: categories as their values, times as text."""
    for number, item in enumerate(table.schema):
        column, kind = table.column(number), item.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        elif pa.types.is_time(kind) or pa.types.is_decimal(kind):
            column = column.cast(pa.string())
        elif pa.types.is_duration(kind):
            column = column.cast(pa.int64())
        table = table.set_column(number, item.name, column)
    return table


def _array(column: pa.ChunkedArray) -> Any:
    whole = column.combine_chunks()
    if pa.types.is_fixed_size_list(whole.type):
        return whole.flatten().to_numpy(zero_copy_only=False).reshape(len(whole), -1)
    return whole.to_numpy(zero_copy_only=False)


FORMATS: Mapping[str, Callable[[Archive, Path, Callable[[int], None]], None]] = MappingProxyType(
    {"webdataset": _webdataset, "zarr": _zarr, "csv": _csv}
)
