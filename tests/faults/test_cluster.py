"""A Ray cluster makes the archive of one machine, also when a worker dies on the way."""

import os
import signal
from pathlib import Path

import pytest
from archiving import files

from reinject.base.errors import ArgumentError, ReinjectError
from reinject.models.loading import load_models
from reinject.sampling.presets import Settings
from reinject.sampling.ray_workers import Cluster
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Parallel, SampleSpec

SETTINGS = Settings("langevin", {"lam": "0.1"}, steps=30, burn_in=25)


@pytest.fixture
def models(small_models: Path) -> Path:
    return small_models


def made(models: Path, out: Path, **options) -> dict[str, bytes]:
    sample_models(
        load_models([models]),
        out,
        SampleSpec(preset="x", settings=SETTINGS, block_size=16),
        walks=400,
        seed=1,
        parallel=Parallel(**options),
    )
    return files(out)


def test_a_cluster_makes_the_same_bytes(models: Path, tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    found = made(models, tmp_path / "a", cluster=Cluster(workers=2))
    assert found == made(models, tmp_path / "b", workers=2)
    assert not ray.is_initialized()


@pytest.mark.slow  # Ray takes one to three minutes to start an actor again
def test_a_cluster_makes_the_same_bytes_also_when_a_worker_is_killed(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    from reinject.sampling import ray_workers as cluster

    killed: list[int] = []
    real = cluster._shards

    def shards(ray, actors, *rest):
        for number, entry in enumerate(real(ray, actors, *rest)):
            if number in (1, 8):
                killed.append(ray.get(actors[0].pid.remote()))
                os.kill(killed[-1], signal.SIGKILL)
            yield entry

    monkeypatch.setattr(cluster, "_shards", shards)
    found = made(models, tmp_path / "a", cluster=Cluster(workers=2))
    assert found == made(models, tmp_path / "b", workers=2)
    assert len(set(killed)) == 2  # the actor came back, in another process
    assert not ray.is_initialized()


def test_wrong_clusters_get_a_sentence(models: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ReinjectError, match=r"--address: no cluster answers at 127\.0\.0\.1:1 "):
        made(models, tmp_path / "a", cluster=Cluster("127.0.0.1:1"))
    with pytest.raises(ArgumentError, match="workers = 0"):
        Cluster(workers=0)
    with pytest.raises(ArgumentError, match=r"-1 GPUs for each actor"):
        Cluster(gpus=-1)
    assert not (tmp_path / "a").exists()
