"""Try candidates of ``reinject tune``, judge them without data, and train students on their samples."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from reinject.data.sample_tables import Table
from reinject.data.samples import Storage
from reinject.models.loading import Models, range_of
from reinject.models.votes import classify
from reinject.sampling.auto import Networks, Trial, choose_settings, try_settings
from reinject.sampling.passes import within
from reinject.sampling.pilot import far_from, visit
from reinject.sampling.presets import DEFAULT, Settings, falls, settings_of
from reinject.sampling.recipe import samples_per_walk
from reinject.score import lam_of_sigma, sigma_of_lam
from reinject.training.students import RECIPE, Student, marks
from reinject.walks.kernels.kernel import Info, Kernel, State
from reinject.walks.reconstruction import Ensemble
from reinject.walks.starts import Start
from reinject.walks.verdict import Verdict

_NOISES = (0.03, 0.06, 0.12, 0.24)  # multiples of the data's radius, for noise-conditioned networks
_PASSES = (5, 10, 20)  # calls of r for a sample, for noise-conditioned networks
_MANY = 50  # passes of a diffusion model
_RANGE = (0.15, 0.3, 0.6, 1.0)  # multiples of the value range, for unconditional denoisers
_SAMPLES = 5_000  # most training samples of a student
_STEPS = 20_000  # most steps of all walks for a student
_RECIPE = replace(RECIPE, least_steps=300)  # short: students are only compared with each other


@dataclass(frozen=True)
class Candidate:
    """Hold a candidate and its results.

    Attributes:
        trial: settings, figures, verdict and merit, without data.
        utility: accuracy on real images of a student trained on the samples; NaN without a student.
        samples: number of the student's training samples.
    """

    trial: Trial
    utility: float = math.nan
    samples: int = 0

    @property
    def sane(self) -> bool:
        """Whether the verdict is not "broken"."""
        return self.trial.verdict.level != "broken"

    @property
    def diverged(self) -> bool:
        """Whether more than half of the walks were stopped."""
        return self.trial.figures is None or self.trial.figures.stopped > 0.5

    @property
    def rank(self) -> tuple[int, float, float]:
        """Rank by verdict, then by utility if known, then by merit; smaller is better."""
        level, merit = self.trial.rank
        return level, 1.0 if math.isnan(self.utility) else -self.utility, merit

    def as_json(self) -> dict[str, Any]:
        """Return JSON values; None for missing measurements."""
        trial = self.trial
        return {
            "settings": trial.settings.as_json(),
            "verdict": trial.verdict.as_json(),
            "merit": round(trial.merit, 4),
            "utility": None if math.isnan(self.utility) else round(self.utility, 4),
            "samples": self.samples,
            "figures": None if trial.figures is None else trial.figures.as_json(),
        }


class Diverged(Exception):  # noqa: N818
    """Signal that more than half of the walks left the range, after ``steps`` steps."""

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self.steps = steps


@dataclass(frozen=True)
class Watched:
    """Wrap a kernel; stop once more than half of its walks are out of range or not finite.

    Attributes:
        kernel: wrapped kernel.
        far: largest |value| in range, data units.

    Raises:
        Diverged: by ``step``.

    Example:
        >>> from reinject import kernels, wrap
        >>> wild = Watched(kernels.Reinjection(wrap(lambda x: 10 * x, (1,))), far=5.0)
        >>> wild.step(wild.init(torch.ones(2, 1)), torch.Generator())
        Traceback (most recent call last):
        reinject.evaluation.candidates.Diverged: 1
    """

    kernel: Kernel
    far: float

    def init(self, x: Tensor) -> State:
        """Return the kernel's state at x."""
        return self.kernel.init(x)

    def step(self, state: State, generator: torch.Generator) -> tuple[State, Info]:
        """Take the kernel's step."""
        after, info = self.kernel.step(state, generator)
        inside = after.x.flatten(1).abs().amax(1) <= self.far  # false for NaN
        if 2 * int(inside.sum()) < len(inside):
            raise Diverged(after.i)
        return after, info


@dataclass(frozen=True)
class Bench:
    """Try candidates on the models, and train students on their samples.

    Attributes:
        models: loaded models.
        begin: start of the walks among data, if known; see :func:`reinject.sampling.auto.choose_settings`.
        begin_name: name of the start on a command line.
        walks: walks for each candidate.
        seed: seed of all randomness.
        real: real images for the test of students; None: no students.
    """

    models: Models
    begin: Start | None
    begin_name: str
    walks: int
    seed: int
    real: Table | None = None
    r: Ensemble = field(init=False, repr=False)
    storage: Storage = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "r", self.models.ensemble())
        object.__setattr__(self, "storage", range_of(self.models.inputs))

    @property
    def networks(self) -> Networks:
        """Networks for pilot walks."""
        return Networks(self.r, self.models.C, self.storage, self.models.inputs.radius)

    def automatic(self) -> list[Candidate]:
        """Run the pilot walks of the automatic choice, or its single walk among data if data are located.

        A noise-conditioned r needs no pilot walks, so the result is empty.
        """
        radius, C = self.models.inputs.radius, self.models.C
        choice = choose_settings(self.r, C, self.storage, radius, begin=self.begin, seed=self.seed)
        if self.begin is None or self.r.noise_conditioned:
            return [Candidate(trial) for trial in choice.trials]
        trial = try_settings(choice.settings, self.networks, start=self.begin, walks=self.walks, seed=self.seed)
        return [Candidate(replace(trial, settings=replace(choice.settings, start=self.begin_name)))]

    def tried(self, settings: Settings) -> Candidate:
        """Try a candidate without data; stop once more than half of its walks diverge."""
        far = far_from(self.storage)
        try:
            trial = try_settings(
                settings,
                self.networks,
                constraint=lambda kernel: Watched(kernel, far),
                walks=self.walks,
                seed=self.seed,
            )
        except Diverged as error:
            reason = f"more than half of the walks diverged within {error.steps} of {settings.steps} steps"
            trial = Trial(settings, None, Verdict("broken", reason), 0.0)
        return Candidate(trial)

    def taught(self, candidate: Candidate) -> Candidate:
        """Add the utility of a student, trained on the candidate's samples."""
        assert self.real is not None
        settings, inputs = candidate.trial.settings, self.models.inputs
        start = self.begin if settings.start == self.begin_name else None
        walker = settings.build(self.r, inputs.radius, start=start)
        parts = visit(walker, settings, self.storage, walks=self._walks_for(settings), seed=self.seed)
        kept = torch.cat([self.storage.store(part.x.cpu())[0] for part in parts])
        if len(kept) < 2:
            return candidate
        C = self.models.labelling()
        y = torch.cat([classify(C, self.storage.load(some)).argmax(1) for some in torch.split(kept, 1024)])
        student = Student(self.seed, min(_SAMPLES, len(kept)), _RECIPE)
        threads = torch.get_num_threads()
        try:
            rows = student.training_rows(Table.of(kept, y, self.storage))
            found = marks(student, rows, self.real, inputs.class_names, "cpu")
        finally:
            torch.set_num_threads(threads)  # the student changed it
        return replace(candidate, utility=found.accuracy, samples=len(rows))

    def _walks_for(self, settings: Settings) -> int:
        """Count the walks that give a student its samples within the allowed steps."""
        most = max(self.walks, _STEPS // max(settings.steps, 1))
        return max(2, min(math.ceil(_SAMPLES / samples_per_walk(settings)), most))


def candidates(models: Models, lam: float | None = None) -> Iterator[Settings]:
    """List the candidates: every kernel that fits these models; single-noise kernels at four noises.

    A diffusion model, with known levels, gets walks of several numbers of passes over all of them.

    Arguments:
        models: loaded models.
        lam: lambda of an unconditional denoiser, if known; its noise is a candidate too.
    """
    r, inputs = models.ensemble(), models.inputs
    if (r.codes or r).conditioning.levels is not None:  # of a diffusion model: those of its training
        choice = choose_settings(r, None, range_of(inputs), inputs.radius)
        yield choice.settings
        yield from (within(choice, passes).settings for passes in (*_PASSES, _MANY))
        return
    if r.noise_conditioned:
        yield DEFAULT
        yield replace(DEFAULT, steps=13, burn_in=13, options={"sigma": "geometric:1.4r:0.02r"}, thin=1)
        yield from (falls(passes, inputs.n) for passes in _PASSES)
        yield settings_of("annealed")
        yield from _single([noise * inputs.radius for noise in _NOISES])
        return
    storage = range_of(inputs)
    width = storage.high - storage.low
    sigmas = [noise * width for noise in _RANGE] + ([] if lam is None else [sigma_of_lam(lam)])
    blind = [settings_of("self-tuning"), settings_of("reinjection")]
    if r.has_code:
        blind += [replace(settings_of("tangent"), options={"sigma": small}) for small in ("0.03", "0.1", "0.3")]
    for settings in (*blind, *_single(sigmas)):
        yield settings if width == 1 else replace(settings, start=f"normal:{width:.4g}")


def _single(sigmas: Sequence[float]) -> Iterator[Settings]:
    for sigma in sigmas:
        for kernel in ("half-denoising", "walkback", "walk-jump"):
            yield replace(settings_of(kernel), options={"sigma": f"{sigma:.4g}"})
        step = f"{lam_of_sigma(sigma):.4g}"
        yield replace(settings_of("langevin"), options={"lam": step}, steps=30, burn_in=10, emit="reconstruction")
        yield replace(settings_of("underdamped"), options={"lam": step}, emit="reconstruction")
