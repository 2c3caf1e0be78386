"""``--passes``: what a sample costs, what is refused, and the covariance of a table's walk in eight passes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reinject import Archive, sample, wrap
from reinject.base.errors import ArgumentError
from reinject.data.samples import Storage
from reinject.densities import Gaussian
from reinject.evaluation.candidates import candidates
from reinject.models.loading import load_models
from reinject.sampling.auto import PASSES as USUAL
from reinject.sampling.auto import Choice, choose_settings
from reinject.sampling.choosing import settings_for, settings_in_memory
from reinject.sampling.passes import lengthened, within
from reinject.sampling.presets import Settings, choose, falls
from reinject.sampling.sample_spec import SampleSpec, Writing
from reinject.walks.loop import spread, walk
from reinject.walks.reconstruction import Ensemble
from reinject.walks.specs import RunSpec
from reinject.walks.starts import Codes, Mixture
from test_choosing import command
from test_cli import run, sentence

PASSES = (2, 3, 4, 8, 32)


class Counted:
    """r(x) = x/2 for either kind of network; counts the points."""

    def __init__(self, told: bool) -> None:
        self.points = 0
        function = self.of_level if told else self.of
        self.r = Ensemble((wrap(function, (2,), noise_conditioned=told, sigma=1.0 if told else None, name="r"),))
        self.points = 0

    def of(self, x: Tensor) -> Tensor:
        self.points += len(x)
        return x / 2

    def of_level(self, x: Tensor, _: Tensor) -> Tensor:
        return self.of(x)

    def cost(self, settings: Settings) -> float:
        """Calls of r for a sample, over 7 walks."""
        walker = settings.build(self.r, 1.0)
        self.points = 0
        parts = list(walk(walker.kernel, walker.start, (2,), settings.walk, RunSpec(walks=7)))
        return self.points / sum(len(part.x) for part in parts)


@pytest.mark.parametrize("passes", PASSES)
def test_a_sample_of_a_noise_conditioned_network_costs_its_passes(passes: int) -> None:
    counted = Counted(told=True)
    settings = within(choose_settings(counted.r, None, Storage(), 1.0), passes).settings
    assert counted.cost(settings) == passes
    assert len(settings.walk.kept) == 1


@pytest.mark.parametrize("among_data", [False, True])
def test_a_sample_of_an_unconditional_network_costs_no_more(among_data: bool) -> None:
    """The walk gets longer, and gives as many samples; what it costs grows with what it may cost."""
    counted = Counted(told=False)
    moments = Codes(Mixture(torch.ones(1), torch.zeros(1, 2), torch.eye(2)[None]))
    choice = choose_settings(counted.r, None, Storage(), 1.0, begin=moments if among_data else None)
    chosen = [within(choice, passes).settings for passes in PASSES]
    plain = [Settings(one.kernel, one.options, one.steps, one.burn_in, one.emit, one.thin) for one in chosen]
    costs = [counted.cost(one) for one in plain]
    assert all(cost <= passes for cost, passes in zip(costs, PASSES, strict=True))
    assert costs[-1] > 28
    assert {len(one.walk.kept) for one in chosen} == {len(choice.settings.walk.kept)}
    assert all(one.burn_in >= choice.settings.burn_in for one in chosen)


def test_a_walk_of_one_sample_gets_the_length_of_its_passes() -> None:
    longer = lengthened(Settings("half-denoising", steps=5, burn_in=5, emit="reconstruction"), 12)
    assert (longer.steps, longer.burn_in, len(longer.walk.kept)) == (11, 11, 1)


def test_options_change_the_automatic_choice_and_it_stays_one_fall(models: Path) -> None:
    """Not the preset default, which was the automatic choice before."""
    loaded = load_models([models])
    usual = falls(USUAL, loaded.inputs.n)
    given = {"kernel": None, "options": {"eta": "0"}, "steps": 20}
    name, settings, choice = settings_for(loaded, None, **given)
    assert (name, choice is not None) == ("auto", True)
    assert settings == replace(usual, options={**usual.options, "eta": "0"}, steps=20, burn_in=20)
    assert (
        settings_in_memory(
            loaded.ensemble(), loaded.C, Storage(), loaded.inputs.radius, 0, SampleSpec(options={"eta": 0, "steps": 20})
        )[1].steps
        == 20
    )
    assert len(settings.walk.kept) == 1
    assert settings_for(loaded, None, None, {"lam": "0.1"})[1].kernel == "langevin"
    assert len(settings_for(loaded, None, None, {}, burn_in=8)[1].walk.kept) == 2  # a given burn-in counts


def test_by_default_there_are_100_000_samples_and_diagnose_knows_walks_of_one(models: Path, tmp_path: Path) -> None:
    status, text, _ = run("sample", models, "--out", tmp_path / "s", "--dry-run")
    assert status == 0
    assert "would write about 100,000 samples" in text
    assert run("sample", models, "--out", tmp_path / "s", "--rows", 40)[0] == 0
    assert "each walk gave one sample, and walks are independent" in run("diagnose", tmp_path / "s")[1]


def test_a_walk_over_known_levels_keeps_them() -> None:
    """A network that knows the levels of its training has a multistep walk over them already."""
    choice = Choice(Settings("multistep", {"sigma": "karras:80:.002"}, 20, 20, "reconstruction"), "it knows its levels")
    settings = within(choice, 8).settings
    assert (settings.options, settings.steps, settings.burn_in) == ({"sigma": "karras:80:.002"}, 7, 7)


def test_the_command_and_python_walk_alike(models: Path, tmp_path: Path) -> None:
    status, text, said = command("sample", models, "--passes", 4, "--walks", 30, "--out", tmp_path / "s")
    assert status in (0, 3), said
    assert "4 passes a sample" in text
    archive = Archive.open(tmp_path / "s")
    assert archive.rows == 30
    assert Settings.from_json(archive.manifest["parameters"]["settings"]) == falls(4, 64)
    loaded = load_models([models])
    spec = SampleSpec(options={"passes": 4}, radius=loaded.inputs.radius, class_names=loaded.inputs.class_names)
    sample(loaded.ensemble(), loaded.C, tmp_path / "t", walks=30, spec=spec, writing=Writing(judged=False))
    assert torch.equal(Archive.open(tmp_path / "t").read(30)[0], archive.read(30)[0])
    status, _, said = command(
        *("sample", models, "--passes", 4, "--eta", 0, "--emit", "state", "--walks", 3, "--out", tmp_path / "u")
    )
    assert status in (0, 3), said
    settings = Archive.open(tmp_path / "u").manifest["parameters"]["settings"]
    assert settings["options"]["eta"] == "0"
    assert settings["emit"] == "state"


def test_tune_tries_walks_of_few_passes(models: Path) -> None:
    assert sum(settings.kernel == "multistep" for settings in candidates(load_models([models]))) >= 2


REFUSED = {
    "steps": (["--steps", "5"], "cannot be combined with --steps"),
    "burn-in": (["--burn-in", "1"], "cannot be combined with --burn-in"),
    "kernel": (["--kernel", "ancestral"], "cannot be combined with --kernel"),
    "preset": (["--preset", "paper"], "cannot be combined with --preset"),
    "option": (["--lam", ".1"], "takes the multistep kernel, and --lam"),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_passes_determine_is_refused(models: Path, tmp_path: Path, words: list[str], said: str) -> None:
    assert said in sentence("sample", models, "--passes", 4, *words, "--out", tmp_path / "s")


def test_python_refuses_the_same(tmp_path: Path) -> None:
    r = Counted(told=True).r.members[0]
    for options, said in (({"passes": 1}, "passes = 1"), ({"passes": 4, "thin": 2}, "--thin")):
        with pytest.raises(ArgumentError, match=said):
            sample(r, None, tmp_path / "s", spec=SampleSpec(options=options))


SPECTRA = {"falling": 0.93 ** np.arange(64), "two levels": np.r_[np.linspace(2, 0.5, 20), np.full(44, 0.15)]}

TABLE = {"sigma": "geometric:1.4r:0.01r", "eta": "0"}


@pytest.mark.parametrize("name", SPECTRA)
def test_eight_passes_give_the_covariance_of_a_table(name: str) -> None:
    """n = 64, exact denoiser, equal factors, no noise added: within 2%, computed without Monte Carlo."""
    v = torch.from_numpy(SPECTRA[name])
    p = Gaussian(torch.zeros(64), torch.diag(v))
    told = wrap(lambda x, s: p.denoiser(x, float(s[0])), (64,), noise_conditioned=True, sigma=1.0, name="exact")
    settings = choose("auto", None, TABLE, presets={"auto": falls(8, 64)})[1]
    walker = settings.build(Ensemble((told,)), float(v.sum().sqrt()))
    kernel = spread(walker.kernel, settings.steps)
    state = kernel.init(torch.eye(64) * kernel.level(0))  # the walk is linear: images of the axes give its covariance
    for _ in range(settings.steps):
        state, _ = kernel.step(state, torch.Generator())
    image = kernel.step(state, torch.Generator())[1].reconstruction.double()
    error = torch.linalg.norm(image.T @ image - torch.diag(v)) / torch.linalg.norm(v)
    assert error < 0.02
