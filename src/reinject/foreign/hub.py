"""Fetch a model of the Hugging Face hub by its name: its safetensors and JSON files only, never a pickle."""

import re
from pathlib import Path

from reinject.base.errors import ModelError, reason

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FILES = ("*.json", "*.safetensors")
_CODE = (".py", ".onnx", ".skops", ".keras", ".pt", ".pt2", ".pth", ".ckpt", ".bin", ".pkl", ".safetensors")


def is_hub_name(source: str) -> bool:
    """Return whether a source looks like OWNER/NAME of the hub, and is no file or folder here.

    Example:
        >>> is_hub_name("google/ddpm-cifar10-32"), is_hub_name("folder/model.onnx"), is_hub_name("a/b/c")
        (True, False, False)
    """
    return bool(_NAME.fullmatch(source)) and not source.endswith(_CODE) and not Path(source).exists()


def fetched(name: str) -> Path:
    """Download a model of the hub; return its folder.

    Raises:
        ModelError: the hub has no such model, is unreachable, or has the weights as a pickle only.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except Exception as error:  # errors of the hub's library, and of the libraries that it uses
        problem = f"is no folder here, and cannot be fetched from the hub ({reason(error)})"
        raise ModelError(name, problem, "Check the name and the network, or give a folder") from error
    if not any(folder.rglob("*.safetensors")):
        raise ModelError(
            name,
            "has no safetensors on the hub; a pickle can run code, so it is not read",
            "Load it with diffusers where you trust it, and give the folder of its save_pretrained()",
        )
    return folder
