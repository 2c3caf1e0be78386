"""Archives from before 0.2 that note rows which repeat an earlier block's are read, traced, verified and repaired."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flat import flat
from reinject import Archive
from reinject.archive import read_manifest, verify
from reinject.archive.shards import forget_entries, write_shard
from reinject.base.errors import ArchiveError
from reinject.base.files import write_json
from reinject.data.samples import LabelledSamples
from reinject.models.loading import load_models
from reinject.sampling.filters import Distinct
from reinject.sampling.presets import Settings
from reinject.sampling.remake import remake
from reinject.sampling.sample import sample_models
from reinject.sampling.selection import Selection
from reinject.sampling.trace import trace
from reinject.sampling.verify import verify as verify_command

WALKS = Settings("langevin", {"lam": "0.1"}, steps=6, burn_in=3)
NEAR = 0.2  # of the samples below: some repeat one of their own block, some one of an earlier


def made(models: Path, out: Path | str, **options: Any) -> Archive:
    given = {"walks": 40, "block_size": 8, "selection": Selection(distinct=NEAR), **options}
    sample_models(load_models([models]), out, **flat(preset="x", settings=WALKS, **given))
    return Archive.open(out)


def near(x: np.ndarray, kept: list[np.ndarray]) -> bool:
    return any(np.sqrt(np.mean((x - y) ** 2)) < NEAR for y in kept)


def test_samples_are_compared_within_their_block(small_models: Path, tmp_path: Path) -> None:
    whole = made(small_models, tmp_path / "whole", selection=Selection())
    archive = made(small_models, tmp_path / "distinct")
    earlier: list[np.ndarray] = []
    across = 0
    for k, (x, _) in enumerate(whole.shards()):
        kept, rows = list[np.ndarray](), list[int]()
        for row, one in enumerate(whole.storage.load(x).flatten(1).numpy().astype(np.float64)):
            if not near(one, kept):
                kept, rows = [*kept, one], [*rows, row]
        assert archive.shard(k).equals(whole.shard(k).take(rows))
        across += sum(near(one, earlier) for one in kept)
        earlier += kept
    assert archive.rows < whole.rows
    assert across > 0  # which stay


def taken_out(parts: Iterable[LabelledSamples], rows: list[int]) -> Iterator[LabelledSamples]:
    numbers = iter(range(10_000))
    for part in parts:
        yield part.rows(torch.tensor([next(numbers) not in rows for _ in part.walk], dtype=torch.bool))


@pytest.fixture
def old(small_models: Path, tmp_path: Path) -> Archive:
    """An archive as ``sample --distinct`` wrote it: some rows taken out of its shards by hand, and noted."""
    archive = made(small_models, tmp_path / "a")
    make_block, manifest = remake(archive), read_manifest(archive.folder)
    entries = {entry["block"]: entry for entry in manifest["shards"]}
    for number, gone in {1: [0, 3], 2: list(range(entries[2]["rows"])), 4: [entries[4]["rows"] - 1]}.items():
        after = write_shard(archive.folder, archive.plan(), number, taken_out(make_block(number), gone))
        entries[number] |= {name: after[name] for name in ("rows", "unlabelled", "per_class", "sha256", "bytes")}
        entries[number]["dropped"][Distinct.name] += len(gone)
        entries[number]["repeats"] = gone
        manifest["counts"]["rows"] -= len(gone)
        manifest["counts"]["dropped"][Distinct.name] += len(gone)
    per_class = np.sum([entry["per_class"] for entry in manifest["shards"]], axis=0)
    manifest["counts"]["per_class"] = per_class.tolist()
    forget_entries(archive.folder)
    write_json(archive.folder / "manifest.json", manifest)
    return Archive.open(archive.folder)


def test_it_is_read_verified_and_traced(old: Archive) -> None:
    assert len(old.read()[0]) == old.rows
    assert verify(old.folder) == []
    assert trace(old.folder, random=old.rows).result["same"] == old.rows


@pytest.mark.parametrize("by", ["verify", "sample", "workers"])
def test_it_is_repaired_to_the_same_bytes(small_models: Path, old: Archive, by: str) -> None:
    victims = [old.folder / entry["file"] for entry in old.manifest["shards"] if entry["block"] != 3]
    before = {path: path.read_bytes() for path in victims}
    for path in victims[:-1]:
        path.unlink()
    victims[-1].write_bytes(b"")
    if by == "verify":
        assert verify_command(old.folder, repair=True).result["faults"] == []
    else:
        made(small_models, old.folder, resume="always", **({"workers": 2} if by == "workers" else {}))
    assert {path: path.read_bytes() for path in victims} == before
    assert not old.folder.with_name("a.repair").exists()


def test_its_rows_stay_when_walks_are_added(small_models: Path, old: Archive) -> None:
    rows, shards = old.rows, [old.shard(k) for k in range(5)]
    longer = made(small_models, old.folder, walks=16, append=True)
    assert longer.rows > rows
    assert all(longer.shard(k).equals(shards[k]) for k in range(5))
    assert verify(longer.folder) == []
    assert trace(longer.folder, random=longer.rows).result["same"] == longer.rows


@pytest.mark.parametrize("broken", [[2, 1], [1, 1], [-1], "all", [0.5], {"0": 1}])
def test_damaged_notes_of_what_was_left_out_are_refused(old: Archive, broken: object) -> None:
    manifest = read_manifest(old.folder)
    manifest["shards"][1]["repeats"] = broken
    write_json(old.folder / "manifest.json", manifest)
    with pytest.raises(ArchiveError, match=r"damaged \(shards\[1\]\.repeats"):
        read_manifest(old.folder)


def test_a_repair_that_comes_out_otherwise_is_refused(small_models: Path, old: Archive) -> None:
    manifest = read_manifest(old.folder)
    entry = manifest["shards"][1]
    entry["repeats"] = entry["repeats"][1:]
    write_json(old.folder / "manifest.json", manifest)
    (old.folder / entry["file"]).unlink()
    with pytest.raises(ArchiveError, match="differs after the repair"):
        made(small_models, old.folder, resume="always")
