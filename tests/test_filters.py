"""Filters keep what they say, count what they drop, and are a function of the block alone."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from flat import flat
from reinject import Archive, synthesise, wrap
from reinject.base.errors import ArchiveError, ArgumentError, DataError, ModelError
from reinject.base.files import place_of
from reinject.base.progress import Silent
from reinject.data.samples import LabelledSamples, Storage
from reinject.models.loading import load_models, with_student
from reinject.models.votes import Voting, classify
from reinject.networks import Inputs, MLPAutoencoder, MLPClassifier
from reinject.report.pages import command_of
from reinject.sampling.algorithm1 import Labels, StoreSpec
from reinject.sampling.filters import Apart, Borders, Confidence, Distinct, Quota, Unlearned, Weights, filtered
from reinject.sampling.presets import Settings
from reinject.sampling.sample import sample, sample_models
from reinject.sampling.sample_spec import Format, Parallel, SampleSpec
from reinject.sampling.selection import Selection, resolve_private
from reinject.sampling.stream import Stream
from reinject.sampling.taught import taught
from reinject.sampling.trace import trace
from reinject.training import plans
from reinject.training.fit import Recipe
from reinject.training.plans import plan_for
from reinject.training.train import train
from reinject.walks import kernels, starts
from reinject.walks.specs import RunSpec, WalkSpec

FLOAT = Storage("float")


def part(x: torch.Tensor, block: int = 0, step: int = 0, label: torch.Tensor | None = None) -> LabelledSamples:
    g = torch.Generator().manual_seed(100 * block + step)
    p = torch.rand((len(x), 3), generator=g).softmax(1)
    label = p.argmax(1) if label is None else label
    walk = torch.arange(len(x))
    return LabelledSamples(x, label, p, walk, step, torch.zeros(len(x), dtype=torch.int64), block, 0, 0)


def parts(blocks: int = 3, steps: int = 4, rows: int = 200) -> list[LabelledSamples]:
    return [
        part(torch.randn((rows, 5), generator=torch.Generator().manual_seed(7 * block + step)), block, step)
        for block in range(blocks)
        for step in range(steps)
    ]


def kept_of(filters, given=None) -> list[LabelledSamples]:
    return list(filtered(given or parts(), filters, FLOAT))


FILTERS = {
    "confidence": Confidence(0.4),
    "borders": Borders(0.3),
    "unlearned": Unlearned(lambda x: x[:, :3].softmax(1), 0.3),
    "quota": Quota(30),
    "weights": Weights((1.0, 0.5, 0.0)),
    "distinct": Distinct(0.5),
    "apart": Apart(torch.zeros(1, 5), 0.8),
}


@pytest.mark.parametrize("rule", FILTERS.values(), ids=FILTERS.keys())
def test_a_filter_drops_some_counts_them_and_is_a_function_of_the_block(rule) -> None:
    given = parts()
    whole = kept_of([rule], given)
    for before, after in zip(given, whole, strict=True):
        assert len(before.label) == len(after.label) + after.dropped[rule.name]
        index = after.walk
        assert torch.equal(after.x, before.x[index])
        assert torch.equal(after.probabilities, before.probabilities[index])
    assert 0 < sum(len(one.label) for one in whole) < sum(len(one.label) for one in given)
    alone = kept_of([rule], [one for one in given if one.block == 1])
    assert all(torch.equal(a.x, b.x) for a, b in zip(alone, whole[4:8], strict=True))


def test_filters_are_asked_in_order_and_count_what_reaches_them() -> None:
    (one,) = kept_of([Confidence(0.4), Quota(5)], parts(1, 1))
    sure = int((parts(1, 1)[0].probabilities.amax(1) >= 0.4).sum())
    assert one.dropped["confidence"] == 200 - sure
    assert one.dropped["quota"] == sure - len(one.label)
    assert one.label.bincount().max() <= 5


def at_margins(margins: list[float], label: list[int], block: int = 0) -> LabelledSamples:
    """Rows of two classes whose most probable one is ahead by so much."""
    m = torch.tensor(margins, dtype=torch.float64)
    ahead, behind = (1 + m) / 2, (1 - m) / 2
    first = torch.tensor(label) <= 0
    p = torch.stack([torch.where(first, ahead, behind), torch.where(first, behind, ahead)], 1)
    return replace(part(torch.zeros(len(m), 2), block, label=torch.tensor(label)), probabilities=p)


def says(x: torch.Tensor) -> torch.Tensor:
    """A student that gives class 1 the probability x_0, and class 0 the rest."""
    return torch.stack([1 - x[:, 0], x[:, 0]], 1)


RULES = {"margins": (Borders, 1.0), "student": (lambda *given: Unlearned(says, *given), 1.1)}


@pytest.mark.parametrize(("rule", "most"), RULES.values(), ids=RULES)
def test_shares_are_drawn_one_after_another_with_weights_that_fall_with_what_is_sure(rule, most: float) -> None:
    """Of weights .9, .4, .2 two are drawn: P(i, then j) = w_i w_j / (sum w (sum w - w_i))."""
    w, blocks = np.array([0.9, 0.4, 0.2]), 4000
    x = torch.tensor(most - w, dtype=torch.float32)[:, None]
    given = [replace(at_margins((most - w).tolist(), [1, 1, 1], block), x=x) for block in range(blocks)]
    one, two = np.zeros(3), np.zeros(3)
    for counts, share in ((one, 0.3), (two, 0.5)):  # ceil(.9) and ceil(1.5)
        for found in kept_of([rule(share)], given):
            counts[found.walk] += 1
    first = w / w.sum()
    second = sum(first[i] * np.where(np.arange(3) == i, 0, w) / (w.sum() - w[i]) for i in range(3))
    assert (one.sum(), two.sum()) == (blocks, 2 * blocks)
    for counts, p in ((one, first), (two, first + second)):
        assert (np.abs(counts - blocks * p) < 4.5 * np.sqrt(blocks * p * (1 - p))).all()  # false alarm 1 in 25,000
    zeroth, other = ([found.walk.tolist() for found in kept_of([rule(0.3, seed)], given[:99])] for seed in (0, 1))
    assert zeroth != other


def test_borders_keep_what_has_no_label_and_the_ends_of_their_range() -> None:
    given = at_margins([0.3, 0.1, 0.8, 0.5, 0.1], [0, 0, -1, 1, 1])
    (all_of_them,), (few,) = kept_of([Borders(1.0)], [given]), kept_of([Borders(0.01)], [given])
    assert all_of_them.walk.tolist() == [0, 1, 2, 3, 4]
    assert few.label.sort().values.tolist() == [-1, 0, 1]  # one of each class, and what has none
    (sure,) = kept_of([Borders(0.6)], [at_margins([1.0, 1.0, 0.0, 1.0, 0.9], [0] * 5)])
    assert {2, 4} < set(sure.walk.tolist())  # of weight 0: only where nothing else is left


def test_what_has_no_label_goes_past_the_student_and_the_ends_of_its_range() -> None:
    given = part(torch.tensor([[0.0], [1], [0], [0], [1]]), label=torch.tensor([0, 1, -1, 1, 0]))
    (few,) = kept_of([Unlearned(says, 0.5)], [given])
    assert few.label.sort().values.tolist() == [-1, 0, 1]
    assert len(kept_of([Unlearned(says, 1.0)], [given])[0].label) == 5
    assert kept_of([Unlearned(says, 0.5)], [given.rows(torch.zeros(5, dtype=torch.bool))])[0].label.tolist() == []


@pytest.mark.parametrize("rule", [Borders(0.2), Unlearned(lambda x: x[:, :3].softmax(1), 0.2)])
def test_classes_keep_their_shares(rule) -> None:
    """Rounded up once a block, however few rows of a class a step has."""
    for rows in (30, 3000):
        given = parts(4, 6, rows)
        kept = kept_of([rule], given)
        for block in range(4):
            before, after = (
                torch.cat([one.label for one in side if one.block == block]).bincount(minlength=3)
                for side in (given, kept)
            )
            assert after.tolist() == np.ceil(0.2 * before.numpy()).tolist()


def test_a_quota_holds_over_all_parts_of_a_block_and_lets_the_unlabelled_through() -> None:
    label = torch.tensor([0, 1, -1] * 20)
    given = [part(torch.zeros(60, 2), 0, step, label) for step in range(3)]
    kept = torch.cat([one.label for one in kept_of([Quota(25)], given)])
    assert [(kept == k).sum().item() for k in (0, 1, -1)] == [25, 25, 60]


def test_weights_keep_each_class_at_its_rate() -> None:
    label = torch.arange(30_000) % 3
    kept = torch.cat(
        [one.label for one in kept_of([Weights((2.0, 1.0, 0.0))], [part(torch.zeros(30_000, 2), 0, 0, label)])]
    )
    counts = kept.bincount(minlength=3).tolist()
    assert counts[0] == 10_000
    assert counts[2] == 0
    assert abs(counts[1] - 5000) < 4.5 * math.sqrt(2500)  # false alarm 1 in 150,000
    other = torch.cat(
        [one.label for one in kept_of([Weights((2.0, 1.0, 0.0), seed=1)], [part(torch.zeros(30_000, 2), 0, 0, label)])]
    )
    assert not torch.equal(kept, other)


def test_distinct_is_the_greedy_choice_by_hand() -> None:
    given = parts(1, 3, 60)
    kept: list[np.ndarray] = []
    for one in given:
        for row in one.x.numpy():
            if all(np.sqrt(np.mean((row - other) ** 2)) >= 0.8 for other in kept):
                kept.append(row)
    found = torch.cat([one.x for one in kept_of([Distinct(0.8)], given)]).numpy()
    assert np.array_equal(found, np.stack(kept))
    assert 10 < len(kept) < 170


def test_distinct_drops_every_copy() -> None:
    x = 100 + torch.randn((50, 5), generator=torch.Generator().manual_seed(0))  # far from 0, where products round
    found = kept_of([Distinct(1e-4)], [part(x), part(x, step=1), part(torch.cat([x, x]), step=2)])
    assert [len(one.label) for one in found] == [50, 0, 0]


def test_apart_is_the_distance_to_the_nearest_point() -> None:
    points = torch.randn((20_000, 5), generator=torch.Generator().manual_seed(1))
    (given,) = parts(1, 1)
    distance = (given.x[:, None] - points[None]).square().mean(2).sqrt().amin(1)
    cut = float(distance.median())
    (found,) = kept_of([Apart(points, cut)], [given])
    assert found.walk.tolist() == (distance >= cut).nonzero().flatten().tolist()
    assert repr(Apart(points, cut)) != repr(Apart(points + 1, cut))


WRONG = {
    "confidence": (lambda: Confidence(-0.1), "--confidence: -0.1 is not a probability"),
    "unlearned": (lambda: Unlearned(says, 0.0), "--unlearned: 0.0 is not a share"),
    "a share without a student": (
        lambda: Selection(unlearned=0.5).filters(Settings("langevin"), ("a", "b"), 8, 0, None),
        "--unlearned: needs a student",
    ),
    "a student without a share": (
        lambda: Selection().filters(Settings("langevin"), ("a", "b"), 8, 0, None, student=first_two),
        "--unlearned: needs a student",
    ),
    "unlabelled unlearned": (lambda: Selection("none", unlearned=0.5), "--unlearned: needs labels"),
    "quota": (lambda: Quota(0), "quota = 0 is below 1"),
    "weights": (lambda: Weights((0.0, 0.0)), "are not weights"),
    "distinct": (lambda: Distinct(0.0), "--distinct: distance = 0.0"),
    "no points": (lambda: Apart(torch.zeros(0, 3), 1.0), "--private: points of shape"),
    "broken points": (lambda: Apart(torch.full((1, 3), torch.nan), 1.0), "are empty or not finite"),
    "abstain": (lambda: Labels(abstain=2), "--abstain: 2 is not a probability"),
    "source": (lambda: Selection("both"), "'both' is not known"),
    "half a rule": (lambda: Selection(private="digits"), "needs --apart"),
    "unlabelled quota": (lambda: Selection("none", quota=3), "needs labels"),
    "nothing asked": (lambda: Selection("asked").labels_of(Settings("langevin")), "'asked' needs classes"),
    "other classes": (
        lambda: Selection(class_weights=(1.0,)).filters(Settings("langevin"), ("a", "b"), 8, 0, None),
        "1 weights for 2 classes",
    ),
    "points that are not given": (
        lambda: Selection(private="x.npy", apart=0.1).filters(Settings("langevin"), ("a", "b"), 8, 0, None),
        "--private: its points are missing",
    ),
    "no number": (
        lambda: Selection(quota="some").filters(Settings("langevin"), ("a", "b"), 8, 0, None),
        "'some' is not a number",
    ),
    "other shape": (
        lambda: resolve_private(Selection(private="digits", apart=0.1), Inputs((1, 4, 4))),
        r"points have shape \(1, 8, 8\), the models take \(1, 4, 4\)",
    ),
}


@pytest.mark.parametrize(("make", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_numbers_out_of_range_are_named(make, sentence: str) -> None:
    with pytest.raises(ArgumentError, match=sentence):
        make()


def test_an_even_quota_is_a_blocks_share() -> None:
    (rule,) = Selection(quota="even").filters(Settings("langevin", steps=5, burn_in=2), ("a", "b", "c"), 8, 0, None)
    assert rule == Quota(8 * 4 // 3)


def test_a_block_of_fewer_walks_has_its_share_of_an_even_quota() -> None:
    """20 walks in blocks of 8 of 3 kept steps, two classes, all samples of one: 12, 12, and 6 of the last 4 walks."""
    settings = Settings("langevin", steps=2)
    blocks = [(0, 8), (8, 16), (16, 20)]
    (rule,) = Selection(quota="even").filters(settings, ("a", "b"), 8, 0, None, blocks)
    counts = []
    for number, (first, last) in enumerate(blocks):
        keep = rule.begin(number)
        given = (replace(one, label=torch.zeros_like(one.label)) for one in parts(1, 3, last - first))
        counts.append(sum(int(keep(one, one.x).sum()) for one in given))
    assert counts == [12, 12, 6]
    assert repr(rule) == "Quota(most=12)"  # what archives of any number of walks have in common


R = wrap(lambda x: 0.9 * x, (4,), name="r")


def first_two(x: torch.Tensor) -> torch.Tensor:
    return x[:, :2]


def test_abstention_and_asked_labels() -> None:
    def labels_of(labels: Labels) -> list[LabelledSamples]:
        start = starts.Normal()
        return list(
            synthesise(
                kernels.Langevin(R, 0.1),
                start,
                first_two,
                (4,),
                WalkSpec(steps=2),
                RunSpec(walks=50),
                StoreSpec(FLOAT, labels),
            )
        )

    for plain, shy in zip(labels_of(Labels()), labels_of(Labels(abstain=0.7)), strict=True):
        sure = plain.probabilities.amax(1) >= 0.7
        assert torch.equal(shy.label, torch.where(sure, plain.label, -1))
        assert 0 < sure.sum() < 50
    assert all(one.label.tolist() == [1, 0] * 25 for one in labels_of(Labels((1, 0))))


def test_classifiers_vote_by_the_mean_of_their_probabilities() -> None:
    torch.manual_seed(0)
    members = [torch.nn.Linear(4, 3) for _ in range(3)]
    x = torch.randn(20, 4)
    mean = torch.stack([classify(one, x) for one in members]).mean(0)
    torch.testing.assert_close(classify(Voting(members), x), mean)
    assert len(list(Voting(members).parameters())) == 6  # so that they are moved and put in evaluation mode


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folders = []
    for seed in range(2):
        folders.append(tmp_path_factory.mktemp("models"))
        torch.manual_seed(seed)
        inputs = Inputs((1, 4, 4), class_names=("a", "b"))
        MLPAutoencoder(inputs, hidden=(16,), latent=3).save_pretrained(folders[-1] / "autoencoder")
        MLPClassifier(inputs, hidden=(16,)).save_pretrained(folders[-1] / "classifier")
    return folders


SETTINGS = Settings("langevin", {"lam": "0.1"}, steps=4, burn_in=2)


def test_a_filtered_vote_is_traced_and_the_same_for_any_number_of_workers(two: list[Path], tmp_path: Path) -> None:
    models = load_models([two[0]], classifiers=two)
    selection = Selection(abstain=0.55, quota=9, distinct=0.05)
    for name, workers in (("a", None), ("b", 2)):
        sample_models(
            models,
            tmp_path / name,
            SampleSpec(preset="x", settings=SETTINGS, block_size=8, selection=selection),
            walks=30,
            parallel=Parallel(workers=workers),
        )
    a, b = (Archive.open(tmp_path / name) for name in "ab")
    assert a.manifest == b.manifest
    counts = a.manifest["counts"]
    assert counts["rows"] + sum(counts["dropped"].values()) == 90
    assert counts["unlabelled"] + sum(counts["per_class"]) == counts["rows"]
    assert counts["unlabelled"] > 0
    assert counts["dropped"]["quota"] > 0
    assert [entry["folder"] for entry in a.manifest["models"]["classifiers"]] != []
    assert trace(a.folder, random=a.rows).result["same"] == a.rows
    assert json.loads((a.folder / "manifest.json").read_text())["parameters"]["selection"]["quota"] == 9


def test_samples_for_a_student_are_traced_and_the_same_for_any_number_of_workers(
    two: list[Path], tmp_path: Path
) -> None:
    models = with_student(load_models([two[0]]), two[1])
    selection = Selection(unlearned=0.4)
    options = {"walks": 30, "block_size": 8, "selection": selection}
    for name, workers in (("a", None), ("b", 2)):
        sample_models(models, tmp_path / name, **flat(preset="x", settings=SETTINGS, workers=workers, **options))
    a, b = (Archive.open(tmp_path / name) for name in "ab")
    assert a.manifest == b.manifest
    assert a.rows + a.manifest["counts"]["dropped"][Unlearned.name] == 90
    assert trace(a.folder, random=a.rows).result["same"] == a.rows
    assert trace(a.folder, models=two, random=3).result["same"] == 3
    with pytest.raises(ModelError, match="is not the archive's student"):
        trace(a.folder, models=[two[0]], random=1)
    sample_models(
        load_models([two[0]]), tmp_path / "all", SampleSpec(preset="x", settings=SETTINGS, block_size=8), walks=30
    )
    all_of_them, some = (
        {(row["walk"], row["step"]) for table in one.tables(["walk", "step"]) for row in table.to_pylist()}
        for one in (Archive.open(tmp_path / "all"), a)
    )
    assert some < all_of_them
    with pytest.raises(ArchiveError, match="students"):
        sample_models(
            with_student(load_models([two[0]]), two[0]),
            a.folder,
            **flat(preset="x", settings=SETTINGS, append=True, **options),
        )
    with pytest.raises(ArgumentError, match="--unlearned: needs a student"):
        Stream([two[0]], SampleSpec(settings=SETTINGS, block_size=8, selection=selection), walks=30)


def test_archives_made_with_borders_are_traced(two: list[Path], tmp_path: Path) -> None:
    """No option asks for it any more: the manifest does, as it was written at a90ab5d."""
    selection = Selection.from_json({**Selection().as_json(), "borders": 0.4})
    sample_models(
        load_models([two[0]]),
        tmp_path / "a",
        SampleSpec(preset="x", settings=SETTINGS, block_size=8, selection=selection),
        walks=30,
    )
    archive = Archive.open(tmp_path / "a")
    assert archive.manifest["parameters"]["filters"] == ["Borders(share=0.4, seed=0)"]
    assert archive.manifest["parameters"]["selection"]["borders"] == 0.4
    assert 0 < archive.manifest["counts"]["dropped"]["far from borders"] == 90 - archive.rows
    assert trace(archive.folder, random=archive.rows).result["same"] == archive.rows
    assert "a former option" in command_of(archive)


@pytest.mark.usefixtures("quick_students")
def test_a_student_is_taught_by_the_first_of_the_same_walks(
    two: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by hand: a first set, a classifier of it, and its folder given."""
    monkeypatch.setattr(plans, "CLASSIFIER_RECIPE", Recipe(epochs=1, batch=32))
    models, options = load_models([two[0]]), {"seed": 5, "progress": Silent()}
    with_auto = taught(models, tmp_path / "a", SampleSpec(preset="x", settings=SETTINGS), samples=100, **options)
    sample_models(
        models, tmp_path / "first", SampleSpec(preset="x", settings=SETTINGS), walks=34, seed=5
    )  # three samples a walk
    for mine, theirs in zip(rows_in(tmp_path / "first"), rows_in(tmp_path / "a-first"), strict=True):
        assert torch.equal(mine, theirs)
    train(plan_for(str(tmp_path / "first"), seed=5, only="classifier"), tmp_path / "student", progress=Silent())
    by_hand = with_student(models, tmp_path / "student").student
    assert by_hand is not None
    assert with_auto.student is not None
    assert by_hand.sha256 == with_auto.student.sha256
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("a-*/**/*")}
    taught(models, tmp_path / "a", SampleSpec(preset="x", settings=SETTINGS), samples=100, **options)
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    with pytest.raises(DataError, match=r"a-first: was walked otherwise: seed \(5 there, 6 here\)"):
        taught(models, tmp_path / "a", SampleSpec(preset="x", settings=SETTINGS), samples=100, **{**options, "seed": 6})
    shutil.rmtree(tmp_path / "a-first")
    with pytest.raises(DataError, match=r"a-student: was trained on .*a-first, which is not there"):
        taught(models, tmp_path / "a", SampleSpec(preset="x", settings=SETTINGS), samples=100, **options)
    with pytest.raises(ArgumentError, match="--unlearned: trains a classifier beside memory"):
        taught(models, place_of("memory://a"), SampleSpec(preset="x", settings=SETTINGS), **options)


def rows_in(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    return Archive.open(folder).read()


def test_samples_without_labels_have_no_such_columns(two: list[Path], tmp_path: Path) -> None:
    models = load_models([two[0]], labelled=False)
    sample_models(
        models,
        tmp_path / "a",
        SampleSpec(preset="x", settings=SETTINGS, block_size=8, selection=Selection("none")),
        walks=20,
    )
    archive = Archive.open(tmp_path / "a")
    assert archive.manifest["columns"] == ["image", "walk", "step", "model"]
    assert archive.class_names == ()
    _, label = archive.read()
    assert label.tolist() == [-1] * 60
    assert trace(archive.folder, random=60).result["same"] == 60
    sample(R, None, tmp_path / "b", walks=5, spec=SampleSpec(settings=SETTINGS, format=Format(kind="float")))
    assert Archive.open(tmp_path / "b").manifest["columns"][0] == "x"


def test_classifiers_of_other_classes_do_not_vote(two: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "classifier"
    MLPClassifier(Inputs((1, 4, 4), class_names=("x", "y"))).save_pretrained(other)
    with pytest.raises(ModelError, match="different classes"):
        load_models([two[0]], classifiers=[two[0], other])
    with pytest.raises(ModelError, match=r"classifier: classifiers of different classes"):
        with_student(load_models([two[0]]), other)
