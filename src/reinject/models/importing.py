"""``reinject import``: turn another library's models into a folder that every other command takes."""

import contextlib
import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reinject import data
from reinject.archive.request import OUTCOME, asked_for, contents, earlier, note
from reinject.base.errors import ArgumentError, ModelError, ReinjectError
from reinject.base.outcome import Outcome, command_line
from reinject.base.progress import Progress
from reinject.base.staging import begin, check_free, discard, partial_of, publish
from reinject.foreign import SOURCE, Foreign, Given, Loaded, Role, Route, route_for, trust
from reinject.foreign.arguments import as_text
from reinject.foreign.checkpoint import read_checkpoint
from reinject.foreign.folder import CONFIG, describe, digest_of, load_taken
from reinject.foreign.hub import is_hub_name
from reinject.foreign.normalise import words_for
from reinject.foreign.pickled import refuse
from reinject.foreign.probe import probe
from reinject.models.bundle import load
from reinject.models.codes import keep_moments
from reinject.models.inspect import inspect_bundle
from reinject.models.pairing import roles_of, with_arguments, with_weights
from reinject.models.soundness import inputs_beside
from reinject.models.understanding import image_shape, understand
from reinject.models.wanted import Wanted
from reinject.networks import Inputs

__all__ = ["Wanted", "import_model", "import_models"]


@dataclass(frozen=True)
class _Taken:
    """A model in an unfinished folder, copied and loaded."""

    source: str
    route: Route
    wanted: Wanted
    partial: Path
    loaded: Loaded
    name: str
    notes: tuple[str, ...]


def import_model(
    source: str,
    out: Path,
    wanted: Wanted | None = None,
    *,
    data_dir: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Import a model of another library into OUT/autoencoder or OUT/classifier, after checks that it is usable.

    Arguments:
        source: a file, a folder or an import path, see :data:`reinject.foreign.ROUTES`.
        out: folder of models; the other model in it stays.
        wanted: what the user states about the model.
        data_dir: where to look for data sets first.
        overwrite: replace an existing model.
        progress: progress reporter.

    Returns:
        The page of ``reinject inspect`` about the model.

    Raises:
        ArgumentError: the shape or the range is not given and cannot be found out; an unknown kind of source.
        ModelError: the model cannot be read, runs code and is not trusted, changes the shape of its input, returns
            non-finite values, or loses nothing.
    """
    wanted = wanted or Wanted()
    as_text(wanted.arguments)
    asked = _asked([source], wanted, data_dir, weights=[wanted.weights])
    made = None if overwrite else earlier(out / wanted.role, asked)
    if made is not None:
        return made
    route = route_for(source, wanted.route)
    _check(route, source, wanted)
    with _filling([source], [wanted.role], out, overwrite) as partials:
        taken = _take(route, source, partials[wanted.role], wanted)
        dataset = _dataset(wanted, data_dir, progress)
        network, page = _described(taken, dataset, inputs_beside(out, wanted.role))
        folder = out / wanted.role
        following = _next(out, partials, network.takes_classes)
        lines = [f"{folder}: {route.name} model {source}", *page.lines, *following]
        outcome = Outcome({**page.result, "folder": str(folder)}, lines)
        note(partials[wanted.role], asked, outcome)
    return outcome


def import_models(
    sources: Sequence[str],
    out: Path,
    wanted: Wanted | None = None,
    *,
    weights: Sequence[Path] = (),
    roles: Sequence[Role] = (),
    data_dir: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Import an autoencoder and a classifier into one folder, or one model as :func:`import_model` does.

    The shapes of their outputs show which of two is the autoencoder. The classifier takes its shape and units from the
    autoencoder, and its range too where neither the user nor the data states it. If one is refused, neither is
    imported.

    Arguments:
        sources: one or two models.
        out: folder of models.
        wanted: what the user states about all of them; each constructor argument goes to the classes that take it.
        weights: of the Python classes, in their order; a class that loads its own weights needs none.
        roles: of the sources, in their order; default: "autoencoder" for one source, and by their outputs for two.
        data_dir, overwrite, progress: as for one.

    Returns:
        For two models, ``autoencoder`` and ``classifier``: the pages of ``reinject inspect`` about them.

    Raises:
        ArgumentError, ModelError: as for one; both models look alike; too few or too many files of weights.
    """
    wanted = wanted or Wanted()
    _check_counts(sources, weights, roles, wanted)
    if len(sources) == 1:
        one = replace(wanted, role=[*roles, wanted.role][0], weights=[*weights, wanted.weights][0])
        return import_model(sources[0], out, one, data_dir=data_dir, overwrite=overwrite, progress=progress)
    asked = _asked(sources, wanted, data_dir, weights=weights, roles=roles)
    made = None if overwrite else earlier(out / "autoencoder", asked)
    if made is not None and (out / "classifier" / OUTCOME).is_file():
        return made
    routes = [route_for(source) for source in sources]
    each = with_weights(sources, routes, wanted, weights)
    for route, source, one in zip(routes, sources, each, strict=True):
        _check(route, source, one if route.name == "module" else replace(one, arguments={}))
    each = with_arguments(sources, routes, each)
    with _filling(sources, roles or ("autoencoder", "classifier"), out, overwrite) as partials:
        both = [
            _take(route, source, partial, one)
            for route, source, partial, one in zip(routes, sources, partials.values(), each, strict=True)
        ]
        dataset = _dataset(wanted, data_dir, progress)
        shape = wanted.shape or (None if dataset is None else dataset.shape)
        found = roles or roles_of([one.loaded for one in both], sources, shape)
        pages, lines = _described_both(dict(zip(found, both, strict=True)), partials, dataset, out)
        outcome = Outcome({role: page.result for role, page in pages.items()}, [*lines, *_next(out, partials)])
        for partial in partials.values():
            note(partial, asked, outcome)
    return outcome


def _asked(sources: Sequence[str], wanted: Wanted, data_dir: str | None, **more: Any) -> dict[str, Any]:
    """Return the request: the models, by the content of their files, and what the user states about them."""
    named = [*sources, *(source.rpartition(":")[0] for source in sources), *more["weights"]]
    files = [contents(name) for name in named]
    return asked_for(
        {}, sources=list(sources), wanted=wanted, files=files, data=contents(wanted.data, data_dir), **more
    )


def _described_both(
    both: dict[Role, _Taken], partials: dict[Role, Path], dataset: data.Dataset | None, out: Path
) -> tuple[dict[Role, Outcome], list[str]]:
    """Return the pages of an autoencoder and of the classifier beside it, and their lines."""
    if both["autoencoder"].partial != partials["autoencoder"]:
        _exchange(*(partial / SOURCE for partial in partials.values()))
    pages: dict[Role, Outcome] = {}
    lines: list[str] = []
    first: Foreign | None = None
    for role in ("autoencoder", "classifier"):
        one = both[role]
        wanted = replace(one.wanted, role=role)
        if dataset is None and wanted.shape is None:
            wanted = replace(wanted, shape=image_shape([both[which].loaded.shape for which in both]))
        one = replace(one, partial=partials[role], wanted=wanted)
        if first is not None:
            one = _beside(one, first)
        network, page = _described(one, dataset, None if first is None else first.inputs)
        first = first or network
        pages[role] = Outcome({**page.result, "folder": str(out / role)}, page.lines)
        lines += [f"{out / role}: {one.route.name} model {one.source}", *page.lines]
    return pages, lines


def _beside(one: _Taken, first: Foreign) -> _Taken:
    """Return the classifier with shape and units of the autoencoder, and its range where nothing else states one."""
    units = first.inputs.low, first.inputs.high
    wanted = replace(one.wanted, shape=first.inputs.shape, units=one.wanted.units or units)
    if wanted.data or wanted.bounds or wanted.std or one.loaded.bounds:
        return replace(one, wanted=wanted)
    native = first.native
    wanted = replace(wanted, bounds=(native.low, native.high), mean=native.mean, std=native.std)
    said = f"assumed to take the autoencoder's inputs, {words_for(replace(native, out='same'))}; --data would show"
    return replace(one, wanted=wanted, notes=(*one.notes, said))


def _exchange(first: Path, second: Path) -> None:
    """Swap two folders."""
    between = first.with_name(first.name + ".other")
    first.rename(between)
    second.rename(first)
    between.rename(second)


@contextlib.contextmanager
def _filling(sources: Sequence[str], roles: Sequence[Role], out: Path, overwrite: bool) -> Iterator[dict[Role, Path]]:
    """Yield unfinished folders by role, in the order of the sources.

    At the end all of them move to their places; after an error none does, and a new ``out`` is removed.
    """
    folders, is_new = {role: out / role for role in roles}, not out.exists()
    for folder in folders.values():
        check_free(folder, CONFIG, overwrite)
    partials = {role: partial_of(folder) for role, folder in folders.items()}
    for partial in partials.values():
        discard(partial)
        begin(partial, {"source": list(sources)})
    try:
        yield partials
    except (ReinjectError, OSError):
        for partial in partials.values():
            discard(partial)
        if is_new:
            with contextlib.suppress(OSError):  # another import may write there
                out.rmdir()
        raise
    for role, partial in partials.items():
        publish(partial, folders[role])


def _next(out: Path, roles: Container[str], labels_itself: bool = False) -> list[str]:
    """Return the command that samples from a folder of models, after models of some roles are put there."""
    if "autoencoder" not in roles and not (out / "autoencoder").is_dir():
        return []
    labelled = labels_itself or "classifier" in roles or (out / "classifier").is_dir()
    labels = {} if labelled else {"labels": "none"}
    return [f"Next: {command_line('sample', out, out='SYNTHETIC', **labels)}"]


def _check_counts(sources: Sequence[str], weights: Sequence[Path], roles: Sequence[Role], wanted: Wanted) -> None:
    if len(sources) not in (1, 2):
        raise ArgumentError("import", f"{len(sources)} models", "Give an autoencoder, a classifier, or one of each")
    if len(sources) == 1 and len(weights) > 1:
        raise ArgumentError("--weights", f"{len(weights)} files for {sources[0]}", "Give one")
    if roles and (len(roles) != len(sources) or len(set(roles)) != len(roles)):
        said = f"{' and '.join(roles)} for {len(sources)} of them"
        raise ArgumentError("--as", said, "Give autoencoder and classifier once each, in the order of the models")
    if len(sources) == 2 and wanted.route is not None:
        raise ArgumentError("--route", f"{wanted.route} for two models", "Leave it out, or import one at a time")


def _check(route: Route, source: str, wanted: Wanted) -> None:
    as_text(wanted.arguments)
    _check_there(route, source, wanted)
    _check_trusted(route, source, wanted)


def _check_trusted(route: Route, source: str, wanted: Wanted) -> None:
    """Raise ModelError where an import would read a pickle or run code without the user's consent."""
    if wanted.trust or not route.pickled:
        return
    if route.name in ("pickle", "torchscript"):
        raise refuse(source)
    if route.name == "module" and wanted.weights is not None:
        read_checkpoint(wanted.weights)  # all refusals, for one message
    problem = "runs code when it is read" if route.name == "module" else "keeps its weights in a pickle"
    raise ModelError(source, problem, "Check where it comes from, then trust it with --trust")


def _check_there(route: Route, source: str, wanted: Wanted) -> None:
    if route.name != "module" and (wanted.weights or wanted.arguments):
        option = "--weights" if wanted.weights else "--args"
        raise ArgumentError(
            option, f"is for a class in Python, and {source} is not one", "Give FILE.py:CLASS, or leave it out"
        )
    file = source.rpartition(":")[0] if route.name == "module" else source
    imported = route.name == "module" and not file.endswith(".py")  # by its name, from Python's path
    elsewhere = imported or is_hub_name(source)
    for path in (None if elsewhere else Path(file), wanted.weights):
        if path is not None and not path.exists():
            raise ModelError(str(path), "no such file or folder", "Give an existing one")


def _dataset(wanted: Wanted, data_dir: str | None, progress: Progress | None) -> data.Dataset | None:
    dataset = None if wanted.data is None else data.load(wanted.data, data_dir, wanted.split_seed, progress)
    if dataset is not None and dataset.space:
        raise ArgumentError("--data", f"{dataset.name} holds features, not images", "Import models of images")
    if dataset is not None and len(dataset.shape) != 3:
        low, high = math.floor(dataset.train.x.min()), math.ceil(dataset.train.x.max())
        cure = f"Leave it out, and give --shape {dataset.shape[0]} --range {low},{high}"
        raise ArgumentError("--data", f"{dataset.name} holds vectors, not images", cure)
    return dataset


def _take(route: Route, source: str, partial: Path, wanted: Wanted) -> _Taken:
    """Copy a model into an unfinished folder, and load it there."""
    (partial / SOURCE).mkdir()
    name, notes = route.take(source, partial / SOURCE, Given(wanted.weights, wanted.arguments, wanted.trust))
    return _Taken(source, route, wanted, partial, _read(route, partial / SOURCE, name, source, wanted), name, notes)


def _described(taken: _Taken, dataset: data.Dataset | None, beside: Inputs | None) -> tuple[Foreign, Outcome]:
    """Finish a folder; return the network and its page."""
    partial, wanted, route = taken.partial, taken.wanted, taken.route
    network, more = understand(taken.loaded, wanted, dataset, taken.source, beside)
    describe(partial, route.name, taken.name, network, wanted.arguments)
    if dataset is not None:
        dataset.split.save(partial)  # the data of its moments and its scale; its own training rows are unknown
    digest = digest_of(partial)
    if route.runs_code(partial / SOURCE, taken.name):
        trust(digest)
    else:
        with contextlib.suppress(ModelError):  # without a note it is checked again
            trust(f"read:{digest}")
    page = inspect_bundle(load(partial), dataset)
    wants = wanted.moments and wanted.role == "autoencoder"
    kept = keep_moments(partial, dataset) if wants and dataset is not None else []
    said = [*taken.notes, *more, *kept]
    return network, Outcome({**page.result, "notes": said}, [*(f"  {note}" for note in said), *page.lines])


def _read(route: Route, folder: Path, name: str, source: str, wanted: Wanted) -> Loaded:
    if not route.runs_code(folder, name):
        probe(folder, route.name, name)
    elif not wanted.trust:
        raise ModelError(source, "runs code when it is read", "Check where it comes from, then trust it with --trust")
    loaded = load_taken(route, folder, name, wanted.arguments)
    return loaded._replace(module=loaded.module.eval())
