"""Load and save models: ``config.json`` (architecture and inputs) and ``model.safetensors``, never a pickle."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from reinject.base.errors import ModelError, reason
from reinject.base.files import read_json, sha256
from reinject.data.splits import Split, split_of
from reinject.foreign import Foreign
from reinject.foreign.checkpoint import prefixes_of
from reinject.foreign.folder import is_foreign, load_foreign, place
from reinject.networks import AUTOENCODERS, CLASSIFIERS, TABLES, Inputs, Network
from reinject.score import sigma_of_lam
from reinject.walks.conditioning import Conditioning
from reinject.walks.execution import Execution
from reinject.walks.reconstruction import Reconstruction, wrap

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
_CLASSES = {cls.__name__: cls for cls in (*AUTOENCODERS.values(), *TABLES.values(), *CLASSIFIERS.values())}
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")


@dataclass(frozen=True)
class Bundle:
    """A loaded model: the network in evaluation mode, its folder, the hash of its weights, and its training split.

    ``split`` is None where the folder does not state it.
    """

    network: Network | Foreign
    folder: Path
    sha256: str
    split: Split | None = None


def load(folder: str | Path, device: str | torch.device = "cpu") -> Bundle:
    """Load a model that ``reinject train``, ``reinject import`` or ``save_pretrained`` wrote.

    This runs no code of the folder, except for imported models that need it and whose exact content is trusted on this
    machine.

    Raises:
        ModelError: no such folder; missing or damaged config or weights; a pickle in place of safetensors; an unknown
            architecture. Also weights that do not fit the architecture or are not finite.

    Example:
        >>> load("no/such/folder")
        Traceback (most recent call last):
        reinject.base.errors.ModelError: no/such/folder: no such model folder. Make one with reinject train or import.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ModelError(str(folder), "no such model folder", "Make one with reinject train or import")
    if is_foreign(folder):
        foreign, digest = load_foreign(folder)
        return Bundle(place(foreign, device, str(folder)), folder, digest, split_of(folder))
    _check_weights(folder)
    weights: dict[str, Tensor] = {}
    try:
        weights = load_file(folder / WEIGHTS)
        network = _build(folder, weights)
        network.load_state_dict(weights, assign=True)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise _unlike(folder, weights, error) from error
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ModelError(str(folder), f"weight {name} has non-finite values", "Train it again")
    network = network.to(device, torch.float32).laid_out().eval()
    return Bundle(network, folder, sha256(folder / WEIGHTS), split_of(folder))


def _build(folder: Path, weights: Mapping[str, Tensor]) -> Network:
    """Build the network of the config without memory for its weights, so that a hostile config cannot allocate any."""
    path = folder / CONFIG
    if not path.is_file():
        raise ModelError(str(folder), f"has no {CONFIG}", "Make a model folder with reinject train")
    config: Any = read_json(path, ModelError)
    name = config.get("architecture") if isinstance(config, dict) else None
    if name not in _CLASSES:
        raise ModelError(str(path), f"architecture {name!r} is not known", f"Use one of {', '.join(_CLASSES)}")
    if not isinstance(config.get("inputs"), dict):
        raise ModelError(str(path), "does not say what its inputs mean", "Save the model again with save_pretrained")
    known = inspect.signature(_CLASSES[name]).parameters
    options = {key: value for key, value in config.items() if key in known}
    values = sum(tensor.numel() for tensor in weights.values())
    if max(_whole_numbers(config), default=0) > values or options.get("depth", 0) > len(weights):
        raise ModelError(str(path), f"asks for more than the {values} values of {WEIGHTS}", "Copy both files again")
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return _CLASSES[name](**{**options, "inputs": Inputs(**config["inputs"])})


def _unlike(folder: Path, weights: Mapping[str, Tensor], error: Exception) -> ModelError:
    """Return the error for weights that do not fit; name the wrapper where its prefix is the cause."""
    kept = prefixes_of(weights)[-1]
    if kept and all(name.startswith(kept) for name in weights):
        return ModelError(
            str(folder / WEIGHTS),
            f"has names that begin with {kept!r}, as DistributedDataParallel and torch.compile leave them",
            f"Save the network inside of that wrapper, or the weights with name.removeprefix({kept!r}) for each name",
        )
    inside = "_orig_mod."
    if any(inside in name for name in weights):
        return ModelError(
            str(folder / WEIGHTS),
            f"has names with {inside!r} in them, as torch.compile leaves them",
            f"Save the weights with name.replace({inside!r}, '') for each name",
        )
    return ModelError(
        str(folder), f"weights and config do not fit ({reason(error)})", "Copy both files again, or train it again"
    )


def _whole_numbers(value: Any) -> Iterator[int]:
    """Yield all whole numbers inside a JSON value."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _whole_numbers(part)


def _check_weights(folder: Path) -> None:
    path = folder / WEIGHTS
    if not path.is_file():
        pickles = [p.name for p in sorted(folder.iterdir()) if p.suffix in _PICKLES]
        if pickles:
            raise ModelError(
                str(folder),
                f"holds {pickles[0]}, a pickle, which can run code, so it is not read",
                f"Save the weights as {WEIGHTS} with safetensors.torch.save_model",
            )
        raise ModelError(str(folder), f"has no {WEIGHTS}", "Copy the weights there, or train the model again")
    try:
        with safe_open(str(path), framework="pt"):
            return
    except (SafetensorError, OSError) as error:
        with path.open("rb") as file:
            head = file.read(4)
        if head.startswith((b"PK\x03\x04", b"\x80")):  # a safetensors file may too, because it begins with a length
            raise ModelError(
                str(path),
                "is a pickle under another name, which can run code, so it is not read",
                "Save the weights with safetensors.torch.save_model",
            ) from error
        raise ModelError(str(path), f"is truncated or not a safetensors file ({error})", "Copy it again") from error


def device_of(network: torch.nn.Module) -> torch.device:
    """Return the device of a network's weights; the CPU without weights.

    Example:
        >>> device_of(torch.nn.Identity())
        device(type='cpu')
    """
    first = next(network.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def as_reconstruction(bundle: Bundle, lam: float, execution: Execution | None = None) -> Reconstruction:
    """Wrap a loaded autoencoder as r; the default level of a noise-conditioned one is sigma = sqrt(lam/2).

    Arguments:
        bundle: from :func:`load`.
        lam: lambda, squared data units.
        execution: how to run the network.

    Raises:
        ModelError: the model is not an autoencoder.
    """
    network = bundle.network
    foreign = isinstance(network, Foreign) and network.role == "autoencoder"
    if type(network) not in (*AUTOENCODERS.values(), *TABLES.values()) and not foreign:
        raise ModelError(
            str(bundle.folder), f"{type(network).__name__} is not an autoencoder", "Give an autoencoder's folder"
        )
    place = device_of(network)
    told: bool | Conditioning = network.noise_conditioned
    if isinstance(network, Foreign) and network.levels:
        told = Conditioning((network.levels[0], network.levels[1]), network.labels)
    sigma = _within(sigma_of_lam(lam), told) if told else None
    r = wrap(network, network.inputs.shape, device=place, noise_conditioned=told, sigma=sigma, execution=execution)
    if not isinstance(network, Foreign) or network.codes is None:
        return r
    codes = network.codes
    assert codes.shape is not None
    told = Conditioning(codes.levels, codes.labels)
    sigma = _within(sigma_of_lam(lam), told)
    name = f"codes({r.name})"
    once = r.execution  # one for both, because a manifest holds one
    inner = wrap(
        codes.module, codes.shape, device=place, noise_conditioned=told, sigma=sigma, execution=once, name=name
    )
    return replace(r, codes=replace(inner, radius=network.native.code_radius))


def _within(sigma: float, told: bool | Conditioning) -> float:
    """Return a noise level, or the nearest one of a network's training."""
    if not isinstance(told, Conditioning) or told.levels is None:
        return sigma
    return min(max(sigma, told.levels[0]), told.levels[1])
