"""Data are evidence: what a model does on them is shown always, and refused where it is worthless."""

from pathlib import Path
from typing import Any

import pytest
import torch
from making import AUTOENCODERS, DIGITS, LABELS, SHAPE
from torch import Tensor, nn

from reinject import data
from reinject.base.errors import ArgumentError, ModelError
from reinject.data import Dataset, LabelledImages
from reinject.foreign import Foreign, Loaded, Native
from reinject.foreign import probe as probe_module
from reinject.foreign.normalise import Evidence, Known, read_by, words_for
from reinject.models import bundle, importing
from reinject.models.importing import Wanted, import_model
from reinject.models.inspect import inspect
from reinject.networks import Inputs

TEXT = """
from torch import nn

class Coder(nn.Sequential):
    def __init__(self, last="Identity", values=64):
        layers = nn.Linear(values, 16), nn.Tanh(), nn.Linear(16, values), getattr(nn, last)()
        super().__init__(nn.Flatten(), *layers, *([nn.Unflatten(1, (1, 8, 8))] if values == 64 else []))

class Judge(nn.Sequential):
    def __init__(self, values=64, classes=10):
        super().__init__(nn.Flatten(), nn.Linear(values, classes))
"""
SPACE: dict[str, Any] = {}
exec(compile(TEXT, "net", "exec"), SPACE)
X, Y = torch.from_numpy(DIGITS).reshape(-1, *SHAPE), torch.from_numpy(LABELS).long()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(importing, "probe", probe_module.look)  # in this process, for time
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(TEXT)


def fitted(made: nn.Module, loss: Any, steps: int = 120) -> nn.Module:
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(made.parameters(), 0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(made).backward()
        optimiser.step()
    return made.eval()


def made(name: str, *args: Any, **kwargs: Any) -> nn.Module:
    torch.manual_seed(1)
    found: nn.Module = SPACE[name](*args, **kwargs)
    return found


@pytest.fixture(scope="module")
def logits() -> nn.Module:
    return fitted(made("Coder"), lambda r: nn.functional.binary_cross_entropy_with_logits(r(X), X))


@pytest.fixture(scope="module")
def judge() -> nn.Module:
    return fitted(made("Judge"), lambda C: nn.functional.cross_entropy(C(X), Y))


def taken(network: nn.Module, name: str, **said: Any) -> str:
    """The lines of an import."""
    torch.save(network.state_dict(), "w.pt")
    said = {"trust": True, "weights": Path("w.pt"), **said}
    return "\n".join(import_model(f"net.py:{name}", Path("m"), Wanted(**said), overwrite=True).lines)


def test_logits_are_corrected_with_a_word_by_data(logits: nn.Module) -> None:
    lines = taken(logits, "Coder", data="digits", bounds=(0, 1))
    assert "taken: range 0,1, outputs logits" in lines
    assert "-" not in lines.split("of small noise ")[1].split("%")[0]
    with torch.no_grad():
        torch.testing.assert_close(bundle.load(Path("m/autoencoder")).network(X), logits(X).sigmoid())


def test_what_is_said_is_refused_where_another_reading_is_far_better(logits: nn.Module) -> None:
    with pytest.raises(ArgumentError, match=r"far from its best on digits as stated, .* 0,255 .*--range 0,1 --out"):
        taken(logits, "Coder", bounds=(0, 255), data="digits")


def test_logits_are_refused_without_data_and_may_be_said(logits: nn.Module) -> None:
    with pytest.raises(ModelError, match=r"leaves its range 0,1 after .* walks would be worthless.*--outputs logits"):
        taken(logits, "Coder", bounds=(0, 1), shape=SHAPE)
    taken(logits, "Coder", bounds=(0, 1), shape=SHAPE, out="sigmoid")
    with torch.no_grad():
        torch.testing.assert_close(bundle.load(Path("m/autoencoder")).network(X), logits(X).sigmoid())


@pytest.mark.parametrize(
    ("last", "said", "sentence"),
    [
        ("Tanh", (0, 1), r"values in -1\.\.1, which never fill 0\.\.1\. Give --range -1,1"),
        ("Sigmoid", (0, 255), r"values in 0\.\.1, which never fill 0\.\.255\. Give --range 0,1"),
        ("Sigmoid", (-1, 1), r"Give --range 0,1, or --range 0,1 --mean 0\.5 --std 0\.5 --outputs plain"),
    ],
)
def test_a_range_that_the_last_layer_cannot_fill_is_refused(last: str, said: Any, sentence: str) -> None:
    network = made("Coder", last)
    network[3].weight.data *= 99  # type: ignore[union-attr, index, operator]
    with pytest.raises(ModelError, match=sentence):
        taken(network, "Coder", arguments={"last": last}, bounds=said, shape=SHAPE)


def test_a_range_in_which_nothing_is_reached_is_refused() -> None:
    with pytest.raises(ModelError, match=r"almost nothing of its range 0,255.* Give --range 0,1"):
        taken(made("Coder", "Sigmoid"), "Coder", arguments={"last": "Sigmoid"}, bounds=(0, 255), shape=SHAPE)


def test_what_is_said_wrongly_is_refused_with_what_would_work(judge: nn.Module) -> None:
    network = fitted(made("Coder", "Tanh"), lambda r: (r(2 * X - 1) - (2 * X - 1)).square().mean())
    with pytest.raises(ArgumentError, match=r"no better than the mean of digits as stated, range 0,255 .*--range -1,1"):
        taken(network, "Coder", arguments={"last": "Tanh"}, bounds=(0, 255), data="digits")
    with pytest.raises(ArgumentError, match=r"near chance on digits as stated.*Give --range 0,1, or let"):
        taken(judge, "Judge", role="classifier", bounds=(0, 1), mean=(9000.0,), std=(1.0,), data="digits")
    lines = taken(judge, "Judge", role="classifier", bounds=(0, 1), data="digits")
    assert "accuracy on digits: range 0,1: 9" in lines
    assert "accuracy on 450 test rows of digits: 9" in lines


def test_what_a_library_says_of_its_range_is_tried_too(tmp_path: Path) -> None:
    pytest.importorskip("pythae")
    untrained = AUTOENCODERS["pythae_ae"](tmp_path)  # whose range is known: 0..1
    with pytest.raises(ArgumentError, match="no better than the mean of digits"):
        import_model(untrained.source, Path("m"), Wanted(data="digits", trust=True))


def test_chance_is_that_of_the_largest_class() -> None:
    """Of two classes, one of them 90%: an accuracy of 91% says nothing."""
    y = (torch.arange(400) % 10 == 0).long()
    on = Evidence("two", torch.rand(400, 1, 2, 2), y, ("a", "b"))
    assert 0.93 < on.chance < 0.96
    guess = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    with torch.no_grad():
        guess[1].weight.zero_()
        guess[1].bias.copy_(torch.tensor([1.0, 0.0]))
    with pytest.raises(ArgumentError, match=r"near chance .*90\.0%"):
        read_by(Loaded(guess), "classifier", Known(Native((1, 2, 2), 0, 1)), on, "guess", "logits")


def test_classes_in_another_order_are_told(judge: nn.Module) -> None:
    order = torch.tensor([0, 1, 9, 8, 7, 6, 5, 4, 3, 2])
    state = {name: weight[order] for name, weight in judge.state_dict().items()}
    other = made("Judge")
    other.load_state_dict(state)
    with pytest.raises(ArgumentError, match=r"--class-names: .* Give --class-names 0,1,9,8,7,6,5,4,3,2\."):
        taken(other, "Judge", role="classifier", bounds=(0, 1), data="digits")
    names = tuple("0198765432")
    lines = taken(other, "Judge", role="classifier", bounds=(0, 1), data="digits", class_names=names)
    assert "accuracy on 450 test rows of digits: 9" in lines
    assert bundle.load(Path("m/classifier")).network.inputs.class_names == names


def colours(n: int = 400) -> Tensor:
    """Images whose channels differ, with a class in the brightest corner."""
    g = torch.Generator().manual_seed(0)
    x = 0.3 * torch.rand((n, 3, 4, 4), generator=g) * torch.tensor([1.0, 0.6, 0.2]).reshape(3, 1, 1)
    for k in range(n):
        x[k, k % 3, k % 4, 1] += 0.7
    return x.clamp(0, 1)


LAYOUTS = {
    "bgr": lambda x: x.flip(1).flatten(1),
    "hwc": lambda x: x.movedim(1, -1).flatten(1),
    "hwc-bgr": lambda x: x.flip(1).movedim(1, -1).flatten(1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_found_and_undone(layout: Any) -> None:
    x = colours()
    y = torch.arange(len(x)) % 3
    there = LAYOUTS[layout](x)
    C = fitted(nn.Sequential(nn.Linear(48, 3)), lambda m: nn.functional.cross_entropy(m(there), y))
    on = Evidence("colours", x, y, ("r", "g", "b"))
    native, line = read_by(Loaded(C), "classifier", Known(Native((48,), 0, 1)), on, "C", "logits")
    assert native.layout == layout, line
    r = nn.Sequential(nn.Linear(48, 12), nn.Linear(12, 48))
    r = fitted(r, lambda m: (m(there) - there).square().mean(), 200)
    native, line = read_by(Loaded(r), "autoencoder", Known(Native((48,), 0, 1)), on, "r", "values")
    if layout != "bgr" or native.layout != "chw":
        assert native.layout == layout, line
    network = Foreign(Loaded(r), "autoencoder", Inputs((3, 4, 4)), Native((48,), 0, 1, layout=layout), "values")
    with torch.no_grad():
        torch.testing.assert_close(LAYOUTS[layout](network(x)), r(there))
    assert words_for(native).startswith("range 0,1")


def test_rows_are_drawn_over_all_of_the_data(judge: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of images are read class by class: the first 512 rows are of one class."""
    order = Y.argsort()
    rows = LabelledImages(
        (255 * X[order]).round().to(torch.uint8).repeat_interleave(4, 0), Y[order].repeat_interleave(4)
    )
    monkeypatch.setattr(data, "load", lambda *_, **__: Dataset("sorted", rows, rows, tuple("0123456789")))
    lines = taken(judge, "Judge", role="classifier", data="sorted")
    assert "accuracy on 512 test rows of sorted: 9" in lines
    page = inspect(Path("m"), against="sorted")
    assert page.result["classifier"]["accuracy"] > 0.9
