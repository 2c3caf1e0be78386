"""The verdict: what is broken is never called good, what is sound never broken; and each reason has its figure."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reinject import wrap
from reinject.data.samples import Storage
from reinject.sampling.auto import Networks, try_settings
from reinject.sampling.pilot import figures
from reinject.sampling.presets import settings_of
from reinject.sampling.sample import sample
from reinject.sampling.sample_spec import Format, SampleSpec
from reinject.walks.reconstruction import Ensemble
from reinject.walks.verdict import LEVELS, Figures, Verdict, judge, merit

GOOD = Figures(0.0, 0.0, 0.2, 0.3, 0.2, 0.0, 0.0, 9.0, 0.0, (0.3, 0.3, 0.4), 0.9, 0.95, 0.95)
HALF = replace(settings_of("half-denoising"), steps=8, burn_in=3, options={"sigma": "0.5"})
CENTRES = torch.tensor([[0.1] * 8 + [0.9] * 8, [0.9] * 8 + [0.1] * 8])


def two_blobs(x: Tensor) -> Tensor:
    """An optimal denoiser (noise .5) of two points with spread .1: what a sound network looks like."""
    v, s = 0.01, 0.25
    flat = x.reshape(len(x), -1)
    weight = (-torch.cdist(flat, CENTRES).square() / (2 * (v + s))).softmax(1)
    return (weight @ CENTRES + v / (v + s) * (flat - weight @ CENTRES)).reshape(x.shape)


def side(x: Tensor) -> Tensor:
    """A classifier that tells the two blobs apart."""
    flat = x.reshape(len(x), -1)
    return -20 * torch.cdist(flat, CENTRES).square()


def verdict_of(r: Callable[[Tensor], Tensor], C: Callable[[Tensor], Tensor] = side) -> Verdict:
    return try_settings(HALF, Networks(Ensemble((wrap(r, (16,), name="r"),)), C, Storage(), 1.0)).verdict


def test_a_sound_network_is_good() -> None:
    assert verdict_of(two_blobs) == Verdict("good")


def test_constant_identity_random_and_diverging_networks_are_broken() -> None:
    generator = torch.Generator().manual_seed(0)
    broken = {
        "one point": lambda x: 0 * x + 0.5,
        "identity": lambda x: x,
        "every call": lambda x: (
            two_blobs(x) + 0.1 * (len(x) > 2) * torch.randn(x.shape, generator=generator)
        ),  # after wrap
        "no walk was left": lambda x: 1e4 * x,
    }
    for words, r in broken.items():
        found = verdict_of(r)
        assert found.level == "broken", words
        assert words in found.reason


def test_a_classifier_of_one_class_or_none_is_broken() -> None:
    assert "classes are missing" in verdict_of(two_blobs, lambda x: side(x) + torch.tensor([1e3, 0.0])).reason
    assert "cannot tell" in verdict_of(two_blobs, lambda x: 0.001 * side(x)).reason


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({"stopped": 0.05}, "doubtful"),
        ({"stopped": 0.2}, "broken"),
        ({"clipped": 0.3}, "doubtful"),
        ({"clipped": 0.9}, "broken"),
        ({"remembered": 0.6}, "doubtful"),
        ({"repeated": 0.2}, "doubtful"),
        ({"repeated": 0.9}, "broken"),
        ({"shares": (0.5, 0.5, 0.0)}, "doubtful"),
        ({"shares": (1.0, 0.0, 0.0)}, "broken"),
        ({"information": 0.05}, "broken"),
        ({"information": 0.3}, "doubtful"),
        ({"shares": (0.06, 0.04, 0.9), "information": 0.6}, "doubtful"),
        ({"directions": 3.0}, "doubtful"),
        ({"remembered": math.nan, "information": math.nan, "agreement": math.nan, "shares": ()}, "good"),
    ],
)
def test_each_figure_alone_decides(changed: dict[str, float], level: str) -> None:
    found = judge(replace(GOOD, **changed))
    assert found.level == level
    assert bool(found.reason) == (level != "good")
    assert found.line.startswith(f"verdict: {level}")


def test_few_walks_do_not_say_that_a_class_is_missing() -> None:
    one = replace(GOOD, shares=(0.5, 0.5, 0.0))
    assert judge(one, walks=8).reason == "8 walks are too few to judge 3 classes"
    assert judge(one, walks=15).reason == "1 of 3 classes are missing"


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_walks_that_diverge_never_look_better(a: float, b: float) -> None:
    low, high = (LEVELS.index(judge(replace(GOOD, stopped=v)).level) for v in sorted((a, b)))
    assert low <= high


def test_merit_prefers_even_classes_of_which_the_classifier_is_sure() -> None:
    uneven = replace(GOOD, shares=(0.9, 0.05, 0.05))
    unsure = replace(GOOD, information=0.4)
    assert merit(GOOD) > max(merit(uneven), merit(unsure))
    assert 0 <= merit(replace(GOOD, information=math.nan)) <= 1


def test_figures_are_what_they_say() -> None:
    """Against numbers worked out by hand: points of a line, r = x / 2."""
    x = torch.rand((400, 6), generator=torch.Generator().manual_seed(0))
    found = figures(x, wrap(lambda x: 0.5 * x, (6,), name="half"), None, Storage("float"))
    assert found.noise_kept == pytest.approx(0.5, abs=1e-4)
    assert found.spread == pytest.approx(float((x - x.mean(0)).square().mean().sqrt()), abs=1e-6)
    assert found.error == pytest.approx(float(((0.5 * x).square().mean() / found.spread**2).sqrt()), rel=1e-3)
    assert found.random == 0 == found.clipped == found.repeated
    assert math.isnan(found.information)
    twice = figures(torch.cat([x, x]), wrap(lambda x: x, (6,), name="same"), None, Storage("float"))
    assert twice.repeated == 1


@pytest.mark.parametrize("d", [2, 4, 10])
def test_directions_are_those_that_samples_vary_in(d: int) -> None:
    generator = torch.Generator().manual_seed(d)
    axes = torch.linalg.qr(torch.randn((64, d), generator=generator))[0]
    x = torch.randn((1000, d), generator=generator) @ axes.T
    found = figures(x, wrap(lambda x: x, (64,), name="same"), None, Storage("float"))
    assert 0.6 * d < found.directions < 1.5 * d  # a rough figure: the bound of the verdict is a half away


def test_the_verdict_stands_in_manifest_card_and_result(tmp_path: Path) -> None:
    done = sample(
        wrap(two_blobs, (16,)),
        side,
        tmp_path / "good",
        walks=64,
        spec=SampleSpec(class_names=("a", "b"), format=Format(kind="float")),
    )
    assert done.failure == ""
    assert done.lines[-1] == "verdict: good"
    assert done.result["verdict"] == {"level": "good", "reason": ""}
    assert "| verdict, from what needs no data | good |" in (tmp_path / "good" / "README.md").read_text()
    bad = sample(
        wrap(lambda x: 0 * x, (16,)),
        side,
        tmp_path / "bad",
        walks=64,
        spec=SampleSpec(class_names=("a", "b"), format=Format(kind="float")),
    )
    assert bad.status == 3
    assert bad.result["verdict"]["level"] == "broken"
    assert "contracts to one point" in bad.failure


def test_a_noise_conditioned_network_is_asked_about_the_noise_that_it_is_given() -> None:
    """The optimal denoiser of N(1/2, 1/4^2 I) rightly keeps all of little noise; only the identity keeps much noise."""
    x = 0.5 + 0.25 * torch.randn((500, 16), generator=torch.Generator().manual_seed(0))

    def kept(r: Callable[[Tensor, Tensor], Tensor]) -> float:
        told = wrap(r, (16,), noise_conditioned=True, sigma=1e-3, name="r")
        return figures(x, told, None, Storage("float")).noise_kept

    def optimal(x: Tensor, sigma: Tensor) -> Tensor:
        return 0.5 + (x - 0.5) * (1 / 16 / (1 / 16 + sigma**2))[:, None]

    assert kept(optimal) == pytest.approx(1 / 16 / (1 / 16 + 0.36), rel=1e-4)
    assert kept(lambda x, sigma: x + 0 * sigma[:, None]) == pytest.approx(1, rel=1e-4)
