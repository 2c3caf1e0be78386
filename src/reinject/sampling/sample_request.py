"""Describe a request of ``reinject sample``, and check whether an archive holds its result."""

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from reinject.archive import read_manifest
from reinject.archive.request import asked_for, contents, made_already
from reinject.base.errors import ArchiveError, check_count
from reinject.base.outcome import Outcome
from reinject.models.loading import Models
from reinject.models.votes import Classifier, classify
from reinject.sampling.summary import summary
from reinject.walks.reconstruction import Autoencoder

_NOT_OF_SAMPLE = (  # parameters without influence on rows, or with a hash in their place
    *("models", "classifier", "workers", "on", "address", "gpus", "append", "resume", "dry_run", "force", "as_json"),
)
_NEW = ("passes",)  # options that earlier versions lack: without a value, they ask for the same
_GONE = {"borders": (1.0,), "student": ("None", "auto")}  # options before 0.2, with their neutral values


def answers(function: Any, shape: tuple[int, ...], device: str | torch.device = "cpu") -> str:
    """Identify a network in memory: a hash of its outputs at 16 points, to four digits."""
    x = torch.randn(16, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.no_grad():
        y = function(x).double().cpu().flatten()
    return hashlib.sha256(" ".join(f"{value:.3e}" for value in y.tolist()).encode()).hexdigest()[:16]


def asked_of_networks(
    r: Autoencoder, C: Classifier | None, student: Classifier | None, described: Mapping[str, Any]
) -> dict[str, Any]:
    """Identify the networks of a request: hashes of files on disk, or of outputs in memory."""
    if described:
        return {kind: [one["sha256"] for one in entries] for kind, entries in described.items()}
    functions = [r, *(functools.partial(classify, one) for one in (C, student) if one is not None)]
    return {"answers": [answers(one, r.event_shape, r.device) for one in functions]}


def asked_by_command(given: Mapping[str, Any], options: Mapping[str, str] | None, models: Models) -> dict[str, Any]:
    """Describe the request of one ``reinject sample`` command.

    Arguments:
        given: the command's parameters.
        options: options of the kernel.
        models: the loaded models, which replace their folders.
    """
    bundles = (*models.autoencoders, *models.classifiers)
    given = {name: value for name, value in given.items() if name != "given" or value is not None}  # as before 0.3
    named = ("preset", "data", "start", "known", "mask", "measured", "private")
    files = {name: contents(given[name], given["data_dir"]) for name in named}
    networks = [bundle.sha256 for bundle in bundles]
    given = {name: value for name, value in given.items() if name not in _NEW or value is not None}
    return asked_for(given, *_NOT_OF_SAMPLE, kernel_options=options, files=files, networks=networks)


def sampled_already(out: Path, asked: Mapping[str, Any]) -> Outcome | None:
    """Summarise the archive at ``out`` if the same request made it; else return None.

    Raises:
        ArchiveError: the archive is damaged.
    """
    try:
        there = read_manifest(out).get("asked") or {}
    except ArchiveError:  # no archive here: the writer reports a folder in the way
        return None
    if {name: value for name, value in there.items() if value not in _GONE.get(name, ())} != asked:
        return None
    return made_already(out, summary(out))


def counts_of(walks: int | None, seed: int) -> tuple[int | None, int]:
    """Check the number of walks and the seed; NumPy's integers become Python's, which JSON takes."""
    if walks is not None:
        check_count("sample", "walks", walks)
    check_count("sample", "seed", seed, 0)
    return None if walks is None else int(walks), int(seed)
