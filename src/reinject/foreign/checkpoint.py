"""Read PyTorch checkpoints, and fit the weights in them to a network, under whatever names."""

import pickle
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from reinject.base.errors import ModelError
from reinject.foreign.route import check_zip, readable

PICKLES = (".pt", ".pth", ".ckpt", ".bin")
PREFIXES = ("module.", "model.", "_orig_mod.", "net.", "network.", "autoencoder.", "classifier.", "backbone.")
_INSIDE = (
    *("state_dict", "model_state_dict", "model", "net", "weights", "network", "module", "params", "autoencoder"),
    *("ae", "vae", "classifier", "generator", "state", "ema", "ema_state_dict", "model_ema", "ema_model", "params_ema"),
)
_HOW = "Give FILE.py:CLASS --weights {}"
_DEPTH = 3


class Candidate(NamedTuple):
    """Weights in a checkpoint, by name, and their place in it ("": the checkpoint itself)."""

    where: str
    state: Mapping[str, Tensor]


class Fit(NamedTuple):
    """Weights under the names of a network, and a description of the changes."""

    state: dict[str, Tensor]
    notes: tuple[str, ...]


def is_torchscript(path: Path) -> bool:
    """Return whether a file is an archive of ``torch.jit.save``, by the names of its members."""
    try:
        with zipfile.ZipFile(path) as file:
            return any("/code/" in name for name in file.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def read_checkpoint(path: Path, trust: bool = False) -> Any:
    """Read a file of weights (safetensors, or from ``torch.save``) without running code, unless it is trusted.

    Arguments:
        path: of the file.
        trust: whether to read a pickle that holds more than tensors and plain values, and so may run code.

    Raises:
        ModelError: the file is damaged, or holds more than tensors and is not trusted.
    """
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise readable("safetensors", str(path), error) from error
    if is_torchscript(path):
        raise ModelError(
            str(path), "is a TorchScript program and holds no weights", f"Run reinject import {path} --trust"
        )
    if zipfile.is_zipfile(path):
        check_zip(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of other protocols of pickles
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not trust:
            raise _refused(path, error) from error
    except Exception as error:  # a damaged file may raise any error
        raise readable("torch.load", str(path), error) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=False)  # the user trusts this file
    except (ImportError, AttributeError) as error:  # the code of its objects
        raise ModelError(
            str(path), f"needs code that is not installed ({error})", _HOW.format(path) + ", saved as a state dict"
        ) from error
    except Exception as error:
        raise readable("torch.load", str(path), error) from error


def objects_in(path: Path) -> list[str]:
    """List the classes and functions that reading a pickle would run, beyond those of tensors, without running any."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # noqa: BLE001  # an old format, or a damaged file
        return []


def _refused(path: Path, error: Exception) -> ModelError:
    found = objects_in(path)
    what = f"a pickle that holds {_some(found)}" if found else "a pickle that holds more than tensors"
    if not found and "weights_only" not in str(error).lower():
        return readable("torch.load", str(path), error)
    return ModelError(
        str(path),
        f"is {what}, which can run code when it is read",
        "Check where it comes from, then trust it with --trust, or save model.state_dict() alone",
    )


def candidates(value: Any, where: str = "", depth: int = _DEPTH) -> Iterator[Candidate]:
    """Yield the state dicts in a checkpoint: the value itself, then those under the usual names, then all others.

    Example:
        >>> [one.where for one in candidates({"epoch": 3, "ema": {"w": torch.ones(1)}, "net": {"w": torch.ones(1)}})]
        ['net', 'ema']
    """
    if isinstance(value, nn.Module):
        value = value.state_dict()
    if not isinstance(value, Mapping) or not depth:
        return
    tensors = {key: part for key, part in value.items() if isinstance(key, str) and isinstance(part, Tensor)}
    if tensors:
        yield Candidate(where, tensors)
    names = [name for name in _INSIDE if name in value]
    for name in (*names, *(key for key in value if isinstance(key, str) and key not in names)):
        yield from candidates(value[name], f"{where}.{name}" if where else name, depth - 1)


def prefixes_of(names: Iterable[str]) -> list[str]:
    """List the prefixes that wrappers put before names of weights, and stacks of them; "" comes first.

    Example:
        >>> prefixes_of(["module._orig_mod.down.weight", "module._orig_mod.up.weight"])
        ['', 'module.', 'module._orig_mod.']
    """
    found = {"": None}
    for name in names:
        done = ""
        while True:
            more = next((prefix for prefix in PREFIXES if name.startswith(done + prefix)), None)
            if more is None:
                break
            done += more
            found[done] = None
    return list(found)


def fit(wanted: Mapping[str, Tensor], found: Sequence[Candidate], owner: str, source: str) -> Fit:
    """Find the weights in a checkpoint that belong to a network.

    Arguments:
        wanted: the network's own state dict.
        found: those in the checkpoint, see :func:`candidates`.
        owner: the checkpoint, for messages.
        source: the network, for messages.

    Raises:
        ModelError: none fits; the message holds the first missing or unexpected names, and their number.

    Example:
        >>> there = [Candidate("net", {"module.w": torch.ones(2)})]
        >>> fit({"w": torch.zeros(2)}, there, "a.pt", "Net").notes
        ("it uses the weights under 'net'", "the prefix 'module.' is removed from their names")
    """
    if not found:
        raise ModelError(owner, "holds no weights", f"Give a checkpoint with the state dict of {source}")
    attempts = [_attempt(wanted, one, prefix) for one in found for prefix in ("*", *prefixes_of(one.state))]
    best = min(attempts, key=lambda attempt: attempt.wrong)  # of equal ones, the first
    if best.wrong:
        raise _unlike(best, owner, source)
    notes = []
    if best.candidate.where:
        notes.append(f"it uses the weights under {best.candidate.where!r}")
        also = dict.fromkeys(a.candidate.where for a in attempts if not a.wrong)
        also.pop(best.candidate.where)
        notes += [f"those under {', '.join(map(repr, also))} fit too, and are not used"] if also else []
    if best.prefix:
        notes.append(f"the prefix {'_orig_mod.' if best.prefix == '*' else best.prefix!r} is removed from their names")
    if best.outside:
        notes.append(f"other tensors are ignored: {_some(best.outside)}")
    return Fit(best.state, tuple(notes))


class _Attempt(NamedTuple):
    candidate: Candidate
    prefix: str
    state: dict[str, Tensor]
    outside: list[str]  # names without the prefix
    missing: list[str]
    unexpected: list[str]
    unlike: list[str]

    @property
    def wrong(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.unlike)


def _attempt(wanted: Mapping[str, Tensor], candidate: Candidate, prefix: str) -> _Attempt:
    """Return the weights without a prefix; "*": without ``_orig_mod.`` at any place."""
    given = candidate.state
    if prefix == "*":
        given, prefix = {key.replace("_orig_mod.", ""): value for key, value in given.items()}, ""
    state = {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
    outside = [key for key in given if not key.startswith(prefix)]
    shared = _shared(wanted, state)
    missing = [key for key in wanted if key not in state and key not in shared and not key.endswith(_LATE)]
    unlike = [
        f"{key} is {tuple(state[key].shape)}, not {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    changed = "*" if given is not candidate.state and set(given) != set(candidate.state) else prefix
    return _Attempt(candidate, changed, state, outside, missing, [key for key in state if key not in wanted], unlike)


_LATE = "num_batches_tracked"  # old checkpoints have none


def _shared(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> set[str]:
    """Return names of weights that equal another tensor of the file, of which safetensors keeps one."""
    there = {wanted[key].data_ptr() for key in state if key in wanted and wanted[key].numel()}
    return {key for key, weight in wanted.items() if weight.numel() and weight.data_ptr() in there}


def _unlike(best: _Attempt, owner: str, source: str) -> ModelError:
    told = [
        f"{len(names)} {what} ({_some(names)})"
        for names, what in (
            (best.missing, "weights are missing"),
            (best.unexpected, "are not expected"),
            (best.unlike, "have another shape"),
        )
        if names
    ]
    where = f" under {best.candidate.where!r}" if best.candidate.where else ""
    cure = (
        "Give --args, so that the class makes layers of these sizes"
        if best.unlike
        else "Give the weights of this class"
    )
    return ModelError(owner, f"does not fit {source}{where}: {', '.join(told)}", cure)


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
