"""``reinject import``: another library's model becomes a folder that every other command takes."""

import math
from pathlib import Path

from reinject import data
from reinject.bundle import load
from reinject.errors import ArgumentError, ModelError, ReinjectError
from reinject.foreign import SOURCE, Given, Loaded, Route, route_for, trust
from reinject.foreign.arguments import as_text
from reinject.foreign.checkpoint import read_checkpoint
from reinject.foreign.folder import CONFIG, describe, digest_of, load_taken
from reinject.foreign.pickled import refuse
from reinject.foreign.probe import probe
from reinject.jobs import Outcome
from reinject.jobs.codes import keep_moments
from reinject.jobs.inspect import inspect_bundle
from reinject.jobs.understanding import Wanted, understand
from reinject.progress import Progress
from reinject.staging import begin, check_free, discard, partial_of, publish

__all__ = ["Wanted", "import_model"]


def import_model(
    source: str,
    out: Path,
    wanted: Wanted | None = None,
    *,
    data_dir: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Take a model of another library into OUT/autoencoder or OUT/classifier, after a look at whether it can be used.

    Arguments:
        source: a file, a folder or an import path, see :data:`reinject.foreign.ROUTES`.
        out: folder of models; the other half of it stays.
        wanted: what is known of it.
        data_dir: where to look for data sets first.
        overwrite: replace a model that is there.
        progress: who is told.

    Returns:
        What ``reinject inspect`` says of the model.

    Raises:
        ArgumentError: the shape or the range cannot be found out and is not given; nothing that is known.
        ModelError: it cannot be read, runs code and is not trusted, changes the shape of its input, gives values that
            are not finite, or loses nothing.
    """
    wanted = wanted or Wanted()
    as_text(wanted.arguments)
    route = route_for(source, wanted.route)
    _check_there(route, source, wanted)
    _check_trusted(route, source, wanted)
    folder = out / wanted.role
    check_free(folder, CONFIG, overwrite)
    partial = partial_of(folder)
    discard(partial)
    begin(partial, {"source": source})
    try:
        page = _take(route, source, partial, out, wanted, data_dir, progress)
    except (ReinjectError, OSError):
        discard(partial)
        raise
    publish(partial, folder)
    return Outcome({**page.result, "folder": str(folder)}, [f"{folder}: {route.name} model {source}", *page.lines])


def _check_trusted(route: Route, source: str, wanted: Wanted) -> None:
    """Raise ModelError where taking a model would read a pickle or run code, and the user has not said so."""
    if wanted.trust or not route.pickled:
        return
    if route.name in ("pickle", "torchscript"):
        raise refuse(source)
    if route.name == "module" and wanted.weights is not None:
        read_checkpoint(wanted.weights)  # what is refused of it, to say both at once
    problem = "runs code that is in it when it is read" if route.name == "module" else "keeps its weights in a pickle"
    raise ModelError(source, problem, "Look at where it comes from, then say so with --trust")


def _check_there(route: Route, source: str, wanted: Wanted) -> None:
    if route.name != "module" and (wanted.weights or wanted.arguments):
        option = "--weights" if wanted.weights else "--args"
        raise ArgumentError(
            option, f"is for a class in Python, which {source} is not", "Give FILE.py:CLASS, or leave it out"
        )
    file = source.rpartition(":")[0] if route.name == "module" else source
    imported = route.name == "module" and not file.endswith(".py")  # by its name, from wherever Python finds it
    for path in (None if imported else Path(file), wanted.weights):
        if path is not None and not path.exists():
            raise ModelError(str(path), "no such file or folder", "Give one that is there")


def _take(
    route: Route,
    source: str,
    partial: Path,
    out: Path,
    wanted: Wanted,
    data_dir: str | None,
    progress: Progress | None,
) -> Outcome:
    """Fill the unfinished folder; the page about the model."""
    (partial / SOURCE).mkdir()
    name, notes = route.take(source, partial / SOURCE, Given(wanted.weights, wanted.arguments, wanted.trust))
    loaded = _read(route, partial / SOURCE, name, source, wanted)
    dataset = None if wanted.data is None else data.load(wanted.data, data_dir, progress=progress)
    if dataset is not None and dataset.space:
        raise ArgumentError("--data", f"{dataset.name} holds features, not images", "Import models of images")
    if dataset is not None and len(dataset.shape) != 3:
        low, high = math.floor(dataset.train.x.min()), math.ceil(dataset.train.x.max())
        cure = f"Leave it out, and give --shape {dataset.shape[0]} --range {low},{high}"
        raise ArgumentError("--data", f"{dataset.name} holds vectors, not images", cure)
    network, more = understand(loaded, wanted, dataset, source, out)
    describe(partial, route.name, name, network, wanted.arguments)
    digest = digest_of(partial)
    trust(digest if route.runs_code(partial / SOURCE, name) else f"read:{digest}")
    page = inspect_bundle(load(partial), dataset)
    wants = wanted.moments and wanted.role == "autoencoder"
    kept = keep_moments(partial, dataset) if wants and dataset is not None else []
    said = [*notes, *more, *kept]
    return Outcome({**page.result, "notes": said}, [*(f"  {note}" for note in said), *page.lines])


def _read(route: Route, folder: Path, name: str, source: str, wanted: Wanted) -> Loaded:
    if not route.runs_code(folder, name):
        probe(folder, route.name, name)
    elif not wanted.trust:
        raise ModelError(
            source, "runs code that is in it when it is read", "Look at where it comes from, then say so with --trust"
        )
    loaded = load_taken(route, folder, name, wanted.arguments)
    return loaded._replace(module=loaded.module.eval())
