"""Name settings of a walk: the paper's, the defaults, and those of a command line."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from typing import Any, NamedTuple

from torch import Tensor

from reinject.base.errors import ArgumentError, check_count
from reinject.models.votes import Classifier
from reinject.walks.code_space import latent
from reinject.walks.kernel_options import build_kernel, flag, options_of
from reinject.walks.kernels import KERNELS
from reinject.walks.kernels.bounded import Bounded
from reinject.walks.kernels.guided import Guided
from reinject.walks.kernels.kernel import Emit, Kernel
from reinject.walks.loop import itself
from reinject.walks.reconstruction import Ensemble
from reinject.walks.schedules import bounds_of
from reinject.walks.specs import WalkSpec
from reinject.walks.starts import Codes, Normal, Points, Start, Through, parse_start

_FLOOR = 0.15  # last level, multiples of the standard deviation of a value: above it details are lost
_ROUNDING = 1.001  # of a level that was written as text
Constraint = Callable[[Kernel], Kernel]


@dataclass(frozen=True)
class Settings:
    """Hold all that a walk needs besides r: kernel, options, start, length, emission.

    Attributes:
        kernel: name of a kernel, a key of ``reinject.walks.kernels.KERNELS``.
        options: its options as on the command line; a number with suffix r is a multiple of the data's radius
            std * sqrt(n).
        steps: R, transitions in a walk.
        burn_in: first states to leave out, x_0 included.
        emit: "state" or "reconstruction".
        thin: keep every thin-th state after the burn-in.
        start: as on the command line: normal, normal:STD, uniform, uniform:LOW:HIGH, codes. Plain ``normal`` has the
            standard deviation of the kernel's first noise level, or 1 for kernels without levels. Given points get
            that noise added.
        classes: classes of walks 0, 1, ..., in turn, for a class-conditional network, or for guidance by a classifier.
            None: all classes of a class-conditional network, and no guidance of another.
        guidance: weight of the classifier, >= 0.
        box: LOW, HIGH: values that reflect walks, data units.
        limit: largest |value| of a state, data units; walks beyond are stopped.
        latent: walk in the space of codes.
        known, mask: known values of x, restored after every step (inpainting), as on the command line.
        measured: file of M and b, as on the command line, with M x = b after every step.
        given: conditions on rows of a table, as on the command line, see
            :func:`reinject.sampling.table_given.parse_given`.
    """

    kernel: str
    options: Mapping[str, str] = field(default_factory=dict)
    steps: int = 10
    burn_in: int = 0
    emit: Emit = "state"
    thin: int = 1
    start: str = "normal"
    classes: tuple[int, ...] = ()
    guidance: float = 1.0
    box: tuple[float, float] | None = None
    limit: float = math.inf
    latent: bool = False
    known: str | None = None
    mask: str | None = None
    measured: str | None = None
    given: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return all fields as JSON values; ``given`` is left out where it is None, as in older archives."""
        values = asdict(self)
        if self.given is None:
            del values["given"]
        return {**values, "limit": None if math.isinf(self.limit) else self.limit, "options": dict(self.options)}

    @property
    def walk(self) -> WalkSpec:
        """Return the length and the emission of a walk.

        Raises:
            ArgumentError: a number out of range.
        """
        return WalkSpec(self.steps, self.burn_in, self.thin, self.emit, self.limit)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Settings":
        """Make settings from the values of :meth:`as_json`.

        Example:
            >>> Settings.from_json(PAPER.as_json()) == PAPER
            True
        """
        limit = math.inf if values["limit"] is None else values["limit"]
        box = None if values["box"] is None else tuple(values["box"])
        return cls(**{**values, "limit": limit, "box": box, "classes": tuple(values["classes"])})

    def build(
        self,
        r: Ensemble,
        radius: float,
        *,
        start: Start | None = None,
        classifier: Classifier | None = None,
        constraint: Constraint | None = None,
    ) -> "Walker":
        """Build the kernel and the start for an autoencoder.

        Arguments:
            r: autoencoder.
            radius: std * sqrt(n) of its training data, data units.
            start: start of walks; replaces the settings' start.
            classifier: C, for guidance towards classes.
            constraint: wrapper of the kernel that restores known values.

        Raises:
            ArgumentError: a parameter is unknown or out of range, or the start does not fit the kernel.
            ModelError: the autoencoder does not fit the kernel.
        """
        space = latent(r) if self.latent else r
        radius = space.radius or radius
        conditional = space.conditioning.classes
        if conditional and self.guidance != 1:
            raise ArgumentError("--guidance", "the network takes the class itself", "Leave it out")
        space = space.asking(self.classes) if conditional else space
        kernel = build_kernel(self.kernel, space, self.options, radius)
        _check_levels(kernel, space)
        begins = self._start(getattr(kernel, "level", None), radius, start)
        if self.classes and not conditional:
            if classifier is None or self.latent:
                raise ArgumentError(
                    "--classes", "guidance needs a classifier and does not work with --latent", "Leave out --latent"
                )
            kernel = Guided(kernel, classifier, self.classes, self.guidance)
        if self.box is not None:
            kernel = Bounded(kernel, *self.box)
        if constraint is not None:  # outermost, so that known values stay exact
            if self.latent:
                raise ArgumentError("--latent", "codes have no known values", "Leave out --known or --latent")
            kernel = constraint(kernel)
        if self.latent:
            if not isinstance(begins, Codes) and not space.noise_conditioned:
                begins = Through(begins, r.event_shape, r.encode)
            return Walker(kernel, begins, space.event_shape, r.decode)
        if isinstance(begins, Codes):
            begins = Through(begins, begins.code_shape, r.decode)
        return Walker(kernel, begins, r.event_shape, itself)

    def _start(self, level: Callable[[int], float] | None, radius: float, given: Start | None) -> Start:
        start = given or parse_start(self.start, radius)
        if level is None:
            return start
        if isinstance(start, Normal):
            return Normal(level(0)) if self.start == "normal" else start
        if isinstance(start, Points):
            return replace(start, std=level(0))
        raise ArgumentError(
            "--start",
            f"{self.start!r} does not fit the {self.kernel} kernel, which begins at noise {level(0):.3g}",
            "Start normal or data:DATASET, or use --kernel langevin",
        )


def _check_levels(kernel: Kernel, r: Ensemble) -> None:
    """Raise ArgumentError where a kernel asks a network for more noise than it was trained with."""
    levels = r.conditioning.levels
    if levels is None or not hasattr(kernel, "level"):
        return
    most = max(bounds_of(kernel.sigma))  # type: ignore[attr-defined]  # kernels with levels have it
    if most > _ROUNDING * levels[1]:
        problem = f"{most:.4g} is above {levels[1]:.4g}, the most noise that the network was trained with"
        raise ArgumentError("--sigma", problem, f"Give levels of at most {levels[1]:.4g}")


class Walker(NamedTuple):
    """Hold arguments of :func:`reinject.walks.loop.walk`.

    Attributes:
        kernel, start: kernel and start of the walk.
        event_shape: shape of a point, or of a code for latent walks.
        transform: function of a point that gives the emitted value.
    """

    kernel: Kernel
    start: Start
    event_shape: tuple[int, ...]
    transform: Callable[[Tensor], Tensor]


def settings_of(kernel: str) -> Settings:
    """Return the default settings of a kernel.

    Raises:
        ArgumentError: an unknown kernel.

    Example:
        >>> settings_of("langevin").steps
        10
        >>> settings_of("langvin")
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: --kernel: 'langvin' is not known. Did you mean langevin? ...
    """
    if kernel not in KERNELS:
        near = get_close_matches(kernel, KERNELS, 1)
        hint = f"Did you mean {near[0]}? Known are" if near else "Use one of"
        raise ArgumentError("--kernel", f"{kernel!r} is not known", f"{hint} {', '.join(KERNELS)}")
    usage = KERNELS[kernel].usage
    return Settings(kernel, {}, usage.steps, usage.burn_in, usage.emit, usage.thin)


def falls(passes: int, values: int) -> Settings:
    """Make settings for a noise-conditioned r: each walk is one fall of the multistep kernel, and gives one sample.

    The walk calls r at ``passes`` levels, and keeps the r of the last one. So samples are independent. The levels fall
    from noise that drowns the data to 0.15 of the standard deviation of a value, spaced as Karras et al. do.

    Arguments:
        passes: calls of r for a sample, >= 2.
        values: number of values of a sample, >= 1.

    Raises:
        ArgumentError: fewer than 2 passes.

    Example:
        >>> falls(8, 784).steps, falls(8, 784).options["sigma"]
        (7, 'karras:1.4r:0.005357r:4')
    """
    check_count("--passes", "passes", passes, 2)
    options = {"sigma": f"karras:1.4r:{_FLOOR / math.sqrt(values):.4g}r:4", "eta": "1"}
    return replace(settings_of("multistep"), options=options, steps=passes - 1, burn_in=passes - 1)


PAPER = Settings("langevin", {"lam": "0.1", "noise": "printed"}, steps=10, burn_in=2)
DEFAULT = settings_of("ancestral")
PRESETS = {"paper": PAPER, "default": DEFAULT}


def choose(
    preset: str | None,
    kernel: str | None,
    options: Mapping[str, str] | None = None,
    *,
    presets: Mapping[str, Settings] | None = None,
    **given: Any,
) -> tuple[str, Settings]:
    """Make the settings of a command line: a preset, with given values in place of its own.

    A kernel other than the preset's has its own defaults. Options that the preset's kernel lacks choose the kernel:
    the Langevin kernel if it has all of them, else the only kernel with all of them. ``steps`` or ``burn_in`` without
    ``thin`` keeps every state after the burn-in. A walk that keeps its last state alone does so with any ``steps``.

    Returns:
        The name of the preset, or "custom" for another kernel than the preset's; and the settings.

    Raises:
        ArgumentError: an unknown preset or kernel, an option that the kernel lacks, or guidance without classes.

    Example:
        >>> choose("paper", None, steps=20)[1].steps
        20
        >>> choose(None, None, {"lam": "0.2"})[1].kernel
        'langevin'
        >>> choose(None, None, steps=20)[1].thin
        1
    """
    known = presets or PRESETS
    if preset is not None and preset not in known:
        cure = f"Use one of {', '.join(known)}, or a file of reinject tune"
        raise ArgumentError("--preset", f"{preset!r} is not known", cure)
    name, options = preset or "default", options or {}
    settings = known[name]
    wanted = kernel or _kernel_for(settings.kernel, options)
    if wanted != settings.kernel:
        name, settings = "custom", settings_of(wanted)
    names = {item.name for item in options_of(wanted)}
    build_options = {**settings.options, **options}
    for option in options:
        if option not in names:
            build_kernel(wanted, None, {option: ""})  # type: ignore[arg-type]  # raises the error
    values = {key: value for key, value in given.items() if value is not None}
    if "steps" in values and settings.burn_in == settings.steps:  # a walk of one sample stays one
        values.setdefault("burn_in", values["steps"])
    if ("steps" in values or "burn_in" in values) and "thin" not in values:
        values["thin"] = 1
    settings = replace(settings, options=build_options, **values)
    if "guidance" in values and not settings.classes:
        raise ArgumentError("--guidance", "no classes are given", "Give --classes, or leave out --guidance")
    return name, settings


def _kernel_for(usual: str, options: Mapping[str, str]) -> str:
    fitting = [name for name in KERNELS if options.keys() <= {item.name for item in options_of(name)}]
    if usual in fitting or not fitting:
        return usual
    return "langevin" if "langevin" in fitting else fitting[0] if len(fitting) == 1 else usual


def classes_of(text: str | None, names: Sequence[str]) -> tuple[int, ...] | None:
    """Read the classes of a command line, by number or name; ``all`` for all of them.

    Raises:
        ArgumentError: an unknown class.

    Example:
        >>> classes_of("dog,0", ("cat", "dog")), classes_of("all", ("cat", "dog")), classes_of(None, ())
        ((1, 0), (0, 1), None)
    """
    if text is None:
        return None
    if text == "all":
        return tuple(range(len(names)))
    known = {**{str(k): k for k in range(len(names))}, **{name: k for k, name in enumerate(names)}}
    for part in text.split(","):
        if part not in known:
            raise ArgumentError("--classes", f"{part!r} is not a class", f"Give some of {', '.join(names)}, or all")
    return tuple(known[part] for part in text.split(","))


def words_of(settings: Settings, class_names: Sequence[str] = ()) -> list[str]:
    """Write the command line options from which :func:`choose` makes these settings.

    Example:
        >>> words_of(Settings("reinjection", steps=5))[:4]
        ['--kernel', 'reinjection', '--steps', '5']
    """
    plain = ("kernel", "steps", "burn_in", "thin", "emit", "start", "known", "mask", "measured", "given")
    values = {name: getattr(settings, name) for name in plain} | dict(settings.options)
    if settings.classes:
        values |= {"classes": ",".join(class_names[k] for k in settings.classes), "guidance": settings.guidance}
    values["box"] = settings.box and ",".join(map(str, settings.box))
    values["limit"] = None if math.isinf(settings.limit) else settings.limit
    words = [word for name, value in values.items() if value is not None for word in (f"--{flag(name)}", str(value))]
    return [*words, *(["--latent"] if settings.latent else [])]
