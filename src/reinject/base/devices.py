"""Find the device of a name, and make the Lightning Fabric that trains on it."""

import logging
from typing import TYPE_CHECKING, Any

import torch

from reinject.base.errors import ArgumentError, reason

if TYPE_CHECKING:  # its import takes as long as torch's, and most commands do not train
    from lightning_fabric import Fabric


def device_of(name: str) -> torch.device:
    """Return the device of a name, on which :func:`make_fabric` trains.

    Arguments:
        name: "cpu", "cuda" or "mps"; "auto": the first available one of the last two, else the CPU.

    Raises:
        ArgumentError: another name, or a missing device.

    Example:
        >>> device_of("cpu")
        device(type='cpu')
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind = next(one for one, available in there.items() if available) if name == "auto" else name
    if kind not in there:
        raise ArgumentError("--device", f"{name!r} is not known", f"Use one of auto, {', '.join(there)}")
    if not there[kind]:
        raise ArgumentError(
            "--device", f"device {name!r} is not available", "Use --device cpu, which every machine has"
        )
    return torch.device(kind) if kind == "cpu" else torch.device(kind, 0)


def make_fabric(device: str = "auto", precision: Any = "32-true", devices: int = 1) -> "Fabric":
    """Make a Lightning Fabric on one device, or on several by distributed data parallelism.

    Arguments:
        device: as for :func:`device_of`.
        precision: Lightning's name: "32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true".
        devices: number of devices; on several, ``launch`` starts a process on each.

    Raises:
        ArgumentError: a name that Lightning does not know, or a missing device.
    """
    from lightning_fabric import Fabric

    kind = device_of(device).type
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(
        logging.WARNING
    )  # Lightning explains tensor cores there
    try:
        strategy = "ddp_spawn" if devices > 1 else "auto"
        return Fabric(accelerator=kind, strategy=strategy, devices=devices, precision=precision)
    except (ValueError, RuntimeError, ImportError) as error:
        raise ArgumentError(
            "training",
            f"device {device!r} with precision {precision!r}: {reason(error)}",
            "Use --device cpu --precision 32-true, which every machine has",
        ) from error
