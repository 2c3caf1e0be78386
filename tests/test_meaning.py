"""What a classifier gives is read once, in Python as by import: probabilities stay what they are, one number is two."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from reinject import Archive, algorithm1, sample, wrap
from reinject.base.errors import ModelError
from reinject.sampling.algorithm1 import synthesise
from reinject.sampling.presets import Settings
from reinject.sampling.sample_spec import SampleSpec, Writing
from reinject.walks.classifier_outputs import as_logits, labeller, meaning_of
from reinject.walks.kernels import Guided, Langevin
from reinject.walks.specs import RunSpec, WalkSpec
from reinject.walks.starts import Normal

SHAPE = (1, 4, 4)
SHORT = Settings("langevin", {"lam": "0.1"}, steps=3, burn_in=1)


def scores(width: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, width))


LOGITS = scores()
SOFTMAX = nn.Sequential(LOGITS, nn.Softmax(1))
ONE = scores(1)
R = wrap(lambda x: 0.9 * x, SHAPE)

MEANT: dict[str, tuple[Callable[[Tensor], Any], Callable[[Tensor], Tensor]]] = {
    "logits": (LOGITS, lambda x: LOGITS(x).softmax(1)),
    "softmax": (SOFTMAX, SOFTMAX),
    "a log of it": (lambda x: SOFTMAX(x).log(), SOFTMAX),
    "in a dict": (lambda x: {"hidden": LOGITS(x).repeat(1, 3), "logits": LOGITS(x)}, SOFTMAX),
    "a logit": (ONE, lambda x: torch.cat([1 - ONE(x).sigmoid(), ONE(x).sigmoid()], 1)),
    "a flat logit": (lambda x: ONE(x)[:, 0], lambda x: torch.cat([1 - ONE(x).sigmoid(), ONE(x).sigmoid()], 1)),
    "a sigmoid": (lambda x: ONE(x).sigmoid(), lambda x: torch.cat([1 - ONE(x).sigmoid(), ONE(x).sigmoid()], 1)),
}


@pytest.mark.parametrize(("C", "means"), MEANT.values(), ids=MEANT.keys())
def test_probabilities_are_those_that_the_classifier_means(C: Any, means: Any) -> None:
    kernel = Langevin(R, 0.1)
    for part in synthesise(kernel, Normal(), C, SHAPE, WalkSpec(steps=2), RunSpec(walks=9)):
        with torch.no_grad():
            p = means(part.x / 255)
        torch.testing.assert_close(part.probabilities, p, rtol=1e-5, atol=1e-6)
        assert torch.equal(part.label, p.argmax(1))
    X, Y = algorithm1([R], C, N_s=9, R=3)
    with torch.no_grad():
        assert torch.equal(Y, means(X).argmax(1))


def test_sample_says_what_it_read_and_keeps_it(tmp_path: Path) -> None:
    names = ("a", "b", "c")
    for C, name in ((SOFTMAX, "soft"), (LOGITS, "plain")):
        out = sample(
            R,
            C,
            tmp_path / name,
            walks=40,
            spec=SampleSpec(class_names=names, settings=SHORT),
            writing=Writing(judged=False),
        )
        assert ("returns probabilities, which get no second softmax" in "\n".join(out.lines)) == (name == "soft")
    soft, plain = (
        [
            row
            for table in Archive.open(tmp_path / name).tables(["probabilities"])
            for row in table["probabilities"].to_pylist()
        ]
        for name in ("soft", "plain")
    )
    torch.testing.assert_close(torch.tensor(soft), torch.tensor(plain), rtol=1e-5, atol=1e-5)


def test_guidance_follows_the_probabilities_that_are_meant() -> None:
    x = torch.randn((5, *SHAPE), generator=torch.Generator().manual_seed(0))
    steps = []
    for C in (LOGITS, SOFTMAX):
        kernel = Guided(Langevin(R, 0.1, 0.0), C, target=1, weight=2.0)
        steps.append(kernel.step(kernel.init(x), torch.Generator())[0].x)
    torch.testing.assert_close(*steps)


WRONG: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "labels": (lambda x: LOGITS(x).argmax(1), r"maps \(16, 1, 4, 4\) to \(16,\): int64 labels, no scores"),
    "several labels": (lambda x: LOGITS(x).sigmoid(), r"3 numbers in 0\.\.1 that do not sum to one: several labels"),
    "one tanh": (lambda x: ONE(x).tanh(), r"one number, in -1\.\.1, which may be a probability, a logit or neither"),
    "one constant": (lambda x: torch.zeros(len(x), 1) + 0.3, r"one number, in 0\.3\.\.0\.3"),
    "a positive number": (lambda x: ONE(x).abs(), r"one number, in 0"),
    "nothing finite": (lambda x: LOGITS(x) / 0, r"non-finite"),
    "noise": (lambda x: LOGITS(x) + torch.rand(len(x), 3), r"different values for the same input at every call"),
    "batches": (lambda x: LOGITS(x) - LOGITS(x).mean(0), r"different values for a row in another batch"),
    "a failure": (lambda x: LOGITS(x[:, :, 1:]), r"fails on a batch of shape \(16, 1, 4, 4\) \(RuntimeError: mat1"),
    "an image": (lambda x: x, r"maps \(16, 1, 4, 4\) to \(16, 1, 4, 4\)\. Give a classifier's logits"),
}


@pytest.mark.parametrize(("C", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_label_is_refused_before_a_walk(C: Any, sentence: str, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(ModelError, match=sentence):
        algorithm1([R], C, N_s=2)
    with pytest.raises(ModelError, match=sentence):
        sample(R, C, tmp_path / "s", walks=2, spec=SampleSpec(class_names=("a", "b", "c"), settings=SHORT))
    assert torch.equal(before, torch.random.get_rng_state())
    assert not list(tmp_path.iterdir())


def test_a_classifier_need_not_work_far_from_its_data() -> None:
    def careful(x: Tensor) -> Tensor:
        if x.abs().max() > 1:
            raise ValueError("negative values")
        return SOFTMAX(x)

    assert labeller(careful, SHAPE).scores == "probabilities"
    assert labeller(lambda x: ONE(x).sigmoid() * (x.abs().amax((1, 2, 3)) < 9)[:, None], SHAPE).scores == "probability"


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=5))
def test_logits_of_probabilities_give_these_again(values: list[float]) -> None:
    p = torch.tensor([values]).softmax(1)
    torch.testing.assert_close(as_logits(p, "probabilities").softmax(1), p, rtol=1e-4, atol=1e-6)
    one = as_logits(p[:, :1], "probability").softmax(1)
    torch.testing.assert_close(one[:, 1], p[:, 0], rtol=1e-4, atol=1e-6)


def test_rows_that_are_not_finite_say_nothing() -> None:
    y = torch.tensor([[0.5, 0.5], [torch.nan, 1.0]])
    assert meaning_of(y) == "probabilities"


def test_an_autoencoder_that_draws_noise_is_refused_by_wrap_too() -> None:
    class Variational(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Linear(16, 2), nn.Linear(2, 16)

        def forward(self, x: Tensor) -> Tensor:
            h = self.down(x.flatten(1))
            return self.up(h + torch.randn_like(h)).reshape(x.shape)

    net = Variational()
    with pytest.raises(ModelError, match=r"Variational: returns different values for the same input .*mean of encode"):
        wrap(net, SHAPE)
    with pytest.raises(ModelError, match="different values"):
        wrap(lambda x, sigma: x * sigma[0] * torch.rand(1), SHAPE, noise_conditioned=True, sigma=1.0)
    trained = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)).train()
    with pytest.raises(ModelError, match=r"shape \(1, 4\) .*Expected more than 1 value .*eval\(\)"):
        wrap(lambda x: trained(x), (4,))
    with pytest.raises(ModelError, match="different values for a row"):
        wrap(lambda x: x - x.mean(0), (4,))
    wrap(lambda x: net.up(net.down(x.flatten(1))).reshape(x.shape), SHAPE)
    wrap(nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 4)), SHAPE)  # in evaluation mode it draws none
