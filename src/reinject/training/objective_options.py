"""Choose an objective for an autoencoder: from names and numbers of the command line to a loss."""

import sys
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from reinject.base.errors import ArgumentError, check_positive
from reinject.networks import AUTOENCODERS, Denoiser, Inputs, Residual, StagedDenoiser
from reinject.score import lam_of_sigma
from reinject.training.objectives import (
    Contractive,
    Denoising,
    Objective,
    PerfectLossy,
    check_lam,
    reconstruction,
    safe_lam,
)
from reinject.training.objectives.lossy import LogDetMethod

AUTOENCODER_OF = {
    "denoising": "mlp-denoiser",
    "lossy": "mlp-residual",
    "contractive": "mlp",
    "reconstruction": "mlp",
}
OBJECTIVES = tuple(AUTOENCODER_OF)
_MEDIAN = 0.12  # of the noise level, units of the data's radius, for unconditional denoisers
_EXACT_UP_TO = 16  # dimensions; the whole Jacobian costs n passes a step
_SHARE_OF_SAFE = 0.25  # the default lambda: small enough for Prop. 2, large enough for float32


def choose(objective: str | None, autoencoder: str | None) -> tuple[str, str]:
    """Complete the names of an objective and an autoencoder; None stands for a missing one.

    Raises:
        ArgumentError: an unknown name, or two names that do not fit together.

    Example:
        >>> choose(None, None), choose("lossy", None), choose(None, "conv")
        (('denoising', 'mlp-denoiser'), ('lossy', 'mlp-residual'), ('reconstruction', 'conv'))
    """
    if objective is not None and objective not in OBJECTIVES:
        raise ArgumentError("--objective", f"{objective!r} is not known", f"Use one of {', '.join(OBJECTIVES)}")
    if autoencoder is not None and autoencoder not in AUTOENCODERS:
        raise ArgumentError("--autoencoder", f"{autoencoder!r} is not known", f"Use one of {', '.join(AUTOENCODERS)}")
    if autoencoder is None:
        objective = objective or "denoising"
        return objective, AUTOENCODER_OF[objective]
    network = AUTOENCODERS[autoencoder]
    told, residual = network.noise_conditioned, issubclass(network, Residual)
    if objective is None:
        return ("denoising" if told else "lossy" if residual else "reconstruction"), autoencoder
    if objective == "lossy" and not residual:
        raise ArgumentError(
            "--objective lossy",
            f"{autoencoder} is not of full rank, so log|det J_r| = -inf",
            "Use --autoencoder mlp-residual or conv-residual",
        )
    if objective in ("contractive", "reconstruction") and told:
        raise ArgumentError(
            f"--objective {objective}", f"{autoencoder} is noise-conditioned", "Use --autoencoder mlp or conv"
        )
    if objective == "reconstruction" and residual:
        raise ArgumentError(
            "--objective reconstruction",
            f"{autoencoder} is the identity before training, which is the best reconstruction",
            "Use --objective lossy, denoising or contractive",
        )
    return objective, autoencoder


@dataclass(frozen=True)
class Numbers:
    """Hold the numbers of an objective; None: its default for the data.

    Attributes:
        sigma: noise of denoising, or of the training data of lossy, >= 0, data units.
        spread: standard deviation of log sigma, >= 0.
        lam: lambda of lossy and contractive, > 0, squared data units.
        log_det: log-determinant of lossy: exact, roulette or first-order.
    """

    sigma: float | None = None
    spread: float | None = None
    lam: float | None = None
    log_det: LogDetMethod | None = None

    def refuse_strangers(self, objective: str) -> None:
        """Raise ArgumentError for a number that the objective lacks."""
        has = {"denoising": ("sigma", "spread"), "lossy": ("sigma", "lam", "log_det"), "contractive": ("lam",)}
        for name in ("sigma", "spread", "lam", "log_det"):
            if getattr(self, name) is not None and name not in has.get(objective, ()):
                option = "--" + name.replace("_", "-")
                raise ArgumentError(
                    option, f"--objective {objective} does not use it", "Leave it out, or change --objective"
                )


@dataclass(frozen=True)
class Chosen:
    """Hold the loss, the network's options, and lambda.

    Attributes:
        objective: loss.
        options: options of the network's constructor.
        lam: lambda with s = 2 (r - x)/lambda; None for a noise-conditioned r, or an objective without lambda.
    """

    objective: Objective
    options: dict[str, Any]
    lam: float | None


def build(objective: str, autoencoder: str, numbers: Numbers, inputs: Inputs, data: Tensor) -> Chosen:
    """Make the loss; ``data``, (N, *shape), data units, checks and chooses lambda.

    Raises:
        ArgumentError: a number is out of range, or has no meaning for the objective.
        CollapseError: lambda is too large for the data's narrowest direction.
    """
    numbers.refuse_strangers(objective)
    usual = _MEDIAN * inputs.radius
    sigma = usual if numbers.sigma is None else numbers.sigma
    if objective == "denoising":
        network = AUTOENCODERS[autoencoder]
        told = issubclass(network, Denoiser)
        median, around = network.levels if issubclass(network, Denoiser) else (_MEDIAN, 0.0)
        sigma = median * inputs.radius if numbers.sigma is None else numbers.sigma
        spread = around if numbers.spread is None else numbers.spread
        most = network.most_weight if issubclass(network, Denoiser) else Denoiser.most_weight
        options = {"modulated": True} if network is StagedDenoiser else {}
        loss = Denoising(sigma, spread, inputs.std, most)
        return Chosen(loss, options, None if told or spread else lam_of_sigma(sigma))
    if objective == "reconstruction":
        return Chosen(reconstruction, {}, None)
    if objective == "contractive":
        lam = lam_of_sigma(usual) if numbers.lam is None else numbers.lam
        return Chosen(Contractive(lam, "exact" if inputs.n <= _EXACT_UP_TO else "hutchinson"), {}, lam)
    return _lossy(numbers, sigma, inputs, data)


def _lossy(numbers: Numbers, sigma: float, inputs: Inputs, data: Tensor) -> Chosen:
    if sigma:
        check_positive("--objective lossy", "sigma", sigma)
    lam = numbers.lam
    if lam is None:  # data that is flat in some direction has no safe lambda; then check_lam refuses all
        lam = max(_SHARE_OF_SAFE * safe_lam(data, smoothing=sigma), sys.float_info.min)
    check_lam(data, lam, smoothing=sigma)
    log_det = numbers.log_det or ("exact" if inputs.n <= _EXACT_UP_TO else "first-order")
    return Chosen(PerfectLossy(lam, log_det, sigma), {"scale": lam / inputs.std}, lam)
