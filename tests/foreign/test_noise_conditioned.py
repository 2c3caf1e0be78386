"""Noise-conditioned modules as other libraries have them: (x, sigma) of k-diffusion, (x_t, t) of azula."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from reinject import wrap
from reinject.base.errors import ArgumentError, ModelError
from reinject.models.importing import import_model
from reinject.models.loading import load_models
from reinject.models.wanted import Wanted
from reinject.sampling.sample import sample_models
from reinject.sampling.sample_spec import SampleSpec, Writing
from reinject.walks.time_denoiser import AtTime, levels_of_module

STD = 0.3  # of the data, N(0, STD^2), whose denoiser is x STD^2/(STD^2 + sigma^2)


class Posterior(NamedTuple):
    mean: Tensor
    var: Tensor


class Azula(nn.Module):
    """Has the interface of azula's denoisers: a schedule, and a posterior distribution of (x_t, t)."""

    def schedule(self, t: Tensor) -> tuple[Tensor, Tensor]:
        a = torch.exp(-4 * t**2)
        return a, (1 - a**2 + 1e-6).sqrt()

    def forward(self, x: Tensor, t: Tensor) -> Posterior:
        a, s = (one.reshape(-1, *[1] * (x.ndim - 1)) for one in self.schedule(t))
        return Posterior(a * STD**2 * x / ((a * STD) ** 2 + s**2), s)


FILE = """
import torch
from torch import nn

class Karras(nn.Module):
    sigma_min, sigma_max = 0.01, 20.0

    def forward(self, x, sigma):
        return x * 0.09 / (0.09 + sigma[:, None, None, None] ** 2)

class Silent(Karras):
    sigma_min = None

class Louder(Karras):
    def forward(self, x, sigma):
        return 9 * x
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REINJECT_HOME", str(tmp_path / "home"))
    (tmp_path / "networks.py").write_text(FILE, encoding="utf-8")
    return str(tmp_path / "networks.py")


def test_a_denoiser_at_a_time_is_the_denoiser_at_its_level() -> None:
    r = wrap(Azula(), (3,), noise_conditioned=True, sigma=0.5)
    x = torch.linspace(-2, 2, 12).reshape(4, 3)
    for sigma in (0.01, 0.3, 2.0, 50.0):
        assert torch.allclose(r(x, sigma), x * STD**2 / (STD**2 + sigma**2), rtol=1e-4, atol=1e-6), sigma
    at = AtTime(Azula())
    sigma = torch.logspace(-1, 1.5, 30)  # below, 1 - a^2 loses digits in float32
    a, s = Azula().schedule(at.time(sigma))
    assert torch.allclose(s / a, sigma, rtol=1e-4)
    assert levels_of_module(at) == pytest.approx((1e-3, 54.6), rel=1e-2)


def test_a_module_of_x_and_sigma_is_imported_with_its_levels_and_sampled(file: str, tmp_path: Path) -> None:
    said = Wanted(shape=(1, 4, 4), bounds=(-1.0, 1.0), trust=True, noise_conditioned=True)
    outcome = import_model(f"{file}:Karras", tmp_path / "models", said)
    assert outcome.result["std"] == pytest.approx(STD, rel=0.1)  # 32 samples of 16 values each
    models = load_models([tmp_path / "models"], labelled=False)
    assert models.ensemble().conditioning.levels == pytest.approx((0.01, 20.0))
    sample_models(models, tmp_path / "set", SampleSpec(), walks=600, writing=Writing(judged=False))
    from reinject.archive import Archive

    x, _ = Archive.open(tmp_path / "set").read()
    values = Archive.open(tmp_path / "set").storage.load(x)
    assert float(values.std()) == pytest.approx(STD, abs=5 * STD / (2 * 9600) ** 0.5 + 0.005)  # and rounding to levels
    inside = import_model(f"{file}:Karras", tmp_path / "unit", Wanted(**{**vars(said), "units": (0.0, 1.0)}))
    assert inside.result["std"] == pytest.approx(STD / 2, rel=0.1)  # data units are half as large, and so are levels
    assert load_models([tmp_path / "unit"], labelled=False).ensemble().conditioning.levels == (0.005, 10.0)


@pytest.mark.slow
def test_what_is_not_stated_is_asked_for(file: str, tmp_path: Path) -> None:
    said = {"shape": (1, 4, 4), "bounds": (-1.0, 1.0), "trust": True, "noise_conditioned": True}
    with pytest.raises(ArgumentError, match=r"--levels: .*Silent does not state its noise levels. Give it, such as"):
        import_model(f"{file}:Silent", tmp_path / "a", Wanted(**said))  # type: ignore[arg-type]
    import_model(f"{file}:Silent", tmp_path / "b", Wanted(**said, levels=(0.02, 9.0)))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"--range: .*Karras does not state its range. Give it, such as --range -1"):
        import_model(f"{file}:Karras", tmp_path / "c", Wanted(**{**said, "bounds": None}))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"--mean: a noise-conditioned model takes its images in one range"):
        import_model(f"{file}:Karras", tmp_path / "d", Wanted(**said, mean=(0.5,), std=(0.5,)))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"of the values of its samples lie far outside of -1..1"):
        import_model(f"{file}:Louder", tmp_path / "e", Wanted(**said))  # type: ignore[arg-type]
    wanted = Wanted(bounds=(-1.0, 1.0), trust=True, noise_conditioned=True, data="digits")
    with pytest.raises(ModelError, match=r"leaves \d+% of noise as large as the spread of digits. Check --range"):
        import_model(f"{file}:Louder", tmp_path / "f", wanted)
