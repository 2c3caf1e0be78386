"""Named settings of a walk: the paper's listing, and the best that we know."""

from dataclasses import dataclass, replace
from typing import Literal

from reinject.errors import ArgumentError
from reinject.kernels import Ancestral, Kernel, Langevin, falling
from reinject.reconstruction import Ensemble
from reinject.starts import Normal, Start, parse_start
from reinject.walks import Emit

KernelName = Literal["langevin", "ancestral"]


@dataclass(frozen=True)
class Settings:
    """A kernel's parameters, the start, and what is kept; all that a walk needs besides r.

    Attributes:
        kernel: "langevin" or "ancestral".
        steps: R, transitions a walk.
        burn_in: first states left out, x_0 included.
        emit: "state" or "reconstruction".
        start: as on the command line: normal, normal:STD, uniform, uniform:LOW:HIGH (data units). For the ancestral
            kernel plain ``normal`` has the standard deviation ``high``.
        lam: lambda of Langevin, squared data units.
        noise: of Langevin: "printed", "matched" or tau.
        high: first noise level of the ancestral kernel, in units of the data's radius std * sqrt(n).
        low: the level it falls to, same unit.
        falls: steps from the one to the other.
        again: the level it rises to again from ``low``, same unit.
        cycle: steps from there back to ``low``, the rise included; a walk rises as often as its steps allow.
        thin: keep every thin-th state after the burn-in; with the cycle's length, the cleanest of each.
    """

    kernel: KernelName
    steps: int
    burn_in: int
    emit: Emit
    start: str = "normal"
    lam: float = 0.1
    noise: str | float = "matched"
    high: float = 1.4
    low: float = 0.02
    falls: int = 13
    again: float = 1.0
    cycle: int = 10
    thin: int = 1

    def build(self, r: Ensemble, radius: float) -> tuple[Kernel, Start]:
        """The kernel and the start for an autoencoder whose training data has this radius (data units).

        Raises:
            ArgumentError: a parameter out of range, or a start that the kernel cannot use.
        """
        start = parse_start(self.start)
        if self.kernel == "langevin":
            return Langevin(r, self.lam, self.noise), start
        if not isinstance(start, Normal):
            raise ArgumentError(
                "--start", f"{self.start!r} does not fit the ancestral kernel", "Start normal, or use --kernel langevin"
            )
        if self.start == "normal":
            start = Normal(self.high * radius)
        low = self.low * radius
        sigmas = falling(start.std, low, self.falls)
        again = falling(max(self.again * radius, low), low, self.cycle - 1)
        while len(sigmas) <= self.steps:
            sigmas += again
        return Ancestral(r, sigmas[: self.steps + 1]), start


PAPER = Settings("langevin", steps=10, burn_in=2, emit="state", lam=0.1, noise="printed")
DEFAULT = Settings("ancestral", steps=13 + 8 * 10, burn_in=13, emit="reconstruction", thin=10)
PRESETS = {"paper": PAPER, "default": DEFAULT}


def choose(
    preset: str | None,
    kernel: str | None,
    **given: float | int | str | None,
) -> tuple[str, Settings]:
    """The settings that a command line asks for: a preset, with what was given in place of its values.

    Giving ``lam`` or ``noise`` means the Langevin kernel, the only one that has them; its other values are then those
    of the paper, with matched noise. Giving ``steps`` or ``burn_in`` without ``thin`` keeps every state after
    the burn-in.

    Returns:
        The name of the preset, "custom" where the kernel is not its own; and the settings.

    Raises:
        ArgumentError: an unknown preset or kernel, or lam or noise for a kernel that has none.

    Example:
        >>> choose("paper", None, steps=20)[1].steps
        20
        >>> choose(None, None, lam=0.2)[1].kernel
        'langevin'
        >>> choose(None, None, steps=20)[1].thin
        1
    """
    if preset is not None and preset not in PRESETS:
        raise ArgumentError("--preset", f"{preset!r} is not known", f"Use one of {', '.join(PRESETS)}")
    if kernel not in (None, "langevin", "ancestral"):
        raise ArgumentError("--kernel", f"{kernel!r} is not known", "Use langevin or ancestral")
    values = {name: value for name, value in given.items() if value is not None}
    if ("steps" in values or "burn_in" in values) and "thin" not in values:
        values["thin"] = 1
    langevin = [name for name in ("lam", "noise") if name in values]
    name = preset or "default"
    settings = PRESETS[name]
    wanted = kernel or ("langevin" if langevin and preset is None else settings.kernel)
    if langevin and wanted != "langevin":
        raise ArgumentError(
            f"--{langevin[0]}", f"the {wanted} kernel has no {langevin[0]}", "Leave it out, or add --kernel langevin"
        )
    if wanted != settings.kernel:
        name = "custom"
        settings = replace(PAPER, noise="matched") if wanted == "langevin" else DEFAULT
    return name, replace(settings, **values)  # type: ignore[arg-type]
