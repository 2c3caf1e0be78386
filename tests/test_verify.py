"""Archives that are verified, mended, added to and traced."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flat import flat
from reinject import Archive
from reinject.archive import Existing, repair, verify, write
from reinject.base.errors import ArchiveError, ArgumentError, ReinjectError
from reinject.models.loading import load_models
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample, sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.sampling.trace import trace
from reinject.sampling.verify import verify as verify_job
from test_archive import block, files, make, plan

SHARD = "data/shard-000001.parquet"
PARAMETERS = {"steps": 2, "block_size": 7, "ranges": [{"walks": [0, 21], "packages": {}}]}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return make(tmp_path / "a", plan(**PARAMETERS)).folder


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit(folder: Path, change: Callable[[dict], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def rewrite(folder: Path, change: Callable) -> None:
    """Another table in place of the second shard's, with a manifest that agrees in its hash and size."""
    import hashlib

    path = folder / SHARD
    pq.write_table(change(pq.read_table(path)), path)
    told = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
    edit(folder, lambda manifest: manifest["shards"][1].update(told))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "one flipped bit": (lambda a: flip(a / SHARD), f"{SHARD} is not the written file"),
    "a shard that is missing": (lambda a: (a / SHARD).unlink(), f"{SHARD} is missing"),
    "a cut shard": (lambda a: (a / SHARD).write_bytes((a / SHARD).read_bytes()[:-9]), "bytes, not"),
    "a stranger": (lambda a: (a / "data" / "more.parquet").write_bytes(b""), "data/more.parquet does not belong"),
    "fewer rows": (lambda a: rewrite(a, lambda table: table.slice(0, 13)), "has 13 rows, not 14"),
    "rows twice": (lambda a: rewrite(a, lambda table: table.take([0] * 14)), "the same walk and step twice"),
    "another block's rows": (
        lambda a: rewrite(a, lambda _: pq.read_table(a / "data/shard-000000.parquet")),
        r"has walks outside 7\.\.13",
    ),
    "labels that are none": (
        lambda a: rewrite(a, lambda t: t.set_column(1, t.schema.field(1), [[9] * 14])),
        r"has labels outside 0\.\.2",
    ),
    "labels that are not the most probable": (
        lambda a: rewrite(a, lambda t: t.set_column(1, t.schema.field(1), [[(k.as_py() + 1) % 3 for k in t["label"]]])),
        "labels that are not the most probable ones",
    ),
    "steps beyond the walk": (
        lambda a: rewrite(a, lambda t: t.set_column(4, t.schema.field(4), pa.array([99] * 14, pa.int32()))),
        r"has steps outside 0\.\.2",
    ),
    "columns that are gone": (lambda a: rewrite(a, lambda table: table.drop_columns(["step"])), "has columns"),
    "another type": (
        lambda a: rewrite(a, lambda table: table.set_column(5, "model", table.column("model").cast("int64"))),
        "other types than the first",
    ),
    "no Parquet": (lambda a: rewrite_bytes(a, b"PAR1 nothing PAR1"), "cannot be read"),
    "a count": (lambda a: edit(a, lambda m: m["counts"].update(rows=43)), "counts 43 rows; there are 42"),
    "counts of classes": (
        lambda a: edit(a, lambda m: m["counts"]["per_class"].__setitem__(0, 0)),
        r"counts classes \[0, ",
    ),
    "a gap": (lambda a: edit(a, lambda m: m["shards"].pop(1)), "no shard for 1 of 3 blocks, the first is 1"),
    "a shard twice": (lambda a: edit(a, lambda m: m["shards"][2].update(block=1)), "has 2 shards of block 1"),
}


def rewrite_bytes(folder: Path, data: bytes) -> None:
    import hashlib

    (folder / SHARD).write_bytes(data)
    told = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit(folder, lambda manifest: manifest["shards"][1].update(told))


def test_a_whole_archive_has_no_fault(whole: Path) -> None:
    assert verify(whole) == []


@pytest.mark.parametrize(("harm", "sentence"), FAULTS.values(), ids=FAULTS.keys())
def test_every_fault_is_found(whole: Path, harm: Callable[[Path], object], sentence: str) -> None:
    import re

    harm(whole)
    found = verify(whole)
    assert any(re.search(sentence, fault) for fault in found), found


def test_every_flipped_byte_of_a_shard_is_found(whole: Path) -> None:
    data = (whole / SHARD).read_bytes()
    for at in range(0, len(data), 37):
        (whole / SHARD).write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        assert verify(whole) == [f"{SHARD} is not the written file (another hash)"]


@pytest.mark.parametrize("harm", ["flip", "unlink"])
def test_repair_makes_the_same_bytes_and_nothing_else(whole: Path, harm: str) -> None:
    before, p = files(whole), plan(**PARAMETERS)
    flip(whole / SHARD) if harm == "flip" else (whole / SHARD).unlink()
    made: list[int] = []

    def counted(number: int):
        made.append(number)
        return block(number, p)

    write(whole, p, counted, existing=Existing(resume="always"))
    assert made == [1]
    assert files(whole) == before


def test_repair_refuses_what_is_another_run_or_comes_out_otherwise(whole: Path) -> None:
    flip(whole / SHARD)
    p = plan(**PARAMETERS)
    with pytest.raises(ArchiveError, match=r"differs in parameters\.lam \(None there, 0\.2 here\)"):
        repair(whole, plan(**PARAMETERS, lam=0.2), lambda number: block(number, p))
    before = files(whole)
    with pytest.raises(ArchiveError, match="differs after the repair"):
        repair(whole, p, lambda number: block(number + 1, p))
    assert files(whole) == before  # the damaged shard may be all there is
    assert [path.name for path in whole.parent.iterdir()] == ["a"]
    with pytest.raises(ArchiveError, match="there is no run to resume"):
        write(whole.parent / "b", p, lambda number: block(number, p), existing=Existing(resume="always"))


def test_never_gives_up_an_unfinished_run_and_only_such_a_one(tmp_path: Path) -> None:
    def cut(number: int):
        if number == 2:
            raise KeyboardInterrupt
        return block(number, plan(lam=1))

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a", plan(lam=1), cut)
    with pytest.raises(ArchiveError, match=r"parameters\.lam"):
        make(tmp_path / "a", plan(lam=2))
    make(tmp_path / "a", plan(lam=2), resume="never")
    assert files(tmp_path / "a") == files(make(tmp_path / "b", plan(lam=2)).folder)
    (tmp_path / "c.partial").mkdir()
    (tmp_path / "c.partial" / "thesis.tex").write_text("years of work")
    with pytest.raises(ArchiveError, match="not an unfinished run"):
        make(tmp_path / "c", resume="never")
    assert (tmp_path / "c.partial" / "thesis.tex").exists()


def test_hostile_manifests_are_refused_with_a_sentence(whole: Path) -> None:
    manifest = json.loads((whole / "manifest.json").read_text())
    paths = ["/etc/passwd", "../a/data/shard-000000.parquet", "data/../../x.parquet", "", None, 3]
    for file in paths:
        edit(whole, lambda m, file=file: m.update(shards=[{**manifest["shards"][0], "file": file}]))
        with pytest.raises(ArchiveError, match=r"shards\[0\]\.file"):
            Archive.open(whole)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_manifest_with_any_value_in_any_place_is_read_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz") / "a"
    make(folder, plan(**PARAMETERS))

    def change(manifest: dict) -> None:
        at, steps = manifest, data.draw(st.integers(1, 3))
        for _ in range(steps - 1):
            inner = [
                key
                for key in (at if isinstance(at, dict) else range(len(at)))
                if isinstance(at[key], (dict, list)) and at[key]
            ]
            if not inner:
                break
            at = at[data.draw(st.sampled_from(sorted(inner, key=str)))]
        keys = sorted(at, key=str) if isinstance(at, dict) else list(range(len(at)))
        at[data.draw(st.sampled_from(keys))] = data.draw(JSON)

    edit(folder, change)
    said = ["."]  # whatever raises anything else fails the test
    try:
        Archive.open(folder).read()
        said += verify(folder)
    except ReinjectError as error:
        said = [str(error)]
    assert said[0].endswith(".")
    assert not any("\n" in sentence for sentence in said)
    shutil.rmtree(folder.parent)


@pytest.fixture
def models(small_models: Path) -> Path:
    return small_models


SETTINGS = Settings("langevin", {"lam": "0.1"}, steps=4, burn_in=2)


def made(models: Path, out: Path, **options) -> Archive:
    options = {"walks": 20, "block_size": 8, "seed": 1, **options}
    sample_models(load_models([models]), out, **flat(preset="custom", settings=SETTINGS, **options))
    return Archive.open(out)


def test_every_row_is_traced_to_the_bit(models: Path, tmp_path: Path) -> None:
    archive = made(models, tmp_path / "a", workers=2)
    result = trace(archive.folder, random=archive.rows).result
    assert result["same"] == archive.rows == 60
    assert [one["row"] for one in result["rows"]] == list(range(60))
    assert [one["walk"] for one in result["rows"][:3]] == [0, 1, 2]


def test_a_row_that_was_tampered_with_is_found(models: Path, tmp_path: Path) -> None:
    archive = made(models, tmp_path / "a")
    flat = [1 - label for label in archive.shard(1).column("label").to_pylist()]
    rewrite(archive.folder, lambda t: t.set_column(1, t.schema.field(1), [flat]))
    outcome = trace(archive.folder, [3, 30])
    assert [one["same"] for one in outcome.result["rows"]] == [True, False]
    assert "1 rows differ" in outcome.failure


def test_what_cannot_be_traced_gets_a_sentence(models: Path, tmp_path: Path) -> None:
    archive = made(models, tmp_path / "a")
    with pytest.raises(ArgumentError, match="row 60 is beyond the 60 rows"):
        trace(archive.folder, [60])
    with pytest.raises(ArgumentError, match="no row is given"):
        trace(archive.folder)
    edit(archive.folder, lambda manifest: manifest["parameters"].update(start="Points(sha256='0')"))
    with pytest.raises(ArchiveError, match="its start cannot be remade"):
        trace(archive.folder, [0])


@pytest.mark.parametrize("place", ["xpu", "banana", "meta", 7.5, 10**30, None, ["cpu"]])
def test_what_another_kind_of_device_made_is_not_made_again_here(models: Path, tmp_path: Path, place: object) -> None:
    folder = tmp_path / "set"
    settings = Settings("langevin", {"lam": "0.1"}, steps=2)
    sample_models(load_models([models]), folder, SampleSpec(preset="paper", settings=settings), walks=4)
    assert "device" not in json.loads((folder / "manifest.json").read_text())["parameters"]
    edit(folder, lambda manifest: manifest["parameters"].update(device=place))
    with pytest.raises(ArchiveError, match="which this machine lacks"):
        trace(folder, [0])


def test_walks_of_another_kind_of_device_are_not_added(models: Path, tmp_path: Path) -> None:
    loaded, settings = load_models([models]), Settings("langevin", {"lam": "0.1"}, steps=2)
    options = {"class_names": loaded.inputs.class_names, "settings": settings, "walks": 4}
    sample(loaded.ensemble(), loaded.C, tmp_path / "set", **flat(**options))
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    manifest["parameters"]["device"] = "cuda"
    (tmp_path / "set" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArchiveError, match=r"differs in .*device"):
        sample(loaded.ensemble(), loaded.C, tmp_path / "set", **flat(append=True, **options))


def test_appended_walks_are_a_new_range_and_leave_the_old_rows(models: Path, tmp_path: Path) -> None:
    before = made(models, tmp_path / "a")
    first = files(before.folder)
    after = made(models, tmp_path / "a", walks=5, append=True)
    assert [one["walks"] for one in after.manifest["parameters"]["ranges"]] == [[0, 20], [24, 29]]
    assert after.rows == 75
    assert all(
        files(after.folder)[f"data/shard-00000{k}.parquet"] == first[f"data/shard-00000{k}.parquet"] for k in range(3)
    )
    assert verify(after.folder) == []
    assert trace(after.folder, random=75).result["same"] == 75
    x, _ = after.read()
    assert len(x.flatten(1).unique(dim=0)) == 75  # new walks, not the old ones again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_what_would_not_be_alike_is_not_appended(models: Path, tmp_path: Path) -> None:
    before = files(made(models, tmp_path / "a").folder)
    with pytest.raises(ArchiveError, match=r"parameters\.seed \(1 there, 2 here\)"):
        made(models, tmp_path / "a", append=True, seed=2)
    with pytest.raises(ArchiveError, match="no archive there"):
        made(models, tmp_path / "b", append=True)
    assert files(tmp_path / "a") == before


@pytest.mark.parametrize("at", ["parted", "published", "half removed"])
def test_an_append_that_was_killed_while_it_was_published_is_done_once(
    models: Path, tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(models, tmp_path / "a")
    wanted = files(made(models, tmp_path / "b").folder), files(made(models, tmp_path / "b", append=True).folder)
    real, calls = Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        calls.append(target)
        if at == "parted" and self.name == "a.partial":
            raise KeyboardInterrupt
        moved = real(self, target)
        if at == "half removed" and self.name == "a.partial":
            (tmp_path / "a.old" / "manifest.json").unlink()
        if at != "parted" and self.name == "a.partial":
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        made(models, tmp_path / "a", append=True)
    monkeypatch.setattr(Path, "rename", real)
    made(models, tmp_path / "a", append=True)
    assert files(tmp_path / "a").keys() == wanted[1].keys()
    assert Archive.open(tmp_path / "a").rows == 120
    assert verify(tmp_path / "a") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_the_command_repairs_from_the_manifest_alone(models: Path, tmp_path: Path) -> None:
    made(models, tmp_path / "a")
    archive = made(models, tmp_path / "a", append=True, walks=9)
    before = files(archive.folder)
    flip(archive.folder / SHARD)
    assert "faults: 1" in verify_job(archive.folder).failure
    assert verify_job(archive.folder, repair=True).failure == ""
    assert files(archive.folder) == before
