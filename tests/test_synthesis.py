"""What is labelled is what is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reinject import Archive, sample, wrap
from reinject.base.errors import ArgumentError, ModelError
from reinject.data.samples import Storage
from reinject.models.votes import classify
from reinject.sampling.algorithm1 import StoreSpec, synthesise
from reinject.walks import kernels, starts
from reinject.walks.specs import RunSpec, WalkSpec

FINITE = st.floats(-1e3, 1e3, width=32)


@given(st.lists(FINITE, min_size=1, max_size=50), st.floats(-2, 0.5), st.floats(1, 3))
def test_storing_rounds_to_the_nearest_level_and_counts_what_it_clips(
    values: list[float], low: float, high: float
) -> None:
    storage = Storage("uint8", low, high)
    x = torch.tensor(values)
    kept, clipped = storage.store(x)
    level = (x.double().numpy() - low) / (high - low) * 255
    outside = np.rint(level) != np.clip(np.rint(level), 0, 255)
    near_tie = np.abs(level - np.floor(level) - 0.5) < 1e-3 * (1 + np.abs(level))
    assert abs(clipped - outside.sum()) <= near_tie.sum()
    meant = storage.load(kept).double().numpy()
    assert np.all(np.abs(meant - x.numpy())[~outside] <= 0.5 / 255 * (high - low) * 1.01 + 1e-3)
    again, none = storage.store(storage.load(kept))
    assert torch.equal(again, kept)
    assert none == 0


def test_float_storage_keeps_everything() -> None:
    x = torch.tensor([-5.0, 0.123456789, 7.0])
    kept, clipped = Storage("float").store(x)
    assert torch.equal(Storage("float").load(kept), x)
    assert clipped == 0


def test_storage_refuses_nonsense() -> None:
    with pytest.raises(ArgumentError, match="int4"):
        Storage("int4")
    with pytest.raises(ArgumentError, match="low < high"):
        Storage("uint8", 1.0, 1.0)


def samples(classifier, storage=None, **options):
    r = wrap(lambda x: 0.5 * x, (1, 2, 2))
    run, store = RunSpec(walks=30, **options), StoreSpec(storage or Storage())
    kernel, spec = kernels.Langevin(r, 0.1), WalkSpec(steps=5, burn_in=2)
    return list(synthesise(kernel, starts.Normal(), classifier, (1, 2, 2), spec, run, store))


def corner(x: torch.Tensor) -> torch.Tensor:
    """Logits that depend on the finest detail of a sample."""
    return torch.stack([torch.sin(1000 * x.flatten(1).sum(1)), torch.cos(700 * x[:, 0, 0, 0])], 1)


@pytest.mark.parametrize("storage", [Storage("uint8", 0, 1), Storage("uint8", -1, 1), Storage("float")])
def test_labels_are_those_of_the_kept_samples(storage: Storage) -> None:
    for part in samples(corner, storage):
        again = classify(corner, storage.load(part.x))
        assert torch.equal(part.probabilities, again)
        assert torch.equal(part.label, again.argmax(1))
        torch.testing.assert_close(part.probabilities.sum(1), torch.ones(len(part.label)))


def test_clipped_values_are_counted() -> None:
    parts = samples(corner, Storage("uint8", 0, 1))
    floats = samples(corner, Storage("float"))
    outside = sum(int(((p.x < -0.5 / 255) | (p.x > 1 + 0.5 / 255)).sum()) for p in floats)
    assert sum(p.clipped for p in parts) == outside > 0


def test_the_classifier_is_asked_for_logits() -> None:
    with pytest.raises(ModelError, match="logits"):
        samples(lambda x: x.flatten(1)[:, None])
    with pytest.raises(ModelError, match="non-finite"):
        samples(lambda x: x.flatten(1) / 0)


def test_samples_do_not_depend_on_other_blocks() -> None:
    one = [p for p in samples(corner, block_size=8) if p.block == 2]
    alone = samples(corner, block_size=8, blocks=(2,))
    for a, b in zip(one, alone, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.walk, b.walk)


def test_a_classifier_in_training_mode_labels_as_in_evaluation_mode() -> None:
    C = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5)).train()
    before = torch.random.get_rng_state()
    for part in samples(C):
        assert torch.equal(part.label, Storage().load(part.x).flatten(1).argmax(1))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("bad", [2.5, 3.0, "3", True, np.float64(2.0)])
@pytest.mark.parametrize("name", ["walks", "seed"])
def test_numbers_that_are_no_integers_are_refused(tmp_path: Path, name: str, bad: Any) -> None:
    """True made an archive that could not be read, and the others ended in a TypeError of Python's own."""
    r = wrap(lambda x: 0.9 * x, (4,), name="r")
    with pytest.raises(ArgumentError, match=f"{name} = .* is not an integer"):
        sample(r, None, tmp_path / "s", **{"walks": 3, "seed": 0, name: bad})
    assert not (tmp_path / "s").exists()


def test_numbers_of_numpy_are_integers(tmp_path: Path) -> None:
    r = wrap(lambda x: 0.9 * x, (4,), name="r")
    assert sample(r, None, tmp_path / "s", walks=np.int64(3), seed=np.int32(1)).result["rows"] == 30
    assert Archive.open(tmp_path / "s").manifest["parameters"]["seed"] == 1
