"""Near-duplicates across blocks: the greedy choice by hand, and the same bytes wherever rows are made again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reinject import Archive
from reinject.archive import Plan, Repeats, read_manifest, verify, write
from reinject.base.errors import ArchiveError
from reinject.data.samples import LabelledSamples, Storage
from reinject.models.loading import load_models
from reinject.sampling.filters import Distinct
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.selection import Selection
from reinject.sampling.trace import trace

WALKS = Settings("langevin", {"lam": "0.1"}, steps=6, burn_in=3)
NEAR = 0.2  # of the samples below: some repeat one of their own block, some one of an earlier


def made(models: Path, out: Path, distance: float | None, **options: object) -> Archive:
    given = {"walks": 40, "block_size": 8, "selection": Selection(distinct=distance), **options}
    sample_models(load_models([models]), out, "x", WALKS, **given)
    return Archive.open(out)


def greedy(blocks: list[np.ndarray], distance: float) -> list[list[int]]:
    """The rows that stay of every block: first in each alone, as the filter does, then by those of earlier blocks."""

    def near(x: np.ndarray, kept: list[np.ndarray]) -> bool:
        return any(np.sqrt(np.mean((x - y) ** 2)) < distance for y in kept)

    alone = []
    for block in blocks:
        kept: list[int] = []
        for row, x in enumerate(block):
            if not near(x, [block[k] for k in kept]):
                kept.append(row)
        alone.append(kept)
    earlier: list[np.ndarray] = []
    stay = []
    for block, kept in zip(blocks, alone, strict=True):
        stay.append([row for row in kept if not near(block[row], earlier)])
        earlier += [block[row] for row in stay[-1]]
    return stay


def test_the_rows_that_stay_are_the_greedy_choice_by_hand(small_models: Path, tmp_path: Path) -> None:
    whole, archive = made(small_models, tmp_path / "whole", None), made(small_models, tmp_path / "distinct", NEAR)
    blocks = [whole.storage.load(x).flatten(1).numpy().astype(np.float64) for x, _ in whole.shards()]
    for k, rows in enumerate(greedy(blocks, NEAR)):
        assert archive.shard(k).equals(whole.shard(k).take(rows))
    alone = sum(len(greedy([block], NEAR)[0]) for block in blocks)
    counts = archive.manifest["counts"]
    assert counts["rows"] < alone < whole.rows  # both rules had something to do
    assert counts["dropped"] == {Distinct.name: whole.rows - counts["rows"]}
    assert counts["values"] == whole.manifest["counts"]["values"]
    label = archive.read()[1]
    assert counts["per_class"] == label.bincount(minlength=2).tolist()
    p = torch.tensor(np.concatenate([t.column("probabilities").to_pylist() for t in archive.tables(["probabilities"])]))
    assert archive.manifest["mean_confidence"] == pytest.approx(float(p.amax(1).mean()), abs=1e-6)


def test_it_is_the_same_for_workers_traced_verified_and_repaired(small_models: Path, tmp_path: Path) -> None:
    archive = made(small_models, tmp_path / "a", NEAR)
    assert made(small_models, tmp_path / "b", NEAR, workers=2).manifest == archive.manifest
    assert any(entry.get("repeats") for entry in archive.manifest["shards"])
    assert trace(archive.folder, random=archive.rows).result["same"] == archive.rows
    assert verify(archive.folder) == []
    victims = [entry for entry in archive.manifest["shards"] if entry.get("repeats")][:2]
    before = {entry["file"]: (archive.folder / entry["file"]).read_bytes() for entry in victims}
    (archive.folder / victims[0]["file"]).unlink()
    (archive.folder / victims[-1]["file"]).write_bytes(b"")
    made(small_models, tmp_path / "a", NEAR, resume="always")
    assert {name: (archive.folder / name).read_bytes() for name in before} == before
    assert not (tmp_path / "a.repair").exists()


def test_rows_that_are_there_stay_when_walks_are_added(small_models: Path, tmp_path: Path) -> None:
    first = made(small_models, tmp_path / "a", NEAR, walks=24)
    rows, shards = first.rows, [first.shard(k) for k in range(3)]
    longer = made(small_models, tmp_path / "a", NEAR, walks=16, append=True)
    at_once = made(small_models, tmp_path / "b", NEAR, walks=40)
    assert rows < longer.rows
    assert all(longer.shard(k).equals(shards[k]) for k in range(3))
    assert all(longer.shard(k).equals(at_once.shard(k)) for k in range(5))


def test_steps_and_shards_of_which_nothing_stays(small_models: Path, tmp_path: Path) -> None:
    archive = made(small_models, tmp_path / "a", 0.45)
    assert any(entry["rows"] == 0 for entry in archive.manifest["shards"])
    assert verify(archive.folder) == []
    assert trace(archive.folder, random=archive.rows).result["same"] == archive.rows
    longer = made(small_models, tmp_path / "a", 0.45, walks=16, append=True)
    assert longer.rows >= archive.rows
    assert len(longer.read()[0]) == longer.rows


def test_rows_from_before_there_was_the_rule_stay(tmp_path: Path) -> None:
    parts, out = blocks_of(torch.zeros(6, 2), [2, 2, 2]), tmp_path / "a"
    plan = {blocks: Plan((2,), ("a",), Storage("float"), blocks, {"seed": 0}, {}) for blocks in (2, 3)}
    write(out, plan[2], lambda number: [parts[number]])
    write(out, plan[3], lambda number: [parts[number]], base=out, repeats=Repeats(0.1, "near"))
    assert [entry["rows"] for entry in read_manifest(out)["shards"]] == [2, 2, 0]


def test_it_works_elsewhere_too(small_models: Path, tmp_path: Path) -> None:
    here = made(small_models, tmp_path / "a", NEAR)
    there = made(small_models, "memory://repeats/a", NEAR)
    assert there.manifest["shards"] == here.manifest["shards"]
    assert verify(there.folder) == []


def blocks_of(points: torch.Tensor, sizes: list[int]) -> list[LabelledSamples]:
    zeros = torch.zeros
    return [
        LabelledSamples(
            x, zeros(len(x), dtype=torch.int64), torch.ones(len(x), 1), torch.arange(len(x)), 0,
            zeros(len(x), dtype=torch.int64), block, 0, 0,
        )
        for block, x in enumerate(points.split(sizes))
    ]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30), distance=st.floats(0.05, 2.0))
def test_any_points_any_distance(tmp_path_factory: pytest.TempPathFactory, seed: int, n: int, distance: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(0, 12, 4)]
    x = torch.from_numpy(np.float32(rng.standard_normal((sum(sizes), n)) + rng.integers(0, 2, (sum(sizes), 1)) * 100))
    parts = blocks_of(x, sizes)
    out = tmp_path_factory.mktemp("points") / "a"
    plan = Plan((n,), ("a",), Storage("float"), 4, {"seed": 0}, {})
    if not sum(sizes):
        with pytest.raises(ArchiveError, match="no sample to write"):
            write(out, plan, lambda number: [parts[number]], repeats=Repeats(distance, "near"))
        return
    write(out, plan, lambda number: [parts[number]], repeats=Repeats(distance, "near"))
    kept: list[np.ndarray] = []
    for part in parts:
        earlier = list(kept)
        kept += [x for x in part.x.numpy() if not any(np.sqrt(np.mean((x - y) ** 2)) < distance for y in earlier)]
    assert np.array_equal(Archive.open(out).read()[0].numpy(), np.array(kept))


@pytest.mark.parametrize("broken", [[2, 1], [1, 1], [-1], "all", [0.5], {"0": 1}])
def test_damaged_notes_of_what_was_left_out_are_refused(small_models: Path, tmp_path: Path, broken: object) -> None:
    archive = made(small_models, tmp_path / "a", NEAR, walks=16)
    manifest = {**archive.manifest}
    manifest["shards"][1]["repeats"] = broken
    (archive.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArchiveError, match=r"damaged \(shards\[1\]\.repeats"):
        read_manifest(archive.folder)


def test_a_repair_that_comes_out_otherwise_is_refused(small_models: Path, tmp_path: Path) -> None:
    archive = made(small_models, tmp_path / "a", NEAR)
    entry = next(entry for entry in archive.manifest["shards"] if entry.get("repeats"))
    other = {**archive.manifest}
    entry["repeats"] = entry["repeats"][1:] or [entry["repeats"][0] + 1]
    (archive.folder / "manifest.json").write_text(json.dumps(other))
    (archive.folder / entry["file"]).unlink()
    with pytest.raises(ArchiveError, match="comes out otherwise"):
        made(small_models, tmp_path / "a", NEAR, resume="always")
