"""Replay in a training loop: it does not forget, and its rows are those of the walks."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from reinject import Archive, Stream, data
from reinject.base.devices import make_fabric
from reinject.base.errors import ArchiveError, ArgumentError, ModelError
from reinject.continual import Replay
from reinject.continual.union import united
from reinject.models.loading import load_models
from reinject.networks import Inputs, MLPClassifier, MLPDenoiser
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import Format, SampleSpec
from reinject.training.fit import Recipe, Rows, fit
from reinject.training.objectives import Denoising
from reinject.training.students import cross_entropy

DIGITS = data.load("digits")
NAMES = DIGITS.class_names
SETTINGS = Settings("ancestral", {"sigma": "cycles:1.4r:0.06r:13:1r:10"}, 33, 13, "reconstruction", 10)
SPEC = SampleSpec(settings=SETTINGS, block_size=64)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small models of the digits 0 to 4."""
    folder, (x, y) = tmp_path_factory.mktemp("old") / "models", rows(DIGITS.train, 0, 5)
    std = float((x - x.mean(0)).square().mean().sqrt())
    inputs = Inputs((1, 8, 8), mean=float(x.mean()), std=std, class_names=NAMES[:5])
    torch.manual_seed(0)
    r, C = MLPDenoiser(inputs, width=128, depth=2), MLPClassifier(inputs, hidden=(64,))
    r.mean.copy_(x.mean(0))
    denoise = Denoising(0.12 * inputs.radius, 0.9, std)
    recipe, fabric, kept = Recipe(1, 128, 5e-3, least_steps=500), make_fabric("cpu"), Rows(x, y, lambda x: x)
    fit(r, lambda network, x, _, g: denoise(network, x, g), kept, recipe, seed=0, fabric=fabric)
    fit(C, cross_entropy, kept, replace(recipe, least_steps=200), seed=0, fabric=fabric)
    r.save_pretrained(folder / "autoencoder")
    C.save_pretrained(folder / "classifier")
    return folder


def rows(part: data.LabelledImages, first: int, last: int) -> tuple[Tensor, Tensor]:
    kept = (part.y >= first) & (part.y < last)
    return part.x[kept] / 255, part.y[kept]


def learn(network: nn.Module, batches: Any, passes: int) -> None:
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(passes):
        for x, y in batches:
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            optimiser.step()


def accuracy(network: nn.Module, first: int, last: int) -> float:
    x, y = rows(DIGITS.test, first, last)
    with torch.no_grad():
        return float((network(x).argmax(1) == y).float().mean())


@pytest.mark.parametrize("soft", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_plain_loop_forgets_and_with_replay_it_does_not(old: Path, soft: bool) -> None:
    def learner() -> tuple[nn.Module, DataLoader]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        learn(network, DataLoader(TensorDataset(*rows(DIGITS.train, 0, 5)), 32, shuffle=True), 4)
        return network, DataLoader(TensorDataset(*rows(DIGITS.train, 5, 10)), 32, shuffle=True)

    plain, loader = learner()
    assert accuracy(plain, 0, 5) > 0.95
    learn(plain, loader, 8)
    replayed, loader = learner()
    learn(replayed, Replay(old, SPEC, class_names=NAMES, soft=soft).mix(loader), 8)
    assert accuracy(plain, 0, 5) < 0.3
    assert accuracy(replayed, 0, 5) > 0.9
    assert min(accuracy(plain, 5, 10), accuracy(replayed, 5, 10)) > 0.9


def in_order(x: Tensor) -> Tensor:
    return x[sorted(range(len(x)), key=lambda k: x[k].flatten().tolist())]


def test_rehearsed_rows_are_those_of_the_stream_block_by_block_without_end(old: Path) -> None:
    made = [x for seed in (3, 4) for x, _ in islice(Stream(old, SPEC, walks=10_000, seed=seed), 192)]
    replay = Replay(old, replace(SPEC, block_size=64), seed=3)
    x, _ = replay.draw(192)
    assert torch.equal(in_order(x), in_order(torch.stack(made[:192])))
    assert not torch.equal(x, torch.stack(made[:192]))  # in another order
    replay.source = replace(replay.source, blocks=lambda e: islice(Replay(old, SPEC, seed=3 + e).source.blocks(0), 1))
    replay._pool, replay._blocks = None, replay._shuffled()
    x, _ = replay.draw(384)  # two passes of one block
    assert torch.equal(in_order(x[192:]), in_order(torch.stack(made[192:])))


def test_networks_in_memory_rehearse_as_their_folder_does(old: Path) -> None:
    models = load_models([old])
    inputs = models.inputs
    spec = replace(SPEC, radius=inputs.radius, class_names=inputs.class_names, format=Format())
    here = Replay((models.ensemble(), models.labelling()), spec).draw(100)
    there = Replay(old, SPEC).draw(100)
    assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))


def test_an_archive_gives_each_of_its_rows_once_a_pass(old: Path, tmp_path: Path) -> None:
    sample_models(load_models([old]), tmp_path / "a", replace(SPEC, block_size=16), walks=40)
    archive = Archive.open(tmp_path / "a")
    x, y = Replay(tmp_path / "a", soft=False).draw(archive.rows)
    stored, label = archive.read()
    assert torch.equal(in_order(x), in_order(archive.storage.load(stored)))
    assert torch.equal(y.bincount(), label.bincount())
    replay = Replay(tmp_path / "a")
    first, again = replay.draw(archive.rows)[0], replay.draw(archive.rows)[0]
    assert torch.equal(in_order(first), in_order(again))
    assert not torch.equal(first, again)


def test_labels_are_found_by_name_and_soft_labels_are_the_classifiers(old: Path) -> None:
    names = ("9", "4", "3", "2", "1", "0")
    soft, hard = Replay(old, SPEC, class_names=names), Replay(old, SPEC, class_names=names, soft=False)
    x, p = soft.draw(50)
    _, y = hard.draw(50)
    C = load_models([old]).labelling()
    with torch.no_grad():
        expected = C(x).softmax(1)
    assert torch.allclose(p[:, [5, 4, 3, 2, 1]], expected, atol=1e-5)
    assert float(p[:, 0].abs().max()) == 0
    assert torch.equal(y, p.argmax(1))


@pytest.mark.parametrize(("share", "added"), [(0.5, 10), (0.75, 30), (0.1, 1)])
def test_the_share_of_a_batch(old: Path, share: float, added: int) -> None:
    x, y = torch.rand(10, 1, 8, 8), torch.arange(10) % 5
    joined, label = Replay(old, SPEC, share=share).join(x, y)
    assert len(joined) == len(label) == 10 + added
    assert torch.equal(joined[:10], x)
    assert torch.equal(label[:10], nn.functional.one_hot(y, 5).float())
    assert float(label.sum(1).sub(1).abs().max()) < 1e-5
    assert Replay(old, SPEC, soft=False).join(x.double(), y)[0].dtype == torch.float64


def test_the_same_seed_gives_the_same_rows_and_no_other_randomness_moves(old: Path) -> None:
    state = torch.random.get_rng_state()
    one, same, other = (Replay(old, SPEC, seed=seed).draw(300)[0] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(state, torch.random.get_rng_state())
    parts = Replay(old, SPEC)
    assert torch.equal(torch.cat([parts.draw(n)[0] for n in (1, 250, 49)]), one)  # however they are drawn


def test_only_one_block_is_in_memory(old: Path) -> None:
    replay, made = Replay(old, SPEC), []
    blocks = replay.source.blocks
    replay.source = replace(replay.source, blocks=lambda e: (made.append(1) or one for one in blocks(e)))  # type: ignore[func-returns-value]
    replay._blocks = replay._shuffled()
    for drawn in range(1, 8):
        replay.draw(100)
        assert len(made) == -(-100 * drawn // 192)
        assert replay._pool is not None
        assert len(replay._pool.x) < 192


@pytest.mark.slow
def test_a_loader_of_workers_makes_different_rows(old: Path) -> None:
    loader = DataLoader(Replay(old, SPEC), 64, num_workers=2, multiprocessing_context="fork")
    x = torch.cat([x for x, _ in islice(loader, 4)])
    assert len(x.flatten(1).unique(dim=0)) == 256


def test_a_mixed_loader_has_the_loaders_length_and_can_be_read_again(old: Path) -> None:
    mixed = Replay(old, SPEC).mix(DataLoader(TensorDataset(torch.rand(20, 1, 8, 8), torch.zeros(20).long()), 8))
    assert len(mixed) == 3
    assert [len(x) for x, _ in mixed] == [16, 16, 8]
    assert len(list(mixed)) == 3
    assert not torch.equal(next(iter(mixed))[0][8:], next(iter(mixed))[0][8:])  # fresh walks


def test_rehearsed_rows_are_transformed_as_the_loader_does(old: Path) -> None:
    plain, moved = Replay(old, SPEC), Replay(old, SPEC, transform=lambda x: x.flatten(1) * 2 - 1)
    assert torch.equal(plain.draw(9)[0].flatten(1) * 2 - 1, moved.draw(9)[0])
    assert moved.join(torch.randn(4, 64) * 9, torch.zeros(4).long())[0].shape == (8, 64)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ((torch.rand(4, 8, 8), torch.zeros(4).long()), r"shape \(8, 8\), the models \(1, 8, 8\)"),
        ((torch.rand(4, 1, 8, 8) * 255, torch.zeros(4).long()), r"values .*, the models take 0..1. Scale the data"),
        ((torch.zeros(4, 1, 8, 8).byte(), torch.zeros(4).long()), "torch.uint8 values"),
        ((torch.rand(4, 1, 8, 8), torch.full((4,), 7)), "class 7, beyond the 5 classes 0, 1, 2, 3, 4. Name all"),
        ((torch.rand(4, 1, 8, 8), torch.zeros(4, 6)), "class 5, beyond the 5 classes"),
        ((torch.rand(4, 1, 8, 8),), r"a batch is a tuple of 1. Give batches \(x, y\)"),
    ],
)
def test_batches_that_do_not_fit_are_refused(old: Path, batch: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        list(Replay(old, SPEC).mix([batch]))


def test_models_that_do_not_fit_are_refused(old: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"share = 1\. Give a share"):
        Replay(old, SPEC, share=1)
    with pytest.raises(ArgumentError, match=r"rows = -1 is below 1"):
        Replay(old, SPEC).draw(-1)
    with pytest.raises(ArgumentError, match="has the class 0, which is not among 1, 2, 3, 4, 5"):
        Replay(old, SPEC, class_names=NAMES[1:])
    with pytest.raises(ArgumentError, match="repeats 0"):
        Replay(old, SPEC, class_names=("0", *NAMES))
    with pytest.raises(ModelError, match="no such folder"):
        Replay(tmp_path / "none", SPEC)
    spec = replace(SPEC, selection=replace(SPEC.selection, labels="none"))
    with pytest.raises(ModelError, match="no labels to rehearse"):
        Replay(old, spec)
    sample_models(load_models([old]), tmp_path / "a", spec, walks=4)
    with pytest.raises(ArchiveError, match="no labels to rehearse"):
        Replay(tmp_path / "a")

    class Named(TensorDataset):
        classes = NAMES[5:]

    loader = DataLoader(Named(torch.rand(4, 1, 8, 8), torch.zeros(4).long()))
    with pytest.raises(ArgumentError, match=r"the loader has the classes 5, .*, the models 0, .*class_names"):
        Replay(old, SPEC).mix(loader)
    assert len(Replay(old, SPEC, class_names=NAMES).mix(loader)) == 4


def test_classes_unite_by_name_and_numbers_are_no_names() -> None:
    assert united(("0", "1"), ("5", "1"), "m") == ("0", "1", "5")
    for old, new in ((("0", "1"), ("cat", "dog")), (("cat", "dog"), ("0", "1"))):
        with pytest.raises(ArgumentError, match="equal numbers may be equal classes"):
            united(old, new, "m")
