"""Choose settings for an autoencoder from its kind and from pilot walks."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from reinject.data.samples import Storage
from reinject.models.votes import Classifier
from reinject.sampling.pilot import WALKS, figures, remembered, visit, walks_for
from reinject.sampling.presets import Constraint, Settings, falls, settings_of
from reinject.walks.reconstruction import Ensemble
from reinject.walks.starts import Start
from reinject.walks.verdict import LEVELS, Figures, Verdict, judge, merit

LEVELS_OF_NOISE: tuple[str, ...] = ("0.3", "0.6", "1", "cycles:1.5:0.3:8:1.5:8")  # units of the value range
USUAL = "0.6"  # of the range: near the best for most networks, and the best for walks that begin among data
PASSES = 10  # for a sample of a noise-conditioned r: more make hardly better samples
_STEPS = 25  # of a walk over all levels of an imported diffusion model
_FROM_NOISE = replace(settings_of("half-denoising"), steps=16, burn_in=7)
_FROM_DATA = replace(settings_of("half-denoising"), steps=9, burn_in=1, start="codes")


@dataclass(frozen=True)
class Trial:
    """Hold a candidate and the results of its pilot walks.

    Attributes:
        settings: the candidate.
        figures: figures of the samples; None: no walk was left.
        verdict: verdict on the samples.
        merit: rank among candidates of the same verdict, 0..1.
    """

    settings: Settings
    figures: Figures | None
    verdict: Verdict
    merit: float

    @property
    def rank(self) -> tuple[int, float]:
        """Rank by verdict, then by merit; smaller is better."""
        return LEVELS.index(self.verdict.level), -self.merit


@dataclass(frozen=True)
class Choice:
    """Hold the chosen settings and the reason.

    Attributes:
        settings: chosen settings.
        what: property of the autoencoder that decides on the kernel.
        trials: results of pilot walks, by rising noise; none if no trial was necessary.
    """

    settings: Settings
    what: str
    trials: tuple[Trial, ...] = ()

    @property
    def lines(self) -> list[str]:
        """Write the choice and its reason in two lines."""
        options = " ".join(f"--{name} {value}" for name, value in self.settings.options.items())
        chosen = f"chosen: --kernel {self.settings.kernel} {options}".rstrip()
        chosen += f"{' --latent' * self.settings.latent}, {self.settings.steps} steps, start {self.settings.start}"
        if not self.trials:
            return [chosen, f"because: {self.what}"]
        tried = ", ".join(f"{_noise_of(one.settings)}: {one.merit:.2f}" for one in self.trials)
        return [chosen, f"because: {self.what}; merit of pilot walks by noise {tried}"]

    def as_json(self) -> dict[str, Any]:
        """Return JSON values for the manifest."""
        return {
            "because": self.what,
            "trials": [
                {
                    "settings": one.settings.as_json(),
                    "merit": round(one.merit, 3),
                    "verdict": one.verdict.as_json(),
                    "figures": None if one.figures is None else one.figures.as_json(),
                }
                for one in self.trials
            ],
        }


def _noise_of(settings: Settings) -> str:
    return next(iter(settings.options.values()), settings.kernel)


def in_units(text: str, unit: float) -> str:
    """Convert the levels of a noise or a schedule to another unit.

    Example:
        >>> in_units("0.5", 255), in_units("cycles:1:0.5:8:1:8", 2)
        ('127.5', 'cycles:2:1:8:2:8')
    """
    parts = text.split(":")
    levels = {"cycles": (1, 2, 4)}.get(parts[0], (0,))
    return ":".join(f"{float(part) * unit:.4g}" if k in levels else part for k, part in enumerate(parts))


def choose_settings(
    r: Ensemble,
    C: Classifier | None,
    storage: Storage,
    radius: float,
    *,
    begin: Start | None = None,
    seed: int = 0,
) -> Choice:
    """Choose kernel, noise, start, length and emission from the kind of r and from short pilot walks.

    A noise-conditioned r takes one fall of the multistep kernel for each sample, an unconditional denoiser
    half-denoising. With ``begin``, its walks begin among data with noise 0.6 of the range. Labels of such walks inform
    about the start, so they cannot choose the noise. Without ``begin``, walks begin at N(0, I) in units of the range,
    and 128 pilot walks try each of four noises. The best verdict wins, then the largest merit. Pilot walks take a tenth
    of the calls of r of 10,000 walks.

    Arguments:
        r: autoencoder.
        C: classifier; None: the noise is 0.6 of the range, near the best for most networks.
        storage: storage of samples; its range is the unit of noise.
        radius: radius of the training data, data units.
        begin: law of the start among data or their codes, if known.
        seed: seed of the pilot walks.

    Example:
        >>> from reinject import wrap
        >>> blind = Ensemble((wrap(lambda x: 0.5 * x + 0.25, (4,), name="half"),))
        >>> choose_settings(blind, None, Storage(), 1.0).settings.options["sigma"]
        '0.6'
    """
    if r.noise_conditioned or r.codes is not None:
        return _from_its_noise(r)
    width = storage.high - storage.low
    if begin is None:
        what = "r is not noise-conditioned, and no data is known"
        base = _FROM_NOISE if width == 1 else replace(_FROM_NOISE, start=f"normal:{width:.4g}")
    else:
        base, what = _FROM_DATA, "r is not noise-conditioned; walks begin among data"
    levels = (USUAL,) if begin is not None or C is None else LEVELS_OF_NOISE
    grid = [replace(base, options={"sigma": in_units(level, width)}) for level in levels]
    if len(grid) == 1:
        return Choice(grid[0], what)
    networks = Networks(r, C, storage, radius)
    trials = [try_settings(settings, networks, seed=seed) for settings in grid]
    best = min(trials, key=lambda trial: trial.rank)
    return Choice(best.settings, what, tuple(trials))


def _from_its_noise(r: Ensemble) -> Choice:
    """Choose for a noise-conditioned r, or a denoiser of codes: a walk over all levels of its training, if known.

    Networks of natural images need many levels, and their details need the smallest ones.
    """
    space, among_codes = r.codes or r, r.codes is not None
    what = "it has a denoiser of its codes" if among_codes else "r is noise-conditioned"
    levels = space.conditioning.levels
    if levels is None:
        one_fall = falls(PASSES, math.prod(space.event_shape))
        return Choice(replace(one_fall, latent=among_codes), what)
    options = {"sigma": f"karras:{levels[1]:.6g}:{levels[0]:.6g}", "eta": "0"}
    base = replace(settings_of("multistep"), steps=_STEPS, burn_in=_STEPS, latent=among_codes)
    settings = replace(base, options=options)
    return Choice(settings, f"{what}, trained with noise {levels[0]:.3g} to {levels[1]:.4g}")


@dataclass(frozen=True)
class Networks:
    """Hold r, C, the storage of samples and the radius of the training data, for pilot walks."""

    r: Ensemble
    C: Classifier | None
    storage: Storage
    radius: float


def try_settings(
    settings: Settings,
    networks: Networks,
    *,
    start: Start | None = None,
    constraint: Constraint | None = None,
    walks: int = WALKS,
    seed: int = 0,
) -> Trial:
    """Run pilot walks and judge their samples; start and constraint: see :meth:`Settings.build`."""
    r, C, storage = networks.r, networks.C, networks.storage
    walks = min(walks, walks_for(math.prod(r.event_shape)))
    walker = settings.build(r, networks.radius, start=start, classifier=C, constraint=constraint)
    parts = visit(walker, settings, storage, walks=walks, seed=seed)
    stopped = sum(part.stopped + part.strayed for part in parts) / walks
    rows = sum(len(part.x) for part in parts)
    if rows < 2:
        return Trial(settings, None, Verdict("broken", "no walk was left"), 0.0)
    x = torch.cat([part.x for part in parts])
    left = remembered(walker, settings, parts, walks=walks, seed=seed)
    found = figures(x, r, C, storage, stopped=stopped, remembered=left, seed=seed)
    return Trial(settings, found, judge(found, walks), merit(found))
