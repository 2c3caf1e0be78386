"""Archives of the first versions are read, traced and repaired to the same bytes."""

import shutil
from pathlib import Path

import pytest

from reinject import Archive
from reinject.base.files import sha256
from reinject.sampling.trace import trace
from reinject.sampling.verify import verify

# Made at a90ab5d: models, and `reinject sample --preset paper --walks 8 --block-size 4 --seed 7 --borders .8
# --distinct .12`, with near-duplicates of the first block noted in the entry of the second, and its run.toml.
FIRST = Path(__file__).parent / "old" / "first"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A copy of the archive, beside its models."""
    shutil.copytree(FIRST, tmp_path / "old")
    return tmp_path / "old" / "archive"


def test_it_is_read_and_every_row_is_traced(first: Path) -> None:
    archive = Archive.open(first)
    assert archive.rows == archive.manifest["counts"]["rows"]
    assert archive.manifest["shards"][1]["repeats"]
    found = trace(first, random=archive.rows)
    assert found.result["same"] == archive.rows
    assert not found.failure


def test_lost_and_damaged_shards_are_made_again_to_the_same_bytes(first: Path) -> None:
    shards = sorted((first / "data").iterdir())
    before = {path.name: sha256(path) for path in shards}
    shards[0].write_bytes(b"torn")
    shards[1].unlink()
    assert verify(first).failure
    assert not verify(first, repair=True).failure
    assert {path.name: sha256(path) for path in sorted((first / "data").iterdir())} == before
