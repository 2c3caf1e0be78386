"""Load whole networks of ``torch.save``, which are pickles, and programs of ``torch.jit.save``."""

from pathlib import Path

import torch
from torch import nn

from reinject.base.errors import ModelError
from reinject.foreign.adapters import as_float32
from reinject.foreign.checkpoint import PICKLES, candidates, is_torchscript, objects_in, read_checkpoint
from reinject.foreign.names import of_module
from reinject.foreign.route import Given, Loaded, Route, Taken, always, check_zip, copied, ends_with, readable

_HOW = "Give FILE.py:CLASS --weights {}"


def _take(source: str, folder: Path, given: Given) -> Taken:
    value = read_checkpoint(Path(source), given.trust)
    _check_network(value, source)
    return copied(source, folder, given)


def _check_network(value: object, source: str) -> None:
    if isinstance(value, nn.Module):
        return
    found = next(candidates(value), None)
    if found is None:
        raise ModelError(source, f"holds a {type(value).__name__}, but no network", _HOW.format("FILE"))
    names = list(found.state)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    raise ModelError(
        source, f"holds weights ({', '.join(names[:3])}{more}) but no network for them", _HOW.format(source)
    )


def _load(folder: Path, source: str) -> Loaded:
    value = read_checkpoint(folder / source, trust=True)  # the user has trusted this very file
    _check_network(value, source)
    module, notes = as_float32(value)
    encoder, decoder = getattr(module, "encode", None), getattr(module, "decode", None)
    return Loaded(module, encoder=encoder, decoder=decoder, notes=notes, classes=of_module(module))


def refuse(source: str) -> ModelError:
    """Return the error for an untrusted pickle: weights need their class, a whole network the flag."""
    path = Path(source)
    if is_torchscript(path):
        return ModelError(
            source,
            "is a TorchScript program, which runs code when it is read",
            "Check where it comes from, then trust it with --trust",
        )
    found = objects_in(path)
    try:
        _check_network(read_checkpoint(path), source)
    except ModelError as error:
        if not found:
            return error
    kinds = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    return ModelError(
        source,
        f"is a pickle of {kinds}, which runs code when it is read",
        f"{_HOW.format(source)}, or check where it comes from and trust it with --trust",
    )


def _fits_script(source: str) -> bool:
    return Path(source).suffix.lower() in PICKLES and is_torchscript(Path(source))


def _load_script(folder: Path, source: str) -> Loaded:
    check_zip(folder / source)
    try:
        module = torch.jit.load(str(folder / source), map_location="cpu")  # type: ignore[no-untyped-call]
    except Exception as error:  # a damaged file may raise any error
        raise readable("torch.jit", source, error) from error
    module, notes = as_float32(module)
    return Loaded(module, notes=notes)


SCRIPT = Route("torchscript", "FILE.pt of torch.jit.save", _fits_script, copied, _load_script, always, pickled=True)
ROUTE = Route("pickle", "FILE.pt of torch.save(model)", ends_with(*PICKLES), _take, _load, always, pickled=True)
