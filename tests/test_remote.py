"""Archives at URLs: the same bytes as on a disk, gone on with after a cut, read by every command."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reinject import Archive
from reinject.archive import verify, write
from reinject.archive.remote import scratch_of
from reinject.errors import ArchiveError, ArgumentError
from reinject.files import place_of
from reinject.jobs.verify import verify as verify_job
from test_archive import block, files, make, plan
from test_verify import PARAMETERS


@pytest.fixture
def there(request: pytest.FixtureRequest) -> Iterator[Path]:
    place = place_of(f"memory://{request.node.name}/set")
    yield place
    if place.exists():
        place.fs.rm(str(place.path), recursive=True)  # type: ignore[attr-defined]


def uploaded(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def made(place: Path, **options) -> None:
    p = plan(**PARAMETERS)
    write(place, p, options.pop("make_block", lambda number: block(number, p)), **options)


def test_the_same_files_as_on_a_disk(there: Path, tmp_path: Path) -> None:
    made(there)
    assert uploaded(there) == files(make(tmp_path / "a", plan(**PARAMETERS)).folder)
    assert not scratch_of(there).exists()
    archive = Archive.open(str(there))
    x, label = archive.read()
    assert (len(x), len(label)) == (42, 42)
    assert verify(there) == []
    with pytest.raises(ArchiveError, match="not on this machine"):
        verify_job(there, repair=True)


def test_an_upload_that_was_cut_goes_on(there: Path, tmp_path: Path) -> None:
    p = plan(**PARAMETERS)
    asked: list[int] = []

    def cut(number: int):
        asked.append(number)
        if number == 2:
            raise KeyboardInterrupt
        return block(number, p)

    with pytest.raises(KeyboardInterrupt):
        made(there, make_block=cut)
    with pytest.raises(ArchiveError, match=r"no manifest\.json"):
        Archive.open(str(there))
    (there / "data/shard-000000.parquet").write_bytes(b"half")
    asked.clear()
    with pytest.raises(ArchiveError, match=r"parameters\.lam"):
        write(there, plan(**PARAMETERS, lam=1), cut)
    made(there, make_block=lambda number: asked.append(number) or block(number, p))
    assert asked == [0, 2]  # what did not arrive whole, and what was not made
    assert uploaded(there) == files(make(tmp_path / "a", p).folder)


def test_what_is_there_is_replaced_only_when_that_is_said(there: Path) -> None:
    made(there)
    with pytest.raises(ArchiveError, match="already holds something"):
        made(there)
    made(there, overwrite=True)
    assert Archive.open(str(there)).rows == 42
    with pytest.raises(ArchiveError, match="Leave out --append and --resume"):
        made(there, resume="always")


def test_nothing_of_a_larger_archive_stays_when_it_is_replaced(there: Path) -> None:
    made(there)
    p = plan(blocks=1, block_size=7, ranges=[{"walks": [0, 7], "packages": {}}])
    write(there, p, lambda number: block(number, p), overwrite=True)
    assert sorted(uploaded(there)) == ["README.md", "data/shard-000000.parquet", "manifest.json"]
    assert verify(there) == []


def test_what_was_not_made_here_is_not_replaced(there: Path) -> None:
    made(there)
    (there / "thesis.tex").write_text("years of work")
    with pytest.raises(ArchiveError, match="holds files that were not made here"):
        made(there, overwrite=True)
    assert Archive.open(str(there)).rows == 42
    assert (there / "thesis.tex").read_text() == "years of work"


def test_other_urls_of_this_machine_and_unknown_ones(tmp_path: Path) -> None:
    made(place_of(f"file://{tmp_path}/a"))
    assert verify(tmp_path / "a") == []
    with pytest.raises(ArgumentError, match="nowhere://x: cannot be reached"):
        place_of("nowhere://x").exists()
