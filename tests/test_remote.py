"""Archives at URLs: the same bytes as on a disk, gone on with after a cut, read by every command."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from flat import flat
from reinject import Archive
from reinject.archive import Existing, remote, verify, write
from reinject.archive.remote import scratch_of
from reinject.base.errors import ArchiveError, ArgumentError
from reinject.base.files import place_of
from reinject.models.loading import load_models
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.verify import verify as verify_job
from test_archive import block, files, make, plan
from test_verify import PARAMETERS


@pytest.fixture(scope="session")
def s3() -> Iterator[None]:
    """An object store of this machine that speaks S3, where they are there: ``pip install s3fs "moto[server]"``."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    at = f"http://127.0.0.1:{server._server.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ENDPOINT_URL": at, "KEY": "none", "SECRET": "none"}.items():
            patch.setitem(fsspec.config.conf.setdefault("s3", {}), name.lower(), value)
        yield
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def there(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    if request.param == "s3":
        request.getfixturevalue("s3")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("scratch")))
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name).strip("-")[-60:].strip("-")
    place = place_of(f"{request.param}://{name}/set")
    yield place
    if place.exists():
        place.fs.rm(str(place.path), recursive=True)  # type: ignore[attr-defined]


def uploaded(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(remote._all(place))}


def made(place: Path, **options) -> None:
    p = plan(**PARAMETERS)
    write(place, p, options.pop("make_block", lambda number: block(number, p)), existing=Existing(**options))


def test_the_same_files_as_on_a_disk(there: Path, tmp_path: Path) -> None:
    made(there)
    assert uploaded(there) == files(make(tmp_path / "a", plan(**PARAMETERS)).folder)
    assert not scratch_of(there).exists()
    archive = Archive.open(str(there))
    x, label = archive.read()
    assert (len(x), len(label)) == (42, 42)
    assert verify(there) == []


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


def test_a_run_is_given_up_or_gone_on_with_as_asked(there: Path, tmp_path: Path) -> None:
    p = plan(**PARAMETERS)

    def cut(number: int):
        if number == 2:
            raise KeyboardInterrupt
        return block(number, p)

    with pytest.raises(ArchiveError, match="there is no run to resume"):
        made(there, resume="always")
    with pytest.raises(KeyboardInterrupt):
        made(there, make_block=cut)
    other = plan(blocks=1, block_size=7, ranges=[{"walks": [0, 7], "packages": {}}])
    with pytest.raises(ArchiveError, match="holds an unfinished run that differs"):
        write(there, other, lambda number: block(number, other), existing=Existing(resume="always"))
    write(there, other, lambda number: block(number, other), existing=Existing(resume="never"))
    assert sorted(uploaded(there)) == ["README.md", "data/shard-000000.parquet", "manifest.json"]
    with pytest.raises(ArchiveError, match="already holds something"):
        made(there, resume="never")
    with pytest.raises(KeyboardInterrupt):
        made(there, make_block=cut, overwrite=True)
    made(there, resume="always")
    assert uploaded(there) == files(make(tmp_path / "a", p).folder)


def test_damaged_shards_are_made_again_there(there: Path) -> None:
    made(there)
    whole = uploaded(there)
    (there / "data/shard-000001.parquet").write_bytes(b"x")
    (there / "data/shard-000002.parquet").unlink()
    assert len(verify(there)) >= 2
    made(there, resume="always")
    assert uploaded(there) == whole
    assert not scratch_of(there.with_name("set.repair")).exists()


def sampled(models: Path, out: Path, **options: Any) -> Archive:
    sample_models(
        load_models([models]),
        out,
        **flat(preset="tiny", settings=Settings("langevin", steps=2), block_size=7, **options),
    )
    return Archive.open(out)


def test_walks_are_added_there(there: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled(models, there, walks=16)
    before = uploaded(there)
    assert verify_job(there, repair=True, models=[models]).failure == ""
    copy, sent = remote._upload, []
    monkeypatch.setattr(remote, "_upload", lambda path, target: sent.append(path.name) or copy(path, target))
    sampled(models, there, walks=5, append=True)
    assert sent == ["shard-000003.parquet", "README.md", "manifest.json"]
    after = uploaded(there)
    assert {name: after[name] for name in before if name.startswith("data/")} == {
        name: data for name, data in before.items() if name.startswith("data/")
    }
    here = tmp_path / "a"
    sampled(models, here, walks=16)
    sampled(models, here, walks=5, append=True)
    wanted = files(here)
    assert {name: data for name, data in after.items() if name.startswith("data/")} == {
        name: data for name, data in wanted.items() if name.startswith("data/")
    }
    assert verify(there) == []
    assert not scratch_of(there).exists()


@pytest.mark.parametrize("killed_at", ["data/shard-000003.parquet", "manifest.json", "after"])
def test_an_append_that_is_cut_is_done_once(
    there: Path, models: Path, killed_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled(models, there, walks=16)
    before = uploaded(there)
    copy = remote._upload

    def cut(path: Path, target: Path) -> None:
        if str(target).endswith(killed_at):
            raise KeyboardInterrupt
        copy(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(remote, "_upload", cut)
        if killed_at == "after":
            patch.setattr(remote, "release", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            sampled(models, there, walks=5, append=True)
    remote.release(scratch_of(there))  # as when the process has ended
    if killed_at != "after":
        assert Archive.open(there).rows == 48
        assert uploaded(there)["manifest.json"] == before["manifest.json"]
    assert sampled(models, there, walks=5, append=True).rows == 63
    assert verify(there) == []


def test_an_append_that_is_given_up_leaves_nothing(there: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled(models, there, walks=16)
    copy = remote._upload
    stop = lambda path, target: copy(path, target) if target.name.endswith("parquet") else 1 / 0  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(remote, "_upload", stop)
        with pytest.raises(ZeroDivisionError):
            sampled(models, there, walks=20, append=True)
    assert len(uploaded(there)) == 2 + 3 + 3
    assert len(verify(there)) == 3  # shards that no manifest names
    assert sampled(models, there, walks=3, append=True, resume="never").rows == 57
    assert verify(there) == []


def test_nothing_of_a_larger_archive_stays_when_it_is_replaced(there: Path) -> None:
    made(there)
    p = plan(blocks=1, block_size=7, ranges=[{"walks": [0, 7], "packages": {}}])
    write(there, p, lambda number: block(number, p), existing=Existing(overwrite=True))
    assert sorted(uploaded(there)) == ["README.md", "data/shard-000000.parquet", "manifest.json"]
    assert verify(there) == []


def test_what_was_not_made_here_is_not_replaced(there: Path) -> None:
    made(there)
    (there / "thesis.tex").write_text("years of work")
    with pytest.raises(ArchiveError, match="holds other files"):
        made(there, overwrite=True)
    assert Archive.open(str(there)).rows == 42
    assert (there / "thesis.tex").read_text() == "years of work"


def test_other_urls_of_this_machine_and_unknown_ones(tmp_path: Path) -> None:
    made(place_of(f"file://{tmp_path}/a"))
    assert verify(tmp_path / "a") == []
    with pytest.raises(ArgumentError, match="nowhere://x: cannot be reached"):
        place_of("nowhere://x").exists()
