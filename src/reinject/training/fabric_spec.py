"""Describe in one value how Lightning Fabric runs a training."""

from dataclasses import dataclass

from reinject.base.errors import check_count


@dataclass(frozen=True)
class FabricSpec:
    """Describe the precision of a training, and its number of devices.

    Attributes:
        precision: Lightning's name: 32-true, bf16-mixed, 16-mixed, bf16-true or 64-true.
        devices: number of devices, >= 1, one process each, with distributed data parallelism (gloo, or NCCL on GPUs).

    Raises:
        ArgumentError: fewer than one device.

    Example:
        >>> FabricSpec(devices=0)
        Traceback (most recent call last):
        reinject.base.errors.ArgumentError: --devices: devices = 0 is below 1. Give a devices >= 1.
    """

    precision: str = "32-true"
    devices: int = 1

    def __post_init__(self) -> None:
        check_count("--devices", "devices", self.devices)
