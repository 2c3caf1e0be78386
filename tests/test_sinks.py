"""Other ways out: the same rows on the fly, as tar files, as arrays, and in Ray Data."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from reinject import Archive, Stream
from reinject.archive.export import export
from reinject.archive.push import push
from reinject.base.errors import ReinjectError
from reinject.models.loading import load_models
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.sampling.selection import Selection

SETTINGS = Settings("langevin", {"lam": "0.1"}, steps=4, burn_in=2)
SPEC = SampleSpec(preset="x", settings=SETTINGS, block_size=8)
RUN = {"walks": 20, "seed": 1}


@pytest.fixture(scope="module")
def made(small_models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Archive]:
    out = tmp_path_factory.mktemp("sinks") / "a"
    sample_models(load_models([small_models]), out, SPEC, **RUN)
    return small_models, Archive.open(out)


def test_a_stream_has_the_rows_of_the_archive_and_new_ones_every_pass(made: tuple[Path, Archive]) -> None:
    models, archive = made
    x, label = archive.read()
    stream = Stream([models], SPEC, **RUN)
    first = list(stream)
    assert torch.equal(torch.stack([x for x, _ in first]), archive.storage.load(x))
    assert [y for _, y in first] == label.tolist()
    assert not torch.equal(torch.stack([x for x, _ in stream]), archive.storage.load(x))


def test_workers_of_a_loader_share_the_blocks(made: tuple[Path, Archive]) -> None:
    models, archive = made
    x, _ = archive.read()
    loader = DataLoader(Stream([models], SPEC, **RUN), batch_size=7, num_workers=2, multiprocessing_context="spawn")
    found = torch.cat([batch for batch, _ in loader])
    key = lambda rows: sorted(map(tuple, rows.flatten(1).tolist()))  # noqa: E731
    assert key(found) == key(archive.storage.load(x))


def test_the_pass_can_be_said_for_workers_that_do_not_know_it(made: tuple[Path, Archive]) -> None:
    stream = Stream([made[0]], SPEC, **RUN)
    passes = [list(stream) for _ in range(2)]
    loader = DataLoader(stream, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    for epoch in (1, 0):
        stream.set_epoch(epoch)
        assert all(torch.equal(a, b) for (a, _), (b, _) in zip(loader, passes[epoch], strict=True))


def test_a_stream_keeps_away_from_private_points(made: tuple[Path, Archive], tmp_path: Path) -> None:
    models, archive = made
    x = archive.storage.load(archive.read()[0])
    np.save(tmp_path / "p.npy", x[:1].numpy())
    chosen = Selection(private=str(tmp_path / "p.npy"), apart=0.05)
    kept = torch.stack([x for x, _ in Stream([models], replace(SPEC, selection=chosen), **RUN)])
    far = (x - x[0]).square().flatten(1).mean(1).sqrt() >= 0.05
    assert 0 < len(kept) < len(x)
    assert torch.equal(kept, x[far])


def test_a_stream_fails_where_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(ReinjectError, match="no such folder"):
        Stream([tmp_path / "none"])


def test_webdataset_reads_what_is_exported(made: tuple[Path, Archive], tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    _, archive = made
    assert export(archive.folder, tmp_path / "w", "webdataset").result["rows"] == 60
    shards = sorted(str(path) for path in (tmp_path / "w").glob("*.tar"))
    rows = list(webdataset.WebDataset(shards, shardshuffle=False).decode("l8"))
    x, label = archive.read()
    assert np.array_equal(np.stack([row["png"] for row in rows]), x[:, 0].numpy())
    assert [row["cls"] for row in rows] == label.tolist()
    assert set(rows[0]["json"]) == {"label", "probabilities", "walk", "step", "model"}
    assert json.loads((tmp_path / "w" / "reinject.json").read_text())["class_names"] == ["a", "b"]


def test_zarr_reads_what_is_exported(made: tuple[Path, Archive], tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    _, archive = made
    export(archive.folder, tmp_path / "z", "zarr")
    group = zarr.open_group(str(tmp_path / "z"), mode="r")
    x, label = archive.read()
    assert np.array_equal(group["x"][:], x.numpy())
    assert np.array_equal(group["label"][:], label.numpy())
    assert group["probabilities"].shape == (60, 2)
    assert group["walk"][:].tolist() == [w for t in archive.tables(["walk"]) for w in t["walk"].to_pylist()]


@pytest.mark.slow
def test_ray_data_reads_the_archive(made: tuple[Path, Archive]) -> None:
    ray = pytest.importorskip("ray")
    from reinject.sampling.ray_workers import Cluster, connected

    _, archive = made
    connected(Cluster(), 1)
    try:
        rows = ray.data.read_parquet(str(archive.folder / "data")).take_all()
    finally:
        ray.shutdown()
    label = archive.read()[1]
    assert sorted(row["label"] for row in rows) == sorted(label.tolist())
    assert len(rows[0]["image"]["bytes"]) > 50


def test_exports_are_whole_or_not_there(made: tuple[Path, Archive], tmp_path: Path) -> None:
    _, archive = made
    with pytest.raises(ReinjectError, match="'xls' is not known"):
        export(archive.folder, tmp_path / "c", "xls")
    with pytest.raises(ReinjectError, match="holds images or vectors, which csv does not have"):
        export(archive.folder, tmp_path / "c", "csv")
    export(archive.folder, tmp_path / "w", "webdataset")
    with pytest.raises(ReinjectError, match="already holds something"):
        export(archive.folder, tmp_path / "w", "zarr")
    before = {path.name: path.read_bytes() for path in (tmp_path / "w").iterdir()}
    export(archive.folder, tmp_path / "w", "webdataset", overwrite=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "w").iterdir()} == before


class Hub:
    """Stands for the hub: notes what it is asked."""

    def __init__(self, token: str | None = None) -> None:
        assert token is None

    asked: ClassVar[list[tuple]] = []

    def create_repo(self, name: str, **options) -> None:
        self.asked.append((name, options))

    def upload_folder(self, **options) -> None:
        self.asked.append((options["repo_id"], options))


def test_a_push_is_private_whole_and_verified(made: tuple[Path, Archive], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    _, archive = made
    assert push(archive.folder, "someone/set").result == {"repository": "someone/set", "rows": 60}
    (created, first), (uploaded, second) = Hub.asked
    assert created == uploaded == "someone/set"
    assert first == {"repo_type": "dataset", "private": True, "exist_ok": True}
    assert second["folder_path"] == str(archive.folder)
    with pytest.raises(ReinjectError, match="'set' is not a repository"):
        push(archive.folder, "set")


def test_faults_and_refusals_are_not_pushed(
    made: tuple[Path, Archive], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, archive = made

    def refuse(*_, **__):
        raise OSError("401 Unauthorized")

    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
    with pytest.raises(ReinjectError, match=r"the hub refuses it .OSError: 401 Unauthorized"):
        push(archive.folder, "someone/set")
    shutil.copytree(archive.folder, tmp_path / "b")
    (tmp_path / "b" / "more.txt").write_text("x")
    with pytest.raises(ReinjectError, match=r"has faults: more\.txt does not belong"):
        push(tmp_path / "b", "someone/set")
