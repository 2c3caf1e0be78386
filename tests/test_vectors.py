"""Vectors and class names from sampling to archive: floats stay floats, and names are what they should be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import config, load_dataset

from flat import flat
from reinject import Archive, data, wrap
from reinject.archive import Plan
from reinject.base.errors import ArgumentError
from reinject.data.samples import Storage
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.models.importing import Wanted, import_model
from reinject.models.loading import load_models
from reinject.report.evaluated import evaluate
from reinject.sampling.presets import PRESETS, Settings
from reinject.sampling.sample import sample, sample_models
from reinject.sampling.sample_spec import SampleSpec
from reinject.sampling.stream import Stream
from reinject.training.plans import AutoencoderSpec, ClassifierSpec, plan_for
from reinject.training.train import train

SHORT = Settings("langevin", steps=3, burn_in=2, options={"lam": "0.1"})
R, IMAGES = wrap(lambda x: 0.5 * x, (5,)), wrap(lambda x: 0.5 * x, (1, 4, 4))


def scores(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1)[:, :3]


def short(out: Path, r=R, classifier=scores, **options) -> Archive:
    sample(r, classifier, out, **flat(settings=SHORT, walks=8, block_size=4, judged=False, **options))
    return Archive.open(out)


def test_vectors_are_kept_as_floats_and_images_as_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, images = short(tmp_path / "v"), short(tmp_path / "i", IMAGES)
    assert (vectors.storage.kind, images.storage.kind) == ("float", "uint8")
    x = vectors.read()[0]
    assert bool((x < 0).any())  # as levels of 0..1 they would not be
    assert short(tmp_path / "l", store="uint8").storage.kind == "uint8"
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    assert len(load_dataset(str(tmp_path / "v"), split="train")) == vectors.rows


@pytest.mark.parametrize(
    ("r", "classifier", "task"),
    [
        (R, scores, "tabular-classification"),
        (IMAGES, scores, "image-classification"),
        (IMAGES, None, "unconditional-image-generation"),
        (R, None, None),
    ],
)
def test_the_card_names_the_task_of_the_samples(tmp_path: Path, r, classifier, task: str | None) -> None:
    header = (short(tmp_path / "a", r, classifier).folder / "README.md").read_text().split("---")[1]
    assert ("task_categories" in header) == (task is not None)
    assert task is None or f"task_categories:\n- {task}\ntags:\n" in header


def test_a_run_that_is_gone_on_with_keeps_its_kind(tmp_path: Path) -> None:
    """Vectors were kept as levels before: such a run goes on, and such an archive is added to."""

    def once(x: torch.Tensor) -> torch.Tensor:
        if (tmp_path / "a.partial").is_dir():  # it has been tried, and labels the first block
            raise KeyboardInterrupt
        return scores(x)

    with pytest.raises(KeyboardInterrupt):
        short(tmp_path / "a", classifier=once, store="uint8")
    assert (tmp_path / "a.partial").is_dir()
    assert short(tmp_path / "a").storage.kind == "uint8"
    assert short(tmp_path / "a", append=True).storage.kind == "uint8"
    assert short(tmp_path / "a", overwrite=True).storage.kind == "float"


@pytest.mark.parametrize("names", [(3, 5, 8), np.array([3, 5, 8]), ("3", "5", "8")])
def test_numbers_become_names(tmp_path: Path, names) -> None:
    assert short(tmp_path / "a", class_names=names).class_names == ("3", "5", "8")


def test_names_that_are_not_given_are_numbers(tmp_path: Path) -> None:
    assert short(tmp_path / "a").class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("a", "b"), "2 class names for 3 outputs"),
        (("a", "b", "c", "d"), "4 class names for 3 outputs"),
        (("a", "b", "a"), "class names are repeated: a"),
        ((1, 2, "1"), "class names are repeated: 1"),
        (("a", " ", "c"), "class name ' ' is blank"),
        (("a", None, "c"), "class name None is not text"),
        ("abc", "class names 'abc' are a single text"),
    ],
)
def test_names_that_cannot_be_are_refused_before_anything_is_written(tmp_path: Path, names, problem: str) -> None:
    with pytest.raises(ArgumentError, match=problem):
        short(tmp_path / "a", class_names=names)
    assert list(tmp_path.iterdir()) == []
    if "outputs" not in problem:
        with pytest.raises(ArgumentError, match=problem):
            Plan((5,), names, Storage(), 1)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Standardised features of two classes."""
    g = np.random.default_rng(0)
    y = g.integers(0, 2, 280)
    x = g.normal(size=(280, 6)) + 2.0 * y[:, None]
    file = tmp_path_factory.mktemp("table") / "set.npz"
    np.savez(file, X=(x - x.mean(0)) / x.std(0), y=np.array(["well", "ill"])[y])
    return file


def test_a_table_is_trained_on_walked_and_judged_as_floats(table: Path, tmp_path: Path) -> None:
    plan = plan_for(str(table), autoencoder=AutoencoderSpec(epochs=1), classifier=ClassifierSpec(epochs=1))
    train(plan, tmp_path / "m", device="cpu")
    models = load_models([tmp_path / "m"])
    low, high = models.inputs.low, models.inputs.high
    assert (models.inputs.shape, models.inputs.class_names, low < -1 < 1 < high) == ((6,), ("ill", "well"), True)
    sample_models(models, tmp_path / "s", SampleSpec(preset="default", settings=PRESETS["default"]), walks=80)
    archive = Archive.open(tmp_path / "s")
    assert (archive.storage.kind, archive.class_names) == ("float", ("ill", "well"))
    x, _ = next(iter(Stream([tmp_path / "m"], PRESETS["default"], walks=80)))
    assert torch.equal(x, next(archive.shards())[0][0])
    judged = evaluate(tmp_path / "s", str(table), spec=EvaluateSpec(["coverage"])).result
    assert judged["judgements"].keys() == {"coverage"}
    again = data.load(str(tmp_path / "s"))  # an archive of vectors is a data set of vectors
    assert (again.shape, again.class_names) == ((6,), ("ill", "well"))


def test_vectors_are_no_evidence_of_ranges_of_images(table: Path, tmp_path: Path) -> None:
    program = torch.export.export(torch.nn.Linear(6, 6), (torch.zeros(2, 6),))
    torch.export.save(program, tmp_path / "net.pt2")
    wanted = Wanted(data=str(table), trust=True)
    with pytest.raises(ArgumentError, match=r"set\.npz holds vectors.*--shape 6 --range -\d,\d"):
        import_model(str(tmp_path / "net.pt2"), tmp_path / "m", wanted)
