"""The automatic choice: what it depends on, what it costs, and that it is the best of what it tried."""

import torch
from torch import Tensor

from reinject import wrap
from reinject.data.samples import Storage
from reinject.sampling.auto import LEVELS_OF_NOISE, PASSES, choose_settings, in_units
from reinject.sampling.presets import falls
from reinject.walks.reconstruction import Ensemble
from reinject.walks.starts import Codes, Mixture
from test_verdict import CENTRES, side, two_blobs


def blind(shift: float = 0.0, width: float = 1.0) -> Ensemble:
    """The denoiser of two blobs, in other units."""
    return Ensemble((wrap(lambda x: shift + width * two_blobs((x - shift) / width), (16,), name="r"),))


def test_noise_conditioned_networks_take_one_fall_a_sample() -> None:
    r = wrap(lambda x, sigma: 0 * x / sigma[:, None], (4,), noise_conditioned=True, sigma=1.0, name="r")
    choice = choose_settings(Ensemble((r,)), None, Storage(), 1.0)
    assert choice.settings == falls(PASSES, 4)
    assert choice.trials == ()


def test_the_same_seed_chooses_the_same_and_the_best_of_its_trials() -> None:
    one, two = (choose_settings(blind(), side, Storage(), 1.0, seed=3) for _ in range(2))
    assert one == two
    best = min(one.trials, key=lambda trial: trial.rank)
    assert one.settings == best.settings
    assert len(one.lines) == 2
    assert len(one.trials) == len(LEVELS_OF_NOISE)


def test_the_choice_does_not_depend_on_the_unit() -> None:
    plain = choose_settings(blind(), side, Storage(), 1.0)

    def in_bytes(x: Tensor) -> Tensor:
        return side(x / 255)

    wide = choose_settings(blind(0.0, 255.0), in_bytes, Storage("uint8", 0.0, 255.0), 255.0)
    assert wide.settings.options["sigma"] == in_units(plain.settings.options["sigma"], 255)
    assert wide.settings.start == "normal:255"


def test_a_pilot_costs_a_tenth_of_the_usual_run() -> None:
    calls = 0

    def counted(x: Tensor) -> Tensor:
        nonlocal calls
        calls += len(x)
        return two_blobs(x)

    choice = choose_settings(Ensemble((wrap(counted, (16,), name="r"),)), side, Storage(), 1.0)
    usual = 10_000 * (choice.settings.steps + 1)
    assert calls <= usual / 10


def test_known_codes_are_where_walks_begin() -> None:
    law = Mixture(torch.tensor([0.5, 0.5]), CENTRES[:, :1], 0.05 * torch.ones(2, 1, 1))

    class Line(torch.nn.Module):
        def encode(self, x: Tensor) -> Tensor:
            return x[:, :1]

        def decode(self, h: Tensor) -> Tensor:
            return torch.cat([h.expand(-1, 8), (1 - h).expand(-1, 8)], 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.decode(self.encode(x))

    r = Ensemble((wrap(Line(), (16,)),))
    choice = choose_settings(r, side, Storage(), 1.0, begin=Codes(law))
    assert choice.settings.start == "codes"
    walker = choice.settings.build(r, 1.0, start=Codes(law))
    x = walker.start.draw((4000, 16), torch.Generator().manual_seed(0))
    # decoded draws: mean .5, variance .4^2 + .05^2 in every value, within 4 standard errors
    assert abs(float(x[:, 0].mean()) - 0.5) < 4 * 0.4 / 4000**0.5
    assert abs(float(x[:, 0].var()) - 0.1625) < 4 * 0.1625 * (2 / 4000) ** 0.5
