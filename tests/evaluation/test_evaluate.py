"""The whole judgement of an archive: planted copies, what is left out and why, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reinject import Archive, data
from reinject.archive import Plan, write
from reinject.base.errors import ArgumentError, DataError, ModelError
from reinject.base.progress import Silent
from reinject.data.sample_tables import Table
from reinject.data.samples import LabelledSamples, Storage
from reinject.evaluation.evaluate_spec import EvaluateSpec
from reinject.evaluation.evidence import disjoint, gather
from reinject.evaluation.judgements import closest, wanted
from reinject.models.features import convolutions, pca, penultimate, pixels
from reinject.networks import Inputs, MLPClassifier
from reinject.report.evaluated import evaluate
from reinject.sampling.presets import Settings
from reinject.sampling.sample_spec import SampleSpec

DIGITS = data.load("digits")
SIZE = 1000


def archive(out: Path, share: float, *, blocks: int = 10, labelled: bool = True) -> Path:
    """Mixtures of two noise images, of which a share is replaced by training images; a walk a row."""
    plan = Plan((1, 8, 8), DIGITS.class_names if labelled else (), Storage(), blocks, {"preset": "planted"}, {})

    def block(number: int):
        g = torch.Generator().manual_seed(number)
        x = torch.randint(0, 256, (SIZE, 1, 8, 8), generator=g, dtype=torch.uint8)
        count = round(share * SIZE)
        x[:count] = DIGITS.train.x[torch.randperm(len(DIGITS.train), generator=g)[:count]]
        p = torch.nn.functional.one_hot(torch.randint(0, 10, (SIZE,), generator=g), 10).float()
        if not labelled:
            p = p[:, :0]
        label = p.argmax(1) if labelled else torch.full((SIZE,), -1)
        walk = torch.arange(SIZE) + number * SIZE
        yield LabelledSamples(x, label, p, walk, 1, torch.zeros(SIZE, dtype=torch.int64), number, 0, 0)

    return write(out, plan, block)


def classifier(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(x.flatten(1).sum(1).long() % 10, 10).float()


def judged(folder: Path, **options):
    found = evaluate(folder, "digits", classifier=classifier, spec=EvaluateSpec(seeds=1, **options)).result
    return {one["name"]: one for group in found["judgements"].values() for one in group}, found


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
def test_a_copier_is_caught(tmp_path: Path, share: float) -> None:
    found, _ = judged(archive(tmp_path / "a", share), judgements=["memorisation"])
    assert found["copies"]["p"] < 1e-3
    assert found["copies"]["value"] == pytest.approx(share, rel=0.3)
    assert found["authenticity"]["value"] <= 1 - share + 1e-9
    if share == 1:
        assert found["data copying"]["p"] < 1e-9


def test_copies_are_drawn_first(tmp_path: Path) -> None:
    folder = Archive.open(archive(tmp_path / "a", 0.02, blocks=2))
    evidence = gather(folder, DIGITS, None, None, EvaluateSpec(features="pixels", most=5000), Silent())
    samples, training = closest(evidence, 12)
    assert samples.shape == (12, 1, 8, 8)
    assert np.array_equal(samples, training)
    assert len(np.unique(training, axis=0)) == 12


def test_nobody_is_accused(tmp_path: Path) -> None:
    found, _ = judged(archive(tmp_path / "a", 0), judgements=["memorisation"])
    assert found["copies"]["p"] > 0.01
    assert found["data copying"]["p"] > 0.01


def test_an_archive_without_labels_is_judged_by_what_needs_none(tmp_path: Path) -> None:
    folder = archive(tmp_path / "a", 0.5, labelled=False)
    result = evaluate(folder, "digits", out=tmp_path / "e").result
    assert result["judgements"].keys() == {"coverage", "two-sample", "memorisation"}
    assert result["features"]["name"] == "pixels"
    assert "its judgements are left out" in result["notes"][0]
    page = (tmp_path / "e" / "report.html").read_text()
    assert "nearest to training images" in page
    assert "classifier&#39;s" in page or "classifier's" in page
    with pytest.raises(ModelError, match="membership needs labels"):
        evaluate(folder, "digits", spec=EvaluateSpec(["membership"]))
    with pytest.raises(ArgumentError, match="--shadows: needs --judge membership and the autoencoder"):
        evaluate(folder, "digits", spec=EvaluateSpec(["coverage"], shadows=True))


@pytest.mark.usefixtures("quick_students")
def test_all_judgements_of_what_a_run_made(models: Path, tmp_path: Path) -> None:
    from reinject.models.loading import load_models
    from reinject.sampling.sample import sample_models

    settings = Settings("langevin", {}, steps=4, burn_in=2)
    sample_models(
        load_models([models]), tmp_path / "s", SampleSpec(preset="quick", settings=settings), walks=1000, seed=0
    )
    result = evaluate(tmp_path / "s", "digits", out=tmp_path / "e", spec=EvaluateSpec(seeds=1, shadows=True)).result
    assert result["judgements"].keys() == {"coverage", "two-sample", "spurious", "memorisation", "membership"}
    assert result["features"]["name"] == "penultimate"
    assert result["notes"] == []
    names = {one["name"] for group in result["judgements"].values() for one in group}
    by_shadows = {f"likelihood ratio on the {target}" for target in ("autoencoder", "classifier", "student")}
    assert {"attractors", "reconstruction on the autoencoder", *by_shadows} <= names
    assert result["utility"]["controls"].keys() == {"real inputs, soft labels", "reconstructions of real inputs"}
    page = (tmp_path / "e" / "report.html").read_text()
    assert all(one in page for one in ("attractors", "At 1% false alarms".lower(), "nearest to training images"))
    assert "has not been tested" not in page
    rows, labels = Archive.open(tmp_path / "s").read(50, seed=3)
    walks = Archive.open(tmp_path / "s").numbers("walk", 50, seed=3)
    everything, _ = Archive.open(tmp_path / "s").read()
    whole = Archive.open(tmp_path / "s").numbers("walk")
    assert all(
        (everything[whole == walk] == row).flatten(1).all(1).any() for walk, row in zip(walks, rows, strict=True)
    )
    assert len(labels) == 50


def test_test_images_that_are_training_images() -> None:
    few = replace(DIGITS, test=data.LabelledImages(DIGITS.test.x.clone(), DIGITS.test.y))
    few.test.x[:4] = DIGITS.train.x[:4]
    left, shared = disjoint(few)
    assert (len(left.test), shared) == (446, 4)
    assert torch.equal(left.test.x, DIGITS.test.x[4:])
    few.test.x[:5] = DIGITS.train.x[:5]
    with pytest.raises(DataError, match="5 of its 450 test images are training images too"):
        disjoint(few)


def test_mistyped_judgements_and_features(tmp_path: Path) -> None:
    folder = archive(tmp_path / "a", 0, blocks=2)
    with pytest.raises(ArgumentError, match="'utilty' is not known"):
        evaluate(folder, "digits", classifier=classifier, spec=EvaluateSpec(["utilty"]))
    with pytest.raises(ArgumentError, match="'pixel' is neither a name nor a folder"):
        evaluate(folder, "digits", classifier=classifier, spec=EvaluateSpec(features="pixel"))
    with pytest.raises(ModelError, match="penultimate needs a classifier that is a torch module"):
        evaluate(folder, "digits", classifier=classifier, spec=EvaluateSpec(features="penultimate"))
    assert wanted(("membership", "utility"), True) == ["utility", "membership"]


def test_too_few_walks_are_refused(tmp_path: Path) -> None:
    plan = Plan((1, 8, 8), (), Storage(), 1, {"preset": "few"}, {})
    x = torch.zeros(2000, 1, 8, 8, dtype=torch.uint8)
    none = torch.full((2000,), -1)
    part = LabelledSamples(x, none, torch.zeros(2000, 0), torch.arange(2000) % 4, 1, none * 0, 0, 0, 0)
    write(tmp_path / "a", plan, lambda _: iter([part]))
    with pytest.raises(DataError, match="2000 samples of 4 walks"):
        evaluate(tmp_path / "a", "digits", spec=EvaluateSpec(["coverage"]))
    result = evaluate(tmp_path / "a", "digits").result
    assert result["judgements"].keys() == {"memorisation"}
    assert [note.partition(":")[0] for note in result["notes"][2:]] == [
        "coverage is left out",
        "two-sample is left out",
    ]


def test_features_by_hand() -> None:
    table = Table.of(DIGITS.train.x[:100], DIGITS.train.y[:100], Storage())
    x = Storage().load(DIGITS.train.x[:100])
    index = torch.arange(0, 100, 3).numpy()
    assert torch.equal(pixels().rows(table, index), x[index].flatten(1))
    network = MLPClassifier(Inputs((1, 8, 8), class_names=DIGITS.class_names), hidden=(16, 7)).eval()
    of = penultimate(network, "hash")
    inside = of.rows(table, index)
    assert inside.shape == (34, 7)
    torch.testing.assert_close(network.layers[-1](inside), network(x[index]))
    axes = pca(table, 5).rows(table, torch.arange(100).numpy())
    variance = torch.linalg.svdvals(x.flatten(1) - x.flatten(1).mean(0)).square()[:5] / 99
    torch.testing.assert_close(torch.cov(axes.T), torch.diag(variance), atol=2e-3, rtol=1e-3)
    torch.manual_seed(5)
    first = convolutions((1, 8, 8)).rows(table, index)
    assert torch.equal(first, convolutions((1, 8, 8)).rows(table, index))
    assert first.shape == (34, 128)
    with pytest.raises(ModelError, match="no linear layer"):
        penultimate(torch.nn.Conv2d(1, 1, 1), "")
    with pytest.raises(ModelError, match="are not images"):
        convolutions((64,))
