"""The archive: read by everyone, whole or not there, gone on with after a cut."""

import errno
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import datasets
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch

from reinject import Archive, __version__
from reinject.archive import Existing, Listener, Plan, write
from reinject.base.errors import ArchiveError, ArgumentError
from reinject.data import images
from reinject.data.samples import LabelledSamples, Storage

NAMES = ("cat", "dog", "eel")


def plan(storage: Storage | None = None, shape: tuple[int, ...] = (1, 4, 5), blocks: int = 3, **parameters) -> Plan:
    return Plan(shape, NAMES, storage or Storage(), blocks, {"preset": "test", **parameters}, {})


def block(number: int, p: Plan) -> Iterator[LabelledSamples]:
    """Two steps of seven walks, a pure function of the block's number."""
    for step in (1, 2):
        g = torch.Generator().manual_seed(100 * number + step)
        x, clipped = p.storage.store(torch.randn((7, *p.event_shape), generator=g))
        probabilities = torch.rand((7, 3), generator=g).softmax(1)
        walk = torch.arange(7) + 7 * number
        yield LabelledSamples(x, probabilities.argmax(1), probabilities, walk, step, walk % 2, number, clipped, 0)


def make(out: Path, p: Plan | None = None, **options) -> Archive:
    p = p or plan()
    write(out, p, lambda number: block(number, p), existing=Existing(**options))
    return Archive.open(out)


def expected(p: Plan) -> list[LabelledSamples]:
    return [part for number in range(p.blocks) for part in block(number, p)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


STORAGES = {
    "grey": (Storage(), (1, 4, 5)),
    "colour": (Storage("uint8", -1, 1), (3, 4, 5)),
    "float": (Storage("float"), (1, 4, 5)),
    "levels of vectors": (Storage(), (6,)),
    "float vectors": (Storage("float"), (6,)),
}


@pytest.mark.parametrize(("storage", "shape"), STORAGES.values(), ids=STORAGES.keys())
def test_what_is_written_is_read_back(tmp_path: Path, storage: Storage, shape: tuple[int, ...]) -> None:
    p = plan(storage, shape)
    archive = make(tmp_path / "a", p)
    x, label = archive.read()
    parts = expected(p)
    assert torch.equal(x, torch.cat([part.x for part in parts]))
    assert torch.equal(label, torch.cat([part.label for part in parts]))
    assert archive.rows == 42
    assert archive.storage == storage
    assert archive.manifest["counts"]["clipped_values"] == sum(part.clipped for part in parts)
    assert archive.manifest["counts"]["per_class"] == np.bincount(label, minlength=3).tolist()


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "brotli", "lz4", "none"])
@pytest.mark.parametrize("kept", ["png", "array"])
def test_images_and_compression_change_the_bytes_and_not_the_samples(
    tmp_path: Path, kept: str, compression: str
) -> None:
    p = replace(plan(), images=kept, compression=compression)
    archive = make(tmp_path / "a", p)
    assert torch.equal(archive.read()[0], torch.cat([part.x for part in expected(p)]))
    assert archive.manifest["columns"][0] == ("image" if kept == "png" else "x")
    column = pq.ParquetFile(tmp_path / "a/data/shard-000000.parquet").metadata.row_group(0).column(0)
    assert column.compression == {"none": "UNCOMPRESSED"}.get(compression, compression.upper())
    assert archive.plan().as_json() == p.as_json()
    with pytest.raises(ArgumentError, match="'jpg' is not known"):
        replace(plan(), images="jpg")
    with pytest.raises(ArgumentError, match="'zip' is not known"):
        replace(plan(), compression="zip")


def test_some_rows_are_a_random_subset(tmp_path: Path) -> None:
    archive = make(tmp_path / "a")
    everything, labels = archive.read()
    x, label = archive.read(10, seed=1)
    at = [int((everything == one).flatten(1).all(1).nonzero()[0, 0]) for one in x]
    assert len(set(at)) == 10
    assert torch.equal(label, labels[at])
    assert at == sorted(at) != list(range(10))


def test_datasets_reads_images_as_images_and_labels_as_names(tmp_path: Path) -> None:
    make(tmp_path / "a")
    read = datasets.load_dataset(str(tmp_path / "a"), cache_dir=str(tmp_path / "cache"))["train"]
    parts = expected(plan())
    assert list(read.features) == ["image", "label", "probabilities", "walk", "step", "model"]
    assert read.features["label"].names == list(NAMES)
    assert np.array_equal(np.asarray(read[3]["image"]), parts[0].x[3, 0].numpy())
    assert len(read) == 42
    np.testing.assert_allclose(read[20]["probabilities"], parts[2].probabilities[6].numpy())


def test_datasets_takes_an_archive_for_no_other_of_its_name(tmp_path: Path) -> None:
    for blocks in (1, 2):
        folder = tmp_path / str(blocks) / "a"
        make(folder, plan(blocks=blocks))
        assert len(datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"]) == 14 * blocks


def test_datasets_reads_floats_with_their_shape(tmp_path: Path) -> None:
    p = plan(Storage("float"))
    make(tmp_path / "a", p)
    read = datasets.load_dataset(str(tmp_path / "a"), cache_dir=str(tmp_path / "cache"))["train"]
    x = read.with_format("numpy")["x"][:]
    assert np.array_equal(np.asarray(x), torch.cat([part.x for part in expected(p)]).numpy())


def test_pandas_polars_and_duckdb_read_it(tmp_path: Path) -> None:
    make(tmp_path / "a")
    parts = expected(plan())
    label = torch.cat([part.label for part in parts]).tolist()
    walk = torch.cat([part.walk for part in parts]).tolist()
    data = tmp_path / "a" / "data"
    frame = pd.read_parquet(data)
    assert frame["label"].tolist() == label
    decoded = images.decode([frame["image"][0]["bytes"]], "pandas")
    assert np.array_equal(decoded[0], parts[0].x[0].numpy())
    assert pl.read_parquet(data / "*.parquet")["walk"].to_list() == walk
    rows = duckdb.sql(f"select walk, label from '{data}/*.parquet' order by walk, step").fetchall()
    assert sorted(rows) == sorted(zip(walk, label, strict=True))


def test_the_manifest_says_everything(tmp_path: Path) -> None:
    manifest = make(tmp_path / "a", plan(walks=21)).manifest
    assert manifest["schema_version"] == 3
    assert manifest["parameters"] == {"preset": "test", "walks": 21}
    assert {"reinject", "torch"} <= manifest["packages"].keys()
    assert manifest["packages"]["reinject"] == __version__
    assert [shard["rows"] for shard in manifest["shards"]] == [14, 14, 14]
    assert "42 samples in 3 classes" in (tmp_path / "a" / "README.md").read_text()


def test_the_card_says_what_the_walks_went_through(tmp_path: Path) -> None:
    p = plan()
    noted = [replace(part, accepted=0.25 + 0.5 * part.block) for part in expected(p)]
    write(tmp_path / "a", p, lambda number: (part for part in noted if part.block == number))
    card = (tmp_path / "a" / "README.md").read_text()
    counts = torch.cat([part.label for part in noted]).bincount(minlength=3)
    assert f"{NAMES[counts.argmin()]}: {counts.min() / 42:.1%}; {NAMES[counts.argmax()]}:" in card
    confidence = torch.cat([part.probabilities for part in noted]).amax(1).mean()
    assert f"| mean probability of the most probable class | {confidence:.3f} |" in card
    assert "| proposals accepted | 0.750 |" in card
    assert "asymmetry" not in card


class CutError(Exception):
    pass


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_cut_run_goes_on_and_ends_the_same(tmp_path: Path, at: int) -> None:
    p = plan()
    make(tmp_path / "whole", p)

    def cut(number: int) -> Iterator[LabelledSamples]:
        parts = block(number, p)
        yield next(parts)
        if number == at:
            raise CutError
        yield from parts

    with pytest.raises(CutError):
        write(tmp_path / "a", p, cut)
    assert not (tmp_path / "a").exists()
    with pytest.raises(ArchiveError, match="unfinished"):
        Archive.open(tmp_path / "a")
    made, told = [], []

    def counted(number: int) -> Iterator[LabelledSamples]:
        made.append(number)
        return block(number, p)

    write(tmp_path / "a", p, counted, listener=Listener(told.append))
    assert made == list(range(at, 3))
    assert sum(told) == 42
    assert files(tmp_path / "a") == files(tmp_path / "whole")
    assert not (tmp_path / "a.partial").exists()


def test_a_shard_damaged_before_resuming_is_made_again(tmp_path: Path) -> None:
    p = plan()
    make(tmp_path / "whole", p)

    def cut(number: int) -> Iterator[LabelledSamples]:
        if number == 2:
            raise CutError
        return block(number, p)

    with pytest.raises(CutError):
        write(tmp_path / "a", p, cut)
    shard = tmp_path / "a.partial/data/shard-000000.parquet"
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    make(tmp_path / "a", p)
    assert files(tmp_path / "a") == files(tmp_path / "whole")


def test_an_unfinished_run_with_other_parameters_is_named(tmp_path: Path) -> None:
    def cut(_: int) -> Iterator[LabelledSamples]:
        raise CutError

    with pytest.raises(CutError):
        write(tmp_path / "a", plan(lam=0.1), cut)
    with pytest.raises(ArchiveError, match=r"parameters\.lam \(0\.1 there, 0\.2 here\)"):
        make(tmp_path / "a", plan(lam=0.2))


def test_a_full_disk_leaves_nothing_that_could_be_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pq.ParquetWriter.write_table
    written = []

    def full(self: pq.ParquetWriter, table: object) -> None:
        written.append(table)
        if len(written) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, table)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        make(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert not list((tmp_path / "a.partial").rglob("manifest.json"))
    monkeypatch.setattr(pq.ParquetWriter, "write_table", real)
    assert make(tmp_path / "a").rows == 42


def test_an_output_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").write_text("years of work")
    with pytest.raises(ArchiveError, match="already holds something"):
        make(tmp_path / "a")
    with pytest.raises(ArchiveError, match="reinject did not make it"):
        make(tmp_path / "a", overwrite=True)
    assert (tmp_path / "a" / "thesis.tex").read_text() == "years of work"


def test_overwriting_replaces_an_archive(tmp_path: Path) -> None:
    make(tmp_path / "a", plan(blocks=1))
    with pytest.raises(ArchiveError, match="--overwrite"):
        make(tmp_path / "a")
    assert make(tmp_path / "a", overwrite=True).rows == 42
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_no_sample_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no sample"):
        write(tmp_path / "a", plan(), lambda _: [])
    assert not (tmp_path / "a").exists()


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "a")
    manifest = tmp_path / "a" / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text[:-20])
    with pytest.raises(ArchiveError, match="damaged"):
        Archive.open(tmp_path / "a")
    manifest.write_text(json.dumps({**json.loads(text), "schema_version": 99}))
    with pytest.raises(ArchiveError, match="version 99"):
        Archive.open(tmp_path / "a")
    manifest.write_text('{"schema_version": 3}')
    with pytest.raises(ArchiveError, match="damaged"):
        Archive.open(tmp_path / "a")
    manifest.write_text(text)
    shard = tmp_path / "a/data/shard-000001.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(ArchiveError, match="truncated"):
        Archive.open(tmp_path / "a")
    manifest.unlink()
    with pytest.raises(ArchiveError, match="no manifest"):
        Archive.open(tmp_path / "a")
