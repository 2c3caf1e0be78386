"""Store a foreign model on disk: its original files under ``source``, and ``config.json`` with their meaning."""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import torch

from reinject.base.errors import ArgumentError, ModelError
from reinject.base.files import read_json, sha256, write_json
from reinject.foreign.arguments import as_text, from_text
from reinject.foreign.probe import probe
from reinject.foreign.route import SOURCE, Foreign, Gives, Loaded, Native, Route
from reinject.foreign.trust import check_trusted, is_trusted, trust
from reinject.networks import Inputs

CONFIG = "config.json"
ARCHITECTURE = "foreign"


def is_foreign(folder: Path) -> bool:
    """Return whether the config of a model folder names another library."""
    path = folder / CONFIG
    if not path.is_file():
        return False
    config = read_json(path, ModelError)
    return isinstance(config, dict) and config.get("architecture") == ARCHITECTURE


def describe(
    folder: Path, route: str, source: str, network: Foreign, arguments: Mapping[str, Any] | None = None
) -> None:
    """Write the config of a model whose files lie in ``folder`` / source.

    Arguments:
        folder: of the model.
        route: name of the library.
        source: name of the model in its folder.
        network: the loaded network.
        arguments: of its constructor.
    """
    files = sorted(path for path in (folder / SOURCE).rglob("*") if path.is_file())
    write_json(
        folder / CONFIG,
        {
            "architecture": ARCHITECTURE,
            "route": route,
            "source": source,
            "role": network.role,
            "gives": network.gives,
            "inputs": asdict(network.inputs),
            "native": asdict(network.native),
            **({"arguments": as_text(arguments)} if arguments else {}),
            "files": {path.relative_to(folder).as_posix(): sha256(path) for path in files},
        },
    )


def load_foreign(folder: Path) -> tuple[Foreign, str]:
    """Load the network of a folder; return it with the hash of its contents.

    Raises:
        ModelError: a damaged config; files that differ from the config; a model that runs code and is not trusted, or
            is unreadable.
    """
    from reinject.foreign import ROUTES

    config: Any = read_json(folder / CONFIG, ModelError)
    digest = _checked(folder, config)
    try:
        route, source = ROUTES[config["route"]], str(config["source"])
        inputs, native = Inputs(**config["inputs"]), Native(**config["native"])
        native = replace(native, shape=tuple(native.shape), low=float(native.low), high=float(native.high))
        arguments = from_text(config.get("arguments", {}))
        role, gives = config["role"], config["gives"]
        fits = role in ("autoencoder", "classifier") and gives in get_args(Gives)
    except (KeyError, TypeError, ValueError, AttributeError, SyntaxError, ModelError) as error:
        raise _damaged(folder, repr(error)) from error
    inside = source == "." or f"{SOURCE}/{source.rpartition(':')[0] or source}" in config["files"]
    if not inside and not (route.name == "module" and not source.rpartition(":")[0].endswith(".py")):
        raise _damaged(folder, f"source {source!r} is not one of its files")
    if not fits or not native.low < native.high or inputs.n != torch.Size(native.shape).numel():
        raise _damaged(folder, f"{role}, {gives}, inputs {inputs.shape}, native {native}")
    if route.runs_code(folder / SOURCE, source):
        check_trusted(str(folder), digest)
    elif not _looked_at(digest):
        probe(folder / SOURCE, route.name, source)
        with contextlib.suppress(ModelError):  # without a note it is checked again
            trust(f"read:{digest}")
    return Foreign(load_taken(route, folder / SOURCE, source, arguments), role, inputs, native, gives), digest


def _looked_at(digest: str) -> bool:
    """Return whether this exact model was read before, as noted."""
    try:
        return is_trusted(f"read:{digest}")
    except ModelError:
        return False


def load_taken(route: Route, folder: Path, source: str, arguments: Mapping[str, Any] | None = None) -> Loaded:
    """Load a copied model, with the arguments of its constructor, if any.

    Raises:
        ModelError: the model is unreadable, or takes no arguments.
    """
    if not arguments:
        return route.load(folder, source)
    if route.name != "module":
        raise ModelError(source, "takes no arguments", "Leave out --args, which is for a class in Python")
    return route.load(folder, source, arguments)


def _checked(folder: Path, config: Any) -> str:
    """Return the hash of the config and its files, after a check that these are all files."""
    files = config.get("files") if isinstance(config, dict) else None
    if not isinstance(files, dict):
        raise _damaged(folder, "no files")
    there = {path.relative_to(folder).as_posix(): path for path in (folder / SOURCE).rglob("*") if path.is_file()}
    if any(path.is_symlink() for path in there.values()):
        raise _damaged(folder, "links in place of files")
    unlike = sorted(
        name for name in files.keys() | there.keys() if name not in there or sha256(there[name]) != files.get(name)
    )
    if unlike:
        raise ModelError(str(folder), f"{unlike[0]} is not the imported file", "Import the model again")
    return digest_of(folder)


def digest_of(folder: Path) -> str:
    """Return the hash of a model's config, which holds the hashes of its files."""
    return hashlib.sha256((folder / CONFIG).read_bytes()).hexdigest()


def _damaged(folder: Path, why: str) -> ModelError:
    return ModelError(str(folder / CONFIG), f"is damaged ({why[:200]})", "Import the model again")


def place(network: Foreign, device: str | torch.device, owner: str) -> Foreign:
    """Move the network to its device, in evaluation mode.

    Raises:
        ArgumentError: the network runs on the CPU only.
    """
    if torch.device(device).type != "cpu" and not network.anywhere:
        raise ArgumentError("--device", f"{owner} runs on the CPU only", "Use --device cpu")
    return network.to(device).eval()
