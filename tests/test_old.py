"""Archives of the first versions are read, traced and repaired to the same bytes."""

import shutil
from pathlib import Path

import pytest
import torch

from reinject import Archive
from reinject.archive.mending import without_noted
from reinject.archive.read import values_of
from reinject.base.files import sha256
from reinject.sampling.remake import remake
from reinject.sampling.trace import _joined, trace
from reinject.sampling.verify import verify

# Made at a90ab5d: models, and `reinject sample --preset paper --walks 8 --block-size 4 --seed 7 --borders .8
# --distinct .12`, with near-duplicates of the first block noted in the entry of the second, and its run.toml.
FIRST = Path(__file__).parent / "old" / "first"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A copy of the archive, beside its models."""
    shutil.copytree(FIRST, tmp_path / "old")
    return tmp_path / "old" / "archive"


def test_it_is_read_and_every_row_is_made_again(first: Path) -> None:
    """A processor of another kind than the fixture's rounds the last bits otherwise, and no more than these."""
    archive = Archive.open(first)
    assert archive.rows == archive.manifest["counts"]["rows"]
    shards = archive.manifest["shards"]
    gone = {one["block"]: one["repeats"] for one in shards if one.get("repeats")}
    assert gone
    make_block = without_noted(remake(archive), gone)
    for number, shard in enumerate(shards):
        again, table = _joined(list(make_block(shard["block"]))), archive.shard(number)
        for name in ("walk", "step", "model", "label"):
            assert again[name].tolist() == table.column(name).to_pylist()
        x = values_of(table.column("image"), archive.event_shape)
        assert (again["x"].int() - x.int()).abs().max() <= 1
        p = torch.tensor(table.column("probabilities").to_pylist())
        assert torch.allclose(again["probabilities"], p, rtol=0, atol=1e-5)


def test_every_row_is_traced_and_lost_shards_are_made_again_to_the_same_bytes(first: Path) -> None:
    found = trace(first, random=Archive.open(first).rows)
    if found.failure:
        pytest.skip("this processor rounds otherwise than the one that made the archive")
    shards = sorted((first / "data").iterdir())
    before = {path.name: sha256(path) for path in shards}
    shards[0].write_bytes(b"torn")
    shards[1].unlink()
    assert verify(first).failure
    assert not verify(first, repair=True).failure
    assert {path.name: sha256(path) for path in sorted((first / "data").iterdir())} == before
